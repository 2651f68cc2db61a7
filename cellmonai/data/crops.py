"""Crops cut from whole samples: at a place of a lattice, or drawn so that cells are seen often enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from monai.transforms import Compose, MapTransform, Randomizable

from cellmonai.data.augment import KEYS, build_augmentation, crop_side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


def crop_and_augment(steps: Sequence[Mapping[str, Any]], *, patch: int, foreground_share: float) -> Compose:
    """Build the way from a whole sample to one augmented crop of `patch` x `patch` px.

    Parameters
    ----------
    steps : name and all parameters of each augmentation, as the recipe checked and filled them
    patch : side of the crop in px
    foreground_share : share of the crops without a place whose middle is drawn from the foreground, where there is any

    Returns
    -------
    A MONAI Compose on a dictionary with `image`, `target`, `weight` where pixels are weighed, `foreground` (flat
    indices of foreground pixels) and `corner` (first row and column of the crop, or None).
    """
    crop = CropAtd(patch=patch, side=crop_side(steps, patch), foreground_share=foreground_share)
    return Compose([crop, *build_augmentation(steps, patch=patch).transforms], map_items=False)


class CropAtd(Randomizable, MapTransform):  # type: ignore[misc] # MONAI's classes are untyped
    """Cut a square at its corner, or where none is given, one whose middle is for a share of the draws foreground.

    MONAI's RandCropByPosNegLabeld keeps or finds the indices of every pixel, gives lists and warns on every empty
    field; this one is told the foreground pixels and takes empty fields as they are.

    Parameters
    ----------
    patch : side of the crop in px
    side : px that are cut, at least `patch`: with more, as much on every side, from beyond the patch; where the image
        ends it is mirrored at its edges
    foreground_share : from 0 to 1
    """

    def __init__(self, *, patch: int, side: int, foreground_share: float) -> None:
        MapTransform.__init__(self, KEYS)
        self.patch, self.side, self.foreground_share = patch, side, foreground_share

    def __call__(self, data: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
        """Give `image`, `target` and `weight`, where there is one, cut to the same square."""
        present = [key for key in KEYS if key in data]
        if data["corner"] is not None:
            margin = (self.side - self.patch) // 2
            row, col = (first - margin for first in data["corner"])
            return {key: cut_square(data[key], row, col, self.side) for key in present}
        row, col = self._draw(data)
        return {key: cut_square(data[key], row, col, self.side) for key in present}

    def _draw(self, data: Mapping[str, NDArray[Any]]) -> tuple[int, int]:
        height, width = data["image"].shape[-2:]
        foreground = data["foreground"]
        if len(foreground) and self.R.random() < self.foreground_share:
            row, col = divmod(int(foreground[self.R.randint(len(foreground))]), width)
            # not always in the very middle, or the network would learn that the middle is foreground
            row, col = (v - int(self.R.randint(self.side)) for v in (row, col))
        else:
            row, col = (int(self.R.randint(max(size - self.side, 0) + 1)) for size in (height, width))
        # a side that is too short is put in the middle of the crop
        return _kept_inside(row, height, self.side), _kept_inside(col, width, self.side)


def cut_square(array: NDArray[np.float32], row: int, col: int, side: int) -> NDArray[np.float32]:
    """Cut a square from (C, Y, X) that begins at (row, col), in px; beyond the edges the array is mirrored."""
    height, width = array.shape[-2:]
    top, left = max(row, 0), max(col, 0)
    cut = array[:, top : max(row + side, 0), left : max(col + side, 0)]
    before = (top - row, left - col)
    after = (max(row + side - height, 0), max(col + side - width, 0))
    if any(before) or any(after):
        cut = np.pad(cut, [(0, 0), (before[0], after[0]), (before[1], after[1])], mode="symmetric")
    return np.ascontiguousarray(cut)


def _kept_inside(first: int, size: int, side: int) -> int:
    if size < side:
        return -((side - size) // 2)
    return min(max(first, 0), size - side)
