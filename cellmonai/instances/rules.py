"""Merge rules: when two touching basins are one cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.instances import compiled
from cellmonai.instances.heights import HEIGHT_PER_PX
from cellmonai.instances.pair_score import LEARNED_WEIGHTS, PairScore, median_area_px
from cellmonai.instances.regions import IS_SEED, PEAK_HEIGHT
from cellmonai.instances.unite import find_root, follow_to_roots
from cellmonai.kernels.library import library

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.instances.basins import Edges


@dataclass(frozen=True, slots=True)
class PersistenceRule:
    """Two basins are one cell when the lower peak hardly rises above the saddle.

    They are united where (lower peak - saddle) ≤ max(h_px, r · lower peak); the higher peak survives. The peak is about
    the radius of the cell, so that `r` adapts to its size, and `h_px` covers the pixel grid's own roughness.

    Parameters
    ----------
    h_px : absolute persistence, px
    r : persistence as a fraction of the lower peak, in [0, 1]
    """

    h_px: float = 0.15
    r: float = 0.05


@dataclass(frozen=True, slots=True)
class MarkerRule:
    """Two basins are two cells when each holds a seed, as in the usual peak finding and watershed.

    Parameters
    ----------
    min_distance_px : a peak is a seed when it is the greatest pixel within this many rows and columns
    """

    min_distance_px: int = 5


@dataclass(frozen=True, slots=True)
class LearnedRule:
    """Two sides of a saddle are one cell when a score of their shapes, fitted on annotated nuclei, is above 0.

    All features are free of scale: lengths relative to the peaks, areas relative to the median cell of the image.

    Parameters
    ----------
    weights : one per feature of `pair_score.FEATURES`
    """

    weights: tuple[float, ...] = LEARNED_WEIGHTS


@dataclass(frozen=True, slots=True)
class NoSplit:
    """Whatever touches, also across a corner, is one cell."""


Rule = PersistenceRule | MarkerRule | LearnedRule | NoSplit

AUTO = PersistenceRule()
"""The default rule: of all settings tried, the lowest count error on the DSB2018 nuclei."""


def unite_basins(
    table: NDArray[np.int64], edges: Edges, rule: PersistenceRule | MarkerRule | LearnedRule, *, columns: int
) -> NDArray[np.intp]:
    """Walk the edges from the highest saddle down and unite what the rule takes for one cell.

    Parameters
    ----------
    table : int64, shape (N, COLUMNS), basins in raster order of their peaks, see `regions`
    edges : touching basins with their saddles; equal saddles are taken in order of (low, high)
    rule : when two basins are one cell
    columns : width of the image

    Returns
    -------
    intp, shape (N,), the basin that stands for each basin's cell
    """
    if isinstance(rule, MarkerRule):
        return _unite_unless_two_seeds(table[:, IS_SEED] > 0, edges)
    if isinstance(rule, PersistenceRule):
        return _unite_shallow(np.ascontiguousarray(table[:, PEAK_HEIGHT]), edges, rule)
    auto = _unite_shallow(np.ascontiguousarray(table[:, PEAK_HEIGHT]), edges, AUTO)
    score = PairScore(rule.weights, median_area_px(table, auto), columns)
    return _unite_by_score(table, edges, score)


def falling(edges: Edges, undecided: NDArray[np.bool_] | None = None) -> tuple[NDArray[np.int64], ...]:
    """Give the edges that may still unite their basins as (low, high, saddle), from the highest saddle down."""
    columns = (edges.low, edges.high, edges.saddle)
    low, high, saddle = columns if undecided is None else (column[undecided] for column in columns)
    order = np.lexsort((high, low, -saddle))
    return tuple(np.ascontiguousarray(column[order]) for column in (low, high, saddle))


def _unite_shallow(peak: NDArray[np.int64], edges: Edges, rule: PersistenceRule) -> NDArray[np.intp]:
    least, share = float(rule.h_px * HEIGHT_PER_PX), float(rule.r)
    lower_peak = np.minimum(peak[edges.low], peak[edges.high])
    # peaks only grow while basins unite, so what is too persistent now stays so
    low, high, saddle = falling(edges, lower_peak - edges.saddle <= np.maximum(least, share * lower_peak))
    kernels = library()
    if kernels is not None:
        return compiled.unite(kernels, "shallow", peak.size, peak, low.size, low, high, saddle, least, share)
    root, height = list(range(peak.size)), peak.tolist()
    for first, second, level in zip(low.tolist(), high.tolist(), saddle.tolist(), strict=True):
        higher, lower = find_root(root, first), find_root(root, second)
        if higher == lower:
            continue
        if height[lower] > height[higher] or (height[lower] == height[higher] and lower < higher):
            higher, lower = lower, higher
        if height[lower] - level <= max(least, share * height[lower]):
            root[lower] = higher
    return follow_to_roots(np.array(root, np.intp))


def _unite_unless_two_seeds(is_seed: NDArray[np.bool_], edges: Edges) -> NDArray[np.intp]:
    low, high, _ = falling(edges, ~(is_seed[edges.low] & is_seed[edges.high]))
    kernels = library()
    if kernels is not None:
        return compiled.unite(kernels, "seeds", is_seed.size, is_seed.astype(np.uint8), low.size, low, high)
    root, seeded = list(range(is_seed.size)), is_seed.tolist()
    for first, second in zip(low.tolist(), high.tolist(), strict=True):
        one, other = find_root(root, first), find_root(root, second)
        if one != other and not (seeded[one] and seeded[other]):
            root[other] = one
            seeded[one] = seeded[one] or seeded[other]
    return follow_to_roots(np.array(root, np.intp))


def _unite_by_score(table: NDArray[np.int64], edges: Edges, score: PairScore) -> NDArray[np.intp]:
    low, high, saddle = falling(edges)
    sums, weights = table.copy(), np.array(score.weights, np.float64)
    unit, kernels = float(HEIGHT_PER_PX), library()
    if kernels is not None:
        last = (score.columns, unit, float(score.median_area_px), weights)
        return compiled.unite(kernels, "learned", len(sums), sums, low.size, low, high, saddle, *last)
    root, rows = list(range(len(sums))), sums.tolist()
    for first, second, level in zip(low.tolist(), high.tolist(), saddle.tolist(), strict=True):
        higher, lower = find_root(root, first), find_root(root, second)
        if higher == lower:
            continue
        one, other = rows[higher], rows[lower]
        if other[PEAK_HEIGHT] > one[PEAK_HEIGHT] or (other[PEAK_HEIGHT] == one[PEAK_HEIGHT] and lower < higher):
            higher, lower, one, other = lower, higher, other, one
        if score(one, other, level) > 0.0:
            score.add(one, other)
            root[lower] = higher
    return follow_to_roots(np.array(root, np.intp))
