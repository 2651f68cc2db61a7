"""The counts an interval is calibrated on, and the interval that follows from them: no choice is left open."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from cellmonai.measure.intervals.conformal import (
    count_scale,
    hierarchical_quantile,
    integer_interval,
    split_quantile,
    tolerance_groups,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

Method = Literal["one_per_group", "hierarchical"]

HIERARCHICAL_FROM = 40
"""With fewer groups the hierarchical interval is much wider than it has to be (5.15 against 2.99 scales at 20)."""


@dataclass(frozen=True, slots=True)
class IntervalRule:
    """How wide intervals are at one level.

    Parameters
    ----------
    level : the share of images of new groups that the interval covers
    phi : see `conformal.estimate_phi`
    method : one image per group below 40 groups, all images weighted from there on
    quantile : half-width in scales by that method; None with too few groups
    conservative : half-width by the hierarchical method, whatever `method` is
    """

    level: float
    phi: float
    method: Method
    quantile: float | None
    conservative: float | None

    def interval(self, predicted: int) -> tuple[int, int] | None:
        """Give the lowest and the highest count; None with too few groups."""
        return None if self.quantile is None else integer_interval(predicted, self.quantile, self.phi)

    def conservative_interval(self, predicted: int) -> tuple[int, int] | None:
        """Give the ends of the hierarchical method, which lie further apart where groups are few."""
        return None if self.conservative is None else integer_interval(predicted, self.conservative, self.phi)


@dataclass(frozen=True, slots=True)
class ConformalSet:
    """Predicted and true counts of images whose groups the model never saw, in canonical order.

    Parameters
    ----------
    predicted, true : one per image, whole numbers from 0
    groups : the group of each image, 0 … K - 1, ascending without gaps
    phi : see `conformal.estimate_phi`

    Raises
    ------
    ValueError
        Values out of range, lengths that differ, or another order than that of `canonical_order`.

    Notes
    -----
    The order follows from the counts alone, and so does the image that is drawn from each group: by the digest of the
    counts, never by a seed that one could try again until the interval looks good. New names of groups and another
    order of images change nothing.
    """

    predicted: tuple[int, ...]
    true: tuple[int, ...]
    groups: tuple[int, ...]
    phi: float

    def __post_init__(self) -> None:
        if not len(self.predicted) == len(self.true) == len(self.groups) > 0:
            raise ValueError("predicted counts, true counts and groups are not equally many, or there are none")
        if min(*self.predicted, *self.true, 0) < 0:
            raise ValueError("a count is negative")
        if not (math.isfinite(self.phi) and self.phi >= 0):
            raise ValueError(f"phi is {self.phi}, expected 0 or more")
        if self.groups[0] != 0 or any(later - earlier not in {0, 1} for earlier, later in pairwise(self.groups)):
            raise ValueError("groups are not numbered 0, 1, … in order")
        by_group = self._by_group()
        if sorted(by_group) != by_group or any(sorted(images) != images for images in by_group):
            raise ValueError("the images are not in canonical order")

    @property
    def group_count(self) -> int:
        """How many groups there are."""
        return self.groups[-1] + 1

    @property
    def digest(self) -> str:
        """SHA-256 of the counts by group, in hexadecimal."""
        return hashlib.sha256(json.dumps(self._by_group(), separators=(",", ":")).encode()).hexdigest()

    def scores(self) -> list[float]:
        """Give |y - ŷ| / u(ŷ) of every image."""
        errors = np.abs(np.subtract(self.true, self.predicted, dtype=np.float64))
        scores: list[float] = (errors / count_scale(self.predicted, self.phi)).tolist()
        return scores

    def drawn(self) -> list[int]:
        """Give one image of each group, by index."""
        digest, sizes = self.digest, np.bincount(self.groups)
        firsts = np.cumsum(sizes) - sizes
        return [
            first + int.from_bytes(hashlib.sha256(f"{digest}:{group}".encode()).digest()) % size
            for group, (first, size) in enumerate(zip(firsts.tolist(), sizes.tolist(), strict=True))
        ]

    def rule(self, level: float) -> IntervalRule:
        """Give the widths of intervals at a level; to be asked once, not per image."""
        scores = self.scores()
        conservative = hierarchical_quantile(scores, self.groups, level)
        if self.group_count >= HIERARCHICAL_FROM:
            return IntervalRule(level, self.phi, "hierarchical", conservative, conservative)
        quantile = split_quantile([scores[image] for image in self.drawn()], level)
        return IntervalRule(level, self.phi, "one_per_group", quantile, conservative)

    def tolerance_interval(self, predicted: int, level: float, *, sure: float = 0.95) -> tuple[int, int] | None:
        """Give ends that cover `level` of new images with certainty `sure`: those of the largest drawn score.

        None with fewer groups than `conformal.tolerance_groups`.
        """
        if self.group_count < tolerance_groups(level, sure=sure):
            return None
        scores = self.scores()
        return integer_interval(predicted, max(scores[image] for image in self.drawn()), self.phi)

    def _by_group(self) -> list[list[list[int]]]:
        by_group: list[list[list[int]]] = [[] for _ in range(self.group_count)]
        for predicted, true, group in zip(self.predicted, self.true, self.groups, strict=True):
            by_group[group].append([predicted, true])
        return by_group


def canonical_order(
    predicted: Sequence[int],
    true: Sequence[int],
    groups: Sequence[Hashable],
    *,
    ties: Sequence[tuple[float, ...]] | None = None,
) -> tuple[list[int], list[int]]:
    """Sort images within their groups and groups among each other by counts, whatever they are called.

    Parameters
    ----------
    predicted, true, groups : one per image; groups under any names
    ties : what decides between images of equal counts

    Returns
    -------
    The indices of the images in order, and the number of the group of each, 0 … K - 1
    """
    extra = ties or [()] * len(groups)
    keys = list(zip(predicted, true, extra, range(len(groups)), strict=True))
    members: dict[Hashable, list[tuple[int, int, tuple[float, ...], int]]] = {}
    for key, group in zip(keys, groups, strict=True):
        members.setdefault(group, []).append(key)
    blocks = sorted((sorted(images) for images in members.values()), key=_block_key)
    order = [image[3] for block in blocks for image in block]
    return order, [number for number, block in enumerate(blocks) for _ in block]


def _block_key(
    block: Sequence[tuple[int, int, tuple[float, ...], int]],
) -> tuple[list[tuple[int, int]], list[tuple[float, ...]]]:
    return [image[:2] for image in block], [image[2] for image in block]
