"""The augmentations that a recipe may name, and their parameters: a plain table, read without torch.

The stage `data` builds transforms from this table. Where MONAI has one (`monai.transforms`), name and parameters are
MONAI's and angles are radians; the others are our own (`cellmonai.data.transforms`), with the unit in the name of a
parameter, and the constants of the publication as defaults. Images are normalised before they get here, so intensities
are about 0 to 1 and a noise of 0.05 is 5 % of the bright end. Lengths are pixels of the crop. Times are CPU
milliseconds for one crop of 256 x 256, one channel, measured with MONAI 1.6 on one core.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellmonai.recipe.parameters import Parameter, ParameterTable

if TYPE_CHECKING:
    from collections.abc import Mapping


def _prob(default: float) -> Parameter:
    return Parameter(default, "probability that a crop is changed, 0 to 1", low=0.0, high=1.0)


# reflection keeps image and mask alike up to the edge; zeros leaves dark corners without cells
_PADDING = Parameter("reflection", "what fills the corners that a turn leaves empty", choices=("reflection", "zeros"))

_INTERPOLATION = Parameter("linear", "how the image is interpolated", choices=("linear", "cubic"))
# with derivatives within g nothing folds while g is below 0.5 (the determinant of the Jacobian is at least 1 - 2 g)
_LARGEST_GRADIENT = Parameter(
    0.25, "steepest change of the displacement, px per px; a steeper field is scaled down, so nothing folds", 0.01, 0.49
)

AUGMENTATIONS: ParameterTable = {
    "RandFlip": {  # 0.2 ms
        "prob": _prob(0.5),
        "spatial_axis": Parameter(0, "0 swaps top and bottom, 1 swaps left and right", choices=(0, 1)),
    },
    "RandRotate90": {  # 0.3 ms
        "prob": _prob(0.5),
        "max_k": Parameter(3, "up to this many quarter turns", low=1, high=3),
    },
    "RandAffine": {  # 5 ms
        "prob": _prob(0.5),
        "rotate_range": Parameter(0.5, "turn by up to this angle either way, radians (0.5 is 29 degrees)", 0.0, 3.1416),
        "scale_range": Parameter(0.2, "grow or shrink by up to this share; 0.2 is 0.8 to 1.2 times", 0.0, 0.9),
        "shear_range": Parameter(0.1, "slant by up to this share of the height or width", 0.0, 1.0),
        "translate_range": Parameter(0.0, "move by up to this many px", 0.0, 512.0),
        "padding_mode": _PADDING,
    },
    "RandZoom": {  # 1.2 ms
        "prob": _prob(0.3),
        "min_zoom": Parameter(0.8, "smallest factor", 0.5, 10.0),
        "max_zoom": Parameter(1.25, "greatest factor", 0.5, 10.0),
        "padding_mode": _PADDING,
    },
    "Rand2DElastic": {  # 16 ms
        "prob": _prob(0.3),
        "spacing": Parameter(32.0, "px between the points that are moved", 4.0, 512.0),
        "magnitude_range": Parameter(
            (1.0, 4.0), "displacement of a point, standard deviation in px, [from, to]", 0.0, 64
        ),
        "padding_mode": _PADDING,
    },
    "RandRotate180": {  # 0.1 ms
        "prob": _prob(0.5),
    },
    "RandAffineShear": {  # 2.5 ms
        "prob": _prob(1.0),
        "rotate_deg": Parameter((0.0, 360.0), "turn by this angle, degrees, [from, to]", -360.0, 360.0),
        "shear_deg": Parameter(10.0, "slant by up to this angle either way, degrees", 0.0, 60.0),
        "zoom": Parameter(
            (0.8, 1.5), "each axis shows this many times as much, [from, to]; above 1 cells shrink", 0.1, 10.0
        ),
        "flips": Parameter(
            default=True, meaning="whether each axis is turned round in half of the cases", choices=(False, True)
        ),
        "padding_mode": Parameter(
            "constant",
            "what comes in from outside: a grey without cells, or the reflection",
            choices=("constant", "reflection"),
        ),
        "fill": Parameter(
            (0.0, 0.196),
            "grey from outside, [from, to], in units of the normalised image (0.196 is 50 of 255)",
            0.0,
            1.0,
        ),
        "interpolation": _INTERPOLATION,
    },
    "RandElastic": {  # 10 ms, cubic 12 ms; Simard et al. 2003
        "prob": _prob(0.3),
        "displacement_px": Parameter(
            (1.0, 3.0), "displacement along each axis, root mean square in px, [from, to]", 0.0, 64.0
        ),
        "sigma_px": Parameter((16.0, 32.0), "smoothing of the displacements, standard deviation in px", 1.0, 128.0),
        "largest_gradient": _LARGEST_GRADIENT,
        "interpolation": _INTERPOLATION,
    },
    "RandElasticGrid": {  # 5 ms; Ronneberger et al. 2015
        "prob": _prob(0.3),
        "control_points": Parameter(3, "points that are moved, along each side of the crop", low=2, high=16),
        "sd_px": Parameter(10.0, "displacement of a point along each axis, standard deviation in px", 0.0, 64.0),
        "largest_gradient": _LARGEST_GRADIENT,
        "interpolation": _INTERPOLATION,
    },
    "RandElasticSeed000": {  # 5 ms
        "prob": _prob(0.3),
        "noise_sd_px": Parameter(
            20.0,
            "noise before the filter, standard deviation in px. Reproduces a published fault that destroys the picture:"
            " the filter sums instead of averaging, pixels move by about 180 px; RandElastic is without it",
            0.0,
            64.0,
        ),
        "sigma": Parameter(3.0, "the filter sums k x k values, k being 3 sigma, made odd", 0.5, 10.0),
    },
    "RandGaussianNoise": {  # 1.3 ms
        "prob": _prob(0.3),
        "std": Parameter(0.05, "greatest standard deviation, in units of the normalised image (0 to 1)", 0.0, 1.0),
    },
    "RandGaussianSmooth": {  # 1.6 ms
        "prob": _prob(0.2),
        "sigma_x": Parameter((0.3, 1.2), "blur along rows, standard deviation in px, [from, to]", 0.0, 20.0),
        "sigma_y": Parameter((0.3, 1.2), "blur along columns, standard deviation in px, [from, to]", 0.0, 20.0),
    },
    "RandScaleIntensity": {  # 0.1 ms
        "prob": _prob(0.5),
        "factors": Parameter(0.3, "contrast: multiply by 1 plus or minus up to this", 0.0, 1.0),
    },
    "RandShiftIntensity": {  # 0.1 ms
        "prob": _prob(0.3),
        "offsets": Parameter(0.05, "brightness: add up to this either way, in units of the normalised image", 0.0, 1.0),
    },
    "RandAdjustContrast": {  # 0.3 ms
        "prob": _prob(0.3),
        "gamma": Parameter((0.7, 1.5), "exponent, [from, to]; below 1 lifts dim cells", 0.1, 10.0),
    },
    "RandContrastBrightness": {  # 1.5 ms
        "prob": _prob(1.0),
        "brightness": Parameter(0.15, "multiply by 1 plus or minus up to this", 0.0, 1.0),
        "contrast": Parameter(0.15, "stretch about the mean by 1 plus or minus up to this", 0.0, 1.0),
        "noise_sd": Parameter(0.02, "noise, standard deviation in units of the normalised image (0 to 1)", 0.0, 1.0),
        "clip": Parameter(
            default=True, meaning="whether intensities are cut to 0 to 1 after each step", choices=(False, True)
        ),
    },
    "RandRGBShift": {  # 0.1 ms
        "prob": _prob(0.05),
        "red": Parameter((0.05, 0.06), "added to the first channel, [from, to]; cut to 0 to 1", -1.0, 1.0),
        "green": Parameter((0.04, 0.045), "added to the second channel, [from, to]; cut to 0 to 1", -1.0, 1.0),
        "blue": Parameter((0.0, 0.0), "added to the third channel, [from, to]; cut to 0 to 1", -1.0, 1.0),
    },
    "RandBoxBlur": {  # 0.5 ms
        "prob": _prob(0.2),
        "kernel_px": Parameter(
            (3.0, 25.0), "side of the square that is averaged, px, [from, to]; odd numbers are drawn", 1.0, 99.0
        ),
    },
    "RandDistractors": {  # 0.5 ms
        "prob": _prob(1.0),
        "ellipses": Parameter(2, "at most so many ellipses are painted that are no cells", low=0, high=20),
        "rectangles": Parameter(2, "at most so many rectangles with round corners", low=0, high=20),
        "side_px": Parameter((25.0, 75.0), "height and width of a shape, px, [from, to]", 2.0, 512.0),
    },
    "RandMorelli2021": {  # 4 ms on average
        "prob": _prob(1.0),
        "artefact": Parameter(
            default=False, meaning="whether crops are those of artefacts, without cells", choices=(False, True)
        ),
        "variant": Parameter(
            "as_named",
            "as_named honours the limits that the original names (blur 15 px, hue a tenth of the circle), morelli2021"
            " does what its code does (25 px, a tenth of a degree); images of RGB, 0 to 1",
            choices=("as_named", "morelli2021"),
        ),
    },
}

# what `recipe check` says of a step that reproduces a published fault
CAUTIONS: Mapping[str, str] = {
    "RandElasticSeed000": "moves pixels by about 180 px, as published by mistake, which destroys the picture;"
    " RandElastic is the same idea without that fault",
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
