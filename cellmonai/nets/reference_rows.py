"""The networks of the catalogue that rebuild published counting systems."""

from __future__ import annotations

from cellmonai.nets.row import NetworkRow
from cellmonai.recipe.parameters import Parameter

_FOREGROUND = ("foreground",)


def _width(default: int, low: int = 1) -> Parameter:
    return Parameter(default, "feature maps of the first level; every halving doubles them", low, 512)


def _dropout(default: float) -> Parameter:
    return Parameter(default, "share of whole feature maps left out at random in training", 0.0, 0.9)


def _switch(*, default: bool, meaning: str) -> Parameter:
    return Parameter(default, meaning, choices=(False, True))


_SIZES = {"width": _width(64), "dropout": _dropout(0.0)}

REFERENCE_ROWS: tuple[NetworkRow, ...] = (
    NetworkRow(
        name="c_resunet",
        title="residual U-Net with a learnt grey channel and a bridge of 5 x 5 convolutions",
        parameters={
            "width": _width(16),
            "attention_gates": _switch(default=False, meaning="each skip passes an attention gate"),
            "activation": Parameter("elu", "after every batch norm", choices=("elu", "relu", "leaky_relu")),
            "colour_transform": _switch(default=True, meaning="the channels become one first; false in plain ResUnet"),
            "second_bridge": _switch(default=True, meaning="the bridge has two blocks; false in plain ResUnet"),
        },
        tile_exact=True,
        pads=True,
        source="Morelli et al. 2021, doi:10.1038/s41598-021-01929-5",
        recipe="c_resunet.toml",
        trainable=1_707_287,
        running=1_890,
        channels_shown=3,
    ),
    NetworkRow(
        name="unet",
        title="the U-Net, with batch norm and same-size padding",
        parameters=_SIZES,
        tile_exact=True,
        pads=True,
        source="Ronneberger et al. 2015, arXiv:1505.04597",
        recipe="unet.toml",
        trainable=31_036_481,
        running=11_776,
    ),
    NetworkRow(
        name="attention_unet",
        title="the U-Net whose skips pass an attention gate",
        parameters={"width": _width(64, low=2), "dropout": _dropout(0.0)},
        tile_exact=True,
        pads=True,
        source="Oktay et al. 2018, arXiv:1804.03999",
        recipe="attention_unet.toml",
        trainable=31_387_049,
        running=13_704,
    ),
    NetworkRow(
        name="res_unet",
        title="the U-Net of residual blocks",
        parameters=_SIZES,
        tile_exact=True,
        pads=True,
        source="Zhang et al. 2018, doi:10.1109/LGRS.2018.2802944",
        recipe="unet.toml",
        trainable=32_435_073,
        running=17_664,
    ),
    NetworkRow(
        name="unet_bilinear",
        title="the U-Net enlarged by interpolation, with dropout",
        parameters={
            "width": _width(16, low=2),
            "reading": Parameter(
                "full", "where the number of maps falls on the way up", choices=("full", "conv1x1", "halved")
            ),
            "bias": _switch(default=False, meaning="the 3 x 3 convolutions have a bias, idle before a batch norm"),
            "dropout": _dropout(0.1),
        },
        tile_exact=True,
        pads=True,
        source="Ronneberger et al. 2015, arXiv:1505.04597; dropout Tompson et al. 2015, arXiv:1411.4280",
        recipe="gowt1.toml",
        trainable=1_963_809,
        running=2_944,
    ),
    NetworkRow(
        name="tiled_cnn",
        title="wide encoder of few layers, one output for every 8 x 8 px",
        parameters={},
        tile_exact=True,
        pads=True,
        source="no paper; made for the cells of Clissa et al. 2021, doi:10.6092/unibo/amsacta/6706",
        recipe="tiled_cnn.toml",
        trainable=2_730_801,
        running=0,
        channels_shown=3,
        maps=_FOREGROUND,
        targets=_FOREGROUND,
        least_patch_px=48,  # its convolutions take no padding: smaller crops leave nothing
    ),
    NetworkRow(
        name="fpn",
        title="feature pyramid that gives masks and their uncertainty, to be counted from",
        parameters={
            "mean_activation": Parameter(
                "relu", "after the mask; softplus keeps a gradient where it is 0", choices=("relu", "softplus")
            )
        },
        tile_exact=False,
        pads=True,
        source="Hernández et al. 2018, arXiv:1802.10548",
        recipe="fpn.toml",
        trainable=7_113_254,
        running=8_962,
        channels_shown=3,
        maps=("foreground", "uncertainty"),
        takes="scales",
        targets=_FOREGROUND,
    ),
)
