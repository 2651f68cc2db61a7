"""The networks that a recipe can name: a plain table, readable without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import RecipeError
from cellmonai.core.text import did_you_mean
from cellmonai.recipe.parameters import Parameter, fill_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """One network of the catalogue.

    `parameters` holds every parameter with its default, bounds and meaning. `tile_exact` means that a pixel's result
    depends only on pixels within the receptive-field radius, so that windows can equal the whole image.
    """

    name: str
    title: str
    parameters: Mapping[str, Parameter]
    tile_exact: bool
    source: str
    recipe: str


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """What inference must know of a network: lengths in px.

    `radius_px` is the largest distance at which a pixel can change a result, measured structurally (every weight
    positive, so that nothing cancels); `divisor` is what image sides and window origins must be multiples of.
    """

    radius_px: int
    divisor: int
    tile_exact: bool


_WIDTH = Parameter(32, "feature maps of the first level; twice as many take about three times as long", 2, 512)
_DROPOUT = Parameter(0.0, "share of the features left out at random in training", 0.0, 0.9)

NETWORKS: tuple[NetworkRow, ...] = (
    NetworkRow(
        name="basic_unet",
        title="U-Net, five levels, batch norm",
        parameters={"width": _WIDTH, "dropout": _DROPOUT},
        tile_exact=True,
        source="Falk et al. 2019, doi:10.1038/s41592-018-0261-2, as MONAI's BasicUNet",
        recipe="quickstart.toml",
    ),
    NetworkRow(
        name="attention_unet",
        title="U-Net with attention gates on its skips, batch norm",
        parameters={
            "width": Parameter(16, _WIDTH.meaning, _WIDTH.low, _WIDTH.high),
            "levels": Parameter(4, "sizes it works at, each half the one before", 2, 5),
            "dropout": _DROPOUT,
        },
        tile_exact=True,
        source="Oktay et al. 2018, arXiv:1804.03999, as MONAI's AttentionUnet",
        recipe="quickstart.toml",
    ),
)

# radius by levels, measured by tests/nets on networks of width 2, whose structure is the same
_ATTENTION_RADIUS_PX = {2: 7, 3: 17, 4: 37, 5: 77}


def network_names() -> list[str]:
    """Give the names that `network.name` may hold."""
    return [row.name for row in NETWORKS]


def find_row(name: str) -> NetworkRow:
    """Give the row of a network.

    Raises
    ------
    RecipeError
        No network has this name.
    """
    for row in NETWORKS:
        if row.name == name:
            return row
    raise RecipeError(f"unknown network {name!r}", where="network.name", cure=did_you_mean(name, network_names()))


def resolve(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Fill the defaults of a network's row under `parameters`.

    Raises
    ------
    RecipeError
        An unknown network or parameter, or a value that does not fit.
    """
    row = find_row(name)
    return fill_parameters(name, row.parameters, parameters, section="network")


def describe(name: str, parameters: Mapping[str, Any]) -> NetworkFacts:
    """Give radius, divisor and exactness of a network with these parameters, without building it."""
    full = resolve(name, parameters)
    match name:
        case "basic_unet":
            return NetworkFacts(radius_px=107, divisor=16, tile_exact=True)
        case "attention_unet":
            levels = full["levels"]
            return NetworkFacts(_ATTENTION_RADIUS_PX[levels], 2 ** (levels - 1), tile_exact=True)
    raise AssertionError(name)


def build(name: str, parameters: Mapping[str, Any], *, channels: int, outputs: int) -> nn.Module:
    """Build a network: (N, channels, Y, X) float32 to (N, outputs, Y, X) logits; Y and X multiples of the divisor."""
    full = resolve(name, parameters)
    match name:
        case "basic_unet":
            from cellmonai.nets.basic_unet import basic_unet

            return basic_unet(channels=channels, outputs=outputs, width=full["width"], dropout=full["dropout"])
        case "attention_unet":
            from cellmonai.nets.monai_attention_unet import monai_attention_unet

            return monai_attention_unet(
                channels=channels,
                outputs=outputs,
                width=full["width"],
                levels=full["levels"],
                dropout=full["dropout"],
            )
    raise AssertionError(name)
