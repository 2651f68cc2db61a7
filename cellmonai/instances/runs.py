"""Runs: pieces of rows of equal value, the form in which most of what is done to regions costs least."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Runs:
    """Horizontal runs of equal nonzero value, in raster order.

    Parameters
    ----------
    row, start, stop : int64, where each run lies; columns start to stop, half-open
    value : the runs' values, of the image's dtype
    """

    row: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    value: NDArray[np.generic]


def find_runs(image: NDArray[np.generic]) -> Runs:
    """Cut the rows of an image into runs of equal value and leave out those of value 0.

    Parameters
    ----------
    image : bool or integer, shape (Y, X)
    """
    rows, columns = image.shape
    changes = np.ones((rows, columns), np.bool_)  # where a run starts; a row's first pixel always does
    np.not_equal(image[:, 1:], image[:, :-1], out=changes[:, 1:])
    begin = np.flatnonzero(changes)
    length = np.diff(begin, append=rows * columns)
    row, start = np.divmod(begin, max(columns, 1))
    value = image[row, start]
    kept = value != 0
    return Runs(row[kept], start[kept], (start + length)[kept], value[kept])
