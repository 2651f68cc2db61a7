"""Crops cut from whole samples, so that cells are seen often enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from monai.transforms import Compose, MapTransform, Randomizable

from cellmonai.data.augment import build_augmentation, crop_side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

KEYS = ("image", "target")


def crop_and_augment(steps: Sequence[Mapping[str, Any]], *, patch: int, foreground_share: float) -> Compose:
    """Build the way from a whole sample to one augmented crop of `patch` x `patch` px.

    Parameters
    ----------
    steps : name and all parameters of each augmentation, as the recipe checked and filled them
    patch : side of the crop in px
    foreground_share : share of the crops whose middle is drawn from the foreground, where there is any

    Returns
    -------
    A MONAI Compose on a dictionary with `image`, `target` and `foreground` (flat indices of foreground pixels).
    """
    crop = ForegroundCropd(side=crop_side(steps, patch), foreground_share=foreground_share)
    return Compose([crop, *build_augmentation(steps, patch=patch).transforms], map_items=False)


class ForegroundCropd(Randomizable, MapTransform):  # type: ignore[misc] # MONAI's classes are untyped
    """Cut a square whose middle is, for a share of the draws, a foreground pixel.

    MONAI's RandCropByPosNegLabeld keeps or finds the indices of every pixel, gives lists and warns on every empty
    field; this one is told the foreground pixels and takes empty fields as they are.

    Parameters
    ----------
    side : px; a smaller image is mirrored at its edges first
    foreground_share : from 0 to 1
    """

    def __init__(self, *, side: int, foreground_share: float) -> None:
        MapTransform.__init__(self, KEYS)
        self.side, self.foreground_share = side, foreground_share

    def __call__(self, data: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """Give `image` and `target` cut to the same square."""
        height, width = data["image"].shape[-2:]
        foreground = data["foreground"]
        if len(foreground) and self.R.random() < self.foreground_share:
            row, col = divmod(int(foreground[self.R.randint(len(foreground))]), width)
            # not always in the very middle, or the network would learn that the middle is foreground
            row, col = (v - int(self.R.randint(self.side)) for v in (row, col))
        else:
            row, col = (int(self.R.randint(max(size - self.side, 0) + 1)) for size in (height, width))
        row, col = (min(max(v, 0), max(size - self.side, 0)) for v, size in ((row, height), (col, width)))
        return {key: self._cut(data[key], row, col) for key in KEYS}

    def _cut(self, array: NDArray[np.float32], row: int, col: int) -> NDArray[np.float32]:
        cut = array[:, row : row + self.side, col : col + self.side]
        missing = [self.side - size for size in cut.shape[-2:]]
        if any(missing):
            cut = np.pad(cut, [(0, 0), *((m // 2, m - m // 2) for m in missing)], mode="symmetric")
        return np.ascontiguousarray(cut)
