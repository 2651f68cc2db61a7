"""Which kernels run: the compiled library where the package was built with a compiler, else the NumPy twins."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import Literal

VERSION = 1
VARIABLE = "CELLMONAI_KERNELS"
"""Environment variable: `numpy` leaves the compiled library alone."""


@cache
def library() -> ctypes.CDLL | None:
    """Give the compiled kernels, or None where there are none that fit and the NumPy twins must do."""
    if os.environ.get(VARIABLE, "").lower() == "numpy":
        return None
    for path in sorted(Path(__file__).parent.glob("_kernels*")):
        if path.suffix not in (".so", ".pyd", ".dylib"):
            continue
        try:
            loaded = ctypes.CDLL(str(path))
            version = loaded.cellmonai_kernels_version
        except (OSError, AttributeError):  # built for another platform, or not ours
            continue
        version.restype = ctypes.c_int32
        if version() == VERSION:
            return loaded
    return None


def kernel_name() -> Literal["c", "numpy"]:
    """Name the kernels that run, for the run record and the doctor."""
    return "numpy" if library() is None else "c"
