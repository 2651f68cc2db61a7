"""Opening and closing with a disc, and filling of holes.

A disc of radius r holds the pixels whose centres are at most r px away, so dilation and erosion are thresholds of the
exact squared distance, and a large disc costs little more than a small one. Nothing is known outside the image:
dilation takes it for background and erosion for foreground, so that neither acts from the border inwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellmonai.core.errors import UsageError
from cellmonai.instances.components import label_components
from cellmonai.instances.distance import squared_distance
from cellmonai.instances.settings import LARGEST_RADIUS_PX

if TYPE_CHECKING:
    from numpy.typing import NDArray


def dilate(mask: NDArray[np.bool_], radius_px: int) -> NDArray[np.bool_]:
    """Add all pixels at most `radius_px` away from the mask; bool, shape (Y, X)."""
    _check_radius(radius_px)
    if not mask.any():
        return mask.copy()
    return squared_distance(~mask) <= radius_px**2


def erode(mask: NDArray[np.bool_], radius_px: int) -> NDArray[np.bool_]:
    """Keep the pixels that are more than `radius_px` away from all background; bool, shape (Y, X)."""
    _check_radius(radius_px)
    return squared_distance(mask) > radius_px**2


def open_mask(mask: NDArray[np.bool_], radius_px: int) -> NDArray[np.bool_]:
    """Remove what a disc of `radius_px` does not fit into: specks, hairs and thin bridges."""
    return dilate(erode(mask, radius_px), radius_px)


def close_mask(mask: NDArray[np.bool_], radius_px: int) -> NDArray[np.bool_]:
    """Fill what a disc of `radius_px` does not fit into: narrow gaps, cracks and small holes."""
    return erode(dilate(mask, radius_px), radius_px)


def fill_holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill background that is enclosed: its 4-connected regions that do not reach the image border.

    Foreground is 8-connected, so background must be 4-connected: a closed ring one pixel wide then holds its hole in.
    """
    background = label_components(~mask, connectivity=4)
    reaches_border = np.zeros(int(background.max(initial=0)) + 1, np.bool_)
    for line in (background[:1], background[-1:], background[:, :1], background[:, -1:]):
        reaches_border[line.ravel()] = True
    reaches_border[0] = False
    return ~reaches_border[background]


def _check_radius(radius_px: int) -> None:
    if not 0 <= radius_px <= LARGEST_RADIUS_PX:
        raise UsageError(f"the disc has a radius of {radius_px} px, expected 0 to {LARGEST_RADIUS_PX} px")
