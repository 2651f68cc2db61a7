"""How much memory this process has held."""

from __future__ import annotations

import sys


def peak_memory_bytes() -> int | None:
    """Give the largest memory that this process has held so far, in bytes; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
