"""Random transforms of crops as a recipe names them, with the choices settled that would spoil masks or counts.

Crops are dictionaries with `image` (C, Y, X) float32, `target` (K, Y, X) float32 and, where the loss is weighted,
`weight` (1, Y, X) float32. All pass every spatial transform in one call: the image interpolated, the target by nearest
neighbour, and so the weight, whose steps at the edges of cells must stay on the pixels of the target. Where zeros come
in from outside the weight is 0 too, so that the loss passes over what was never seen. Intensities change in the image
alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monai.transforms import (
    CenterSpatialCropd,
    Compose,
    Rand2DElasticd,
    RandAdjustContrastd,
    RandAffined,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandRotate90d,
    RandScaleIntensityd,
    RandShiftIntensityd,
    RandZoomd,
)

from cellmonai.data.transforms.affine_shear import RandAffineSheard
from cellmonai.data.transforms.box_blur import RandBoxBlurd
from cellmonai.data.transforms.contrast_brightness import RandContrastBrightnessd
from cellmonai.data.transforms.distractors import RandDistractorsd
from cellmonai.data.transforms.elastic import RandElasticd
from cellmonai.data.transforms.elastic_grid import RandElasticGridd
from cellmonai.data.transforms.elastic_seed000 import RandElasticSeed000d
from cellmonai.data.transforms.morelli2021 import RandMorelli2021d
from cellmonai.data.transforms.rgb_shift import RandRGBShiftd
from cellmonai.data.transforms.rotate180 import RandRotate180d

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KEYS = ("image", "target", "weight")
_SPATIAL = {"keys": KEYS, "allow_missing_keys": True}
_IMAGE = {"keys": ("image",)}
_MODES = ("bilinear", "nearest", "nearest")
# transforms that move pixels from outside the crop into it: they get a larger crop, so that real pixels come in
_REACHING = {"RandAffine", "RandZoom", "Rand2DElastic", "RandElastic", "RandElasticGrid", "RandAffineShear"}
_MARGIN = 1.25

# what MONAI does not have; parameters are those of the recipe
_OWN = {
    "RandRotate180": RandRotate180d,
    "RandAffineShear": RandAffineSheard,
    "RandElastic": RandElasticd,
    "RandElasticGrid": RandElasticGridd,
    "RandElasticSeed000": RandElasticSeed000d,
    "RandContrastBrightness": RandContrastBrightnessd,
    "RandRGBShift": RandRGBShiftd,
    "RandBoxBlur": RandBoxBlurd,
    "RandDistractors": RandDistractorsd,
    "RandMorelli2021": RandMorelli2021d,
}


def crop_side(steps: Sequence[Mapping[str, Any]], patch: int) -> int:
    """Give the side in px that a crop must have before `steps`, so that real pixels come in from outside the patch."""
    return round(patch * _MARGIN) if any(step["name"] in _REACHING for step in steps) else patch


def build_augmentation(steps: Sequence[Mapping[str, Any]], *, patch: int) -> Compose:
    """Build the way from a crop of `crop_side(steps, patch)` px to an augmented one of `patch` x `patch` px.

    Parameters
    ----------
    steps : name and all parameters of each augmentation, as the recipe checked and filled them
    patch : side of the augmented crop in px

    Returns
    -------
    A MONAI Compose on a dictionary with `image` (C, Y, X), `target` (K, Y, X) and, where the loss is weighted,
    `weight` (1, Y, X), all float32 and of one size.
    """
    transforms = [_build(dict(step)) for step in steps]
    reaching = [place for place, step in enumerate(steps, start=1) if step["name"] in _REACHING]
    if reaching:  # cut as early as can be: what follows costs less, and painted shapes lie in the patch
        transforms.insert(reaching[-1], CenterSpatialCropd(**_SPATIAL, roi_size=(patch, patch)))
    return Compose(transforms, map_items=False)


def _build(step: dict[str, Any]) -> Any:  # noqa: ANN401 - a MONAI transform
    name, prob = step.pop("name"), step.pop("prob")
    if name in _OWN:
        return _OWN[name](prob=prob, **step)
    match name:
        case "RandFlip" | "RandRotate90":
            return {"RandFlip": RandFlipd, "RandRotate90": RandRotate90d}[name](**_SPATIAL, prob=prob, **step)
        case "RandAffine":
            angle = (step.pop("rotate_range"),)  # one angle turns a picture, the others are per axis
            for key in ("shear_range", "translate_range", "scale_range"):
                step[key] = (step[key],) * 2
            return RandAffined(**_SPATIAL, prob=prob, mode=_MODES, rotate_range=angle, **step)
        case "RandZoom":
            # MONAI pads a shrunken picture by repeating its edge, which smears cells, hence the other modes
            padding = {"reflection": "reflect", "zeros": "constant"}[step.pop("padding_mode")]
            return RandZoomd(**_SPATIAL, prob=prob, mode=_MODES, padding_mode=padding, **step)
        case "Rand2DElastic":
            spacing = (step.pop("spacing"),) * 2
            return Rand2DElasticd(**_SPATIAL, prob=prob, mode=_MODES, spacing=spacing, **step)
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
