"""The compiled side of the measurements: argument types of the functions in kernels/labels.c."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.kernels.library import library

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    _Argument = ctypes.c_void_p | ctypes.c_int64 | ctypes.c_double

_ADDRESS, _WHOLE, _REAL = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double

SUMMED_AS = {"uint8": np.int64, "uint16": np.int64, "int64": np.int64, "float32": np.float64, "float64": np.float64}
"""Types of values that are summed as they are, and the type of their sums."""


class LabelKernels:
    """The functions of kernels/labels.c, for arrays instead of addresses; what each does is said there.

    Parameters
    ----------
    loaded : the compiled library

    Raises
    ------
    AttributeError
        The library was built without these functions.
    """

    def __init__(self, loaded: ctypes.CDLL) -> None:
        self._label_strip = _typed(loaded.cellmonai_label_strip, [_ADDRESS, *[_WHOLE] * 5, *[_ADDRESS] * 3], _WHOLE)
        self._hull_side = _typed(loaded.cellmonai_hull_side, [_WHOLE, *[_ADDRESS] * 3], _WHOLE)
        self._hull_rows = _typed(loaded.cellmonai_hull_rows, [_WHOLE, *[_ADDRESS] * 4], None)
        self._hull_lengths = _typed(
            loaded.cellmonai_hull_lengths, [_WHOLE, *[_ADDRESS] * 3, _REAL, _REAL, *[_ADDRESS] * 2], None
        )
        self._value_sums = {
            name: _typed(getattr(loaded, f"cellmonai_value_sums_{name}"), [_ADDRESS, _ADDRESS, _WHOLE, _ADDRESS], None)
            for name in SUMMED_AS
        }

    def label_strip(
        self,
        window: NDArray[np.int32],
        above: int,
        below: int,
        top: int,
        tally: NDArray[np.int64],
        outer: NDArray[np.int32] | None,
        place: NDArray[np.int32],
    ) -> int:
        """Add a strip to the tally; gives how many rows of `outer` were filled."""
        rows = window.shape[0] - above - below
        strip = window[above:]
        noted = self._label_strip(
            _address(strip, np.int32),
            rows,
            window.shape[1],
            above,
            below,
            top,
            _address(tally, np.int64),
            None if outer is None else _address(outer, np.int32),
            _address(place, np.int32),
        )
        if noted < 0:
            raise MemoryError("no memory for four rows of a label image")
        return int(noted)

    def hull_side(self, label: NDArray[np.int32], row: NDArray[np.int32], column: NDArray[np.int32]) -> int:
        """Thin points to the corners of a hull's left side, in place; gives how many stay."""
        return int(self._hull_side(label.size, *(_address(part, np.int32) for part in (label, row, column))))

    def hull_rows(
        self, first: NDArray[np.int64], row: NDArray[np.int32], column: NDArray[np.int32], begin: NDArray[np.int32]
    ) -> None:
        """Fill in the first columns of hulls, row by row."""
        addresses = _address(first, np.int64), *(_address(part, np.int32) for part in (row, column, begin))
        self._hull_rows(first.size - 1, *addresses)

    def hull_lengths(
        self,
        ring: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]],
        pixel_size: tuple[float, float],
        longest: NDArray[np.float64],
        narrowest: NDArray[np.float64],
    ) -> None:
        """Fill in the squares of the largest and smallest diameters of hulls."""
        first, row, column = _address(ring[0], np.int64), _address(ring[1], np.int32), _address(ring[2], np.int32)
        self._hull_lengths(
            longest.size,
            first,
            row,
            column,
            *pixel_size,
            _address(longest, np.float64),
            _address(narrowest, np.float64),
        )

    def value_sums(self, labels: NDArray[np.int32], values: NDArray[Any], total: NDArray[Any]) -> None:
        """Add the values under each label."""
        name = values.dtype.name
        self._value_sums[name](
            _address(labels, np.int32), _address(values, values.dtype), labels.size, _address(total, SUMMED_AS[name])
        )


def label_kernels() -> LabelKernels | None:
    """Give the compiled functions, or None where the NumPy twins must do."""
    loaded = library()
    if loaded is None:
        return None
    try:
        return LabelKernels(loaded)
    except AttributeError:  # a library from before these functions
        return None


def _typed(
    function: ctypes._NamedFuncPointer, arguments: list[type[_Argument]], result: type[_Argument] | None
) -> ctypes._NamedFuncPointer:
    function.argtypes, function.restype = arguments, result
    return function


def _address(array: NDArray[Any], dtype: DTypeLike) -> int:
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    return int(array.ctypes.data)
