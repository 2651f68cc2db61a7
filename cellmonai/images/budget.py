"""How much memory reading may take, checked from headers before anything is allocated."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cellmonai.core.errors import InputError, MemoryBudgetError
from cellmonai.core.units import readable_bytes

SUSPICIOUS_SIZE = 256 * 2**20
"""Above this many decoded bytes the ratio of decoded to encoded bytes is looked at."""

SUSPICIOUS_RATIO = 1000
"""Deflate reaches about 1,030; a picture that needs more is built to exhaust memory."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The bytes that one image may take in memory."""

    amount: int

    def require(self, amount: int, what: str, *, where: Path) -> None:
        """Refuse what needs more memory than allowed.

        Raises
        ------
        MemoryBudgetError
            `amount` bytes are over the budget.
        """
        if amount > self.amount:
            raise MemoryBudgetError(
                f"{what} needs {readable_bytes(amount)} and the memory budget is {readable_bytes(self.amount)}",
                where=str(where),
                cure="raise it with --memory, cut the image, or save it as a tiled TIFF",
            )

    def require_ratio(self, decoded: int, encoded: int, *, where: Path) -> None:
        """Refuse a small file that claims to be a huge picture.

        Raises
        ------
        InputError
            More than 1,000 decoded bytes for each stored byte, above 256 MiB.
        """
        if decoded > SUSPICIOUS_SIZE and decoded > SUSPICIOUS_RATIO * max(encoded, 1):
            raise InputError(
                f"{readable_bytes(encoded)} on disk claim to be {readable_bytes(decoded)} of pixels",
                where=str(where),
                cure="the file is damaged or not a real image, export it again",
            )


def budget_of(memory: int | None) -> Budget:
    """Give the budget of `memory` bytes, or of half the memory that is free now."""
    return Budget(available_memory() // 2 if memory is None else memory)


def available_memory() -> int:
    """Bytes that this process may still take without swapping; a careful guess where the system does not say."""
    amounts = [_system_memory()]
    with suppress(OSError, ValueError):  # a container's limit, cgroup version 2; "max" means none
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        amounts.append(limit - int(Path("/sys/fs/cgroup/memory.current").read_text()))
    return max(min(amounts), 64 * 2**20)


def _system_memory() -> int:
    if sys.platform == "win32":
        return _windows_memory()
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    with suppress(OSError, ValueError, AttributeError):  # macOS: no figure for free memory without a subprocess
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return 2 * 2**30


def _windows_memory() -> int:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((name, ctypes.c_ulonglong) for name in ("total", "free", "tp", "fp", "tv", "fv", "ev")),
        )

    status = Status(length=ctypes.sizeof(Status))
    windll = getattr(ctypes, "windll", None)
    if windll is None or not windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return 2 * 2**30
    return int(status.free)
