"""MONAI's dictionary transforms as a recipe names them, with the choices settled that would spoil masks or counts.

Samples are dictionaries with `image` (C, Y, X) float32 and `target` (K, Y, X) float32; both pass every spatial
transform in one call, the image interpolated, the target by nearest neighbour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from monai.transforms import (
    CenterSpatialCropd,
    Compose,
    MapTransform,
    Rand2DElasticd,
    RandAdjustContrastd,
    RandAffined,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    Randomizable,
    RandRotate90d,
    RandScaleIntensityd,
    RandShiftIntensityd,
    RandZoomd,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

KEYS = ("image", "target")
_BOTH = {"keys": KEYS}
_IMAGE = {"keys": ("image",)}
_MODES = ("bilinear", "nearest")
# transforms that move pixels from outside the crop into it: they get a larger crop, so that real pixels come in
_REACHING = {"RandAffine", "RandZoom", "Rand2DElastic"}
_MARGIN = 1.25


def build_augmentation(steps: Sequence[Mapping[str, Any]], *, patch: int, foreground_share: float) -> Compose:
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
    reaches = any(step["name"] in _REACHING for step in steps)
    side = round(patch * _MARGIN) if reaches else patch
    transforms: list[Any] = [ForegroundCropd(side=side, foreground_share=foreground_share)]
    transforms += [_build(dict(step)) for step in steps]
    if reaches:
        transforms.append(CenterSpatialCropd(**_BOTH, roi_size=(patch, patch)))
    return Compose(transforms, map_items=False)


def _build(step: dict[str, Any]) -> Any:  # noqa: ANN401 - a MONAI transform
    name, prob = step.pop("name"), step.pop("prob")
    match name:
        case "RandFlip" | "RandRotate90":
            return {"RandFlip": RandFlipd, "RandRotate90": RandRotate90d}[name](**_BOTH, prob=prob, **step)
        case "RandAffine":
            angle = (step.pop("rotate_range"),)  # one angle turns a picture, the others are per axis
            for key in ("shear_range", "translate_range", "scale_range"):
                step[key] = (step[key],) * 2
            return RandAffined(**_BOTH, prob=prob, mode=_MODES, rotate_range=angle, **step)
        case "RandZoom":
            # MONAI pads a shrunken picture by repeating its edge, which smears cells, hence the other modes
            padding = {"reflection": "reflect", "zeros": "constant"}[step.pop("padding_mode")]
            return RandZoomd(**_BOTH, prob=prob, mode=_MODES, padding_mode=padding, **step)
        case "Rand2DElastic":
            spacing = (step.pop("spacing"),) * 2
            return Rand2DElasticd(**_BOTH, prob=prob, mode=_MODES, spacing=spacing, **step)
        case "RandScaleIntensity":
            return RandScaleIntensityd(**_IMAGE, prob=prob, **step)
        case "RandShiftIntensity":
            return RandShiftIntensityd(**_IMAGE, prob=prob, **step)
        case "RandAdjustContrast":
            return RandAdjustContrastd(**_IMAGE, prob=prob, **step)
        case "RandGaussianNoise":
            return RandGaussianNoised(**_IMAGE, prob=prob, **step)
        case "RandGaussianSmooth":
            return RandGaussianSmoothd(**_IMAGE, prob=prob, **step)
    raise ValueError(f"unknown augmentation {name!r}")


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
