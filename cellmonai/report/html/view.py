"""What the page shows: every part of the report in words and numbers, cut where there is too much."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from cellmonai.core.text import printable
from cellmonai.report.words import (
    FILTERS,
    FLAGS,
    SETTINGS,
    counted,
    named,
    needs_a_look,
    notes_on,
    value_in_words,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cellmonai.report.html.data import ReportData, ReportImage

_LONGEST_NAME, _LONGEST_MESSAGE = 120, 600
_NAMES_PER_WARNING = 12
_ENVELOPE = ("schema", "version", "command", "inputs", "outputs", "warnings", "seconds")  # of a JSON document


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of everything a report shows; the rest is in the tables beside it."""

    rows: int = 1000
    pictures: int = 200
    picture_bytes: int = 6_000_000
    messages: int = 300
    group_rows: int = 500
    record_characters: int = 150_000

    def halved(self) -> Limits:
        """Give half of everything, for a report that became too large."""
        return Limits(
            self.rows // 2,
            self.pictures // 2,
            self.picture_bytes // 2,
            self.messages // 2,
            self.group_rows // 2,
            self.record_characters // 2,
        )


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of the table of images: words to show, and numbers to sort by (empty where unknown)."""

    name: str
    plane: str
    count: str
    interval: str
    interval_reason: str
    density: str
    mean_area: str
    median_area: str
    notes: str
    flagged: bool
    sort: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Message:
    """A warning or failure, with the images it is about."""

    text: str
    images: tuple[str, ...]
    more_images: int = 0


def shortened(text: str, most: int = _LONGEST_NAME) -> str:
    """Make a text safe to show, with its middle left out where it is longer than `most` characters."""
    safe = printable(text)
    if len(safe) <= most:
        return safe
    tail = most // 3
    return f"{safe[: most - tail - 1]}…{safe[-tail:]}"


def name_of(image: ReportImage) -> str:
    """Give the name of an image, with its plane where it has one."""
    plane = f", {image.row.plane}" if image.row.plane else ""
    return shortened(image.row.image + plane)


def link_to(file: str | None) -> str:
    """Give a relative address of a file beside the report, whatever its name; empty where there is none."""
    if file is None or PurePosixPath(file).is_absolute():
        return ""
    return "./" + quote(file.encode("utf-8", "surrogateescape"), safe="/")


def table_rows(data: ReportData, limits: Limits) -> list[TableRow]:
    """Give the first rows of the table of images."""
    in_um = data.in_um
    return [_table_row(image, in_um=in_um) for image in data.images[: limits.rows]]


def _table_row(image: ReportImage, *, in_um: bool) -> TableRow:
    row = image.row
    mean, median = (row.area_mean_um2, row.area_median_um2) if in_um else (row.area_mean_px, row.area_median_px)
    values = {
        "count": row.count,
        "interval": row.interval[0] if row.interval else None,
        "density": row.density_per_mm2,
        "mean": mean,
        "median": median,
    }
    return TableRow(
        name=shortened(row.image),
        plane=shortened(row.plane),
        count=f"{row.count:,}",
        interval=interval_in_words(row.interval),
        interval_reason=shortened(row.interval_reason or "", _LONGEST_MESSAGE),
        density=_or_dash(row.density_per_mm2, 0),
        mean_area=_or_dash(mean, 1 if in_um else 0),
        median_area=_or_dash(median, 1 if in_um else 0),
        notes=notes_on(row),
        flagged=needs_a_look(row),
        sort={name: "" if value is None else f"{value:.10g}" for name, value in values.items()},
    )


def interval_in_words(interval: Sequence[int] | None) -> str:
    """Give an interval as `180-240`, or a dash."""
    return f"{interval[0]:,}\u2013{interval[1]:,}" if interval else "\u2013"


def _or_dash(value: float | None, decimals: int) -> str:
    return "\u2013" if value is None else f"{value:,.{decimals}f}"


def reasons_without_interval(data: ReportData) -> list[str]:
    """Say once each why images have no interval, with how many they are."""
    reasons: dict[str, int] = {}
    for row in data.rows:
        if row.interval is None and row.interval_reason:
            reasons[row.interval_reason] = reasons.get(row.interval_reason, 0) + 1
    everyone = len(data.rows)
    return [
        f"{'No image has an' if n == everyone else counted(n, 'image has no', 'images have no')} interval: "
        f"{shortened(reason, _LONGEST_MESSAGE)}."
        for reason, n in list(reasons.items())[:10]
    ]


def messages(data: ReportData, limits: Limits) -> tuple[list[Message], int]:
    """Give every warning once, with the images it is about, and how many more there are."""
    images: dict[tuple[str, str], list[str]] = {}
    for warning in data.warnings:
        if warning.code == "failed" and warning.image in data.failures:
            continue  # told with the failures
        images.setdefault((warning.code, warning.message), []).extend([warning.image] if warning.image else [])
    shown = [_message(text, names) for (_, text), names in list(images.items())[: limits.messages]]
    return shown, len(images) - len(shown)


def failures(data: ReportData, limits: Limits) -> tuple[list[Message], int]:
    """Give the reasons of failed inputs, each with its inputs, and how many more reasons there are."""
    images: dict[str, list[str]] = {}
    for name, reason in data.failures.items():
        images.setdefault(reason, []).append(name)
    shown = [_message(reason, names) for reason, names in list(images.items())[: limits.messages]]
    return shown, len(images) - len(shown)


def _message(text: str, names: Sequence[str]) -> Message:
    shown = tuple(shortened(name) for name in names[:_NAMES_PER_WARNING])
    return Message(shortened(text, _LONGEST_MESSAGE), shown, len(names) - len(shown))


def settings(data: ReportData) -> list[tuple[str, str]]:
    """Give the parameters with their values in words; those without a value are left out."""
    known = {name: data.parameters[name] for name in SETTINGS if name in data.parameters}
    more = {name: value for name, value in data.parameters.items() if name not in SETTINGS}
    return [
        (SETTINGS.get(name, shortened(name)), shortened(value_in_words(value), _LONGEST_MESSAGE))
        for name, value in (known | more).items()
        if value is not None
    ]


def removed(data: ReportData) -> list[tuple[str, str]]:
    """Give how many objects each filter removed, zeros too."""
    amounts = dict.fromkeys(FILTERS, 0) | data.removed
    return [(FILTERS.get(name, shortened(name)), f"{n:,}") for name, n in amounts.items()]


def flagged(data: ReportData) -> list[tuple[str, str]]:
    """Give how many cells carry each flag, zeros too."""
    return [(FLAGS.get(name, shortened(name)), f"{n:,}") for name, n in data.flags.items()]


def caption_flags(image: ReportImage) -> str:
    """Give the flags of an image for the caption of its picture."""
    return named(image.row.flags, FLAGS)


def border_rules(data: ReportData) -> list[tuple[str, str]]:
    """Give the total under every border rule, of those rules that are known for all images."""
    rules = dict.fromkeys(rule for row in data.rows for rule in row.at_border_rule)
    return [
        (rule, f"{sum(row.at_border_rule[rule] for row in data.rows):,}")
        for rule in rules
        if all(rule in row.at_border_rule for row in data.rows)
    ]


def audit(data: ReportData) -> list[tuple[str, str]]:
    """Give what an audit found, in words."""
    return [
        (shortened(name.replace("_", " ")), shortened(value_in_words(value), _LONGEST_MESSAGE))
        for name, value in (data.audit or {}).items()
        if name not in _ENVELOPE
    ]


def record_lines(data: ReportData, limits: Limits) -> tuple[list[str], bool]:
    """Give the lines of the run record as indented JSON, and whether something was left out of it."""
    document = dict(data.run_record)
    images = document.get("images")
    cut = isinstance(images, list) and len(images) > limits.rows // 10
    if cut and isinstance(images, list):
        document["images"] = images[: limits.rows // 10]
    text = json.dumps(document, indent=2, default=str)  # ASCII: hostile names stay what JSON makes of them
    return text[: limits.record_characters].split("\n"), cut or len(text) > limits.record_characters
