"""Which kernels run: the compiled library where the package was built with a compiler, else the NumPy twins."""

from __future__ import annotations

import ctypes
import os
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cellmonai.kernels.signatures import SIGNATURES

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

VERSION = 2
"""That of kernels/module.c; both grow with every change of a signature."""

VARIABLE = "CELLMONAI_KERNELS"
"""Environment variable: `numpy` leaves the compiled library alone."""


class Kernels:
    """The compiled functions, called by name with arrays and numbers.

    Parameters
    ----------
    loaded : a library of this version

    Raises
    ------
    AttributeError
        The library lacks a function.
    """

    def __init__(self, loaded: ctypes.CDLL) -> None:
        self._functions: dict[str, tuple[Any, list[Callable[[Any], Any]]]] = {}
        for name, signature in SIGNATURES.items():
            function = getattr(loaded, f"cellmonai_{name}")
            kinds = signature.split()
            function.argtypes = [_TYPES.get(kind, ctypes.c_void_p) for kind in kinds]
            function.restype = ctypes.c_int64
            self._functions[name] = function, [_CHECKS.get(kind) or partial(_address, kind[:-2]) for kind in kinds]

    def __call__(self, name: str, *arguments: Any) -> int:  # noqa: ANN401 - arrays and numbers
        """Call a function; the global interpreter lock is free while it runs.

        Parameters
        ----------
        name : without `cellmonai_`
        arguments : as its signature says; arrays are contiguous, or None for no array

        Raises
        ------
        TypeError
            An array of another type or with gaps, or too many or too few arguments.
        """
        function, checks = self._functions[name]
        if len(arguments) != len(checks):
            raise TypeError(f"{name} takes {len(checks)} arguments, got {len(arguments)}")
        return int(function(*[check(argument) for check, argument in zip(checks, arguments, strict=True)]))


def _address(dtype: str, array: np.ndarray[Any, np.dtype[Any]] | None) -> int | None:
    if array is None:
        return None
    if array.dtype != dtype or not array.flags.c_contiguous:
        raise TypeError(f"an array is {array.dtype} with strides {array.strides}, expected {dtype} without gaps")
    return int(array.ctypes.data)


_TYPES: dict[str, Any] = {"int": ctypes.c_int64, "real": ctypes.c_double}
_CHECKS: dict[str, Callable[[Any], Any]] = {"int": int, "real": float}


@cache
def library() -> Kernels | None:
    """Give the compiled kernels, or None where there are none that fit and the NumPy twins must do."""
    if os.environ.get(VARIABLE, "").lower() == "numpy":
        return None
    for path in sorted(Path(__file__).parent.glob("_kernels*")):
        if path.suffix not in (".so", ".pyd", ".dylib"):
            continue
        try:
            loaded = ctypes.CDLL(str(path))
            if loaded.cellmonai_kernels_version() == VERSION:
                return Kernels(loaded)
        except (OSError, AttributeError):  # built for another platform, or not ours
            continue
    return None


def kernel_name() -> Literal["c", "numpy"]:
    """Name the kernels that run, as the run record does."""
    return "numpy" if library() is None else "c"
