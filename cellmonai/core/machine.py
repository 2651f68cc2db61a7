"""What this machine is: system, processor, usable cores, memory."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

_CPU_INFO, _CPU_QUOTA = Path("/proc/cpuinfo"), Path("/sys/fs/cgroup/cpu.max")
_INT8_PRODUCTS = {"avx512_vnni", "avx_vnni", "avx_vnni_int8", "amx_int8", "asimddp"}  # the last one of Arm
_NVIDIA = Path("/proc/driver/nvidia/version")


def cpu_model() -> str:
    """Name the processor as its maker does, as far as the system tells; else its architecture."""
    with suppress(OSError):
        for line in _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in {"model name", "Model", "Hardware"} and value.strip():
                return value.strip()
    if sys.platform == "darwin":
        with suppress(OSError, subprocess.SubprocessError):
            words = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(words, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    return platform.processor() or platform.machine() or "unknown"


def multiplies_int8() -> bool | None:
    """Tell whether the processor sums products of 8-bit integers in one instruction: VNNI, AMX, dot products of Arm.

    None where the system does not say, as Windows.
    """
    with suppress(OSError):
        for line in _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in {"flags", "Features"}:
                return not _INT8_PRODUCTS.isdisjoint(value.split())
    return None


def usable_cores() -> int:
    """Count the cores that this process may keep busy: by its affinity, and by the quota of a container."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, cpu_quota() or allowed)


def cpu_quota() -> int | None:
    """Give how many cores' time a container may use, rounded up; None without such a limit (cgroup version 2)."""
    with suppress(OSError, ValueError):  # "max" is no number
        quota, period = _CPU_QUOTA.read_text().split()
        return max(-(-int(quota) // int(period)), 1)
    return None


def total_memory() -> int | None:
    """Give the bytes of memory that the machine has; None where the system does not say, as Windows."""
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def has_nvidia_driver() -> bool:
    """Tell whether a driver for NVIDIA GPUs is installed."""
    return _NVIDIA.exists() or shutil.which("nvidia-smi") is not None
