"""Feret diameters: the largest and the smallest distance between two parallel lines that hold an object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.measure.shapes.label_kernels import label_kernels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cellmonai.measure.shapes.hull import Hulls

_PAIRS_AT_A_TIME = 1 << 19
_DIRECTIONS = np.array([(0, 1), (1, 0), (1, 1), (1, -1)], np.int64)
"""Sides of the hull of a single pixel, and the axes; each hull's own sides come on top."""


@dataclass(frozen=True, slots=True)
class Ring:
    """Corners of N hulls of pixel centres, once around each object; those of object i are first[i] to first[i + 1]."""

    first: NDArray[np.int64]
    row: NDArray[np.int32]
    column: NDArray[np.int32]


def rings(hulls: Hulls) -> Ring:
    """Join the left sides, downwards, and the right sides, upwards."""
    left, right = hulls.left, hulls.right
    first = left.first + right.first
    size = np.diff(first)
    owner = np.repeat(np.arange(size.size), size)
    place = np.arange(owner.size) - first[owner]
    on_left = place < np.diff(left.first)[owner]
    from_left = left.first[owner] + place
    from_right = right.first[owner + 1] - 1 - (place - np.diff(left.first)[owner])
    row, column = np.empty((2, owner.size), np.int32)
    for chosen, source, side, sign in ((on_left, from_left, left, 1), (~on_left, from_right, right, -1)):
        row[chosen] = side.row[source[chosen]]
        column[chosen] = sign * side.column[source[chosen]]
    return Ring(first, row, column)


def feret_diameters(ring: Ring, pixel_size: tuple[float, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure the largest and the smallest Feret diameter of hulls.

    Parameters
    ----------
    ring : corners of N hulls of pixel centres
    pixel_size : (y, x) length of a pixel; (1, 1) for results in px

    Returns
    -------
    two float64 arrays, shape (N,): largest, smallest; in the unit of `pixel_size`

    Notes
    -----
    Both are taken over the middles of pixel sides, which lie half a pixel up, down, left and right of pixel centres: a
    line of n pixels along an axis is n long and 1 wide, a single pixel 1 long and √½ wide (across its diagonal). The
    smallest distance of parallel lines is found where one of them holds a side of the hull (rotating calipers).

    References
    ----------
    M. I. Shamos. Computational geometry. PhD thesis, Yale University, 1978.
    """
    longest, narrowest = np.zeros((2, ring.first.size - 1))
    if (compiled := label_kernels()) is not None:
        compiled.hull_lengths((ring.first, ring.row, ring.column), pixel_size, longest, narrowest)
    else:
        for begin, end in _portions(ring):
            longest[begin:end], narrowest[begin:end] = _squares_of(ring, begin, end, pixel_size)
    return np.sqrt(longest), np.sqrt(narrowest)


def _portions(ring: Ring) -> Iterator[tuple[int, int]]:
    """Cut the objects into portions with a bounded number of pairs of corners."""
    pairs = np.cumsum(np.diff(ring.first) ** 2)
    begin = 0
    while begin < pairs.size:
        before = int(pairs[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(pairs, before + _PAIRS_AT_A_TIME, side="right")))
        yield begin, end
        begin = end


def _squares_of(
    ring: Ring, begin: int, end: int, pixel_size: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Do what `hull_lengths` in kernels/labels.c does, for objects begin to end."""
    low, high = int(ring.first[begin]), int(ring.first[end])
    first = ring.first[begin:end] - low
    row, column = ring.row[low:high].astype(np.int64), ring.column[low:high].astype(np.int64)
    size = np.diff(ring.first[begin : end + 1])
    # every corner with every corner of its object, the first one of a pair by pair
    corners_of = np.repeat(size, size)
    one = np.repeat(np.arange(row.size), corners_of)
    first_pair = np.cumsum(corners_of) - corners_of
    start = np.repeat(first, size)
    other = np.arange(one.size) - first_pair[one] + start[one]

    longest = _longest(np.abs(row[one] - row[other]), np.abs(column[one] - column[other]), pixel_size)
    following = np.arange(row.size) + 1
    following[first + size - 1] = first
    dy, dx = row[following] - row, column[following] - column
    across = dy[one] * column[other] - dx[one] * row[other]
    own = _squared_widths(
        np.maximum.reduceat(across, first_pair) - np.minimum.reduceat(across, first_pair), dy, dx, pixel_size
    )
    narrowest = np.minimum.reduceat(own, first)
    for y, x in _DIRECTIONS:
        across = y * column - x * row
        spans = np.maximum.reduceat(across, first) - np.minimum.reduceat(across, first)
        narrowest = np.minimum(
            narrowest, _squared_widths(spans, np.full_like(spans, y), np.full_like(spans, x), pixel_size)
        )
    return np.maximum.reduceat(longest, first_pair[first]), narrowest


def _longest(y: NDArray[np.int64], x: NDArray[np.int64], pixel_size: tuple[float, float]) -> NDArray[np.float64]:
    """Squared distances of pairs of pixels between the middles of their sides that lie farthest apart."""
    y_um, x_um = pixel_size
    upright = ((y + 1) * y_um) ** 2 + (x * x_um) ** 2
    level = (y * y_um) ** 2 + ((x + 1) * x_um) ** 2
    return np.maximum(upright, level)


def _squared_widths(
    span: NDArray[np.int64], dy: NDArray[np.int64], dx: NDArray[np.int64], pixel_size: tuple[float, float]
) -> NDArray[np.float64]:
    """Squared widths across directions (dy, dx), infinite where that is no direction."""
    y_um, x_um = pixel_size
    width = (span + np.maximum(np.abs(dy), np.abs(dx))) * (y_um * x_um)
    square = (dy * y_um) ** 2 + (dx * x_um) ** 2
    squares: NDArray[np.float64] = np.divide(width**2, square, out=np.full(span.shape, np.inf), where=square > 0)
    return squares
