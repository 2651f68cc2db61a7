"""Centres match as the literature's code does, and optimally by default."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from painting import Disc, paint
from skimage.measure import regionprops_table

from cellmonai.measure.centre_scores import score_centres
from cellmonai.measure.centres import box_centres, centroids, match_centres, match_label_centres
from cellmonai.measure.matching import MatchCounts

if TYPE_CHECKING:
    from cellmonai.measure.centre_scores import CentreScores, ScoreForm
    from cellmonai.measure.centres import CentreRule

ORACLE: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "oracles" / "matching.json").read_text(encoding="utf-8")
)
AGGREGATE = ORACLE["aggregate"]
CASES = [name for name in ORACLE if name != "aggregate"]
PLACES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=5)


def counts(case: dict[str, Any]) -> MatchCounts:
    return MatchCounts(case["TP"], case["FP"], case["FN"])


@pytest.mark.parametrize("radius_px", [40, 50])
@pytest.mark.parametrize("rule", ["greedy", "optimal"])
@pytest.mark.parametrize("case", CASES)
def test_centres_pair_as_in_the_reference(case: str, rule: CentreRule, radius_px: int) -> None:
    predicted, true, expected = (ORACLE[case][key] for key in ("pred", "target", f"{rule}_strict_{radius_px}"))
    found = match_centres(np.array(predicted), np.array(true), radius_px=radius_px, rule=rule)
    assert found.counts == counts(expected)
    assert found.pairs.tolist() == expected["pairs_pred_target"]


@pytest.mark.parametrize("case", CASES)
def test_proximity_counts_as_the_second_edition_of_the_data_set(case: str) -> None:
    predicted, true = np.array(ORACLE[case]["pred"]), np.array(ORACLE[case]["target"])
    found = match_centres(predicted, true, radius_px=40, rule="proximity")
    assert found.counts == counts(ORACLE[case]["fnc_v2_proximity_le_40"])


@pytest.mark.parametrize(
    ("rows", "result"),
    [
        pytest.param("rows", "result", id="four images"),
        pytest.param("rows_with_fp_on_empty_image", "result_fp_on_empty", id="a false cell on an empty image"),
        pytest.param("rows_with_empty_correct", "result_empty_correct", id="an empty image found empty"),
        pytest.param("all_zero_rows", "result_all_zero", id="nothing at all"),
    ],
)
def test_scores_equal_the_reference_in_all_forms(rows: str, result: str) -> None:
    table, expected = AGGREGATE[rows], AGGREGATE[result]
    matches = [MatchCounts(*row[:3]) for row in table]

    def score(form: ScoreForm) -> CentreScores:
        return score_centres(matches, [row[3] for row in table], [row[4] for row in table], form=form)

    exact, morelli, fnc = score("exact"), score("morelli2021"), score("fnc_v2")
    assert morelli.f1 == pytest.approx(expected["F1_smoothed"], rel=1e-12)
    assert morelli.accuracy == pytest.approx(expected["accuracy_smoothed"], rel=1e-12)
    assert morelli.precision == pytest.approx(expected["precision_smoothed"], rel=1e-12)
    assert morelli.recall == pytest.approx(expected["recall_smoothed"], rel=1e-12)
    assert morelli.mpe == pytest.approx(expected["MPE_pred_minus_target_eps1e-6"], rel=1e-12)
    assert fnc.mpe == pytest.approx(expected["MPE_zero_target_replaced_by_1"], rel=1e-12)
    assert (exact.mae, exact.medae) == (expected["MAE"], expected["MedAE"])
    if result == "result_all_zero":
        assert (exact.f1, exact.mpe) == (None, None)
    else:
        assert exact.f1 == pytest.approx(expected["F1_exact"], rel=1e-12)
        assert exact.mpe == pytest.approx(-expected["MPE_text_target_minus_pred"], rel=1e-12)


def test_images_without_true_cells_are_left_out_of_the_mean_percentage_error_and_reported() -> None:
    scores = score_centres([MatchCounts(1, 0, 1), MatchCounts(0, 3, 0)], [2, 0], [1, 3])
    assert scores.mpe == -0.5
    assert scores.images_without_true == 1


def test_scores_of_nothing_are_undefined() -> None:
    scores = score_centres([], [], [])
    assert (scores.f1, scores.mae, scores.medae, scores.mpe, scores.images) == (None, None, None, None, 0)


def test_different_numbers_of_images_are_refused() -> None:
    with pytest.raises(ValueError, match="1 matches, 2 true and 1 predicted"):
        score_centres([MatchCounts()], [1, 2], [1])


def test_the_centre_of_a_box_is_rounded_down_from_its_own_start() -> None:
    labels = paint([Disc(10, 20, 4), Disc(30, 5, 3)], (40, 40))
    labels[0, 0:4] = 7
    assert box_centres(labels).tolist() == [[10, 20], [30, 5], [0, 2]]


def test_no_labels_have_no_centres() -> None:
    assert box_centres(np.zeros((4, 5), np.int32)).shape == (0, 2)
    assert centroids(np.zeros((4, 5), np.int32)).shape == (0, 2)


def test_centroids_are_those_of_the_usual_library() -> None:
    labels = paint([Disc(10, 20, 4), Disc(30, 5, 3), Disc(25, 30, 6)], (40, 40)) * 1000
    labels[0, 0:5] = 1000  # a second piece
    expected = regionprops_table(labels, properties=("centroid",))
    assert centroids(labels) == pytest.approx(np.stack([expected["centroid-0"], expected["centroid-1"]], axis=1))


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        pytest.param("greedy", 1, id="greedy: the middle of the box"),
        pytest.param("optimal", 0, id="optimal: the centroid"),
        pytest.param("proximity", 0, id="proximity: the centroid"),
    ],
)
def test_each_rule_has_its_own_centre_of_a_cell(rule: CentreRule, found: int) -> None:
    bent, middle = np.zeros((2, 21, 21), np.int32)
    bent[:, 0], bent[20, :] = 1, 1  # an L: its box has its middle at (10, 10), its pixels at about (15, 5)
    middle[10, 10] = 1
    assert match_label_centres(bent, middle, radius_px=3, rule=rule).counts.tp == found


@pytest.mark.parametrize(
    ("rule", "pairs"),
    [pytest.param("greedy", [[0, 1]], id="greedy"), pytest.param("optimal", [[0, 0], [1, 1]], id="optimal")],
)
def test_the_numbers_of_the_cells_do_not_matter(rule: CentreRule, pairs: list[list[int]]) -> None:
    predicted, true = (paint([Disc(24, x, 3) for x in places], (48, 64)) for places in ((22, 40), (12, 30)))
    swapped = np.array([0, 90_000, 7], np.int32)[predicted]  # greedy in this order would find both
    for labels in (predicted, swapped):
        assert match_label_centres(labels, true, radius_px=11, rule=rule).pairs.tolist() == pairs


@given(predicted=PLACES, true=PLACES)
def test_the_optimal_rule_pairs_as_many_as_possible_and_then_the_nearest(
    predicted: list[tuple[int, int]], true: list[tuple[int, int]]
) -> None:
    found = match_centres(np.array(predicted), np.array(true), radius_px=15)
    best = (0, 0.0)
    small, large = sorted((predicted, true), key=len)
    for order in itertools.permutations(range(len(large)), len(small)):
        distances = [float(np.hypot(*np.subtract(small[i], large[j]))) for i, j in enumerate(order)]
        near = [distance for distance in distances if distance < 15]
        best = max(best, (len(near), -sum(near)))
    total = sum(float(np.hypot(*np.subtract(predicted[i], true[j]))) for i, j in found.pairs.tolist())
    assert found.counts.tp == best[0]
    assert total == pytest.approx(-best[1], abs=1e-6)


@given(predicted=PLACES, true=PLACES)
def test_swapping_both_sides_swaps_false_positives_and_false_negatives(
    predicted: list[tuple[int, int]], true: list[tuple[int, int]]
) -> None:
    one = match_centres(np.array(predicted), np.array(true), radius_px=15).counts
    other = match_centres(np.array(true), np.array(predicted), radius_px=15).counts
    assert (one.tp, one.fp, one.fn) == (other.tp, other.fn, other.fp)
