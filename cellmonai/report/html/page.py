"""The report of a count: one HTML file that needs no network, opens anywhere and stays under 10 MB."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.files import write_text
from cellmonai.core.text import printable
from cellmonai.report.html import view
from cellmonai.report.html.charts import bin_names, draw_histogram, histogram_of_counts, histogram_of_sizes
from cellmonai.report.html.groups import group_tables
from cellmonai.report.html.headline import headline
from cellmonai.report.html.methods import methods_of
from cellmonai.report.html.thumbnails import PictureChoice, data_uri
from cellmonai.report.words import counted, interval_head, needs_a_look

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cellmonai.report.html.charts import Histogram
    from cellmonai.report.html.data import ReportData, ReportImage

MOST_BYTES = 10_000_000
_MOST_PICTURE_BYTES = 45_000
_MOST_PLATES, _PLATES_SHARE = 24, 4  # plates get at most a quarter of the bytes for pictures


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture in the page: its data URI, its size, and its words."""

    uri: Any
    width: int
    height: int
    caption: str
    name: str = ""
    link: str = ""
    interval: str = ""
    flags: str = ""


@dataclass(frozen=True, slots=True)
class _Chart:
    """A histogram with the numbers behind it."""

    title: str
    svg: Any
    heads: tuple[str, str]
    rows: tuple[tuple[str, int], ...]
    note: str = ""


def write_report(path: Path, data: ReportData, *, overwrite: bool) -> None:
    """Write `report.html`: numbers, warnings, table, pictures, histograms, settings, methods and run record.

    Parameters
    ----------
    path : the file
    data : what it shows
    overwrite : replace a file that exists

    Raises
    ------
    OutputError
        The file exists or cannot be written.

    Notes
    -----
    The page loads nothing: style, script and pictures are in it, and its content security policy forbids all else.
    Where there are more than 1,000 images or 200 pictures it shows the first ones, says so and names the tables that
    hold all.
    """
    write_text(path, render_report(data), overwrite=overwrite)


def render_report(data: ReportData) -> str:
    """Give the page of `write_report` as text of less than 10 MB in UTF-8."""
    limits = view.Limits()
    while True:
        page = _rendered(data, limits)
        if len(page.encode("utf-8", "backslashreplace")) < MOST_BYTES or limits.rows == 0:
            return page
        limits = limits.halved()


def _rendered(data: ReportData, limits: view.Limits) -> str:
    from jinja2 import Environment, StrictUndefined

    # finalize reaches everything that the template prints: no name can hold a control character
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_safe,
    )
    style, script = _template("count.css"), _template("count.js")
    page = environment.from_string(_template("count.html.j2"))
    return page.render(
        data=data,
        style=_trusted(style),
        script=_trusted(script),
        policy=_policy(style, script),
        **_context(data, limits),
    )


def _trusted(text: str) -> Any:  # noqa: ANN401 - Markup, imported late
    """Mark a text as HTML: our own files, charts that escape their words, data URIs."""
    from markupsafe import Markup

    return Markup(text)


def _safe(value: Any) -> Any:  # noqa: ANN401 - whatever the template prints
    return value if type(value) is not str or value.isprintable() else printable(value)


def _template(name: str) -> str:
    text = files("cellmonai.report.html").joinpath("templates", name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")  # as a browser hashes it


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


def _context(data: ReportData, limits: view.Limits) -> dict[str, Any]:
    """Give what the template names."""
    messages, more_messages = view.messages(data, limits)
    failures, more_failures = view.failures(data, limits)
    record, record_cut = view.record_lines(data, limits)
    versions = data.run_record.get("versions") or {}
    return {
        "version": str(versions.get("cellmonai", "")),
        "ended": str(data.run_record.get("ended", "")).replace("T", " ").replace("+00:00", " UTC"),
        "headline": headline(data),
        "no_interval": view.reasons_without_interval(data),
        "messages": messages,
        "more_messages": more_messages,
        "failures": failures,
        "more_failures": more_failures,
        "rows": view.table_rows(data, limits),
        "with_plane": any(row.plane for row in data.rows),
        "with_interval": any(row.interval for row in data.rows),
        "with_density": any(row.density_per_mm2 is not None for row in data.rows),
        "interval_head": interval_head(data.interval_level),
        "area_unit": "µm²" if data.in_um else "px",
        "pictures": _pictures(data, limits),
        "plates": _plates(data, limits),
        "charts": _charts(data),
        "groups": group_tables(data.groups, limits.group_rows),
        "settings": view.settings(data),
        "removed": view.removed(data),
        "flagged": view.flagged(data),
        "border_rules": view.border_rules(data),
        "audit": view.audit(data),
        "methods": methods_of(data),
        "record": record,
        "record_cut": record_cut,
        "counted": counted,
    }


def _pictures(data: ReportData, limits: view.Limits) -> list[_Picture]:
    choice = PictureChoice()
    shown = [
        image for image in data.images if image.thumbnail is not None and choice.wants(flagged=needs_a_look(image.row))
    ][: limits.pictures]
    room = min(_MOST_PICTURE_BYTES, limits.picture_bytes * (_PLATES_SHARE - 1) // _PLATES_SHARE // max(len(shown), 1))
    return [_picture(image, room) for image in shown]


def _picture(image: ReportImage, room: int) -> _Picture:
    assert image.thumbnail is not None  # chosen by it
    height, width = image.thumbnail.shape[:2]
    return _Picture(
        uri=_trusted(data_uri(image.thumbnail, room)),
        width=width,
        height=height,
        caption=counted(image.row.count, "cell"),
        name=view.name_of(image),
        link=view.link_to(image.picture_file),
        interval=view.interval_in_words(image.row.interval) if image.row.interval else "",
        flags=view.caption_flags(image),
    )


def _plates(data: ReportData, limits: view.Limits) -> list[_Picture]:
    plates = data.plates[: min(_MOST_PLATES, limits.pictures)]
    room = limits.picture_bytes // _PLATES_SHARE // max(len(plates), 1)
    return [
        _Picture(_trusted(data_uri(plate.picture, room)), plate.picture.shape[1], plate.picture.shape[0], plate.caption)
        for plate in plates
    ]


def _charts(data: ReportData) -> list[_Chart]:
    charts = []
    if len(data.images) > 1:
        counts = [row.count for row in data.rows]
        charts.append(_chart("Cells per image", histogram_of_counts(counts), "cells per image", "images"))
    in_um = data.in_um
    areas = [_areas(image, in_um=in_um) for image in data.images if image.areas_px is not None]
    sizes = np.concatenate(areas) if areas else np.zeros(0)
    if sizes.size:
        unit = "µm²" if in_um else "px"
        histogram = histogram_of_sizes(sizes)
        charts.append(_chart("Size of cells", histogram, f"area of a cell ({unit})", "cells"))
    return charts


def _areas(image: ReportImage, *, in_um: bool) -> Any:  # noqa: ANN401 - an array
    assert image.areas_px is not None
    scale = image.pixel_size_um[0] * image.pixel_size_um[1] if in_um and image.pixel_size_um else 1.0
    return np.asarray(image.areas_px, np.float64) * scale


def _chart(title: str, histogram: Histogram, x_name: str, y_name: str) -> _Chart:
    names: Sequence[str] = bin_names(histogram)
    of_all = counted(int(histogram.frequencies.sum()), y_name.removesuffix("s"))
    alt = f"Histogram: {x_name}, {of_all}; the table below has its numbers"
    return _Chart(
        title=title,
        svg=_trusted(draw_histogram(histogram, title=alt, x_name=x_name, y_name=y_name)),
        heads=(x_name, y_name),
        rows=tuple(zip(names, histogram.frequencies.tolist(), strict=True)),
        note="The last bar, drawn paler, holds all larger cells." if histogram.open_end else "",
    )
