"""The distance from every object to the nearest other one."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PAIRS_AT_A_TIME = 1 << 20
_MOST_PER_BUCKET = 4.0  # points that a point shares its bucket with on average, to begin with
_MOST_HALVINGS = 20  # keeps the numbers of buckets within int64


def nearest_distances(y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Measure the distance from every point to the nearest other point.

    Parameters
    ----------
    y, x : float64, shape (N,), finite, in one unit

    Returns
    -------
    float64, shape (N,), in that unit; not a number where there is no other point, 0 for two points at one place

    Notes
    -----
    Points are put into square buckets. Whoever has a neighbour in the 3 x 3 buckets around it that is nearer than a
    bucket is wide, has found the nearest one; all others look again with buckets of twice the width.
    """
    nearest = np.full(y.size, np.inf)
    if y.size < 2:
        return np.full(y.size, np.nan)
    extent = max(float(np.ptp(y)), float(np.ptp(x)))
    if extent == 0:
        return np.zeros(y.size)
    width = _first_width(y, x, extent)
    open_ = np.arange(y.size)
    while open_.size:
        nearest[open_] = _within_buckets(y, x, open_, width)
        open_ = open_[nearest[open_] > width**2]
        width *= 2
    distance: NDArray[np.float64] = np.sqrt(nearest)
    return distance


def _first_width(y: NDArray[np.float64], x: NDArray[np.float64], extent: float) -> float:
    """Give a width of buckets at which few points share one, however crowded they lie in a part of the plane."""
    width = extent / np.sqrt(y.size)
    for _ in range(_MOST_HALVINGS):
        row, column = (((axis - axis.min()) // width).astype(np.int64) for axis in (y, x))
        bucket = np.sort(row * (int(column.max()) + 1) + column)
        starts = np.flatnonzero(np.diff(bucket, prepend=-1))
        crowd = np.diff(starts, append=bucket.size)
        if float((crowd * crowd).sum()) <= _MOST_PER_BUCKET * y.size:
            break
        width /= 2
    return float(width)


def _within_buckets(
    y: NDArray[np.float64], x: NDArray[np.float64], open_: NDArray[np.intp], width: float
) -> NDArray[np.float64]:
    """Give the squared distance to the nearest other point in the 3 x 3 buckets around each open point, or infinity."""
    row, column = (((axis - axis.min()) // width).astype(np.int64) + 1 for axis in (y, x))
    pitch = int(column.max()) + 2
    order = np.argsort(row * pitch + column, kind="stable")
    bucket = (row * pitch + column)[order]
    nearest = np.full(open_.size, np.inf)
    for step in (-1, 0, 1):
        # three buckets side by side are one stretch of the sorted points
        middle = (row[open_] + step) * pitch + column[open_]
        begin, end = np.searchsorted(bucket, middle - 1), np.searchsorted(bucket, middle + 2)
        for low, high in _portions(end - begin):
            some = slice(low, high)
            np.minimum(
                nearest[some], _of_stretches(y, x, open_[some], order, begin[some], end[some]), out=nearest[some]
            )
    return nearest


def _of_stretches(
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    point: NDArray[np.intp],
    order: NDArray[np.intp],
    begin: NDArray[np.intp],
    end: NDArray[np.intp],
) -> NDArray[np.float64]:
    found = np.full(point.size, np.inf)
    some = np.flatnonzero(end > begin)
    if some.size == 0:
        return found
    count = (end - begin)[some]
    first = np.cumsum(count) - count
    other = order[np.arange(int(count.sum())) + np.repeat(begin[some] - first, count)]
    one = np.repeat(point[some], count)
    square = (y[one] - y[other]) ** 2 + (x[one] - x[other]) ** 2
    square[one == other] = np.inf
    found[some] = np.minimum.reduceat(square, first)
    return found


def _portions(count: NDArray[np.intp]) -> list[tuple[int, int]]:
    """Cut points into portions with a bounded number of pairs."""
    total = np.cumsum(count)
    marks = np.arange(_PAIRS_AT_A_TIME, int(total[-1]) + 1, _PAIRS_AT_A_TIME)
    cuts = [0, *np.searchsorted(total, marks).tolist(), count.size]
    return [(low, high) for low, high in pairwise(cuts) if high > low]
