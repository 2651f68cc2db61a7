"""The networks of the catalogue that MONAI brings, each with the choices that keep windows exact where they can be."""

from __future__ import annotations

from cellmonai.nets.row import NetworkRow
from cellmonai.recipe.parameters import Parameter

_RECIPE = "quickstart.toml"
_DROPOUT = Parameter(0.0, "share of the features left out at random in training", 0.0, 0.9)


def _width(default: int, low: int = 2) -> Parameter:
    return Parameter(default, "feature maps of the first level; twice as many take about three times as long", low, 512)


def _levels(default: int, low: int, high: int) -> Parameter:
    return Parameter(default, "sizes it works at, each half the one before", low, high)


MONAI_ROWS: tuple[NetworkRow, ...] = (
    NetworkRow(
        name="basic_unet",
        title="U-Net, five levels, batch norm",
        parameters={"width": _width(32), "dropout": _DROPOUT},
        tile_exact=True,
        pads=True,
        source="Falk et al. 2019, doi:10.1038/s41592-018-0261-2, as MONAI's BasicUNet",
        recipe=_RECIPE,
        trainable=1_978_433,
        running=3_072,
    ),
    NetworkRow(
        name="monai_attention_unet",
        title="U-Net with attention gates, halved by strides, batch norm throughout",
        parameters={"width": _width(16), "levels": _levels(4, 2, 5), "dropout": _DROPOUT},
        tile_exact=True,
        source="Oktay et al. 2018, arXiv:1804.03999, as MONAI's AttentionUnet",
        recipe=_RECIPE,
        trainable=494_197,
        running=1_638,
    ),
    NetworkRow(
        name="monai_unet",
        title="U-Net of residual units, halved by strides",
        parameters={
            "width": _width(16),
            "levels": _levels(5, 2, 5),
            "residual_units": Parameter(2, "convolutions of each residual unit; 0 is one plain convolution", 0, 3),
            "dropout": _DROPOUT,
        },
        tile_exact=True,
        source="Kerfoot et al. 2019, doi:10.1007/978-3-030-12029-0_40, as MONAI's UNet",
        recipe=_RECIPE,
        trainable=1_627_278,
        running=2_434,
    ),
    NetworkRow(
        name="seg_resnet",
        title="heavy residual encoder, light decoder that adds",
        parameters={"width": _width(16), "dropout": _DROPOUT},
        tile_exact=True,
        source="Myronenko 2018, arXiv:1810.11654, as MONAI's SegResNet",
        recipe=_RECIPE,
        trainable=1_598_001,
        running=3_360,
    ),
    NetworkRow(
        name="dyn_unet",
        title="the network of nnU-Net, with batch norm",
        parameters={"width": _width(32), "levels": _levels(5, 3, 6), "dropout": _DROPOUT},
        tile_exact=True,
        source="Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, as MONAI's DynUNet",
        recipe=_RECIPE,
        trainable=7_761_985,
        running=5_888,
    ),
    NetworkRow(
        name="basic_unet_plus_plus",
        title="U-Net++: skips convolved with everything below them",
        parameters={"width": _width(32), "dropout": _DROPOUT},
        tile_exact=True,
        pads=True,
        source="Zhou et al. 2018, arXiv:1807.10165, as MONAI's BasicUNetPlusPlus",
        recipe=_RECIPE,
        trainable=2_410_081,
        running=3_968,
    ),
    NetworkRow(
        name="flexible_unet",
        title="U-Net with ResNet-18 as encoder, random weights",
        parameters={
            "width": Parameter(
                16, "feature maps before the head; the decoder has 16, 8, 4, 2 and 1 times as many", 2, 64
            ),
            "dropout": _DROPOUT,
        },
        tile_exact=True,
        source="He et al. 2015, arXiv:1512.03385, as MONAI's FlexibleUNet",
        recipe=_RECIPE,
        trainable=13_539_313,
        running=9_792,
    ),
    NetworkRow(
        name="swin_unetr",
        title="U-Net with a transformer of shifted windows as encoder",
        parameters={
            "width": Parameter(24, "features of a token at half the size of the image", choices=(12, 24, 36, 48)),
            "dropout": _DROPOUT,
        },
        tile_exact=False,
        source="Hatamizadeh et al. 2022, arXiv:2201.01266, as MONAI's SwinUNETR",
        recipe=_RECIPE,
        trainable=6_306_859,
        running=4_656,
    ),
)
