"""How much memory this process has held."""

from __future__ import annotations

import sys

_MMAP_THRESHOLD, _ARENA_MAX = -3, -8  # of glibc's mallopt
_LARGE_BYTES = 1 << 18
_ARENAS = 2


def peak_memory_bytes() -> int | None:
    """Give the largest memory that this process has held so far, in bytes; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def return_freed_memory() -> None:
    """Have the C library give large blocks back to the system as soon as they are freed; for a process of our own.

    glibc keeps freed blocks of up to 32 MiB for each thread that asked for them, so that what a run holds depends on
    how its threads happened to meet: the same slide took 1.2 or 1.8 GiB. Other C libraries are left as they are.
    """
    if sys.platform != "linux":
        return
    import ctypes

    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return
    library.mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
    library.mallopt(_ARENA_MAX, _ARENAS)
