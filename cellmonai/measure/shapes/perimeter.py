"""Perimeter of objects from their border pixels, weighted by how these are connected.

References
----------
K. Benkrid, D. Crookes. Design and FPGA implementation of a perimeter estimator. Queen's University of Belfast, 2000;
with the weights of scikit-image's `perimeter(neighborhood=4)`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

KINDS = 3
_STRAIGHT, _DIAGONAL, _CORNER = 1, 2, 3
_LENGTHS = (1.0, math.sqrt(2.0), (1.0 + math.sqrt(2.0)) / 2.0)
# kind of a border pixel by 2 · border neighbours at its sides + 10 · those at its corners; others count nothing
_KIND = np.zeros(49, np.uint8)
_KIND[[4, 6, 14, 16, 24, 26]] = _STRAIGHT
_KIND[[20, 32]] = _DIAGONAL
_KIND[[12, 22]] = _CORNER

_PIXELS_AT_A_TIME = 1 << 18


def perimeters_px(kinds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weight the border pixels of objects.

    Parameters
    ----------
    kinds : int64, shape (N, 3), how many border pixels go straight on, diagonally, and around a corner

    Returns
    -------
    float64, shape (N,), px; 0 for objects too small to have a border that turns

    Notes
    -----
    A border pixel has a 4-neighbour outside its object; pixels outside the image are outside every object. Kinds of
    border pixels are counted as integers and weighted once, so the result does not depend on any order.
    """
    perimeter = np.zeros(len(kinds))
    for count, length in zip(kinds.T, _LENGTHS, strict=True):
        perimeter += length * count
    return perimeter


def border_kinds(
    window: NDArray[np.int32], *, above: int, below: int
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.uint8]]]:
    """Give the label and the kind (1, 2, 3, or 0 for none) of every border pixel of a strip, some rows at a time.

    Parameters
    ----------
    window : int32, shape (above + rows + below, X); two rows on both sides of the strip, fewer where the image ends.
        It takes two: a neighbour's being border depends on the neighbour's own neighbours.

    Notes
    -----
    The twin of `add_kinds` in kernels/labels.c.
    """
    bottom = window.shape[0] - below
    rows_at_a_time = max(16, _PIXELS_AT_A_TIME // max(window.shape[1], 1))
    for first in range(above, bottom, rows_at_a_time):
        yield _kinds_of_rows(window, first, min(first + rows_at_a_time, bottom))


def _kinds_of_rows(labels: NDArray[np.int32], top: int, bottom: int) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    first, last = max(top - 2, 0), min(bottom + 2, labels.shape[0])
    window = np.zeros((bottom - top + 4, labels.shape[1] + 4), labels.dtype)
    window[first - top + 2 : last - top + 2, 2:-2] = labels[first:last]
    centre = window[1:-1, 1:-1]
    inner = centre == window[:-2, 1:-1]
    for neighbour in (window[2:, 1:-1], window[1:-1, :-2], window[1:-1, 2:]):
        inner &= centre == neighbour
    border = np.where(inner, 0, centre).ravel()

    pitch = centre.shape[1]
    position = np.flatnonzero(border[pitch:-pitch] != 0) + pitch  # NumPy finds true values faster than numbers
    owner = border[position]
    code = np.zeros(position.size, np.uint8)
    for step, weight in ((1, 2), (pitch, 2), (pitch - 1, 10), (pitch + 1, 10)):
        code += (border[position - step] == owner) * np.uint8(weight)
        code += (border[position + step] == owner) * np.uint8(weight)
    return owner, _KIND[code]
