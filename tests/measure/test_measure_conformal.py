"""Conformal intervals over groups: the formulas, their coverage in simulated studies, and no way to draw again."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Hashable, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmonai.measure.intervals.conformal import (
    count_scale,
    coverage_quantile,
    estimate_phi,
    hierarchical_quantile,
    integer_interval,
    least_groups,
    split_quantile,
    tolerance_groups,
)
from cellmonai.measure.intervals.conformal_set import ConformalSet, canonical_order

IMAGES = 8  # per group, in simulated studies
FEATURES = 30
ERROR_SHARE = 0.3  # of the count, between groups


def conformal_set(
    predicted: list[int], true: list[int], groups: Sequence[Hashable], *, phi: float = 0.1
) -> ConformalSet:
    order, numbers = canonical_order(predicted, true, groups)
    return ConformalSet(tuple(predicted[i] for i in order), tuple(true[i] for i in order), tuple(numbers), phi)


def random_set(groups: int, images: int = 3, *, seed: int = 0) -> ConformalSet:
    rng = np.random.default_rng(seed)
    true = rng.integers(20, 200, groups * images)
    predicted = np.maximum(0, true + rng.integers(-9, 10, true.size))
    return conformal_set(predicted.tolist(), true.tolist(), np.repeat(np.arange(groups), images).tolist())


@pytest.mark.parametrize(
    ("groups", "level", "quantile"),
    [
        (9, 0.9, 0.717),
        (19, 0.9, 0.774),
        (40, 0.9, 0.817),
        (100, 0.9, 0.848),
        (19, 0.95, 0.854),
        (20, 0.95, 0.861),
        (40, 0.95, 0.887),
        (100, 0.95, 0.911),
        (400, 0.95, 0.931),
    ],
)
def test_one_calibration_in_twenty_covers_less_than_this(groups: int, level: float, quantile: float) -> None:
    assert coverage_quantile(groups, level) == pytest.approx(quantile, abs=0.0006)


def test_the_coverage_quantile_is_that_of_the_beta_distribution() -> None:
    from scipy.stats import beta

    for groups, level in ((4, 0.8), (37, 0.9), (1000, 0.95)):
        k = math.ceil((groups + 1) * Fraction(str(level)))
        assert coverage_quantile(groups, level) == pytest.approx(beta.ppf(0.05, k, groups + 1 - k), abs=1e-9)


@pytest.mark.parametrize(("level", "groups"), [(0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99)])
def test_below_the_least_number_of_groups_there_is_no_interval(level: float, groups: int) -> None:
    assert least_groups(level) == groups
    assert split_quantile([1.0] * (groups - 1), level) is None
    assert split_quantile([1.0] * groups, level) == 1.0
    assert hierarchical_quantile([1.0] * (groups - 1), range(groups - 1), level) is None
    assert hierarchical_quantile([1.0] * groups, range(groups), level) == 1.0
    assert random_set(groups - 1).rule(level).interval(50) is None
    assert random_set(groups).rule(level).interval(50) is not None
    with pytest.raises(ValueError, match=f"at least {groups} are needed"):
        coverage_quantile(groups - 1, level)


def test_tolerance_needs_59_groups_for_95_and_95_percent() -> None:
    assert tolerance_groups(0.95) == 59
    assert tolerance_groups(0.9) == 29
    assert random_set(58).tolerance_interval(50, 0.95) is None
    low, high = random_set(59).tolerance_interval(50, 0.95) or (50, 50)
    assert low < 50 < high


def test_the_scale_is_one_at_least_and_grows_with_the_count() -> None:
    assert count_scale([0, 1, 100], 0.0).tolist() == [1.0, 1.0, 10.0]
    assert count_scale([100], 0.1).tolist() == [math.sqrt(200.0)]


def test_phi_is_found_again() -> None:
    rng = np.random.default_rng(1)
    predicted = rng.integers(50, 500, 20_000)
    true = predicted + rng.normal(size=predicted.size) * count_scale(predicted, 0.2)
    assert estimate_phi(predicted, true) == pytest.approx(0.2, rel=0.05)
    assert estimate_phi([5, 7], [5, 7]) == 0.0
    assert estimate_phi([0, 0], [3, 1]) == 0.0


@pytest.mark.parametrize(
    ("predicted", "quantile", "ends"),
    [
        pytest.param(100, 0.0, (100, 100), id="no error seen"),
        pytest.param(100, 1.0, (90, 110), id="ends that are whole numbers belong to it"),
        pytest.param(100, 1.05, (90, 110), id="ends are cut inwards to whole numbers"),
        pytest.param(3, 4.0, (0, 9), id="never below no cell"),
        pytest.param(0, 2.5, (0, 2), id="zero cells"),
    ],
)
def test_ends_are_whole_numbers(predicted: int, quantile: float, ends: tuple[int, int]) -> None:
    assert integer_interval(predicted, quantile, 0.0) == ends


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.floats(0, 2))
def test_a_true_count_whose_score_is_the_quantile_lies_inside(predicted: int, true: int, phi: float) -> None:
    low, high = integer_interval(predicted, abs(true - predicted) / float(count_scale(predicted, phi)), phi)
    assert low <= true <= high


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 30)), min_size=1, max_size=40), st.sampled_from([0.8, 0.9]))
def test_the_hierarchical_quantile_is_the_smallest_that_weighs_enough(
    images: list[tuple[int, int]], level: float
) -> None:
    number = {group: i for i, group in enumerate(dict.fromkeys(group for group, _ in images))}
    groups, scores = [number[group] for group, _ in images], [float(score) for _, score in images]
    weights = [Fraction(1, (len(number) + 1) * groups.count(group)) for group in groups]

    def weight_up_to(t: float) -> Fraction:
        return sum((w for w, s in zip(weights, scores, strict=True) if s <= t), Fraction())

    enough = [t for t in sorted(scores) if weight_up_to(t) >= Fraction(str(level))]
    assert hierarchical_quantile(scores, groups, level) == (enough[0] if enough else None)


@given(st.permutations(range(24)), st.permutations(range(8)))
def test_neither_names_nor_order_draw_again(order: list[int], names: list[int]) -> None:
    rng = np.random.default_rng(5)
    predicted, true = rng.integers(0, 40, 24).tolist(), rng.integers(0, 40, 24).tolist()
    groups = [i // 3 for i in range(24)]
    renamed = [f"slide {names[i // 3]}" for i in order]
    again = conformal_set([predicted[i] for i in order], [true[i] for i in order], renamed)
    assert again == conformal_set(predicted, true, groups)
    assert again.drawn() == conformal_set(predicted, true, groups).drawn()


def test_one_image_is_drawn_from_each_group_and_each_place_alike() -> None:
    calibration = random_set(3000, 4)
    assert [calibration.groups[image] for image in calibration.drawn()] == list(range(3000))
    places = np.bincount([image % 4 for image in calibration.drawn()])
    assert np.abs(places - 750).max() < 4 * math.sqrt(750)


def test_with_40_groups_the_interval_becomes_the_hierarchical_one() -> None:
    few, many = random_set(39).rule(0.95), random_set(40).rule(0.95)
    assert (few.method, many.method) == ("one_per_group", "hierarchical")
    assert few.conservative_interval(80) is not None
    assert few.conservative_interval(80) != few.interval(80)
    assert many.conservative_interval(80) == many.interval(80)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("predicted", (1, 2), "equally many"),
        ("predicted", (-1, 2, 3), "negative"),
        ("phi", math.nan, "phi is nan"),
        ("phi", -0.1, "phi is -0.1"),
        ("groups", (0, 0, 2), "not numbered"),
        ("groups", (1, 1, 1), "not numbered"),
        ("predicted", (3, 2, 1), "canonical order"),
    ],
)
def test_a_set_that_does_not_hold_together_is_refused(field: str, value: object, message: str) -> None:
    good = ConformalSet((1, 2, 3), (1, 2, 3), (0, 1, 1), 0.1)
    with pytest.raises(ValueError, match=message):
        replace(good, **{field: value})  # type: ignore[arg-type] # of the field's type or worse


def test_the_formulas_need_no_scipy() -> None:
    code = (
        "import sys, cellmonai.measure.intervals.conformal_set;"
        "from cellmonai.measure.intervals.conformal import coverage_quantile;"
        "coverage_quantile(20, .95); sys.exit(any(m in sys.modules for m in ('scipy', 'skimage', 'torch', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def simulated_field(
    rng: np.random.Generator, groups: int, weights: np.ndarray, spread: float
) -> tuple[np.ndarray, np.ndarray]:
    """Features (groups, images, features) and counts: negative binomial (size 20) times a log-normal group effect."""
    features = rng.normal(size=(groups, IMAGES, weights.size))
    mean = np.exp(4.0 + features @ weights + spread * rng.normal(size=(groups, 1)))
    return features, rng.negative_binomial(20, 20 / (20 + mean))


def simulated_coverage(rng: np.random.Generator, groups: int, level: float) -> tuple[float, float]:
    """Coverage of both methods on 60 new groups, for a model fitted on 20 groups and calibrated on `groups` others."""
    weights = rng.normal(size=FEATURES) * 0.08
    features, true = simulated_field(rng, 20, weights, ERROR_SHARE)
    design = np.column_stack([np.ones(true.size), features.reshape(true.size, -1)])
    fitted = np.linalg.lstsq(design, np.log(true.ravel() + 0.5), rcond=None)[0]

    def predict(features: np.ndarray) -> np.ndarray:
        logs: np.ndarray = fitted[0] + features @ fitted[1:]
        counts: np.ndarray = np.rint(np.exp(logs)).astype(int)
        return counts

    features, true = simulated_field(rng, groups, weights, ERROR_SHARE)
    names = np.repeat(np.arange(groups), IMAGES).tolist()
    calibration = conformal_set(predict(features).ravel().tolist(), true.ravel().tolist(), names, phi=ERROR_SHARE)
    scores = calibration.scores()
    one = split_quantile([scores[image] for image in calibration.drawn()], level)
    features, true = simulated_field(rng, 60, weights, ERROR_SHARE)
    new = np.abs(true - predict(features)) / count_scale(predict(features), ERROR_SHARE)
    both = (one, hierarchical_quantile(scores, calibration.groups, level))
    return tuple(math.nan if q is None else float(np.mean(new <= q + 1e-9)) for q in both)  # type: ignore[return-value]


def check_coverage(groups: int, level: float, expected: tuple[float, float], *, studies: int) -> None:
    rng = np.random.default_rng(groups)
    covered = np.array([simulated_coverage(rng, groups, level) for _ in range(studies)])
    mean, error = covered.mean(axis=0), covered.std(axis=0) / math.sqrt(studies)
    print(f"K={groups} nominal {level}: one per group, HCP {mean.round(4)} +- {error.round(4)}")  # noqa: T201
    assert (mean > level - 3.5 * error).all()  # what is guaranteed
    assert mean[0] < level + 1 / (groups + 1) + 3.5 * error[0]
    assert np.abs(mean - expected).max() < 4 * error.max() + 0.004  # what was measured when the methods were chosen


CELLS = [
    (20, 0.95, (0.951, 0.991)),
    (40, 0.95, (0.951, 0.968)),
    (100, 0.95, (0.950, 0.957)),
    (20, 0.90, (0.905, 0.940)),
    (40, 0.90, (0.901, 0.921)),
    (100, 0.90, (0.900, 0.907)),
]


@pytest.mark.parametrize(("groups", "level", "expected"), CELLS)
def test_intervals_cover_what_they_promise(groups: int, level: float, expected: tuple[float, float]) -> None:
    check_coverage(groups, level, expected, studies=60)


@pytest.mark.long
@pytest.mark.parametrize(("groups", "level", "expected"), CELLS)
def test_intervals_cover_what_they_promise_in_2000_studies(
    groups: int, level: float, expected: tuple[float, float]
) -> None:
    check_coverage(groups, level, expected, studies=2000)


def test_nine_groups_give_no_interval_at_95_percent_and_one_at_90() -> None:
    rng = np.random.default_rng(9)
    assert all(np.isnan(simulated_coverage(rng, 9, 0.95)).all() for _ in range(20))
    assert not any(np.isnan(simulated_coverage(rng, 9, 0.9)).any() for _ in range(20))
