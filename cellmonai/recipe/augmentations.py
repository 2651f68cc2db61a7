"""The augmentations that a recipe may name, and their parameters: a plain table, read without torch.

Names and parameters are MONAI's (`monai.transforms`), which the stage `data` builds from this table. Images are
normalised before they get here, so intensities are about 0 to 1 and a noise of 0.05 is 5 % of the bright end. Lengths
are pixels of the crop, angles radians. Times are CPU milliseconds for one crop of 256 x 256, measured with MONAI 1.6.
"""

from __future__ import annotations

from typing import Any

from cellmonai.recipe.parameters import Parameter, ParameterTable


def _prob(default: float) -> Parameter:
    return Parameter(default, "probability that a crop is changed, 0 to 1", low=0.0, high=1.0)


# reflection keeps image and mask alike up to the edge; zeros leaves dark corners without cells
_PADDING = Parameter("reflection", "what fills the corners that a turn leaves empty", choices=("reflection", "zeros"))

AUGMENTATIONS: ParameterTable = {
    "RandFlip": {  # 0.4 ms
        "prob": _prob(0.5),
        "spatial_axis": Parameter(0, "0 swaps top and bottom, 1 swaps left and right", choices=(0, 1)),
    },
    "RandRotate90": {  # 0.8 ms
        "prob": _prob(0.5),
        "max_k": Parameter(3, "up to this many quarter turns", low=1, high=3),
    },
    "RandAffine": {  # 10 ms
        "prob": _prob(0.5),
        "rotate_range": Parameter(0.5, "turn by up to this angle either way, radians (0.5 is 29 degrees)", 0.0, 3.1416),
        "scale_range": Parameter(0.2, "grow or shrink by up to this share; 0.2 is 0.8 to 1.2 times", 0.0, 0.9),
        "shear_range": Parameter(0.1, "slant by up to this share of the height or width", 0.0, 1.0),
        "translate_range": Parameter(0.0, "move by up to this many px", 0.0, 512.0),
        "padding_mode": _PADDING,
    },
    "RandZoom": {  # 3 ms
        "prob": _prob(0.3),
        "min_zoom": Parameter(0.8, "smallest factor", 0.5, 10.0),
        "max_zoom": Parameter(1.25, "greatest factor", 0.5, 10.0),
        "padding_mode": _PADDING,
    },
    "Rand2DElastic": {  # 20 ms
        "prob": _prob(0.3),
        "spacing": Parameter(32.0, "px between the points that are moved", 4.0, 512.0),
        "magnitude_range": Parameter(
            (1.0, 4.0), "displacement of a point, standard deviation in px, [from, to]", 0.0, 64
        ),
        "padding_mode": _PADDING,
    },
    "RandGaussianNoise": {  # 2 ms
        "prob": _prob(0.3),
        "std": Parameter(0.05, "greatest standard deviation, in units of the normalised image (0 to 1)", 0.0, 1.0),
    },
    "RandGaussianSmooth": {  # 3 ms
        "prob": _prob(0.2),
        "sigma_x": Parameter((0.3, 1.2), "blur along rows, standard deviation in px, [from, to]", 0.0, 20.0),
        "sigma_y": Parameter((0.3, 1.2), "blur along columns, standard deviation in px, [from, to]", 0.0, 20.0),
    },
    "RandScaleIntensity": {
        "prob": _prob(0.5),
        "factors": Parameter(0.3, "contrast: multiply by 1 plus or minus up to this", 0.0, 1.0),
    },
    "RandShiftIntensity": {
        "prob": _prob(0.3),
        "offsets": Parameter(0.05, "brightness: add up to this either way, in units of the normalised image", 0.0, 1.0),
    },
    "RandAdjustContrast": {  # 1 ms
        "prob": _prob(0.3),
        "gamma": Parameter((0.7, 1.5), "exponent, [from, to]; below 1 lifts dim cells", 0.1, 10.0),
    },
}

# cells have no up or down and come in all brightnesses; elastic is left out, as it costs as much as the network
DEFAULT_AUGMENT: tuple[dict[str, Any], ...] = (
    {"name": "RandFlip", "spatial_axis": 0},
    {"name": "RandFlip", "spatial_axis": 1},
    {"name": "RandRotate90"},
    {"name": "RandAffine"},
    {"name": "RandScaleIntensity"},
    {"name": "RandShiftIntensity"},
    {"name": "RandAdjustContrast"},
    {"name": "RandGaussianNoise"},
    {"name": "RandGaussianSmooth"},
)
