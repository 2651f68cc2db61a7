"""The networks that a recipe can name: plain tables, readable without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import RecipeError
from cellmonai.core.text import did_you_mean
from cellmonai.nets.build import build_network
from cellmonai.nets.facts import facts_of
from cellmonai.nets.monai_rows import MONAI_ROWS
from cellmonai.nets.reference_rows import REFERENCE_ROWS
from cellmonai.nets.row import NetworkFacts, NetworkRow
from cellmonai.nets.sizes import refuse_other_sizes
from cellmonai.recipe.parameters import fill_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["NETWORKS", "NetworkFacts", "NetworkRow", "build", "describe", "find_row", "network_names", "resolve"]

NETWORKS: tuple[NetworkRow, ...] = (*REFERENCE_ROWS, *MONAI_ROWS)


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
    """Give radius, divisor and exactness of a network with these parameters, without building it.

    Raises
    ------
    RecipeError
        As `resolve`.
    """
    return facts_of(name, resolve(name, parameters))


def build(name: str, parameters: Mapping[str, Any], *, channels: int, outputs: int) -> nn.Module:
    """Build a network: (N, channels, Y, X) float32 to (N, outputs, Y, X) logits in evaluation mode.

    In training mode `tiled_cnn` gives logits an eighth as large and `fpn` its four scales; see their classes.

    Raises
    ------
    RecipeError
        As `resolve`, or the network gives maps of its own and `outputs` is another number.
    """
    row, full = find_row(name), resolve(name, parameters)
    if row.maps and outputs != len(row.maps):
        what = f"{name} gives {len(row.maps)} maps ({', '.join(row.maps)}), {outputs} are asked for"
        raise RecipeError(what, where="network.name", cure="use another network or target")
    net = build_network(name, full, channels=channels, outputs=outputs)
    refuse_other_sizes(net, name, divisor=facts_of(name, full).divisor, pads=row.pads)
    return net
