"""Intervals for the count of one image that hold for new groups: split conformal prediction over groups.

A group is what is independent of other groups: an animal, a donor, a slide, a plate, a day. Images of one group share
errors, so what counts for an interval is how many groups were calibrated, not how many images.

References
----------
Lei, G'Sell, Rinaldo, Tibshirani and Wasserman 2018, Distribution-free predictive inference for regression, JASA 113
(split conformal). Dunn, Wasserman and Ramdas 2023, Distribution-free prediction sets for two-layer hierarchical models,
JASA 118 (one image per group). Lee, Barber and Willett 2023, Distribution-free inference with hierarchical data,
arXiv 2306.06342 (all images, weighted). Vovk 2012, Conditional validity of inductive conformal predictors (Beta law of
the coverage that one calibration set gives).
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

LEVELS = (0.8, 0.9, 0.95)
"""The levels that intervals are given for."""

_ROUNDING = 1e-9  # relative; keeps a true count that lies on an end inside when floating point would drop it


def count_scale(predicted: ArrayLike, phi: float) -> NDArray[np.float64]:
    """Give the expected size of a count's error, max(1, √(ŷ + φ²ŷ²)), the unit in which scores are measured."""
    counts = np.asarray(predicted, np.float64)
    scale: NDArray[np.float64] = np.maximum(1.0, np.sqrt(counts + (phi * counts) ** 2))
    return scale


def estimate_phi(predicted: ArrayLike, true: ArrayLike) -> float:
    """Give φ, the part of the error that grows with the count, by moments: E(y - ŷ)² = ŷ + φ²ŷ².

    To be called on images of training and validation groups; φ from calibration groups would void the interval. It
    only shapes the interval: any φ that was fixed beforehand keeps it valid.
    """
    counts, truth = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    squares = float(np.sum(counts**2))
    excess = float(np.sum((truth - counts) ** 2 - counts))
    return math.sqrt(max(0.0, excess / squares)) if squares else 0.0


def least_groups(level: float) -> int:
    """Give the smallest number of groups with a finite interval: 4 for 80 %, 9 for 90 %, 19 for 95 %."""
    return math.ceil(1 / (1 - _exact(level))) - 1


def tolerance_groups(level: float, *, sure: float = 0.95) -> int:
    """Give the groups from which the largest score covers `level` with certainty `sure`: 59 for 95 % and 95 %."""
    return math.ceil(math.log(1 - sure) / math.log(level))


def rank(groups: int, level: float) -> int:
    """Give k = ⌈(n + 1) level⌉, the rank of the score that bounds the interval; above n there is none."""
    return math.ceil((groups + 1) * _exact(level))


def split_quantile(scores: Sequence[float], level: float) -> float | None:
    """Give the score of that rank among one score per group; None with too few groups."""
    k = rank(len(scores), level)
    return sorted(scores)[k - 1] if k <= len(scores) else None


def hierarchical_quantile(scores: Sequence[float], groups: Sequence[int], level: float) -> float | None:
    """Give the smallest t with Σ_g Σ_i 1{s_gi ≤ t} / ((K + 1) N_g) ≥ level; None with too few groups.

    Parameters
    ----------
    scores : one per image
    groups : the group of each image, 0 … K - 1
    """
    sizes = np.bincount(groups).tolist()
    common = math.lcm(*sizes)
    wanted = _exact(level)
    target = wanted.numerator * (len(sizes) + 1) * common
    reached = 0
    for score, group in sorted(zip(scores, groups, strict=True)):  # whole numbers: the sum may equal the level exactly
        reached += common // sizes[group] * wanted.denominator
        if reached >= target:
            return score
    return None


def integer_interval(predicted: int, quantile: float, phi: float) -> tuple[int, int]:
    """Give the whole numbers within `quantile` scales of a predicted count; a count is whole, so this loses nothing."""
    reach = quantile * float(count_scale(predicted, phi))
    slack = _ROUNDING * max(1.0, predicted + reach)
    return max(0, math.ceil(predicted - reach - slack)), math.floor(predicted + reach + slack)


def coverage_quantile(groups: int, level: float, *, share: float = 0.05) -> float:
    """Give the coverage that `share` of all calibration sets with so many groups fall below.

    Given its calibration set, a split conformal interval covers with a probability that is distributed as
    Beta(k, n + 1 - k); with 20 groups at 95 %, one study in 20 has a true coverage below 0.861.

    Raises
    ------
    ValueError
        There is no finite interval with so few groups.
    """
    k = rank(groups, level)
    if k > groups:
        raise ValueError(f"no interval at {level} with {groups} groups, at least {least_groups(level)} are needed")
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _binomial_tail(groups, middle, k) < share else (low, middle)
    return (low + high) / 2


def _binomial_tail(trials: int, chance: float, least: int) -> float:
    """P(X ≥ least) of a binomial X, which is the distribution function of Beta(least, trials + 1 - least)."""
    hits = np.arange(least, trials + 1)
    ways = math.lgamma(trials + 1) - np.array([math.lgamma(i + 1) + math.lgamma(trials - i + 1) for i in hits.tolist()])
    return float(np.exp(ways + hits * math.log(chance) + (trials - hits) * math.log1p(-chance)).sum())


def _exact(level: float) -> Fraction:
    """0.95 as 19/20: 20 groups times the binary 0.95 may lie a hair above 19 and would ask for one more group."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is {level}, expected a number in (0, 1)")
    return Fraction(str(float(level)))
