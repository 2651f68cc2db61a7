"""The table of images: a row per image and plane, which the page can sort and filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cellmonai.report.html import view
from cellmonai.report.html.elements import NEWLINE, Html, element, together
from cellmonai.report.words import counted, interval_head

if TYPE_CHECKING:
    from cellmonai.report.html.data import ReportData


@dataclass(frozen=True, slots=True)
class _Column:
    """A column between the name of an image and the notes: its head, a cell of each row, and the cell of the total."""

    head: str
    cells: list[Html]
    foot: Html
    numeric: bool = True


def images_part(data: ReportData, limits: view.Limits) -> Html:
    """Give the table with what filters it, or a sentence where no image was counted."""
    if not data.images:
        return element("p", "No image was counted.")
    rows = view.table_rows(data, limits)
    cut = None
    if len(rows) < len(data.images):
        shown = f"The first {len(rows):,} of {len(data.images):,} images; "
        cut = element("p", shown, element("span", data.counts_file, class_="name"), " has all of them.")
    scroll = element(
        "div", _table(data, rows), class_="scroll", tabindex=0, role="region", aria_label="Table of images"
    )
    return together(cut, _controls(), scroll)


def _controls() -> Html:
    return element(
        "div",
        element("label", "Find ", element("input", type="search", id="find", autocomplete="off", spellcheck="false")),
        element("label", element("input", type="checkbox", id="flagged"), " only images to look at"),
        element("span", class_="soft", id="found", role="status"),
        class_="controls",
        hidden=True,
    )


def _table(data: ReportData, rows: list[view.TableRow]) -> Html:
    columns = _columns(data, rows)
    heads = [element("th", column.head, scope="col", class_="n" if column.numeric else None) for column in columns]
    body = [
        element(
            "tr",
            element("th", element("bdi", row.name, class_="name"), scope="row"),
            [column.cells[n] for column in columns],
            element("td", row.notes),
            data_flagged=row.flagged,
        )
        for n, row in enumerate(rows)
    ]
    with_plane = any(row.plane for row in data.rows)
    failed = f", {counted(len(data.failures), 'input')} failed" if data.failures else ""
    return element(
        "table",
        element("caption", f"One row per image{' and plane' * with_plane}; areas in {_area_unit(data)}"),
        element(
            "thead",
            element("tr", element("th", "image", scope="col"), heads, element("th", "notes", scope="col")),
        ),
        element("tbody", [(row, NEWLINE) for row in body]),
        element(
            "tfoot",
            element(
                "tr",
                element("th", "total of all images", scope="row"),
                [column.foot for column in columns],
                element("td", counted(len(data.images), "row") + failed),
            ),
        ),
        class_="sortable",
    )


def _columns(data: ReportData, rows: list[view.TableRow]) -> list[_Column]:
    """Give the columns that some image can fill."""
    unit = _area_unit(data)
    columns, empty = [], element("td")
    if any(row.plane for row in data.rows):
        columns.append(_Column("plane", [element("td", row.plane) for row in rows], empty, numeric=False))
    total = element("td", element("strong", f"{data.total:,}"), class_="n")
    counts = [element("td", element("strong", row.count), class_="n", data_n=row.sort["count"]) for row in rows]
    columns.append(_Column("cells", counts, total))
    if any(row.interval for row in data.rows):
        cells = [
            element("td", row.interval, class_="n", data_n=row.sort["interval"], title=row.interval_reason or None)
            for row in rows
        ]
        columns.append(_Column(interval_head(data.interval_level), cells, element("td", class_="n")))
    if any(row.density_per_mm2 is not None for row in data.rows):
        cells = [element("td", row.density, class_="n", data_n=row.sort["density"]) for row in rows]
        columns.append(_Column("cells/mm²", cells, element("td", class_="n")))
    means = [element("td", row.mean_area, class_="n", data_n=row.sort["mean"]) for row in rows]
    medians = [element("td", row.median_area, class_="n", data_n=row.sort["median"]) for row in rows]
    columns.append(_Column(f"mean area ({unit})", means, empty))
    columns.append(_Column(f"median area ({unit})", medians, empty))
    return columns


def _area_unit(data: ReportData) -> str:
    return "µm²" if data.in_um else "px"
