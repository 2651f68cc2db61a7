"""Totals from audited units: estimates, the normal interval, how many may be wrong, and how many to count."""

from __future__ import annotations

import time
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmonai.measure.audits.estimates import (
    StratumSample,
    estimated_error,
    guaranteed_interval,
    hypergeometric_bound,
    most_wrong_units,
    normal_interval,
)
from cellmonai.measure.audits.size import betting_sample_size, neyman_allocation, normal_sample_size, units_to_see


def sample(errors: list[float], *, units: int, bound: float = 10) -> StratumSample:
    return StratumSample(units, len(errors), bound, np.array(errors, np.float64))


def test_the_error_of_all_units_is_the_mean_error_times_their_number() -> None:
    assert estimated_error([sample([0, 1, 2], units=30)]) == 30.0
    assert estimated_error([sample([0, 1, 2], units=30), sample([-1, -1], units=5)]) == 25.0


def test_a_stratum_without_a_count_has_no_estimate() -> None:
    strata = [sample([1], units=3), sample([], units=3)]
    assert (estimated_error(strata), normal_interval(strata)) == (None, None)


def test_the_estimate_has_no_bias_over_all_samples() -> None:
    errors = np.array([0, 0, 5, -1, 2], np.float64)
    pairs = [(i, j) for i in range(5) for j in range(i)]
    estimates = [estimated_error([sample([errors[i], errors[j]], units=5)]) for i, j in pairs]
    assert np.mean([e for e in estimates if e is not None]) == pytest.approx(errors.sum())


def test_the_normal_interval_is_the_textbook_one() -> None:
    # d = 0, 2, 4 of N = 12: mean 2, s² = 4, variance 12² (1 - 3/12) 4/3 = 144, t(2, 97.5 %) = 4.3027
    low, high = normal_interval([sample([0, 2, 4], units=12)]) or (0.0, 0.0)
    assert (low, high) == pytest.approx((24 - 12 * 4.302653, 24 + 12 * 4.302653), abs=1e-4)


def test_the_normal_interval_has_no_width_when_no_error_was_seen() -> None:
    assert normal_interval([sample([0] * 30, units=1000)]) == (0.0, 0.0)


def test_strata_counted_whole_lend_no_degrees_of_freedom() -> None:
    part, whole = sample([0, 2, 4], units=12), sample([1] * 50, units=50)
    low, high = normal_interval([part]) or (0.0, 0.0)
    assert normal_interval([part, whole]) == pytest.approx((low + 50, high + 50))


def test_one_unit_of_many_has_no_normal_interval() -> None:
    assert normal_interval([sample([1], units=9)]) is None
    assert normal_interval([sample([1], units=1)]) == (1.0, 1.0)


def test_an_error_beyond_the_bound_voids_the_interval() -> None:
    assert guaranteed_interval([sample([0, 11], units=100)]) is None
    assert guaranteed_interval([sample([0, 10], units=100), sample([3, 4], units=9, bound=3)]) is None


@pytest.mark.parametrize(("drawn", "most"), [(30, 93), (60, 47), (100, 28), (200, 13)])
def test_no_error_seen_is_not_no_error(drawn: int, most: int) -> None:
    assert hypergeometric_bound(1000, drawn, 0) == most
    assert most_wrong_units([sample([0] * drawn, units=1000)]) == most


@given(st.integers(1, 40), st.data())
def test_the_bound_on_wrong_units_is_exact(units: int, data: st.DataObject) -> None:
    drawn = data.draw(st.integers(0, units))
    wrong = data.draw(st.integers(0, drawn))

    def chance(in_all: int) -> float:
        return sum(
            comb(in_all, seen) * comb(units - in_all, drawn - seen) for seen in range(min(wrong, in_all) + 1)
        ) / comb(units, drawn)

    possible = [m for m in range(wrong, units - (drawn - wrong) + 1) if chance(m) > 0.05]
    assert hypergeometric_bound(units, drawn, wrong) == max(possible)


def test_sample_sizes_follow_the_formulas() -> None:
    # n0 = (1.96 · 1000 · 2 / 400)² = 96.04; n = 96.04 / 1.09604 = 87.6
    assert normal_sample_size(2.0, units=1000, half_width=400) == 88
    assert normal_sample_size(0.0, units=1000, half_width=400) == 2
    assert normal_sample_size(99.0, units=50, half_width=1) == 50
    assert [units_to_see(share) for share in (0.1, 0.05, 0.01)] == [29, 59, 299]


def test_strata_get_what_their_size_and_spread_ask_for() -> None:
    assert neyman_allocation([100, 100], [1, 3], 40) == (10, 30)
    assert neyman_allocation([100, 300], [2, 2], 40) == (10, 30)


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 9)), min_size=1, max_size=5), st.data())
def test_no_stratum_is_left_out(strata: list[tuple[int, float]], data: st.DataObject) -> None:
    units, spreads = [n for n, _ in strata], [s for _, s in strata]
    total = data.draw(st.integers(sum(min(2, n) for n in units), sum(units)))
    shares = neyman_allocation(units, spreads, total)
    assert sum(shares) == total
    assert all(min(2, n) <= share <= n for n, share in zip(units, shares, strict=True))


def test_more_units_are_asked_for_a_narrower_interval() -> None:
    pilot = [sample([0] * 27 + [1, -1, -2], units=1000)]
    wide, narrow = (betting_sample_size(pilot, half_width=width) for width in (1300, 400))
    assert 25 <= wide <= 35
    assert 90 <= narrow <= 115


@pytest.mark.parametrize("half_width", [200_000, 40_000, 8_000])
def test_planning_for_a_slide_of_many_tiles_takes_a_moment(half_width: float) -> None:
    pilot = [sample([0] * 55 + [1, -1, -2, 5, 3], units=200_000)]
    start = time.process_time()
    size = betting_sample_size(pilot, half_width=half_width)
    assert time.process_time() - start < 30
    assert 30 < size < 100_000


def test_the_normal_sample_size_follows_the_level() -> None:
    # n0 = (1.2816 · 1000 · 2 / 400)² = 41.06; n = 41.06 / 1.04106 = 39.4
    assert normal_sample_size(2.0, units=1000, half_width=400, level=0.8) == 40


def test_a_sample_as_large_as_asked_for_keeps_the_wish() -> None:
    pilot = [sample([0] * 20 + [2, -1], units=400), sample([0, 0, 3], units=60, bound=25)]
    size = betting_sample_size(pilot, half_width=500)
    random = np.random.default_rng(5)
    shares = [round(size * s.planned / 25) for s in pilot]
    strata = [
        StratumSample(s.units, n, s.bound, random.choice(s.errors, n)) for s, n in zip(pilot, shares, strict=True)
    ]
    low, high = guaranteed_interval(strata) or (0.0, 0.0)
    assert (high - low) / 2 <= 500 * 1.1


@pytest.mark.parametrize("call", [lambda: normal_sample_size(1, units=9, half_width=0), lambda: units_to_see(0)])
def test_impossible_wishes_are_refused(call: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        call()  # type: ignore[operator]


def test_a_sample_larger_than_its_stratum_is_refused() -> None:
    with pytest.raises(ValueError, match="rising"):
        sample([0, 0], units=1)


def test_a_stratum_counted_whole_is_known_whatever_its_bound() -> None:
    whole = StratumSample(units=3, planned=3, bound=10, errors=np.array([33.0, 0.0, -1.0]))
    assert guaranteed_interval([whole]) == (32.0, 32.0)
    part = StratumSample(units=300, planned=30, bound=10, errors=np.zeros(30))
    ends, alone = guaranteed_interval([whole, part]), guaranteed_interval([part])
    assert ends is not None
    assert alone is not None
    assert ends[0] < 32 < ends[1]
    assert ends[1] - ends[0] >= alone[1] - alone[0]
