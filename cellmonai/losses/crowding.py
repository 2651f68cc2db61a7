"""Weight map of c-ResUnet: background between crowded cells counts more, and cells more than lone background.

Every cell spreads a Gaussian of 25 px. In a ring of about 50 px around the cells the weight is the sum of the
Gaussians, at least 1; inside cells it is 1.5, everywhere else 1.

Differences between `crowding` and the published `crowding_morelli2021`, which reproduces every step:

===========================  =======================================  ==========================================
step                         crowding                                 crowding_morelli2021
===========================  =======================================  ==========================================
cells                        those of the label image, specks left    4-connected parts of the foreground, without
                             out: < 100 px, or < a quarter of the     parts < 100 px
                             median cell where that is less
gaps between cells           are background however small             filled where < 200 px, as are holes
distance                     to the cell                              to all foreground in the cell's bounding box
sum below 1 in every pixel   1                                        the largest sum, 0.9992 for one lone cell
scale                        none, the least weight is 1              divided by 3.8177538, the largest weight of
                                                                      the authors' crops; larger ones are refused
stored as                    float32                                  8 bit, cut off, then divided by 255
===========================  =======================================  ==========================================

Here it is made of whole images, the authors made it of crops of 512 x 512 px: near the edge of a crop the values
differ. Their training multiplies cells by 1.5 again in the loss, 2.25 in all.

References
----------
Morelli et al. 2021, doi:10.1038/s41598-021-01929-5, and its published code.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from cellmonai.core.errors import InputError
from cellmonai.losses.cells import each_cell, numbered, squared_distance, widened

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from cellmonai.losses.cells import Window

    Labels = NDArray[np.integer[Any]]

MORELLI_MAXIMUM = 3.8177538
"""The largest weight of the authors' training crops, which theirs are divided by."""

_SIGMA_PX = 25.0
_CELL_WEIGHT = np.float32(1.5)
_RING_SIDE_PX = 100
_NEGLIGIBLE = 1e-7
_REACH_PX = math.ceil(_SIGMA_PX * math.sqrt(-2 * math.log(_NEGLIGIBLE)))
_SMALLEST_CELL_PX = 100
_SMALLEST_HOLE_PX = 200


def crowding(labels: Labels) -> NDArray[np.float32]:
    """Give the weights (Y, X) of a label image; 1 or more, all 1 where there is no cell."""
    labels = _without_specks(labels)
    inside = labels > 0
    return _heavier_cells(inside, np.maximum(_sum_on_ring(inside, each_cell(labels)), 1))


def crowding_morelli2021(labels: Labels) -> NDArray[np.float32]:
    """Give the authors' weights (Y, X) as their training reads them: multiples of 1/255 up to 1.

    Raises
    ------
    InputError
        A weight is above their maximum, at which the original stops.
    """
    raw = crowding_morelli2021_raw(labels)
    if raw.max(initial=0) > MORELLI_MAXIMUM * (1 + 1e-6):
        raise InputError(
            f"cells are so crowded that a weight reaches {raw.max():.2f}, the original stops above {MORELLI_MAXIMUM}",
            where="target.weight_map crowding_morelli2021",
            cure='use "crowding", which has no upper end',
        )
    stored = np.minimum(255 * (raw / np.float32(MORELLI_MAXIMUM)), 255).astype(np.uint8)
    weights: NDArray[np.float32] = stored.astype(np.float32) / np.float32(255)
    return weights


def crowding_morelli2021_raw(labels: Labels) -> NDArray[np.float32]:
    """Give the authors' weights (Y, X) before they are divided by their maximum and stored."""
    inside = _without_small(labels > 0, _SMALLEST_CELL_PX)
    inside = ~_without_small(~inside, _SMALLEST_HOLE_PX)
    parts, count = ndimage.label(inside)
    if count == 0:
        return np.ones(labels.shape, np.float32)
    # the fault of the original: whatever lies in the box of a cell counts as that cell
    boxes = ((box, inside[box]) for box in ndimage.find_objects(parts))
    total = _sum_on_ring(inside, boxes)
    return _heavier_cells(inside, np.minimum(np.maximum(total, 1), total.max()))


def ring_around(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Give the pixels outside cells whose square of 100 px, from 49 px before to 50 px after, holds a cell's."""
    near = inside.astype(np.uint8)
    for axis in (0, 1):
        near = ndimage.maximum_filter1d(near, _RING_SIDE_PX, axis=axis, mode="constant", origin=-1)
    return near.astype(bool) & ~inside


def _sum_on_ring(inside: NDArray[np.bool_], cells: Iterable[tuple[Window, NDArray[np.bool_]]]) -> NDArray[np.float32]:
    """Give the sum of the cells' Gaussians in the ring around all of them, 0 elsewhere.

    A Gaussian ends where it is below 1e-7, at 142 px, so the work does not grow with the image.
    """
    total = np.zeros(inside.shape, np.float32)
    for box, cell in cells:
        window = widened(box, _REACH_PX, inside.shape)
        total[window] += np.exp(squared_distance(cell, box, window) * np.float32(-0.5 / _SIGMA_PX**2))
    total[~ring_around(inside)] = 0
    return total


def _heavier_cells(inside: NDArray[np.bool_], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(inside, weights * _CELL_WEIGHT, weights)


def _without_specks(labels: Labels) -> Labels:
    """Drop what is too small to be a cell; 100 px alone would drop every cell of a small magnification."""
    labels = numbered(labels)
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    if not areas.any():
        return labels
    smallest = min(_SMALLEST_CELL_PX, float(np.median(areas[areas > 0])) / 4)
    return np.where(areas[labels] >= smallest, labels, 0)


def _without_small(mask: NDArray[np.bool_], smallest_px: int) -> NDArray[np.bool_]:
    """Drop 4-connected parts below an area; one of exactly that area stays."""
    parts, _ = ndimage.label(mask)
    stays = np.bincount(parts.ravel()) >= smallest_px
    stays[0] = False
    kept: NDArray[np.bool_] = stays[parts]
    return kept
