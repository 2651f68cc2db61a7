"""The words in which reports name flags, filters and settings; a name that is not listed stands for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellmonai.core.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cellmonai.report.counts import ImageCount

FLAGS = {
    "touches_border": "at the border",
    "unusually_large": "unusually large",
    "unusually_small": "unusually small",
    "odd_shape": "of odd shape",
}
FILTERS = {"min_area": "too small", "max_area": "too large", "border": "at the border"}
_SHORT = {
    "touches_border": "at border",
    "unusually_large": "large",
    "unusually_small": "small",
    "odd_shape": "odd",
    "min_area": "too small",
    "max_area": "too large",
    "border": "at border",
}
SETTINGS = {
    "kind": "inputs read as",
    "stacks": "stacks counted as",
    "preset": "preset",
    "threshold": "foreground probability from",
    "opening": "opening, radius (px)",
    "closing": "closing, radius (px)",
    "fill_holes": "holes filled",
    "split": "splitting of touching cells",
    "min_distance": "least distance of two markers, as typed",
    "min_distance_px": "least distance of two markers (px)",
    "min_area_px": "smallest area (px)",
    "max_area_px": "largest area (px)",
    "min_area": "smallest area, as typed",
    "max_area": "largest area, as typed",
    "border": "cells at the image border",
    "pixel_size_um": "pixel size given, y, x (µm)",
    "interval_level": "coverage of the intervals",
    "kernel": "kernel",
}

_EXPECTED_FLAG = "touches_border"  # nearly every image has such cells, and they need no look


def counted(number: int, one: str, many: str | None = None) -> str:
    """Give a number with its noun: `1 image`, `2,000 images`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def named(amounts: Mapping[str, int], words: Mapping[str, str]) -> str:
    """Give the amounts that are not zero in words: `2 at the border, 1 unusually large`."""
    return ", ".join(f"{n:,} {words.get(name) or printable(name)}" for name, n in amounts.items() if n)


def notes_on(row: ImageCount) -> str:
    """Give the flags of an image and what its filters removed, in words; empty where there is nothing to say."""
    removed = named(row.removed, FILTERS)
    parts = (_of_volume(row), named(row.flags, FLAGS), removed and f"removed: {removed}")
    return "; ".join(part for part in parts if part)


def short_notes_on(row: ImageCount) -> str:
    """Give the same in fewer letters, for a terminal: `2 at border, 1 large; removed: 4 too small`."""
    removed = named(row.removed, _SHORT)
    parts = (_of_volume(row), named(row.flags, _SHORT), removed and f"removed: {removed}")
    return "; ".join(part for part in parts if part)


def _of_volume(row: ImageCount) -> str:
    return "" if row.planes is None else f"volume of {row.planes:,} planes"


def needs_a_look(row: ImageCount) -> bool:
    """Tell whether an image is empty or has unusual cells; cells at the border alone are usual."""
    return row.count == 0 or any(n for name, n in row.flags.items() if name != _EXPECTED_FLAG)


def interval_head(level: float | None) -> str:
    """Give the head of the column of intervals: with the level where it is known."""
    return "interval" if level is None else f"{100 * level:g} % interval"


def value_in_words(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Give a JSON value for people: `no`, `12,431`, `0.65, 0.65`; what is not known is a dash."""
    match value:
        case None | "":
            return "\u2013"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return number(value)
        case str():
            return printable(value)
        case dict():
            return ", ".join(f"{printable(str(key))} {value_in_words(item)}" for key, item in value.items()) or "\u2013"
        case list() | tuple():
            return ", ".join(value_in_words(item) for item in value) or "\u2013"
    return printable(str(value))


def number(value: float) -> str:
    """Give a number with about four digits that count: `1,235`, `12.35`, `0.065`."""
    if value != value or value in (float("inf"), float("-inf")):
        return "\u2013"
    if value and not 1e-4 <= abs(value) < 1e15:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"
