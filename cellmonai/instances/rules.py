"""Merge rules: when two touching basins are one cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.instances.heights import HEIGHT_PER_PX
from cellmonai.instances.unite import follow_to_roots

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.instances.basins import Edges
    from cellmonai.instances.heights import HeightStrip


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
class NoSplit:
    """Whatever touches, also across a corner, is one cell."""


Rule = PersistenceRule | MarkerRule | NoSplit

AUTO = PersistenceRule()
"""The default rule: of all settings tried, the lowest count error on the DSB2018 nuclei."""


def greatest_in_window(
    strip: HeightStrip, row: NDArray[np.intp], column: NDArray[np.intp], distance_px: int
) -> NDArray[np.bool_]:
    """Tell which of some pixels are the greatest of the square window around them.

    Parameters
    ----------
    strip : heights with a margin of at least `distance_px`
    row, column : intp, pixels of the strip
    distance_px : half the window's width, rounded down; 0 asks for no seeds and gives False for all
    """
    greatest = np.full(row.size, distance_px > 0)
    centre = strip.heights[row + strip.margin, column + strip.margin]
    for down in range(-distance_px, distance_px + 1):
        for right in range(-distance_px, distance_px + 1):
            other = strip.heights[row + (strip.margin + down), column + (strip.margin + right)]
            # of equally high pixels the earlier one in raster order is greater
            greatest &= (other < centre) if (down, right) < (0, 0) else (other <= centre)
    return greatest


def unite_basins(
    peak_height: NDArray[np.int64], is_seed: NDArray[np.bool_], edges: Edges, rule: PersistenceRule | MarkerRule
) -> NDArray[np.intp]:
    """Walk the edges from the highest saddle down and unite what the rule takes for one cell.

    Parameters
    ----------
    peak_height : int64, shape (N,), basins in raster order of their peaks
    is_seed : bool, shape (N,), used by the marker rule
    edges : touching basins with their saddles; equal saddles are taken in order of (low, high)
    rule : when two basins are one cell

    Returns
    -------
    intp, shape (N,), the basin that stands for each basin's cell
    """
    if isinstance(rule, MarkerRule):
        return _unite_unless_two_seeds(is_seed, _open_edges(edges, ~(is_seed[edges.low] & is_seed[edges.high])))
    lower_peak = np.minimum(peak_height[edges.low], peak_height[edges.high])
    allowed = np.maximum(rule.h_px * HEIGHT_PER_PX, rule.r * lower_peak)
    # peaks only grow while basins unite, so what is too persistent now stays so
    return _unite_shallow(peak_height, _open_edges(edges, lower_peak - edges.saddle <= allowed), rule)


def _open_edges(edges: Edges, undecided: NDArray[np.bool_]) -> tuple[list[int], list[int], list[int]]:
    """Give the edges that may still unite their basins, from the highest saddle down, as lists for a quick loop."""
    low, high, saddle = edges.low[undecided], edges.high[undecided], edges.saddle[undecided]
    order = np.lexsort((high, low, -saddle))
    return low[order].tolist(), high[order].tolist(), saddle[order].tolist()


def _unite_shallow(
    peak_height: NDArray[np.int64], edges: tuple[list[int], list[int], list[int]], rule: PersistenceRule
) -> NDArray[np.intp]:
    root, peak = list(range(peak_height.size)), peak_height.tolist()
    least, share = rule.h_px * HEIGHT_PER_PX, rule.r
    for first, second, saddle in zip(*edges, strict=True):
        higher, lower = _find(root, first), _find(root, second)
        if higher == lower:
            continue
        if peak[lower] > peak[higher] or (peak[lower] == peak[higher] and lower < higher):
            higher, lower = lower, higher
        if peak[lower] - saddle <= max(least, share * peak[lower]):
            root[lower] = higher
    return follow_to_roots(np.array(root, np.intp))


def _unite_unless_two_seeds(
    is_seed: NDArray[np.bool_], edges: tuple[list[int], list[int], list[int]]
) -> NDArray[np.intp]:
    root, seeded = list(range(is_seed.size)), is_seed.tolist()
    for first, second, _ in zip(*edges, strict=True):
        one, other = _find(root, first), _find(root, second)
        if one != other and not (seeded[one] and seeded[other]):
            root[other] = one
            seeded[one] = seeded[one] or seeded[other]
    return follow_to_roots(np.array(root, np.intp))


def _find(root: list[int], member: int) -> int:
    """Give the root of a member's set, halving the path on the way."""
    while root[member] != member:
        root[member] = root[root[member]]
        member = root[member]
    return member
