"""What a network learns to predict, made from a label image: one map, or two of which one tells touching cells apart.

======================  ========================  ==================================================
kind                    maps                      second map
======================  ========================  ==================================================
foreground              foreground
foreground+border       foreground, border        1 on the outermost pixels of every cell
foreground+distance     foreground, distance      0 to 1, depth of a pixel in its own cell
foreground+centre       foreground, centre        0 to 1, a bump around the middle of every cell
======================  ========================  ==================================================

With a second map the foreground is every pixel of every cell. Alone it is cut where two cells touch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from cellmonai.losses.cells import each_cell, numbered, widened, within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Labels = NDArray[np.integer[Any]]

_MAPS = {
    "foreground": ("foreground",),
    "foreground+border": ("foreground", "border"),
    "foreground+distance": ("foreground", "distance"),
    "foreground+centre": ("foreground", "centre"),
}

MEASURED = frozenset({"distance", "centre"})
"""Maps whose values are amounts between 0 and 1; the others say whether a pixel belongs to a class."""

_SIDES = ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:]))
_DIAGONALS = ((np.s_[:-1, :-1], np.s_[1:, 1:]), (np.s_[:-1, 1:], np.s_[1:, :-1]))


def target_maps(kind: str) -> tuple[str, ...]:
    """Give the names of the maps of a target, in the order of its axis K.

    Raises
    ------
    ValueError
        There is no such kind.
    """
    if kind not in _MAPS:
        raise ValueError(f"target {kind!r} is none of {', '.join(_MAPS)}")
    return _MAPS[kind]


def make_target(labels: Labels, kind: str) -> NDArray[np.float32]:
    """Make the target of a label image.

    Parameters
    ----------
    labels : integers (Y, X), 0 background, every other value one cell; gaps in the numbers do not matter
    kind : one of the table above

    Returns
    -------
    float32 (K, Y, X) in [0, 1]; all 0 where there is no cell

    Raises
    ------
    ValueError
        There is no such kind.
    """
    maps = target_maps(kind)
    if len(maps) == 1:
        return cut_foreground(labels)[None]
    second = {"border": border, "distance": depth, "centre": centre}[maps[1]]
    return np.stack([(labels > 0).astype(np.float32), second(labels)])


def cut_foreground(labels: Labels) -> NDArray[np.float32]:
    """Give the foreground (Y, X) of 0 and 1, cut where two cells touch.

    A pixel with another cell among its eight neighbours is background, so that the network learns the seam that
    splitting needs; cells that touch nothing keep every pixel.
    """
    seam = np.zeros(labels.shape, bool)
    for here, there, differ in _unlike_neighbours(labels, _SIDES + _DIAGONALS):
        differ &= (labels[here] > 0) & (labels[there] > 0)
        seam[here] |= differ
        seam[there] |= differ
    return ((labels > 0) & ~seam).astype(np.float32)


def border(labels: Labels) -> NDArray[np.float32]:
    """Give 1 on pixels of a cell with background or another cell above, below, left or right, else 0; (Y, X).

    Background, interior and border are the three classes of Caicedo et al. 2019. Their boundary is as thick again on
    the background's side; here it is the outermost pixel of the cell, so that interior and border together are the
    cell's true area. Interiors of two cells never touch, not even at a corner. The image's edge is no border.

    References
    ----------
    Caicedo et al. 2019, doi:10.1002/cyto.a.23863
    """
    edge = np.zeros(labels.shape, bool)
    for here, there, differ in _unlike_neighbours(labels, _SIDES):
        edge[here] |= differ
        edge[there] |= differ
    return (edge & (labels > 0)).astype(np.float32)


def depth(labels: Labels) -> NDArray[np.float32]:
    """Give the distance of each pixel to the nearest one outside its own cell, divided by the cell's largest; (Y, X).

    It is 1 on the deepest pixel of every cell, however small, and 0 on background. The image's edge is no border: a
    cell that it cuts is deepest where it goes on. A cell that fills the image is 1 everywhere.
    """
    result = np.zeros(labels.shape, np.float32)
    for box, cell in each_cell(labels):
        window = widened(box, 1, labels.shape)  # holds every pixel outside the cell that is nearest to one inside
        inside = within(cell, box, window)
        distance = np.ones(inside.shape) if inside.all() else ndimage.distance_transform_edt(inside)
        result[window][inside] = (distance / distance.max())[inside]
    return result


def centre(labels: Labels) -> NDArray[np.float32]:
    """Give exp(-d² / (2 sigma²)) of the distance d to the middle of a pixel's own cell; (Y, X).

    The middle is the cell's pixel nearest to its centroid (the first in raster order of equals), so it lies inside a
    bent cell too. Sigma is a quarter of the diameter of a disc with the cell's area, so a disc falls from 1 to
    exp(-2) = 0.14 at its rim. Background is 0.
    """
    labels = numbered(labels)
    rows, cols = np.nonzero(labels > 0)
    result = np.zeros(labels.shape, np.float32)
    if rows.size == 0:
        return result
    owner = labels[rows, cols]
    area = np.bincount(owner)
    with np.errstate(invalid="ignore"):  # labels that do not occur
        middle_row, middle_col = (np.bincount(owner, weights=places) / area for places in (rows, cols))
    off_centroid = np.square(rows - middle_row[owner]) + np.square(cols - middle_col[owner])
    least = np.full(area.size, np.inf)
    np.minimum.at(least, owner, off_centroid)
    nearest = np.flatnonzero(off_centroid == least[owner])[::-1]  # of equals the first is written last
    middle = np.zeros(area.size, np.intp)
    middle[owner[nearest]] = nearest
    middle = middle[owner]
    squared = np.square(rows - rows[middle]) + np.square(cols - cols[middle])
    variance = area[owner] / (4 * np.pi)  # (diameter / 4)²
    result[rows, cols] = np.exp(-squared / (2 * variance))
    return result


def _unlike_neighbours(
    labels: Labels, steps: tuple[tuple[Any, Any], ...]
) -> Iterator[tuple[Any, Any, NDArray[np.bool_]]]:
    """For every step give both sides of all pairs of pixels it joins, and which pairs hold different labels."""
    for here, there in steps:
        yield here, there, labels[here] != labels[there]
