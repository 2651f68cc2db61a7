from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from cellmonai.measure.bootstrap import bootstrap_intervals
from cellmonai.measure.scores import ImageScores, ScoreTable, score_instances

if TYPE_CHECKING:
    from numpy.typing import NDArray

EMPTY = np.zeros((8, 8), np.int32)


def painted(*boxes: tuple[int, int, int, int]) -> NDArray[np.int32]:
    labels = np.zeros((24, 24), np.int32)
    for label, (row0, column0, row1, column1) in enumerate(boxes, start=1):
        labels[row0:row1, column0:column1] = label
    return labels


ONE = score_instances(painted((0, 0, 6, 6), (10, 10, 20, 20)), painted((0, 0, 6, 6), (10, 10, 20, 16)))
TWO = score_instances(painted((2, 2, 8, 8)), painted((2, 2, 8, 8), (12, 12, 16, 16)))
BLANK = score_instances(EMPTY, EMPTY)


def test_an_image_is_scored_at_every_threshold() -> None:
    # IoU 1 and .6: two partners at .50, .55 and .60, one from .65 on
    assert [match.tp for match in ONE.matches] == [2, 2, 2, 1, 1, 1, 1, 1, 1, 1]
    assert (ONE.at_50.f1, ONE.at_75.f1) == (1.0, 0.5)
    assert ONE.ap_mean == pytest.approx((3 * 1.0 + 7 * 1 / 3) / 10)
    assert (ONE.true_count, ONE.predicted_count) == (2, 2)


def test_the_summary_pools_images_before_it_takes_ratios() -> None:
    summary = ScoreTable.of([ONE, TWO]).summary()
    assert summary["f1_50"] == pytest.approx(6 / 7)  # TP 3, FP 1
    assert summary["f1_75"] == pytest.approx(4 / 7)  # TP 2, FP 2, FN 1
    assert summary["ap_50"] == pytest.approx(3 / 4)
    assert summary["pq"] == pytest.approx(2.6 / 3.5)
    assert summary["mean_matched_iou"] == pytest.approx(2.6 / 3)
    assert summary["f1_50_image_mean"] == pytest.approx((1 + 2 / 3) / 2)
    assert summary["precision_50"] == pytest.approx(3 / 4)
    assert summary["recall_50"] == 1.0
    assert summary["count_bias"] == 0.5
    assert summary["count_bias_percent"] == pytest.approx(100 / 3)
    assert summary["accuracy"] == pytest.approx(1 - 56 / 1152)
    assert summary["accuracy_background_floor"] == pytest.approx(1 - 172 / 1152)


def test_an_image_without_cells_on_either_side_is_left_out_of_the_image_mean_alone() -> None:
    with_blank, without = ScoreTable.of([ONE, TWO, BLANK]).summary(), ScoreTable.of([ONE, TWO]).summary()
    assert BLANK.at_50.f1 is None
    assert with_blank["f1_50_image_mean"] == without["f1_50_image_mean"]
    assert with_blank["f1_50"] == without["f1_50"]
    assert with_blank["count_mae"] == pytest.approx(1 / 3)  # a perfect count among three


def test_false_positives_of_an_empty_image_enter_the_pooled_value() -> None:
    false_alarm = score_instances(np.zeros((24, 24), int), painted((0, 0, 4, 4)))
    assert ScoreTable.of([ONE, false_alarm]).summary()["f1_50"] == pytest.approx(4 / 5)
    assert false_alarm.at_50.f1 == 0.0


@pytest.mark.parametrize("scores", [pytest.param([], id="no image"), pytest.param([BLANK], id="a blank image")])
def test_undefined_ratios_are_none(scores: list[ImageScores]) -> None:
    summary = ScoreTable.of(scores).summary()
    assert [summary[name] for name in ("f1_50", "ap_mean", "pq", "dice", "f1_50_image_mean", "count_r2")] == [None] * 6


def test_where_only_counts_are_known_only_count_errors_are_given() -> None:
    summary = ScoreTable.of([ImageScores(10.5, 10), ImageScores(20, 22)]).summary()
    given = {name for name, value in summary.items() if value is not None}
    assert given == {"count_mae", "count_bias", "count_bias_percent", "count_rmse", "count_r2"}
    assert summary["count_mae"] == pytest.approx(1.25)


def test_the_foreground_may_hold_more_than_the_instances() -> None:
    labels, inside = painted((0, 0, 6, 6)), painted((0, 0, 6, 6), (20, 20, 22, 22)) > 0
    assert score_instances(labels, labels, true_inside=inside, predicted_inside=labels > 0).pixels.fn == 4


def test_intervals_enclose_the_measure_and_come_again_with_the_seed() -> None:
    generator = np.random.default_rng(0)
    images = [ONE, TWO, *(ImageScores(20, int(count)) for count in generator.integers(15, 26, 20))]
    table = ScoreTable.of(images)
    intervals = bootstrap_intervals(table, draws=200, seed=1)
    low, high = intervals["count_mae"] or (0, 0)
    assert low < (table.summary()["count_mae"] or 0) < high
    assert intervals == bootstrap_intervals(table, draws=200, seed=1)
    assert intervals != bootstrap_intervals(table, draws=200, seed=2)
    assert intervals.keys() == table.summary().keys()


def test_the_interval_of_a_mean_is_as_wide_as_its_standard_error_says() -> None:
    errors = np.random.default_rng(5).integers(-10, 11, 400)
    table = ScoreTable.of([ImageScores(100, 100 + int(error)) for error in errors])
    low, high = bootstrap_intervals(table, draws=1000, seed=0)["count_bias"] or (0, 0)
    assert high - low == pytest.approx(2 * 1.96 * errors.std() / 20, rel=0.1)


def test_one_image_has_no_interval() -> None:
    assert set(bootstrap_intervals(ScoreTable.of([ONE]), draws=10, seed=0).values()) == {None}


def test_a_measure_that_no_image_defines_has_no_interval() -> None:
    assert bootstrap_intervals(ScoreTable.of([BLANK, BLANK]), draws=10, seed=0)["f1_50"] is None


@pytest.mark.parametrize(("draws", "level"), [(0, 0.95), (10, 95.0)])
def test_impossible_bootstraps_are_refused(draws: int, level: float) -> None:
    with pytest.raises(ValueError, match="expected at least 1"):
        bootstrap_intervals(ScoreTable.of([ONE]), draws=draws, seed=0, level=level)
