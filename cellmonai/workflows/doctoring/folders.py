"""The folders that commands write to: the current one, the cache, and the one for temporary files."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellmonai.core.cache import open_cache
from cellmonai.core.errors import CellmonaiError
from cellmonai.core.files import atomic_file
from cellmonai.core.locks import folder_lock
from cellmonai.core.units import readable_bytes
from cellmonai.workflows.doctoring.finding import Checked, Finding

if TYPE_CHECKING:
    from collections.abc import Callable

_WRITTEN_BYTES = 16 << 20
_LITTLE_SPACE = 1 << 30


def check_folders(folder: Path) -> Checked:
    """Look at the folder that outputs go to, at the cache folder and at the one for temporary files.

    Parameters
    ----------
    folder : where outputs are written; it is tried and left as it was, and not named among the facts
    """
    facts: dict[str, Any] = {}
    findings: list[Finding] = []
    parts: dict[str, Callable[[], Checked]] = {
        "current": lambda: _current(folder),
        "cache": _cache,
        "temporary": _temporary,
    }
    for name, check in parts.items():
        found = check()
        facts[name] = found.facts
        findings += found.findings
    return Checked(facts, tuple(findings))


def _current(folder: Path) -> Checked:
    """Write a file there as every output is written: under a temporary name, synced, renamed."""
    try:
        with tempfile.TemporaryDirectory(prefix=".cellmonai-", dir=folder) as made:
            rate, locks = _written(Path(made))
        free = shutil.disk_usage(folder).free
    except (OSError, CellmonaiError) as error:
        facts: dict[str, Any] = {"writable": False, "free_bytes": None, "mb_per_second": None, "locks": None}
        return Checked(facts, (_not_writable(error),))
    facts = {"writable": True, "free_bytes": free, "mb_per_second": round(rate, 1), "locks": locks}
    findings = []
    if free < _LITTLE_SPACE:
        message = f"{readable_bytes(free)} are free in the current folder"
        findings.append(Finding("little_space", "warning", message, "free some, or write elsewhere with --output"))
    if not locks:
        message = "the file system of the current folder has no locks, two runs could write the same files"
        findings.append(Finding("no_locks", "warning", message, "give every run an --output folder of its own"))
    return Checked(facts, tuple(findings))


def _written(folder: Path) -> tuple[float, bool]:
    """Write and give the rate in MB (10^6 bytes) per second, and whether the folder could be locked."""
    content = os.urandom(_WRITTEN_BYTES)  # what no file system can store as less
    with folder_lock(folder) as locked:
        started = time.perf_counter()
        with atomic_file(folder / "written") as temporary:
            temporary.write_bytes(content)
        seconds = time.perf_counter() - started
    return _WRITTEN_BYTES / 1e6 / seconds, locked


def _not_writable(error: Exception) -> Finding:
    reason = error.what if isinstance(error, CellmonaiError) else getattr(error, "strerror", None) or str(error)
    return Finding(
        "not_writable",
        "error",
        f"nothing can be written into the current folder ({reason})",
        "change to a folder with space and permission to write, or write elsewhere with --output",
    )


def _cache() -> Checked:
    """Open the cache as the engines do; where it cannot be used they convert every model anew."""
    cache = open_cache()
    if not cache.why_temporary:
        return Checked({"path": str(cache.folder), "writable": True})
    finding = Finding(
        "cache",
        "warning",
        f"the cache folder cannot be used ({cache.why_temporary}), so converted models are not kept",
        "let the variable CELLMONAI_CACHE name a folder that you alone can write",
    )
    return Checked({"path": None, "writable": False}, (finding,))


def _temporary() -> Checked:
    """Write into the folder for temporary files, where counting puts what does not fit into memory."""
    try:
        folder = tempfile.gettempdir()
        with tempfile.TemporaryFile() as stream:
            stream.write(bytes(4096))
        free = shutil.disk_usage(folder).free
    except OSError as error:
        reason = error.strerror or str(error)
        message, cure = (
            f"no temporary file can be written ({reason})",
            "let the variable TMPDIR name a folder with space",
        )
        finding = Finding("temporary_folder", "error", message, cure)
        return Checked({"path": None, "writable": False, "free_bytes": None}, (finding,))
    return Checked({"path": folder, "writable": True, "free_bytes": free})
