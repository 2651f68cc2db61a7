"""The betting interval: equal to its definition, and covering whatever the errors are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmonai.measure.audits.betting import betting_interval
from cellmonai.measure.audits.estimates import StratumSample, guaranteed_interval

UNITS = 1000
MEAN_COUNT = 40


def by_definition(errors: list[float], units: int, bound: float, planned: int) -> tuple[float, float]:
    """Walk through all candidates and all steps, as the formulas are written down."""
    alpha, step, kept = 0.05, 2 * bound / 800, []
    x = [(d + bound) / (2 * bound) for d in errors]
    for k in range(801):
        m, up, down, total, squares, mean_sum, possible = k / 800, 0.0, 0.0, 0.0, 0.25, 0.5, True
        variance = 0.25
        for i, xi in enumerate(x, start=1):
            mi = (units * m - total) / (units - i + 1)
            if not -1e-9 <= mi <= 1 + 1e-9:
                possible = False
                break
            bet = math.sqrt(2 * math.log(2 / alpha) / (planned * variance))
            up += math.log(1 + min(bet, 0.95 / max(mi, 1e-300)) * (xi - mi))
            down += math.log(1 - min(bet, 0.95 / max(1 - mi, 1e-300)) * (xi - mi))
            if max(up, down) + math.log(0.5) >= math.log(1 / alpha):
                possible = False
                break
            total += xi
            mean_sum += xi
            squares += (xi - mean_sum / (i + 1)) ** 2
            variance = squares / (i + 1)
        if possible:
            kept.append(units * (2 * bound * m - bound))
    low, high = kept[0] - units * step, kept[-1] + units * step
    unseen = bound * (units - len(errors))
    return max(low, sum(errors) - unseen, -units * bound), min(high, sum(errors) + unseen, units * bound)


@given(
    st.lists(st.integers(-10, 10), min_size=1, max_size=40),
    st.integers(0, 200),
    st.sampled_from([10.0, 13.0, 60.0]),
    st.integers(0, 20),
)
def test_bisection_finds_the_ends_that_the_whole_grid_has(
    errors: list[int], more_units: int, bound: float, more_planned: int
) -> None:
    units = len(errors) + more_units
    planned = min(len(errors) + more_planned, units)
    try:
        expected = by_definition([float(d) for d in errors], units, bound, planned)
    except IndexError:  # nothing is kept, which happens in fewer than 5 % of samples: then the ends swap
        return
    found = betting_interval(errors, units=units, bound=bound, planned=planned)
    assert found == pytest.approx(expected, abs=1e-6 * units * bound)


@given(st.lists(st.integers(-7, 7), min_size=1, max_size=60))
def test_counting_every_unit_gives_the_exact_sum(errors: list[int]) -> None:
    low, high = betting_interval(errors, units=len(errors), bound=7)
    assert low == high == sum(errors)


@given(st.lists(st.integers(-5, 5), max_size=30), st.integers(1, 100))
def test_turning_the_signs_turns_the_interval(errors: list[int], more_units: int) -> None:
    low, high = betting_interval(errors, units=len(errors) + more_units, bound=5)
    turned = betting_interval([-d for d in errors], units=len(errors) + more_units, bound=5)
    assert turned == pytest.approx((-high, -low), abs=1e-6)


def test_nothing_counted_leaves_all_that_the_bound_allows() -> None:
    assert betting_interval([], units=20, bound=3) == (-60, 60)


def test_no_error_seen_still_has_a_width() -> None:
    low, high = betting_interval(np.zeros(30), units=UNITS, bound=10)
    assert high == pytest.approx(1262.5, abs=26)
    assert low == -high


def test_a_greater_bound_makes_the_interval_as_much_wider() -> None:
    narrow = betting_interval(np.zeros(30), units=UNITS, bound=10)
    wide = betting_interval(np.zeros(30), units=UNITS, bound=60)
    assert wide == pytest.approx(tuple(6 * end for end in narrow))


def test_stopping_early_is_as_if_the_others_had_not_been_drawn_yet() -> None:
    errors = np.random.default_rng(3).integers(-2, 3, 60)
    stopped = betting_interval(errors[:40], units=UNITS, bound=10, planned=60)
    finished = betting_interval(errors, units=UNITS, bound=10, planned=60)
    assert stopped[0] <= finished[0] <= finished[1] <= stopped[1]  # the capital of a gambler is never forgotten


@pytest.mark.parametrize(
    ("errors", "settings"),
    [
        pytest.param([11], {"units": 5, "bound": 10}, id="beyond the bound"),
        pytest.param([math.nan], {"units": 5, "bound": 10}, id="no number"),
        pytest.param([1, 1], {"units": 1, "bound": 10}, id="more errors than units"),
        pytest.param([1, 1], {"units": 5, "bound": 10, "planned": 1}, id="more errors than planned"),
        pytest.param([0], {"units": 5, "bound": 0}, id="no bound"),
        pytest.param([0], {"units": 5, "bound": 10, "level": 1.0}, id="certainty"),
    ],
)
def test_what_cannot_be_is_refused(errors: list[float], settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"expected|voids"):
        betting_interval(errors, **settings)  # type: ignore[arg-type] # numbers of the table above


# half-widths of reliability tables for 1,000 units, bound 10, errors of 1 to 5 cells in 5 % and 30 % of the units
HALF_WIDTHS = {30: (1262, 1412), 60: (650, 800), 100: (412, 562), 200: (213, 350)}


@pytest.mark.parametrize("counted", HALF_WIDTHS)
def test_half_widths_are_those_of_the_design(counted: int) -> None:
    random = np.random.default_rng(counted)
    for share, expected in zip((0.05, 0.3), HALF_WIDTHS[counted], strict=True):
        widths = []
        for _ in range(40):
            sample = random.permutation(wrong_by(random, share, 5))[:counted]
            low, high = betting_interval(sample, units=UNITS, bound=10)
            widths.append((high - low) / 2)
        assert 0.85 * expected <= np.median(widths) <= 1.07 * expected


def wrong_by(random: np.random.Generator, share: float, most: int) -> np.ndarray:
    """Give errors of 1 to `most` cells, either sign, in a share of the units."""
    wrong = random.random(UNITS) < share
    return wrong * random.integers(1, most + 1, UNITS) * random.choice([-1, 1], UNITS)


def missing(random: np.random.Generator, share: float) -> np.ndarray:
    return np.where(random.random(UNITS) < share, -np.minimum(random.geometric(0.3, UNITS), 60), 0)


def losing(random: np.random.Generator, share: float, lost: np.ndarray) -> np.ndarray:
    return np.where(random.random(UNITS) < share, -np.minimum(lost, 60), 0)


SCENARIOS = {
    "1 % wrong by 1 to 3": lambda r: wrong_by(r, 0.01, 3),
    "5 % wrong": lambda r: wrong_by(r, 0.05, 3),
    "10 % wrong": lambda r: wrong_by(r, 0.10, 3),
    "30 % wrong": lambda r: wrong_by(r, 0.30, 3),
    "10 %, always misses": lambda r: missing(r, 0.10),
    "3 % lose 20 to 60": lambda r: losing(r, 0.03, r.integers(20, 61, UNITS)),
    "5 % lose half": lambda r: losing(r, 0.05, r.poisson(MEAN_COUNT, UNITS) // 2),
    "all noisy": lambda r: np.clip(np.rint(r.normal(1, 3, UNITS)), -60, 60),
}
HARD = {  # errors at the bound itself are the worst for any method
    "5 % at the bound": (lambda r: 10 * (r.random(UNITS) < 0.05), 10),
    "20 % at the bound": (lambda r: 10 * (r.random(UNITS) < 0.20), 10),
    "bound, either sign": (lambda r: 10 * r.choice([-1, 1], UNITS), 10),
}
EVERY = {name: (make, 60) for name, make in SCENARIOS.items()} | HARD


def coverage(name: str, counted: int, draws: int) -> float:
    """Give the share of samples, each of a new population, whose interval holds the true sum."""
    make, bound = EVERY[name]
    random = np.random.default_rng([counted, draws, *name.encode()])
    covered = 0
    for _ in range(draws):
        errors = random.permutation(make(random)).astype(np.float64)
        low, high = betting_interval(errors[:counted], units=UNITS, bound=bound)
        covered += low <= errors.sum() <= high
    return covered / draws


@pytest.mark.parametrize("counted", [30, 100])
@pytest.mark.parametrize("name", EVERY)
def test_the_interval_covers_whatever_the_errors_are(name: str, counted: int) -> None:
    assert coverage(name, counted, 200) >= 0.95


@pytest.mark.long
@pytest.mark.parametrize("counted", [30, 60, 100, 200])
@pytest.mark.parametrize("name", EVERY)
def test_the_interval_covers_in_two_thousand_samples(name: str, counted: int) -> None:
    assert coverage(name, counted, 2000) >= 0.95


def test_strata_share_the_risk_and_cover_together() -> None:
    random = np.random.default_rng(8)
    covered = 0
    for _ in range(200):
        parts = [wrong_by(random, share, 3)[:units] for share, units in ((0.02, 700), (0.2, 300))]
        strata = [
            StratumSample(part.size, 30, bound, part[:30].astype(np.float64))
            for part, bound in zip(parts, (5, 10), strict=True)
        ]
        ends = guaranteed_interval(strata)
        assert ends is not None
        covered += ends[0] <= sum(part.sum() for part in parts) <= ends[1]
    assert covered / 200 >= 0.95
