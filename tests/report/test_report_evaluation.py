from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from rich.console import Console

from cellmonai.measure.matching import MatchCounts
from cellmonai.measure.scores import ImageScores, ScoreTable, score_instances
from cellmonai.report.evaluation import MEANINGS, EvaluatedImage, write_evaluation
from cellmonai.report.evaluation_tables import image_table, summary_table

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType


def rendered(table: RenderableType, width: int = 200) -> str:
    console = Console(file=StringIO(), width=width, highlight=False, markup=False)
    console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined] # a StringIO
    return "\n".join(" ".join(line.split()) for line in text.splitlines())


def image(name: str, *, missed: int = 0, plane: str = "") -> EvaluatedImage:
    """Ten cells of which `missed` were not found."""
    true = np.repeat(np.arange(1, 11), 4).reshape(10, 4)
    scores = score_instances(true, np.where(true <= missed, 0, true))
    return EvaluatedImage(name, plane, f"{name}_labels.tif", f"{name}.tif", scores)


def whole_summary(images: list[EvaluatedImage]) -> dict[str, object]:
    return {**ScoreTable.of([i.scores for i in images]).summary(), "limits_of_agreement": None}


def test_only_the_worst_images_are_shown_and_the_rest_is_said() -> None:
    images = [image(f"x{missed}{i}", missed=missed) for missed in (1, 5) for i in range(30)]
    text = rendered(image_table(images, [], where_all="all in out/evaluation.csv"))
    names = [line.split()[0] for line in text.splitlines() if line.startswith("x")]
    assert names[:30] == [f"x5{i}" for i in sorted(range(30), key=str)]
    assert len(names) == 40
    assert "… 20 better ones: all in out/evaluation.csv" in text
    assert "all 600 420 -180 420 0 180 0.824 0.824" in text


def test_planes_have_a_column_where_there_are_any() -> None:
    assert "plane" not in rendered(image_table([image("a")], [], where_all=""))
    assert "a t=1 10 9 -1" in rendered(image_table([image("a", plane="t=1", missed=1)], [], where_all=""))


def test_failures_are_listed_below_and_cut_short() -> None:
    text = rendered(image_table([image("a")], [(f"f{i}", f"[red]f{i}.tif: bad\n") for i in range(12)], where_all=""))
    assert "failed: [red]f0.tif: bad\\x0a" in text
    assert "… 2 more failed" in text


def test_an_image_without_cells_is_neither_good_nor_bad() -> None:
    blank = EvaluatedImage("blank", "", "", "", score_instances(np.zeros((4, 4), int), np.zeros((4, 4), int)))
    text = rendered(image_table([blank, image("a")], [], where_all=""))
    assert "blank 0 0 0 0 0 0 - -" in text
    assert text.index("\na ") < text.index("\nblank ")


def test_the_summary_says_what_each_measure_is() -> None:
    text = rendered(summary_table(whole_summary([image("a", missed=2), image("b")])))
    assert "cells F1 at IoU 0.5 0.9474 2 TP / (2 TP + FP + FN)" in text
    assert "bias in percent -10.00 % 100 (sum of predicted - sum of true) / sum of true" in text
    assert "undefined here - limits of agreement, R²" in text
    assert "accuracy 0.9000 share of pixels called right\naccuracy floor 0.0000 what calling" in text


def test_intervals_have_a_column_where_there_are_any() -> None:
    summary = whole_summary([image("a", missed=2), image("b")])
    bounds = {f"{name}_{end}": None for name in MEANINGS for end in ("low", "high") if name != "limits_of_agreement"}
    text = rendered(summary_table({**summary, **bounds, "f1_50_low": 0.9, "f1_50_high": 1.0}))
    assert "F1 at IoU 0.5 0.9474 0.9000 … 1.0000 2 TP" in text
    assert "F1 at IoU 0.75 0.9474 - the same" in text


def test_parts_without_any_value_are_named_as_a_whole() -> None:
    counts = EvaluatedImage("a", "", "a.tif", "", ImageScores(10.5, 11))
    text = rendered(summary_table(whole_summary([counts, counts])))
    assert "undefined here - all of cells, all of outlines, limits of agreement, R²" in text
    assert "a 10.5 11 +0.5" in rendered(image_table([counts], [], where_all=""))


def with_centres(shown: EvaluatedImage, *matches: int) -> EvaluatedImage:
    """Add TP, FP and FN of centres."""
    return replace(shown, scores=replace(shown.scores, centres=MatchCounts(*matches)))


def test_centres_have_a_column_and_a_part_where_they_were_matched() -> None:
    images = [with_centres(image("a", missed=2), 6, 2, 4), with_centres(image("b"), 10, 0, 0)]
    text = rendered(image_table(images, [], where_all=""))
    assert "a 10 8 -2 8 0 2 0.889 0.889 6/2/4" in text
    assert "all 20 18 -2 18 0 2 0.947 0.947 16/2/4" in text
    text = rendered(summary_table(whole_summary(images), centres="less than 7 px apart (greedy)"))
    assert "centres F1 of centres 0.8421 2 TP" in text
    assert "by their centres, less than 7 px apart (greedy)" in text
    assert "accuracy of centres 0.7273" in text
    assert "centre" not in rendered(summary_table(whole_summary([image("a")])))


@pytest.mark.parametrize("width", [60, 80, 200])
def test_tables_fit_the_terminal(width: int) -> None:
    console = Console(file=StringIO(), width=width)
    shown = with_centres(image("a" * 90), 1000, 1000, 1000)
    console.print(image_table([shown], [], where_all=""), summary_table(whole_summary([shown]), centres="near"))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined] # a StringIO
    assert max(map(len, lines)) <= width


def test_the_csv_has_a_row_for_every_image_failed_ones_too(tmp_path: Path) -> None:
    write_evaluation(tmp_path / "e.csv", [image("a", missed=2)], [("b", "bad, really")], overwrite=False)
    head, first, second = (line.split(",") for line in (tmp_path / "e.csv").read_text().splitlines())
    row = dict(zip(head, first, strict=True))
    assert [row[name] for name in ("image", "true_count", "predicted_count", "fn_50", "status")] == [
        "a",
        "10",
        "8",
        "2",
        "done",
    ]
    assert float(row["f1_50"]) == pytest.approx(16 / 18, abs=1e-6)
    assert (second[0], second[1:5], second[-3:]) == ("b", [""] * 4, ["failed", '"bad', ' really"'])
