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
    from numpy.typing import NDArray

_STRAIGHT, _DIAGONAL, _CORNER = 1, 2, 3
_LENGTH = {_STRAIGHT: 1.0, _DIAGONAL: math.sqrt(2.0), _CORNER: (1.0 + math.sqrt(2.0)) / 2.0}
# kind of a border pixel by 2 · border neighbours at its sides + 10 · those at its corners; others count nothing
_KIND = np.zeros(49, np.uint8)
_KIND[[4, 6, 14, 16, 24, 26]] = _STRAIGHT
_KIND[[20, 32]] = _DIAGONAL
_KIND[[12, 22]] = _CORNER

_PIXELS_AT_A_TIME = 1 << 18


def perimeters_px(labels: NDArray[np.integer], highest: int) -> NDArray[np.float64]:
    """Measure the perimeter of every label.

    Parameters
    ----------
    labels : integer, shape (Y, X), 0 is background
    highest : the largest label

    Returns
    -------
    float64, shape (highest + 1,), px, by label; 0 for objects too small to have a border that turns

    Notes
    -----
    A border pixel has a 4-neighbour outside its object; pixels outside the image are outside every object. Kinds of
    border pixels are counted as integers and weighted once, so the result does not depend on any order.
    """
    kinds = {kind: np.zeros(highest + 1, np.int64) for kind in _LENGTH}
    rows_at_a_time = max(16, _PIXELS_AT_A_TIME // max(labels.shape[1], 1))
    for top in range(0, labels.shape[0], rows_at_a_time):
        owner, kind = _border_kinds(labels, top, min(top + rows_at_a_time, labels.shape[0]))
        for one, count in kinds.items():
            count += np.bincount(owner[kind == one], minlength=highest + 1)
    perimeter = np.zeros(highest + 1)
    for which, length in _LENGTH.items():
        perimeter += length * kinds[which]
    return perimeter


def _border_kinds(labels: NDArray[np.integer], top: int, bottom: int) -> tuple[NDArray[np.integer], NDArray[np.uint8]]:
    """Give the label and the kind of every border pixel of the rows from top to bottom."""
    # two rows more on each side: a neighbour's being border depends on the neighbour's own neighbours
    first, last = max(top - 2, 0), min(bottom + 2, labels.shape[0])
    window = np.zeros((bottom - top + 4, labels.shape[1] + 4), labels.dtype)
    window[first - top + 2 : last - top + 2, 2:-2] = labels[first:last]
    centre = window[1:-1, 1:-1]
    inner = centre == window[:-2, 1:-1]
    for neighbour in (window[2:, 1:-1], window[1:-1, :-2], window[1:-1, 2:]):
        inner &= centre == neighbour
    border = np.where(inner, 0, centre).ravel()

    pitch = centre.shape[1]
    position = np.flatnonzero(border[pitch:-pitch]) + pitch
    owner = border[position]
    code = np.zeros(position.size, np.uint8)
    for step, weight in ((1, 2), (pitch, 2), (pitch - 1, 10), (pitch + 1, 10)):
        code += (border[position - step] == owner) * np.uint8(weight)
        code += (border[position + step] == owner) * np.uint8(weight)
    return owner, _KIND[code]
