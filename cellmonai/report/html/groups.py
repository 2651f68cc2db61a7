"""The tables of groups in the report: one per level, from the rows that `counts.json` holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cellmonai.measure.replicates.intervals import INTERVAL_KINDS
from cellmonai.report.html.elements import NOTHING, Html, element, together
from cellmonai.report.html.pictures import plate_figures
from cellmonai.report.html.view import shortened
from cellmonai.report.words import number, value_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cellmonai.report.html.data import ReportData
    from cellmonai.report.html.view import Limits

_HEADS = {
    "sum": "cells",
    "mean": "mean per field",
    "sd": "SD",
    "sampling": "sampling interval",
    "density_per_mm2": "cells/mm²",
    "density": "its interval",
    "warning": "note",
}
_RANGES = {
    "sampling": ("low", "high", "interval_kind"),
    "density": ("density_low", "density_high", "density_interval_kind"),
}
_LEFT_OUT = ("unit", "field_sd", "interval_level", "area_mm2")  # groups.csv has them
_FLOOR, _FLOOR_MARK = "poisson_floor", "*"


@dataclass(frozen=True, slots=True)
class GroupTable:
    """Rows of one level of groups, as words; `numeric` tells which columns are numbers, `more` how many are missing."""

    title: str
    heads: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    more: int


def groups_part(data: ReportData, limits: Limits) -> Html:
    """Give the plates and the tables of groups; empty where there is neither."""
    if not data.groups and not data.plates:
        return NOTHING
    about = "Sampling intervals hold the spread between what is counted only; errors of the counting itself are not in "
    return together(
        plate_figures(data, limits),
        [_drawn(table) for table in group_tables(data.groups, limits.group_rows)],
        element("p", f"{_FLOOR_MARK} {INTERVAL_KINDS[_FLOOR]}.", class_="soft") if _has_floor(data) else None,
        element("p", about, "them.", class_="soft") if data.groups else None,
    )


def _has_floor(data: ReportData) -> bool:
    kinds = [kind for _, _, kind in _RANGES.values()]
    return any(row.get(kind) == _FLOOR for row in data.groups for kind in kinds)


def _drawn(table: GroupTable) -> Html:
    classes = ["n" if numeric else None for numeric in table.numeric]
    heads = [element("th", head, scope="col", class_=n) for head, n in zip(table.heads, classes, strict=True)]
    rows = [
        element("tr", [element("td", cell, class_=n) for cell, n in zip(row, classes, strict=True)])
        for row in table.rows
    ]
    whole = element("table", element("thead", element("tr", heads)), element("tbody", rows), class_="sortable")
    return together(
        element("h3", f"By {table.title}") if table.title else None,
        element("div", whole, class_="scroll", tabindex=0, role="region", aria_label=f"Groups {table.title}"),
        element("p", f"{table.more:,} more in counts.json.", class_="soft") if table.more else None,
    )


def group_tables(groups: Sequence[Mapping[str, Any]], most_rows: int) -> list[GroupTable]:
    """Give a table per `level` of the rows, each with at most `most_rows` of them.

    Parameters
    ----------
    groups : rows of JSON values as `GroupSummary.as_json` gives them; keys that are not known become columns too
    """
    levels: dict[str, list[Mapping[str, Any]]] = {}
    for row in groups:
        levels.setdefault(str(row.get("level") or ""), []).append(row)
    return [_table(title, rows, most_rows) for title, rows in levels.items()]


def _table(title: str, rows: Sequence[Mapping[str, Any]], most_rows: int) -> GroupTable:
    flat = [_flat(row) for row in rows[:most_rows]]
    known = [name for row in flat for name, value in row.items() if value is not None]
    names = list(dict.fromkeys(known))
    units = {str(row.get("unit")) for row in rows if row.get("unit")}
    coverages = {level for row in rows if isinstance(level := row.get("interval_level"), float)}
    heads = _HEADS | ({"units": f"n ({units.pop()})"} if len(units) == 1 else {})
    if len(coverages) == 1:
        heads["sampling"] = f"{100 * coverages.pop():g} % sampling interval"
    return GroupTable(
        title=shortened(title),
        heads=tuple(shortened(heads.get(name, name.replace("_", " "))) for name in names),
        numeric=tuple(all(isinstance(row.get(name), int | float | tuple | None) for row in flat) for name in names),
        rows=tuple(tuple(_cell(row.get(name)) for name in names) for row in flat),
        more=len(rows) - len(flat),
    )


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Lift what names the group to columns of its own, and make one column of two ends."""
    flat: dict[str, Any] = dict(row.get("group") or {})
    for name, value in row.items():
        if name in ("level", "group", *_LEFT_OUT) or name in flat or any(name in ends for ends in _RANGES.values()):
            continue
        flat[name] = value
        for range_name, (low, high, kind) in _RANGES.items():
            if name == {"sampling": "sd", "density": "density_per_mm2"}[range_name] and row.get(low) is not None:
                flat[range_name] = (row[low], row.get(high), _FLOOR_MARK if row.get(kind) == _FLOOR else "")
    return flat


def _cell(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(value, tuple):
        low, high, mark = value
        return f"{number(low)}\u2013{number(high)}{mark}" if high is not None else f"from {number(low)}{mark}"
    return shortened(value_in_words(value))
