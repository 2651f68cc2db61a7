"""Cells matched by the distance of their centres, as the counting literature does, and the scores that follow.

How a match is defined moves the scores: three rules are here, each named, with the radius as an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from cellmonai.images.labels import in_raster_order
from cellmonai.measure.matching import MatchCounts

if TYPE_CHECKING:
    from numpy.typing import NDArray

CentreRule = Literal["optimal", "greedy", "proximity"]


@dataclass(frozen=True, slots=True)
class CentreMatches:
    """The matched centres of one image.

    Parameters
    ----------
    counts : TP, FP, FN; no IoU
    pairs : int64, shape (TP, 2), predicted and true index; empty under `proximity`, which does not pair
    """

    counts: MatchCounts
    pairs: NDArray[np.int64]


def box_centres(labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Give the centre of every label's bounding box as the literature rounds it: start + (stop - start) // 2.

    Parameters
    ----------
    labels : integer, shape (Y, X); 0 is background

    Returns
    -------
    int64, shape (N, 2), row and column, by ascending label
    """
    from scipy.ndimage import find_objects

    boxes = [box for box in find_objects(labels) if box is not None]
    centres = [[axis.start + (axis.stop - axis.start) // 2 for axis in box] for box in boxes]
    return np.array(centres, np.int64).reshape(-1, 2)


def centroids(labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """Give the mean place of every label's pixels, which are at whole numbers.

    Parameters
    ----------
    labels : integer, shape (Y, X); 0 is background, and a label may lie in several pieces

    Returns
    -------
    float64, shape (N, 2), row and column in px, by ascending label
    """
    places = np.nonzero(labels)
    index = np.unique(labels[places], return_inverse=True)[1]
    area = np.bincount(index)
    return np.stack([np.bincount(index, weights=axis) / area for axis in places], axis=1)


def match_label_centres(
    predicted_labels: NDArray[np.integer],
    true_labels: NDArray[np.integer],
    *,
    radius_px: float,
    rule: CentreRule = "optimal",
) -> CentreMatches:
    """Match the instances of two label images by their centres.

    Parameters
    ----------
    predicted_labels, true_labels : integer, shape (Y, X); 0 is background
    radius_px : as for `match_centres`
    rule : `greedy` takes the centres of bounding boxes, as published; the other rules take centroids

    Returns
    -------
    counts and pairs; an instance's index is its rank by first pixel in raster order, so that also the result of
    `greedy` does not depend on how a file numbers its cells
    """
    centres_of = box_centres if rule == "greedy" else centroids
    predicted, true = (centres_of(in_raster_order(labels)) for labels in (predicted_labels, true_labels))
    return match_centres(predicted, true, radius_px=radius_px, rule=rule)


def match_centres(
    predicted: NDArray[np.number], true: NDArray[np.number], *, radius_px: float, rule: CentreRule = "optimal"
) -> CentreMatches:
    """Match predicted to true centres that are near.

    Parameters
    ----------
    predicted, true : shape (N, 2) and (M, 2), row and column in px
    radius_px : how near; a pair at exactly this distance is too far, except under `proximity`
    rule : `optimal` pairs one to one, as many as possible, then with the least distance in all.
        `greedy` walks the predicted centres in the given order; each takes the nearest true one that is left, the
        earlier one of equals. The result depends on the order; labels numbered by first pixels give the literature's.
        `proximity` does not pair: a true centre is found when any predicted one lies within the radius, and a
        predicted one is false when no true one does.

    Returns
    -------
    counts and pairs; pairs by ascending predicted index

    References
    ----------
    `greedy` with 50 px: Morelli et al. 2021, Scientific Reports 11, 22920, evaluation_utils.py of
    github.com/robomorelli/cell_counting_yellow. `proximity` with 40 px: Clissa et al. 2024, Scientific Data 11,
    doi:10.1038/s41597-024-03005-9, fluocells/utils/metrics.py of github.com/clissa/fluocells-scientific-data.
    """
    predicted, true = (np.asarray(centres, np.float64).reshape(-1, 2) for centres in (predicted, true))
    near = _near_pairs(predicted, true, radius_px)
    if rule == "proximity":
        found, right = np.unique(near.true).size, np.unique(near.predicted).size
        counts = MatchCounts(found, len(predicted) - right, len(true) - found)
        return CentreMatches(counts, np.zeros((0, 2), np.int64))
    inside = near.where(near.distance < radius_px)
    pairs = _greedy(inside) if rule == "greedy" else _optimal(inside)
    return CentreMatches(MatchCounts(len(pairs), len(predicted) - len(pairs), len(true) - len(pairs)), pairs)


@dataclass(frozen=True, slots=True)
class _Near:
    """Pairs of near centres, by predicted, then true index: both indices and the distance."""

    predicted: NDArray[np.int64]
    true: NDArray[np.int64]
    distance: NDArray[np.float64]

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> _Near:
        return _Near(self.predicted[chosen], self.true[chosen], self.distance[chosen])


def _near_pairs(predicted: NDArray[np.float64], true: NDArray[np.float64], radius_px: float) -> _Near:
    """Give all pairs at most `radius_px` apart."""
    from scipy.spatial import KDTree

    if not (predicted.size and true.size):
        return _Near(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    # a little farther, as the tree rounds squares; what is near is decided below
    options = KDTree(true).query_ball_point(predicted, radius_px * (1 + 1e-9), return_sorted=True)
    one = np.repeat(np.arange(len(predicted)), [len(option) for option in options])
    other = np.array([index for option in options for index in option], np.int64)
    near = _Near(one, other, np.hypot(*(predicted[one] - true[other]).T))
    return near.where(near.distance <= radius_px)


def _greedy(near: _Near) -> NDArray[np.int64]:
    taken: set[int] = set()
    pairs = []
    index, start = np.unique(near.predicted, return_index=True)
    for predicted, (first, after) in zip(index.tolist(), pairwise([*start.tolist(), near.true.size]), strict=True):
        options = zip(near.distance[first:after].tolist(), near.true[first:after].tolist(), strict=True)
        free = [option for option in options if option[1] not in taken]
        if free:
            pairs.append((predicted, min(free)[1]))
            taken.add(pairs[-1][1])
    return np.array(pairs, np.int64).reshape(-1, 2)


def _optimal(near: _Near) -> NDArray[np.int64]:
    """Assign the most pairs, and of these the least total distance, group by group of centres that hang together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not near.distance.size:
        return np.zeros((0, 2), np.int64)
    predicted_count, true_count = int(near.predicted.max()) + 1, int(near.true.max()) + 1
    nodes = predicted_count + true_count
    ends = (near.predicted, near.true + predicted_count)
    graph = coo_array((np.ones(near.distance.size), ends), shape=(nodes, nodes))
    of_pair = connected_components(graph, directed=False)[1][near.predicted]
    order = np.argsort(of_pair, kind="stable")
    cuts = np.flatnonzero(np.diff(of_pair[order])) + 1
    kept = np.sort(np.concatenate([part[_assign(near.where(part))] for part in np.split(order, cuts)]))
    return np.stack([near.predicted[kept], near.true[kept]], axis=1)


def _assign(group: _Near) -> NDArray[np.int64]:
    """Give the positions of the pairs to keep within one group."""
    from scipy.optimize import linear_sum_assignment

    rows, row = np.unique(group.predicted, return_inverse=True)
    columns, column = np.unique(group.true, return_inverse=True)
    # all distances together weigh less than one more pair
    farthest = 2.0 * float(group.distance.max()) * min(rows.size, columns.size) + 1.0
    worth = np.zeros((rows.size, columns.size))
    position = np.full(worth.shape, -1, np.int64)
    worth[row, column] = 1.0 - group.distance / farthest
    position[row, column] = np.arange(row.size)
    kept: NDArray[np.int64] = position[linear_sum_assignment(worth, maximize=True)]
    return kept[kept >= 0]
