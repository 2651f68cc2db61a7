"""Networks on the console: the whole catalogue, and one network with all of its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cellmonai.nets.row import NetworkFacts, NetworkRow
    from cellmonai.recipe.parameters import Parameter

NUMBERS = ("parameters", "MB", "receptive radius, px", "divisor, px")


def catalogue_tables(rows: Sequence[NetworkRow], facts: Sequence[NetworkFacts]) -> tuple[Table, Table]:
    """Give the numbers of every network, and below what each is and who published it."""
    numbers = _table("networks")
    words = _table("\nwhat they are")
    for name in ("network", *NUMBERS, "windows"):
        numbers.add_column(name, justify="right" if name in NUMBERS else "left")
    numbers.add_column("recipe")
    for name in ("network", "what", "source"):
        words.add_column(name, overflow="fold")
    for row, fact in zip(rows, facts, strict=True):
        numbers.add_row(
            row.name,
            f"{row.trainable:,}",
            f"{row.megabytes:.1f}",
            str(fact.radius_px),
            str(fact.divisor),
            Text("exact", "green") if fact.tile_exact else Text("blended", "yellow"),
            f"recipes/{row.recipe}",
        )
        words.add_row(row.name, row.title, row.source)
    return numbers, words


def facts_table(name: str, facts: Mapping[str, str]) -> Table:
    """Give what is known of one network, a line each."""
    table = _table(name)
    table.add_column("fact")
    table.add_column("value", overflow="fold")
    for fact, value in facts.items():
        table.add_row(fact, value)
    return table


def parameters_table(parameters: Mapping[str, Parameter], settings: Mapping[str, Any]) -> Table:
    """Give every parameter of a network: its value, default, what is allowed, and its meaning."""
    table = _table("\nparameters")
    for name in ("parameter", "value", "default", "allowed"):
        table.add_column(name)
    table.add_column("meaning", overflow="fold")
    for name, parameter in parameters.items():
        default, value = as_typed(parameter.default), as_typed(settings[name])
        style = "dim" if value == default else None
        table.add_row(name, value, default, parameter.allowed, parameter.meaning, style=style)
    return table


def as_typed(value: object) -> str:
    """Give a value as one types it after `--set`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
