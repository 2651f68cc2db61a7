"""Intervals of summary measures by drawing images again, since cells of one image are not independent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cellmonai.measure.scores import ScoreTable


def bootstrap_intervals(
    table: ScoreTable, *, draws: int, seed: int, level: float = 0.95
) -> dict[str, tuple[float, float] | None]:
    """Give the percentile interval of every measure of `table.summary()`.

    Parameters
    ----------
    table : scores of at least two images for an interval to exist
    draws : how many times as many images as there are get drawn, with replacement; at least 1
    seed : the same seed gives the same intervals
    level : share of the draws between the two ends, in (0, 1)

    Returns
    -------
    dict
        (low, high) by measure; None where the measure itself is undefined, or with fewer than two images. Draws in
        which a measure is undefined are left out of its interval.

    References
    ----------
    Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13 (percentile intervals).
    """
    if draws < 1 or not 0.0 < level < 1.0:
        raise ValueError(f"draws is {draws} and level {level}, expected at least 1 and a number in (0, 1)")
    values = table.summary()
    if len(table) < 2:
        return dict.fromkeys(values)
    generator = np.random.default_rng(seed)
    drawn = [table.take(generator.integers(len(table), size=len(table))).summary() for _ in range(draws)]
    return {
        name: None if value is None else _interval([draw[name] for draw in drawn], level)
        for name, value in values.items()
    }


def _interval(drawn: list[float | None], level: float) -> tuple[float, float] | None:
    defined = [value for value in drawn if value is not None]
    if not defined:
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
