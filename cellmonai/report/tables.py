"""Result tables on the console, for people: units in the heads, thousands separators, a total."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cellmonai.core.text import printable
from cellmonai.report.words import counted, interval_head, short_notes_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table

    from cellmonai.report.counts import ImageCount

_MOST_ROWS = 40
_LEAST_NAME, _LEAST_NOTES = 12, 14  # characters; below that names and notes are hard to read
_FIRST_LEFT_OUT = ((), ("area",), ("area", "density"))  # where the terminal is too narrow for all numbers


def count_table(
    counts: Sequence[ImageCount],
    *,
    failures: Mapping[str, str],
    where_all: str,
    interval_level: float | None = None,
) -> RenderableType:
    """Give the table of counts: one row per image and plane, those that failed below, and the total.

    Parameters
    ----------
    counts : what was counted
    failures : image -> why it could not be counted
    where_all : the file with every row, named when the table shows only the first ones
    interval_level : coverage of the intervals, as 0.95, for the head of their column

    Notes
    -----
    Columns that no image can fill are left out. Numbers are never cut: in a narrow terminal names and notes fold over
    several lines, and below about 70 columns mean area and density go. The total has no interval, since those of images
    do not add up.
    """
    return _CountTable(counts, failures, where_all, _number_columns(counts, interval_level))


@dataclass(frozen=True, slots=True)
class _Numbers:
    """A column of numbers as text: its head, a cell for every row, and the one below."""

    head: str
    cells: Sequence[str]
    foot: str = ""
    style: str = ""

    @property
    def width(self) -> int:
        return max(len(text) for text in (*self.head.split("\n"), *self.cells, self.foot))


@dataclass(frozen=True, slots=True)
class _CountTable:
    """The table, which takes its columns when it knows how wide the console is."""

    counts: Sequence[ImageCount]
    failures: Mapping[str, str]
    where_all: str
    numbers: Mapping[str, _Numbers]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        plane = max((len(printable(row.plane)) for row in self.counts[:_MOST_ROWS]), default=0)
        room = options.max_width - _LEAST_NAME - _LEAST_NOTES - min(plane, _LEAST_NAME) - 5
        for left_out in _FIRST_LEFT_OUT:
            shown = {name: column for name, column in self.numbers.items() if name not in left_out}
            if sum(column.width + 1 for column in shown.values()) <= room:
                break
        yield self._table(shown)

    def _table(self, numbers: Mapping[str, _Numbers]) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        with_plane = any(row.plane for row in self.counts)
        table = Table(
            box=box.SIMPLE_HEAD, show_footer=True, footer_style="bold", header_style="bold", collapse_padding=True
        )
        table.add_column("image", Text("total"), overflow="fold")
        if with_plane:
            table.add_column("plane", overflow="fold")
        for column in numbers.values():
            table.add_column(column.head, column.foot, justify="right", style=column.style, no_wrap=True)
        table.add_column("notes", _note_on_total(self.counts, self.failures), overflow="fold")
        for n, row in enumerate(self.counts[:_MOST_ROWS]):
            place = [Text(printable(name)) for name in ([row.image, row.plane] if with_plane else [row.image])]
            table.add_row(*place, *(column.cells[n] for column in numbers.values()), Text(short_notes_on(row)))
        if len(self.counts) > _MOST_ROWS:
            more = f"\u2026 {len(self.counts) - _MOST_ROWS:,} more in {printable(self.where_all)}"
            table.add_row(Text(more, style="dim"))
        for image, reason in self.failures.items():
            blanks = [""] * (len(numbers) - 1)
            place = [Text(printable(image))] + [Text("")] * with_plane
            table.add_row(*place, "-", *blanks, Text(printable(reason), style="yellow"))
        return table


def _number_columns(counts: Sequence[ImageCount], interval_level: float | None) -> dict[str, _Numbers]:
    rows = counts[:_MOST_ROWS]
    columns = {
        "cells": _Numbers(
            "cells", [f"{row.count:,}" for row in rows], f"{sum(row.count for row in counts):,}", "bold cyan"
        )
    }
    if any(row.interval for row in counts):
        head = interval_head(interval_level).replace(" interval", "\ninterval")
        intervals = ["-" if row.interval is None else "{:,}\u2013{:,}".format(*row.interval) for row in rows]
        columns["interval"] = _Numbers(head, intervals)
    if any(row.density_per_mm2 is not None for row in counts):
        densities = ["-" if row.density_per_mm2 is None else f"{row.density_per_mm2:,.0f}" for row in rows]
        columns["density"] = _Numbers("cells\n/mm²", densities)
    in_um = all(row.area_mean_um2 is not None for row in counts if row.count) and any(row.count for row in counts)
    areas = [_area(row.area_mean_um2 if in_um else row.area_mean_px, in_um=in_um) for row in rows]
    mean = _area(_mean_area_of_all(counts, in_um=in_um), in_um=in_um)
    columns["area"] = _Numbers(f"mean area\n({'µm²' if in_um else 'px'})", areas, mean)
    return columns


def _area(value: float | None, *, in_um: bool) -> str:
    if value is None:
        return "-"
    return f"{value:,.1f}" if in_um else f"{value:,.0f}"


def _mean_area_of_all(counts: Sequence[ImageCount], *, in_um: bool) -> float | None:
    cells = sum(row.count for row in counts)
    areas = [(row.area_mean_um2 if in_um else row.area_mean_px) or 0.0 for row in counts]
    return sum(a * row.count for a, row in zip(areas, counts, strict=True)) / cells if cells else None


def _note_on_total(counts: Sequence[ImageCount], failures: Mapping[str, str]) -> str:
    images = counted(len(counts), "image")
    return f"{images}, {len(failures):,} failed" if failures else images
