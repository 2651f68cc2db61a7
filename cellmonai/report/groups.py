"""Groups of fields for people and for spreadsheets: the table on the console, and groups.csv."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from cellmonai.core.text import printable
from cellmonai.measure.replicates.intervals import INTERVAL_KINDS
from cellmonai.measure.replicates.words import group_title, group_warnings, plural
from cellmonai.report.csv import write_csv

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import RenderableType
    from rich.table import Table

    from cellmonai.measure.replicates.groups import GroupSummary

_MOST_ROWS = 24  # of one level; a plate of 96 wells is better seen as its picture
_FLOOR_MARK = "*"


def groups_table(summaries: Sequence[GroupSummary], *, where_all: str) -> RenderableType:
    """Give one table per level, with what is replicated in it, and the warnings below.

    Parameters
    ----------
    summaries : of `summarise_groups`
    where_all : the file with every group, named where a table shows only the first ones
    """
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    for _, group in groupby(summaries, key=lambda summary: summary.level):
        rows = list(group)
        parts.append(_level_table(rows))
        if len(rows) > _MOST_ROWS:
            parts.append(Text(f"  … {len(rows) - _MOST_ROWS:,} more in {printable(where_all)}", style="dim"))
    if any(summary.interval_kind == "poisson_floor" for summary in summaries):
        parts.append(Text(f"  {_FLOOR_MARK} {INTERVAL_KINDS['poisson_floor']}", style="dim"))
    if parts:
        level = _percent(summaries[0])
        parts.append(Text(f"  {level}: sampling error alone; errors of counting are not in it", style="dim"))
    parts += [Text(f"  {printable(sentence)}", style="yellow") for sentence in group_warnings(summaries)]
    return Group(*parts)


def _level_table(rows: Sequence[GroupSummary]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    unit = plural(rows[0].unit)
    with_density = any(row.density_per_mm2 is not None for row in rows)
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", title=Text(_title(rows[0])))
    table.title_justify = "left"
    table.add_column(Text(printable(", ".join(rows[0].group))), overflow="fold")
    table.add_column(Text(printable(unit)), justify="right", no_wrap=True)
    table.add_column("cells", justify="right", no_wrap=True, style="bold cyan")
    for head in ("mean", "SD", _percent(rows[0])):
        table.add_column(head, justify="right", no_wrap=True)
    if with_density:
        table.add_column("cells/mm²", justify="right", no_wrap=True)
    for row in rows[:_MOST_ROWS]:
        density = [_number(row.density_per_mm2)] if with_density else []
        title = Text(printable(group_title(row.group)))
        table.add_row(
            title, f"{row.units:,}", f"{row.sum:,}", _number(row.mean), _number(row.sd), _interval(row), *density
        )
    return table


def _title(row: GroupSummary) -> str:
    return f"by {printable(row.level)}: cells per field, SD and {_percent(row)} between {plural(row.unit)}"


def _percent(row: GroupSummary) -> str:
    return f"{100 * row.interval_level:g} %"


def _interval(row: GroupSummary) -> str:
    if row.sampling_low is None or row.sampling_high is None:
        return "-"
    mark = _FLOOR_MARK if row.interval_kind == "poisson_floor" else ""
    return f"{_number(row.sampling_low)} to {_number(row.sampling_high)}{mark}"


def _number(value: float | None) -> str:
    """Write three digits that matter, and never more decimals than one."""
    if value is None:
        return "-"
    if value >= 1e6:
        return f"{value:.0e}"  # the upper end that two units leave open
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}"


def write_groups(path: Path, summaries: Sequence[GroupSummary], *, overwrite: bool) -> None:
    """Write `groups.csv`, one row per group of every level.

    Every attribute has a column, filled where all fields of the group have it in common (the treatment of a well too).
    `sampling_low` and `sampling_high` hold sampling error alone; what is unknown is an empty cell. An attribute
    with the name of another column, such as a `sum` in a sample sheet, gets `attribute_` in front.
    """
    values: dict[str, list[Any]] = {
        "fields": [row.fields for row in summaries],
        "unit": [row.unit for row in summaries],
        "units": [row.units for row in summaries],
        "sum": [row.sum for row in summaries],
        "mean": [row.mean for row in summaries],
        "sd": [row.sd for row in summaries],
        "field_sd": [row.field_sd for row in summaries],
        "sampling_low": [row.sampling_low for row in summaries],
        "sampling_high": [row.sampling_high for row in summaries],
        "interval_kind": [row.interval_kind for row in summaries],
        "interval_level": [row.interval_level for row in summaries],
        "area_mm2": [row.area_mm2 for row in summaries],
        "density_per_mm2": [row.density_per_mm2 for row in summaries],
        "density_low": [row.density_low for row in summaries],
        "density_high": [row.density_high for row in summaries],
        "density_interval_kind": [row.density_interval_kind for row in summaries],
        "warning": [row.warning for row in summaries],
    }
    columns: dict[str, list[Any]] = {"level": [row.level for row in summaries]}
    for name in dict.fromkeys(name for row in summaries for name in row.attributes):
        unique = f"attribute_{name}" if name in values or name == "level" else name
        columns[unique] = [row.attributes.get(name) for row in summaries]
    write_csv(path, columns | values, decimals={"area_mm2": 6}, overwrite=overwrite)
