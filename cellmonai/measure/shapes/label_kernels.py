"""The compiled side of the measurements: the functions of kernels/labels.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.kernels.library import library

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.kernels.library import Kernels

SUMMED_AS = {"uint8": np.int64, "uint16": np.int64, "int64": np.int64, "float32": np.float64, "float64": np.float64}
"""Types of values that are summed as they are, and the type of their sums."""


class LabelKernels:
    """The functions of kernels/labels.c, for arrays; what each does is said there.

    Parameters
    ----------
    kernels : the compiled library
    """

    def __init__(self, kernels: Kernels) -> None:
        self._call = kernels

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
        noted = self._call("label_strip", strip, rows, window.shape[1], above, below, top, tally, outer, place)
        if noted < 0:
            raise MemoryError("no memory for four rows of a label image")
        return noted

    def hull_side(self, label: NDArray[np.int32], row: NDArray[np.int32], column: NDArray[np.int32]) -> int:
        """Thin points to the corners of a hull's left side, in place; gives how many stay."""
        return self._call("hull_side", label.size, label, row, column)

    def hull_rows(
        self, first: NDArray[np.int64], row: NDArray[np.int32], column: NDArray[np.int32], begin: NDArray[np.int32]
    ) -> None:
        """Fill in the first columns of hulls, row by row."""
        self._call("hull_rows", first.size - 1, first, row, column, begin)

    def hull_lengths(
        self,
        ring: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]],
        pixel_size: tuple[float, float],
        longest: NDArray[np.float64],
        narrowest: NDArray[np.float64],
    ) -> None:
        """Fill in the squares of the largest and smallest diameters of hulls."""
        self._call("hull_lengths", longest.size, *ring, *pixel_size, longest, narrowest)

    def value_sums(self, labels: NDArray[np.int32], values: NDArray[Any], total: NDArray[Any]) -> None:
        """Add the values under each label."""
        self._call(f"value_sums_{values.dtype.name}", labels, values, labels.size, total)


def label_kernels() -> LabelKernels | None:
    """Give the compiled functions, or None where the NumPy twins must do."""
    kernels = library()
    return None if kernels is None else LabelKernels(kernels)
