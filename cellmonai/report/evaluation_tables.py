"""An evaluation on the console: the images, worst first, and the summary with every formula in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellmonai.core.text import printable
from cellmonai.measure.matching import MatchCounts
from cellmonai.measure.pixels import PixelCounts
from cellmonai.report.evaluation import CENTRE_MEANINGS, MEANINGS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType
    from rich.table import Table

    from cellmonai.report.evaluation import EvaluatedImage

_MOST_ROWS = 40
_MOST_FAILURES = 10
_PARTS = {
    "cells": ("f1_50", "f1_75", "f1_50_image_mean", "precision_50", "recall_50", "ap_50", "ap_mean", "pq"),
    "centres": tuple(CENTRE_MEANINGS),
    "outlines": ("mean_matched_iou", "dice", "iou", "accuracy", "accuracy_background_floor"),
    "counts": ("count_mae", "count_bias", "count_bias_percent", "limits_of_agreement", "count_rmse", "count_r2"),
}
_NAMES = {
    "f1_50": "F1 at IoU 0.5",
    "f1_75": "F1 at IoU 0.75",
    "f1_50_image_mean": "F1, image mean",
    "precision_50": "precision",
    "recall_50": "recall",
    "ap_50": "AP at IoU 0.5",
    "ap_mean": "AP, mean",
    "pq": "PQ",
    "centre_f1": "F1 of centres",
    "centre_precision": "precision of centres",
    "centre_recall": "recall of centres",
    "centre_accuracy": "accuracy of centres",
    "mean_matched_iou": "mean matched IoU",
    "dice": "Dice",
    "iou": "IoU",
    "accuracy": "accuracy",
    "accuracy_background_floor": "accuracy floor",
    "count_mae": "mean absolute error",
    "count_bias": "bias",
    "count_bias_percent": "bias in percent",
    "limits_of_agreement": "limits of agreement",
    "count_rmse": "RMSE",
    "count_r2": "R²",
}
_SIGNED = {"count_bias", "count_bias_percent", "limits_of_agreement"}
_IN_CELLS = {"count_mae", "count_rmse", *_SIGNED}


def image_table(
    images: Sequence[EvaluatedImage], failures: Sequence[tuple[str, str]], *, where_all: str
) -> RenderableType:
    """Give one row per image and plane, the worst first, then the sums, and below what failed.

    Parameters
    ----------
    images : at least one
    failures : (image, why it could not be evaluated)
    where_all : where every row is found, named when the table shows only the worst
    """
    from rich.console import Group
    from rich.text import Text

    table = _empty_image_table(images)
    with_matches, with_plane = _columns_of(images)
    for image in sorted(images, key=_badness)[:_MOST_ROWS]:
        table.add_row(*_image_row(image, with_plane=with_plane, with_matches=with_matches))
    below = []
    if len(images) > _MOST_ROWS:
        below.append(Text(f"  … {len(images) - _MOST_ROWS:,} better ones: {printable(where_all)}", style="dim"))
    below += [Text(f"  failed: {printable(reason)}", style="yellow") for _, reason in failures[:_MOST_FAILURES]]
    if len(failures) > _MOST_FAILURES:
        below.append(Text(f"  … {len(failures) - _MOST_FAILURES:,} more failed", style="yellow"))
    return Group(table, *below)


def _columns_of(images: Sequence[EvaluatedImage]) -> tuple[bool, bool]:
    """Tell whether cells were matched at all, and whether images have planes."""
    return any(image.scores.matches for image in images), any(image.plane for image in images)


def _empty_image_table(images: Sequence[EvaluatedImage]) -> Table:
    """Give the table of images with its heads and sums, and no row yet."""
    from rich import box
    from rich.table import Table

    with_matches, with_plane = _columns_of(images)
    title = "images, worst first" if len(images) > 1 else None
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", footer_style="bold", show_footer=True, title=title)
    table.title_justify = "left"
    scores = [image.scores for image in images]
    found, true = sum(s.predicted_count for s in scores), sum(s.true_count for s in scores)
    heads = {"true": _count(true), "found": _count(found), "error": _error(found - true)}
    if with_matches:
        matches = sum((s.at_50 for s in scores), MatchCounts())
        pixels = sum((s.pixels for s in scores), PixelCounts())
        heads |= {"TP": f"{matches.tp:,}", "FP": f"{matches.fp:,}", "FN": f"{matches.fn:,}"}
        heads |= {"F1": _ratio(matches.f1), "Dice": _ratio(pixels.dice)}
    near = [s.centres for s in scores if s.centres is not None]
    if near:
        heads["centres TP/FP/FN"] = _parted(sum(near, MatchCounts()))
    table.add_column("image", "all", overflow="fold")
    if with_plane:
        table.add_column("plane", overflow="fold")
    for head, foot in heads.items():
        table.add_column(head, foot, justify="right")
    return table


def summary_table(summary: Mapping[str, Any], *, centres: str = "") -> Table:
    """Give every measure that is defined, its 95 % interval where there is one, and what it means.

    Parameters
    ----------
    summary : measures by name
    centres : in words, how near and by which rule centres were matched, where they were
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    with_intervals = any(name.endswith("_low") for name in summary)
    table = Table(box=box.SIMPLE_HEAD, header_style="bold")
    table.add_column("")
    table.add_column("measure", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True, style="bold cyan")
    if with_intervals:
        table.add_column("95 %", justify="right", no_wrap=True)
    table.add_column("what it is", style="dim", overflow="fold")
    meanings = {**MEANINGS, **CENTRE_MEANINGS}
    meanings["centre_f1"] += f", {centres}" if centres else ""
    for part, names in _parts_of(summary).items():
        shown = [name for name in names if summary[name] is not None]
        for name in shown:
            interval = [_interval(name, summary)] if with_intervals else []
            first = Text(part if name == shown[0] else "", style="bold")
            table.add_row(
                first,
                _NAMES[name],
                _value(name, summary[name]),
                *interval,
                meanings[name],
                end_section=name == shown[-1],
            )
    undefined = _undefined(summary)
    if undefined:
        blank = [""] if with_intervals else []
        table.add_row("", "undefined here", "-", *blank, ", ".join(undefined))
    return table


def _parts_of(summary: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Give the parts of the table; those of centres only where they were asked for."""
    return {part: names for part, names in _PARTS.items() if names[0] in summary}


def _undefined(summary: Mapping[str, Any]) -> list[str]:
    """Name the measures without a value, and the parts of the table that are without any as a whole."""
    found: list[str] = []
    for part, names in _parts_of(summary).items():
        missing = [_NAMES[name] for name in names if summary[name] is None]
        found += [f"all of {part}"] if len(missing) == len(names) else missing
    return found


def _badness(image: EvaluatedImage) -> tuple[float, float, str]:
    f1 = image.scores.at_50.f1
    error = abs(image.scores.predicted_count - image.scores.true_count)
    return (2.0 if f1 is None and image.scores.matches else f1 or 0.0, -error, image.image)


def _image_row(image: EvaluatedImage, *, with_plane: bool, with_matches: bool) -> list[Any]:
    from rich.text import Text

    scores = image.scores
    error = scores.predicted_count - scores.true_count
    cells: list[Any] = [Text(printable(image.image))]
    if with_plane:
        cells.append(Text(printable(image.plane)))
    cells += [_count(scores.true_count), _count(scores.predicted_count), _error(error)]
    if with_matches:
        at_50 = scores.at_50
        cells += [f"{at_50.tp:,}", f"{at_50.fp:,}", f"{at_50.fn:,}"]
        cells += [Text(_ratio(at_50.f1), style=_shade(at_50.f1)), _ratio(scores.pixels.dice)]
    if scores.centres is not None:
        cells.append(_parted(scores.centres))
    return cells


def _parted(matches: MatchCounts) -> str:
    return f"{matches.tp}/{matches.fp}/{matches.fn}"


def _shade(value: float | None) -> str:
    if value is None:
        return "dim"
    return "green" if value >= 0.9 else "" if value >= 0.7 else "yellow"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _count(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def _error(value: float) -> str:
    if not value:
        return "0"
    return f"{value:+,.0f}" if value == int(value) else f"{value:+,.1f}"


def _value(name: str, value: Any) -> str:  # noqa: ANN401 - a number or a pair of them
    if isinstance(value, list):
        return f"{_value(name, value[0])} … {_value(name, value[1])}"
    if name == "count_bias_percent":
        return f"{value:+.2f} %"
    return f"{value:+,.2f}" if name in _SIGNED else f"{value:,.2f}" if name in _IN_CELLS else f"{value:.4f}"


def _interval(name: str, summary: Mapping[str, Any]) -> str:
    low, high = summary.get(f"{name}_low"), summary.get(f"{name}_high")
    return "-" if low is None or high is None else f"{_value(name, low)} … {_value(name, high)}"
