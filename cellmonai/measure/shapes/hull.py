"""Convex hulls of objects: of their pixel centres, corner by corner, from the outermost pixels of every row.

The hull of an object is the hull of the middles of its pixels' sides, as scikit-image takes it. It is the hull of the
pixel centres widened by half a pixel up, down, left and right, so only the latter's corners need to be kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.measure.shapes.label_kernels import label_kernels
from cellmonai.measure.shapes.runs import by_label

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROUNDS = 64
_FAR = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Side:
    """Corners of one side of N hulls, top to bottom; those of object i are first[i] to first[i + 1].

    Parameters
    ----------
    first : int64, shape (N + 1,)
    row, column : int32; columns of right sides are negative, so that both sides bulge towards smaller numbers
    """

    first: NDArray[np.int64]
    row: NDArray[np.int32]
    column: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Hulls:
    """Convex hulls of N objects; an object's topmost and bottommost row have a corner on both sides."""

    left: Side
    right: Side


class HullBuilder:
    """Gathers the corners of hulls strip by strip.

    The corners of a hull are found among the corners of its strips' hulls, so only these are kept.
    """

    def __init__(self) -> None:
        self._sides: tuple[list[NDArray[np.int32]], list[NDArray[np.int32]]] = ([], [])

    def add(self, outer: NDArray[np.int32]) -> None:
        """Add what `Tally.add` gives for a strip: int32, shape (K, 4), label, row, leftmost and rightmost column."""
        label, row, left, right = outer[by_label(outer[:, 0])].T
        for kept, column in zip(self._sides, (left, -right), strict=True):
            kept.append(_corners(label, row, column))

    def hulls(self, first: int, last: int) -> tuple[NDArray[np.int32], Hulls]:
        """Give the labels from first to last, half-open, that occur, int32, shape (N,), and their hulls."""
        left, right = (_between(kept, first, last) for kept in self._sides)
        labels = left[0][np.flatnonzero(np.diff(left[0], prepend=-1))]
        return labels, Hulls(_as_side(left), _as_side(right))


def _between(strips: list[NDArray[np.int32]], first: int, last: int) -> NDArray[np.int32]:
    """Join the corners of these labels from all strips, each sorted by label; int32, shape (3, K)."""
    ends = np.array([first, last], np.int32)
    parts = [points[:, slice(*np.searchsorted(points[0], ends))] for points in strips]
    points = np.concatenate([np.zeros((3, 0), np.int32), *parts], axis=1)
    return _corners(*points[:, by_label(points[0])])


def _as_side(corners: NDArray[np.int32]) -> Side:
    owner, row, column = corners
    first = np.append(np.flatnonzero(np.diff(owner, prepend=-1)), owner.size)
    return Side(first.astype(np.int64), np.ascontiguousarray(row), np.ascontiguousarray(column))


def _corners(label: NDArray[np.int32], row: NDArray[np.int32], column: NDArray[np.int32]) -> NDArray[np.int32]:
    """Keep the corners of the left sides; points sorted by label and row, one per row. int32, shape (3, K)."""
    points = np.stack([label, row, column])
    if (compiled := label_kernels()) is not None:
        return points[:, : compiled.hull_side(*points)].copy()
    return _corners_in_numpy(points)


def _corners_in_numpy(points: NDArray[np.int32]) -> NDArray[np.int32]:
    """Do what `hull_side` in kernels/labels.c does: a hull's corners are the same in whatever way they are found.

    A point that lies on or right of the line between its two neighbours is no corner, whichever other points go with
    it, so all such points go at once. After some rounds the rest is done object by object.
    """
    for _ in range(_ROUNDS):
        stays = _bulges(points)
        if stays.all():
            return points
        points = points[:, stays]
    cuts = np.flatnonzero(np.diff(points[0])) + 1
    return np.concatenate([_thinned(part) for part in np.split(points, cuts, axis=1)], axis=1)


def _bulges(points: NDArray[np.int32]) -> NDArray[np.bool_]:
    label, row, column = points
    stays = np.ones(label.size, np.bool_)
    if label.size > 2:
        row, column = row.astype(np.int64), column.astype(np.int64)
        down, along = row[1:-1] - row[:-2], column[1:-1] - column[:-2]
        inward = down * (column[2:] - column[:-2]) - (row[2:] - row[:-2]) * along
        stays[1:-1] = (inward > 0) | (label[1:-1] != label[:-2]) | (label[1:-1] != label[2:])
    return stays


def _thinned(points: NDArray[np.int32]) -> NDArray[np.int32]:
    """Andrew's monotone chain over the points of one object, in Python's integers."""
    kept: list[int] = []
    row, column = points[1].tolist(), points[2].tolist()
    for i in range(len(row)):
        while len(kept) > 1:
            a, b = kept[-2], kept[-1]
            if (row[b] - row[a]) * (column[i] - column[a]) > (row[i] - row[a]) * (column[b] - column[a]):
                break
            kept.pop()
        kept.append(i)
    return points[:, kept]


def pixel_hulls(hulls: Hulls) -> tuple[NDArray[np.int64], Hulls]:
    """Fill hulls with pixels: all those whose centres lie in or on a hull.

    Returns
    -------
    int64, shape (N,), how many pixels, and the hulls of their centres. They are the pixels of scikit-image's
    `image_convex`, but as a first and a last column per row.
    """
    owner, row = _rows_of(hulls.left)
    begin, end = _first_columns(hulls.left, row), _first_columns(hulls.right, row)
    if owner.size == 0:
        return np.zeros(0, np.int64), hulls
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    area = np.add.reduceat(1 - begin.astype(np.int64) - end, first)
    left, right = (_as_side(_corners(owner, row, column)) for column in (begin, end))
    return area, Hulls(left, right)


def _rows_of(side: Side) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Give every row of every object: the object and the row, int32, shape (R,)."""
    top = side.row[side.first[:-1]]
    rows = side.row[side.first[1:] - 1] - top + 1
    owner = np.repeat(np.arange(rows.size, dtype=np.int32), rows)
    row = np.arange(owner.size) - np.repeat(np.cumsum(rows) - rows, rows) + top[owner]
    return owner, row.astype(np.int32)


def _first_columns(side: Side, row: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give the first column in the hull for every row of every object; int32, shape (R,)."""
    begin = np.empty(row.size, np.int32)
    if (compiled := label_kernels()) is not None:
        compiled.hull_rows(side.first, side.row, side.column, begin)
        return begin
    return _first_columns_in_numpy(side, begin)


def _first_columns_in_numpy(side: Side, begin: NDArray[np.int32]) -> NDArray[np.int32]:
    """Do what `first_columns` in kernels/labels.c does."""
    owner = np.repeat(np.arange(side.first.size - 1), np.diff(side.first))
    row, column = side.row.astype(np.int64), side.column.astype(np.int64)
    # rows lie object after object, so a corner's place is how many rows there are above it
    place = np.cumsum(np.where(np.diff(owner, prepend=-1) != 0, 1, np.diff(row, prepend=0))) - 1
    begin[place] = column

    edge = np.flatnonzero(owner[1:] == owner[:-1])
    # rows that an edge reaches: from its upper corner to its lower one, both included
    count = np.diff(row)[edge] + 1
    which = np.repeat(np.arange(edge.size), count)
    step = np.arange(which.size) - np.repeat(np.cumsum(count) - count, count)
    dy, dx = np.diff(row)[edge][which], np.diff(column)[edge][which]
    twice = 2 * (dy * column[edge][which] + step * dx)
    reach = np.minimum(twice - dy, np.where(step > 0, twice - dx, _FAR))
    reach = np.minimum(reach, np.where(step < dy, twice + dx, _FAR))
    nearest = -(-reach // (2 * dy))
    target = place[edge][which] + step
    inner = (step > 0) & (step < dy)
    begin[target[inner]] = nearest[inner]
    for corner in (step == 0, step == dy):  # a lower corner is the next edge's upper one
        begin[target[corner]] = np.minimum(begin[target[corner]], nearest[corner])
    return begin
