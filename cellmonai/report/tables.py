"""Result tables on the console, for people: units in the heads, thousands separators, a total."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.core.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from cellmonai.report.counts import ImageCount

_MOST_ROWS = 40
_FLAG_WORDS = {
    "touches_border": "at the border",
    "unusually_large": "unusually large",
    "unusually_small": "unusually small",
    "odd_shape": "of odd shape",
}
_FILTER_WORDS = {"min_area": "too small", "max_area": "too large", "border": "at the border"}


def count_table(counts: Sequence[ImageCount], *, failures: Mapping[str, str], where_all: str) -> Table:
    """Give the table of counts: one row per image and plane, those that failed below, and the total.

    Parameters
    ----------
    counts : what was counted
    failures : image -> why it could not be counted
    where_all : the file with every row, named when the table shows only the first ones
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    with_plane = any(row.plane for row in counts)
    with_density = any(row.density_per_mm2 is not None for row in counts)
    in_um = all(row.area_mean_um2 is not None for row in counts if row.count) and any(row.count for row in counts)
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, footer_style="bold", header_style="bold")
    table.add_column("image", Text("total"), overflow="fold")
    if with_plane:
        table.add_column("plane", overflow="fold")
    table.add_column("cells", f"{sum(row.count for row in counts):,}", justify="right", style="bold cyan")
    if with_density:
        table.add_column("cells/mm²", justify="right")
    table.add_column("mean area", _mean_area_of_all(counts, in_um=in_um), justify="right")
    table.add_column("notes", _note_on_total(counts, failures), overflow="fold")
    for row in counts[:_MOST_ROWS]:
        plane = [Text(printable(row.plane))] if with_plane else []
        density = ["-" if row.density_per_mm2 is None else f"{row.density_per_mm2:,.0f}"] if with_density else []
        area = _area(row.area_mean_um2 if in_um else row.area_mean_px, in_um=in_um)
        table.add_row(Text(printable(row.image)), *plane, f"{row.count:,}", *density, area, _notes(row))
    if len(counts) > _MOST_ROWS:
        table.add_row(Text(f"… {len(counts) - _MOST_ROWS:,} more in {printable(where_all)}", style="dim"))
    for image, reason in failures.items():
        blanks = ["" for _ in range(with_density + 1)]
        plane = [Text("")] if with_plane else []
        table.add_row(Text(printable(image)), *plane, "-", *blanks, Text(printable(reason), style="yellow"))
    return table


def _area(value: float | None, *, in_um: bool) -> str:
    if value is None:
        return "-"
    return f"{value:,.1f} µm²" if in_um else f"{value:,.0f} px"


def _mean_area_of_all(counts: Sequence[ImageCount], *, in_um: bool) -> str:
    cells = sum(row.count for row in counts)
    areas = [(row.area_mean_um2 if in_um else row.area_mean_px) or 0.0 for row in counts]
    return _area(
        sum(a * row.count for a, row in zip(areas, counts, strict=True)) / cells if cells else None, in_um=in_um
    )


def _notes(row: ImageCount) -> str:
    flagged = [f"{n:,} {_FLAG_WORDS.get(name, name)}" for name, n in row.flags.items() if n]
    removed = [f"{n:,} {_FILTER_WORDS.get(name, name)}" for name, n in row.removed.items() if n]
    return ", ".join(flagged) + (("; " if flagged else "") + "removed: " + ", ".join(removed) if removed else "")


def _note_on_total(counts: Sequence[ImageCount], failures: Mapping[str, str]) -> str:
    images = f"{len(counts):,} {'image' if len(counts) == 1 else 'images'}"
    return f"{images}, {len(failures):,} failed" if failures else images
