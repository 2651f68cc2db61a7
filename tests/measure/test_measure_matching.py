from __future__ import annotations

import itertools
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from cellmonai.measure.matching import IOU_THRESHOLDS, MatchCounts, match_labels, overlap_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

small_labels = arrays(np.int32, (5, 6), elements=st.integers(0, 4))
thresholds = st.sampled_from([0.05, 0.2, 1 / 3, 0.5, 0.55, 0.75, 1.0])


def iou_matrix(true: NDArray[Any], predicted: NDArray[Any]) -> NDArray[np.float64]:
    """The definition, pair by pair."""
    rows = [true == label for label in np.unique(true) if label]
    columns = [predicted == label for label in np.unique(predicted) if label]
    iou = [[(row & column).sum() / (row | column).sum() for column in columns] for row in rows]
    return np.array(iou, float).reshape(len(rows), len(columns))


def brute_force(true: NDArray[Any], predicted: NDArray[Any], threshold: float) -> tuple[int, float]:
    """Try every one-to-one assignment: (most pairs, then greatest sum of IoU)."""
    iou = iou_matrix(true, predicted)
    if iou.shape[0] > iou.shape[1]:
        iou = iou.T
    best = (0, 0.0)
    for columns in itertools.permutations(range(iou.shape[1]), iou.shape[0]):
        taken = [iou[row, column] for row, column in enumerate(columns) if iou[row, column] >= threshold]
        best = max(best, (len(taken), round(float(sum(taken)), 9)))
    return best


@pytest.mark.parametrize(
    ("true", "predicted", "expected"),
    [
        pytest.param([[1, 1, 0, 2]], [[1, 1, 0, 2]], MatchCounts(2, 0, 0, 2.0), id="the same"),
        pytest.param([[1, 1, 0, 2]], [[0, 0, 0, 0]], MatchCounts(0, 0, 2, 0.0), id="nothing predicted"),
        pytest.param([[0, 0, 0, 0]], [[1, 1, 0, 2]], MatchCounts(0, 2, 0, 0.0), id="nothing true"),
        pytest.param([[0, 0, 0, 0]], [[0, 0, 0, 0]], MatchCounts(0, 0, 0, 0.0), id="both empty"),
        pytest.param([[1]], [[5]], MatchCounts(1, 0, 0, 1.0), id="one pixel"),
        pytest.param([[1, 1], [2, 2]], [[3, 3], [9, 9]], MatchCounts(2, 0, 0, 2.0), id="no background pixel"),
        pytest.param([[1, 1, 1, 0]], [[1, 1, 1, 1]], MatchCounts(1, 0, 0, 0.75), id="three of four"),
        pytest.param([[1, 1, 1, 0, 0]], [[0, 0, 1, 1, 1]], MatchCounts(0, 1, 1, 0.0), id="one of five"),
        pytest.param([[1, 1, 0]], [[1, 1, 1]], MatchCounts(1, 0, 0, 2 / 3), id="border cell"),
        pytest.param([[1, 1, 1, 1]], [[1, 1, 2, 2]], MatchCounts(1, 1, 0, 0.5), id="split in exact halves"),
        pytest.param([[1, 1, 2, 2]], [[1, 1, 1, 1]], MatchCounts(1, 0, 1, 0.5), id="merged from exact halves"),
    ],
)
def test_instances_are_matched_at_half_overlap(
    true: list[list[int]], predicted: list[list[int]], expected: MatchCounts
) -> None:
    assert match_labels(np.array(true), np.array(predicted)) == expected


@given(small_labels, small_labels, thresholds)
@settings(max_examples=150)
def test_the_assignment_is_the_best_of_all(true: NDArray[Any], predicted: NDArray[Any], threshold: float) -> None:
    counts = match_labels(true, predicted, threshold)
    pairs, iou_sum = brute_force(true, predicted, threshold)
    assert (counts.tp, round(counts.iou_sum, 6)) == (pairs, round(iou_sum, 6))


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7])
def test_a_crowded_field_is_matched_as_scipy_assigns_it(threshold: float) -> None:
    # 200 shifted rectangles over each other: many candidates per instance at low thresholds
    generator = np.random.default_rng(4)
    true, predicted = np.zeros((2, 160, 160), np.int32)
    for label in range(1, 201):
        (row, column), (height, width) = generator.integers(0, 140, 2), generator.integers(6, 20, 2)
        true[row : row + height, column : column + width] = label
        row, column = np.maximum(0, np.add((row, column), generator.integers(-3, 4, 2)))
        predicted[row : row + height, column : column + width] = label
    iou = iou_matrix(true, predicted)
    worth = np.where(iou >= threshold, 1.0 + iou / 1000, 0.0)
    chosen = linear_sum_assignment(worth, maximize=True)
    good = iou[chosen] >= threshold
    counts = match_labels(true, predicted, threshold)
    assert (counts.tp, counts.tp + counts.fn, counts.tp + counts.fp) == (good.sum(), *iou.shape)
    assert counts.iou_sum == pytest.approx(iou[chosen][good].sum())


@given(small_labels, small_labels, thresholds, st.permutations(range(1, 5)))
@settings(max_examples=100)
def test_relabelling_changes_nothing(
    true: NDArray[Any], predicted: NDArray[Any], threshold: float, names: list[int]
) -> None:
    renamed = np.array([0, *(1000 * name for name in names)], np.int64)[predicted]
    before, after = match_labels(true, predicted, threshold), match_labels(true, renamed, threshold)
    assert (before.tp, before.fp, before.fn) == (after.tp, after.fp, after.fn)
    assert before.iou_sum == pytest.approx(after.iou_sum)


@given(small_labels, small_labels, thresholds)
@settings(max_examples=100)
def test_swapping_truth_and_prediction_swaps_fp_and_fn(
    true: NDArray[Any], predicted: NDArray[Any], threshold: float
) -> None:
    one, other = match_labels(true, predicted, threshold), match_labels(predicted, true, threshold)
    assert (one.tp, one.fp, one.fn) == (other.tp, other.fn, other.fp)
    assert one.iou_sum == pytest.approx(other.iou_sum)


@given(small_labels, small_labels, small_labels, small_labels, thresholds)
@settings(max_examples=60)
def test_counts_add_over_images(
    a: NDArray[Any], b: NDArray[Any], c: NDArray[Any], d: NDArray[Any], threshold: float
) -> None:
    apart = match_labels(a, b, threshold) + match_labels(c, d, threshold)
    # the second image's labels are moved out of the way of the first's
    together = match_labels(np.vstack([a, np.where(c, c + 10, 0)]), np.vstack([b, np.where(d, d + 10, 0)]), threshold)
    assert (apart.tp, apart.fp, apart.fn) == (together.tp, together.fp, together.fn)
    assert apart.iou_sum == pytest.approx(together.iou_sum)


def test_ratios_follow_from_the_counts() -> None:
    counts = MatchCounts(tp=6, fp=2, fn=1, iou_sum=4.8)
    assert counts.precision == 6 / 8
    assert counts.recall == 6 / 7
    assert counts.f1 == 12 / 15
    assert counts.ap == 6 / 9
    assert counts.pq == pytest.approx(4.8 / 7.5)
    assert counts.mean_matched_iou == pytest.approx(0.8)


def test_without_any_instance_every_ratio_is_undefined() -> None:
    counts = match_labels(np.zeros((4, 4), int), np.zeros((4, 4), int))
    ratios = (counts.precision, counts.recall, counts.f1, counts.ap, counts.pq, counts.mean_matched_iou)
    assert ratios == (None,) * 6


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_every_integer_type_is_a_label_image(dtype: type[Any]) -> None:
    labels = np.array([[1, 1, 0, 200]], dtype)
    assert match_labels(labels, labels).tp == 2


def test_huge_sparse_labels_are_matched() -> None:
    labels = np.array([[4_000_000_000, 0, 9_000_000_000_000]])
    assert match_labels(labels, np.array([[1, 0, 2]])) == MatchCounts(2, 0, 0, 2.0)
    assert match_labels(labels[:, ::2], labels[:, ::2]) == MatchCounts(2, 0, 0, 2.0)


def test_an_overlap_of_exactly_the_threshold_counts_at_every_threshold() -> None:
    for threshold in IOU_THRESHOLDS:
        hundred, part = np.ones((1, 100), int), np.zeros((1, 100), int)
        part[0, : round(100 * threshold)] = 1
        assert match_labels(hundred, part, threshold).tp == 1
        assert match_labels(hundred[:, :-1], part[:, :-1], threshold).tp == 1  # a little more than the threshold
        part[0, round(100 * threshold) - 1] = 0
        assert match_labels(hundred, part, threshold).tp == 0


def test_an_image_without_pixels_is_empty() -> None:
    assert match_labels(np.zeros((0, 5), int), np.zeros((0, 5), int)) == MatchCounts()


@pytest.mark.parametrize(
    ("true", "predicted", "threshold", "words"),
    [
        pytest.param(np.zeros((2, 3), int), np.zeros((3, 2), int), 0.5, "shapes differ", id="shapes"),
        pytest.param(np.zeros((2, 2)), np.zeros((2, 2), int), 0.5, "holds integers", id="floats"),
        pytest.param(np.ones((2, 2), bool), np.zeros((2, 2), int), 0.5, "holds integers", id="mask"),
        pytest.param(np.full((2, 2), -1), np.zeros((2, 2), int), 0.5, "negative", id="negative"),
        pytest.param(np.zeros((2, 2), int), np.zeros((2, 2), int), 0.0, "iou_threshold is 0.0", id="threshold 0"),
        pytest.param(np.zeros((2, 2), int), np.zeros((2, 2), int), 50, "iou_threshold is 50", id="threshold in %"),
    ],
)
def test_what_cannot_be_matched_is_refused(
    true: NDArray[Any], predicted: NDArray[Any], threshold: float, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        match_labels(true, predicted, threshold)


def test_the_table_is_the_matrix_of_overlaps() -> None:
    generator = np.random.default_rng(1)
    true, predicted = generator.integers(0, 7, (2, 12, 12))
    table = overlap_table(true, predicted)
    dense = np.zeros((table.true_count, table.predicted_count))
    dense[table.true_index, table.predicted_index] = table.iou
    np.testing.assert_allclose(dense, iou_matrix(true, predicted))


def test_matching_at_one_half_needs_numpy_alone() -> None:
    code = (
        "import sys, numpy as np; from cellmonai.measure.matching import match_labels;"
        "assert match_labels(np.array([[1, 1, 1, 1]]), np.array([[1, 1, 2, 2]])).tp == 1;"
        "sys.exit(any(name in sys.modules for name in ('scipy', 'skimage', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
