"""Instances matched one to one by their intersection over union, and the scores that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

IOU_THRESHOLDS = tuple(hundredths / 100 for hundredths in range(50, 100, 5))
"""0.50, 0.55 … 0.95, each the double nearest to its decimal, so that an IoU of exactly 11/20 passes 0.55."""


@dataclass(frozen=True, slots=True)
class MatchCounts:
    """Instances matched at one IoU threshold; the counts of several images add up with `+`.

    Ratios are derived and never stored, as they do not add. A ratio of nothing to nothing is None.

    Parameters
    ----------
    tp : true instances that have a partner
    fp : predicted instances without a partner
    fn : true instances without a partner
    iou_sum : sum of the intersections over union of the partners
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    iou_sum: float = 0.0

    def __add__(self, other: MatchCounts) -> MatchCounts:
        return MatchCounts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.iou_sum + other.iou_sum)

    @property
    def precision(self) -> float | None:
        """TP / (TP + FP); None when nothing was predicted."""
        return ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """TP / (TP + FN); None when there was nothing to find."""
        return ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float | None:
        """2 TP / (2 TP + FP + FN); None when neither side holds an instance."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def ap(self) -> float | None:
        """TP / (TP + FP + FN), the average precision of the Data Science Bowl 2018, not COCO's area under a curve."""
        return ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def pq(self) -> float | None:
        """Panoptic quality: sum of the partners' IoU / (TP + FP/2 + FN/2).

        References
        ----------
        Kirillov et al. 2019, Panoptic Segmentation, equation 1; there the threshold is 0.5.
        """
        return ratio(2 * self.iou_sum, 2 * self.tp + self.fp + self.fn)

    @property
    def mean_matched_iou(self) -> float | None:
        """Mean IoU of the partners; None without any."""
        return ratio(self.iou_sum, self.tp)


@dataclass(frozen=True, slots=True)
class OverlapTable:
    """Every pair of a true and a predicted instance that share a pixel.

    Parameters
    ----------
    true_count, predicted_count : how many instances each label image holds
    true_index, predicted_index : int64, shape (pairs,); rank of the pair's instances, from 0, by ascending label
    iou : float64, shape (pairs,); intersection over union of the pair, in (0, 1]
    """

    true_count: int
    predicted_count: int
    true_index: NDArray[np.int64]
    predicted_index: NDArray[np.int64]
    iou: NDArray[np.float64]

    def match(self, iou_threshold: float) -> MatchCounts:
        """Match one to one, as many pairs with IoU >= `iou_threshold` as possible, then the greatest IoU in all.

        Raises
        ------
        ValueError
            The threshold is not in (0, 1].
        """
        if not 0.0 < iou_threshold <= 1.0:
            raise ValueError(f"iou_threshold is {iou_threshold}, expected a number in (0, 1]")
        close = np.flatnonzero(self.iou >= iou_threshold)
        chosen = close[self._one_to_one(close, iou_threshold)]
        found = len(chosen)
        return MatchCounts(found, self.predicted_count - found, self.true_count - found, float(self.iou[chosen].sum()))

    def _one_to_one(self, pairs: NDArray[np.int64], iou_threshold: float) -> NDArray[np.int64]:
        """Give the positions in `pairs` of an optimal assignment."""
        true, predicted = self.true_index[pairs], self.predicted_index[pairs]
        if _all_different(true) and _all_different(predicted):
            return np.arange(len(pairs))
        if iou_threshold >= 0.5:
            # Two partners of one instance can only be its two exact halves, both of IoU 1/2, and neither half has
            # another partner: whichever half is kept, count and IoU are the same.
            first = np.zeros((2, len(pairs)), bool)
            first[0, np.unique(true, return_index=True)[1]] = True
            first[1, np.unique(predicted, return_index=True)[1]] = True
            return np.flatnonzero(first.all(axis=0))
        return _assignment(true, predicted, self.iou[pairs])


def match_labels(true_labels: NDArray[Any], predicted_labels: NDArray[Any], iou_threshold: float = 0.5) -> MatchCounts:
    """Match the instances of two label images by optimal one-to-one assignment.

    Parameters
    ----------
    true_labels, predicted_labels : integers, shape (Y, X); 0 is background, every other value one instance.
        Gaps between labels are allowed, and so is an image without any background.
    iou_threshold : in (0, 1]; a pair counts when its IoU is at least this

    Returns
    -------
    MatchCounts
        Without a true and a predicted instance all its ratios are None.

    Raises
    ------
    ValueError
        The shapes differ, an image is not of integers or holds negative labels, or the threshold is not in (0, 1].

    Examples
    --------
    >>> match_labels(np.array([[1, 1, 0, 2]]), np.array([[7, 7, 7, 0]])).f1
    0.6666666666666666
    """
    return overlap_table(true_labels, predicted_labels).match(iou_threshold)


def overlap_table(true_labels: NDArray[Any], predicted_labels: NDArray[Any]) -> OverlapTable:
    """Measure all overlaps of two label images once; every threshold is then matched on the table.

    Parameters and errors as for `match_labels`.
    """
    if true_labels.shape != predicted_labels.shape:
        raise ValueError(f"the shapes differ: {true_labels.shape} true, {predicted_labels.shape} predicted")
    true_rank, true_areas = _ranks(true_labels)
    predicted_rank, predicted_areas = _ranks(predicted_labels)
    columns = len(predicted_areas)
    both = (true_rank > 0) & (predicted_rank > 0)
    keys, shared = _count_keys((true_rank[both] - 1) * columns + (predicted_rank[both] - 1), len(true_areas) * columns)
    true_index, predicted_index = np.divmod(keys, max(columns, 1))
    union = true_areas[true_index] + predicted_areas[predicted_index] - shared
    return OverlapTable(len(true_areas), columns, true_index, predicted_index, shared / union)


def ratio(part: float, whole: float) -> float | None:
    """Give `part / whole`, or None when `whole` is 0 and the ratio undefined."""
    return part / whole if whole else None


def _ranks(labels: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the flat image with instances numbered 1..n by ascending label, and the n areas in px."""
    if labels.dtype.kind not in "iu":
        raise ValueError(f"a label image holds integers, not {labels.dtype}; find the instances of a mask first")
    flat = labels.ravel()
    if not flat.size:
        return flat.astype(np.int64), np.zeros(0, np.int64)
    if flat.min() < 0:
        raise ValueError(f"a label image holds no negative numbers, but {flat.min()} was found")
    if flat.max() <= 4 * flat.size:  # a table of all labels fits; else labels are sparse and must be sorted
        flat = flat.astype(np.int64)
        areas = np.bincount(flat)
        present = areas > 0
        present[0] = False
        return np.cumsum(present)[flat], areas[present]
    values, rank, areas = np.unique(flat, return_inverse=True, return_counts=True)
    if values[0] == 0:
        return rank, areas[1:]
    return rank + 1, areas


def _count_keys(keys: NDArray[np.int64], limit: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the different keys, all below `limit`, in ascending order, and how often each occurs."""
    if limit <= max(4 * keys.size, 1 << 16):
        times = np.bincount(keys, minlength=1)
        different = np.flatnonzero(times)
        return different, times[different]
    return np.unique(keys, return_counts=True)


def _all_different(index: NDArray[np.int64]) -> bool:
    return len(np.unique(index)) == len(index)


def _assignment(true: NDArray[np.int64], predicted: NDArray[np.int64], iou: NDArray[np.float64]) -> NDArray[np.int64]:
    """Choose pairs so that no instance is taken twice: the most pairs, then the greatest IoU."""
    from scipy.optimize import linear_sum_assignment  # only for thresholds below 0.5, so not at import

    rows, row = np.unique(true, return_inverse=True)
    columns, column = np.unique(predicted, return_inverse=True)
    worth = np.zeros((len(rows), len(columns)))
    position = np.full(worth.shape, -1, np.int64)
    worth[row, column] = 1.0 + iou / (2 * min(worth.shape))  # all IoU together weigh less than one more pair
    position[row, column] = np.arange(len(true))
    chosen = position[linear_sum_assignment(worth, maximize=True)]
    return np.sort(chosen[chosen >= 0])
