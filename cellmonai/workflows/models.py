"""models: what the catalogue knows of its networks, at a glance and for chosen parameters."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import RecipeError
from cellmonai.nets.catalogue import NETWORKS, describe, find_row, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cellmonai.nets.catalogue import NetworkFacts, NetworkRow


@dataclass(frozen=True, slots=True)
class ShownNetwork:
    """A network with chosen parameters.

    Parameters
    ----------
    settings : every parameter of its row with its value
    channels, maps : of the image that goes in, and how many maps come out
    trainable, running : its weights, and the running statistics of its batch norms
    """

    row: NetworkRow
    settings: Mapping[str, Any]
    channels: int
    maps: int
    facts: NetworkFacts
    trainable: int
    running: int

    @property
    def megabytes(self) -> float:
        """Size of the model file in MB (10^6 bytes), as float32 and without its card."""
        return 4e-6 * (self.trainable + self.running)

    def as_json(self) -> dict[str, Any]:
        """Give what `models list --json` and `models show --json` say of a network."""
        return {
            "name": self.row.name,
            "title": self.row.title,
            "settings": dict(self.settings),
            "channels": self.channels,
            "maps": self.maps,
            "parameters": {"trainable": self.trainable, "running": self.running},
            "megabytes": round(self.megabytes, 3),
            "radius_px": self.facts.radius_px,
            "divisor": self.facts.divisor,
            "tile_exact": self.facts.tile_exact,
            "output_stride": self.facts.output_stride,
            "takes": self.row.takes,
            "targets": list(self.row.targets),
            "source": self.row.source,
            "recipe": self.row.recipe,
        }


def list_networks() -> tuple[ShownNetwork, ...]:
    """Give every network of the catalogue with its defaults, read from its row: nothing is built."""
    return tuple(_with_defaults(row) for row in NETWORKS)


def show_network(
    name: str, *, overrides: Sequence[str] = (), channels: int | None = None, maps: int | None = None
) -> ShownNetwork:
    """Build a network without memory and give its exact numbers.

    Parameters
    ----------
    name : of a row of the catalogue
    overrides : `parameter=value` each, as `--set` takes them
    channels : of the image; by default those that `models list` shows the network for
    maps : how many it gives; by default 1, or those it always gives

    Raises
    ------
    RecipeError
        There is no such network or parameter, or a value does not fit.
    """
    try:
        row = find_row(name)
        settings = resolve(name, _read_overrides(overrides))
    except RecipeError as error:
        raise RecipeError(error.what, where=_as_typed(error.where), cure=error.cure) from error
    channels, maps = channels or row.channels_shown, maps or len(row.maps) or 1
    if row.maps and maps != len(row.maps):
        always = ", ".join(row.maps)
        raise RecipeError(f"{name} always gives {len(row.maps)} maps: {always}", where="--outputs", cure="leave it out")
    from cellmonai.nets.parameter_numbers import numbers_of

    numbers = numbers_of(name, settings, channels=channels, outputs=maps)
    return ShownNetwork(row, settings, channels, maps, describe(name, settings), numbers.trainable, numbers.running)


def document_of(command: str, started: float, content: Mapping[str, Any]) -> dict[str, Any]:
    """Give the document of `--json` around `content`; `started` is what `time.monotonic` gave."""
    return {
        "schema": f"cellmonai.{command.replace(' ', '.')}/1",
        "version": version("cellmonai"),
        "command": command,
        "inputs": [],
        "outputs": [],
        "warnings": [],
        "seconds": round(time.monotonic() - started, 3),
        **content,
    }


def _with_defaults(row: NetworkRow) -> ShownNetwork:
    return ShownNetwork(
        row=row,
        settings=resolve(row.name, {}),
        channels=row.channels_shown,
        maps=len(row.maps) or 1,
        facts=describe(row.name, {}),
        trainable=row.trainable,
        running=row.running,
    )


def _read_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """Read `width=32` and the like; nothing after the `=` brings the default back."""
    from cellmonai.recipe.overrides import parse_override

    values: dict[str, Any] = {}
    for typed in overrides:
        if "=" not in typed:
            raise RecipeError("expected parameter=value", where=f"--set {typed}", cure="such as --set width=32")
        override = parse_override(typed.removeprefix("network."))
        if override.key in {"channels", "outputs"}:
            raise RecipeError("is no parameter", where=f"--set {override.key}", cure=f"give it as --{override.key} N")
        values.pop(override.key, None)
        if override.value is not None:
            values[override.key] = override.value
    return values


def _as_typed(where: str) -> str:
    """Give the place of an error as it was typed here: a recipe's key is `--set`, its name the argument."""
    if where == "network.name":
        return ""
    return f"--set {where.removeprefix('network.')}" if where.startswith("network.") else where
