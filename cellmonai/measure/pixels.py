"""Foreground compared pixel by pixel: overlap, and accuracy beside what an all-background answer would get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.measure.matching import ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """Pixels by what they are and what they were called; the counts of several images add up with `+`.

    Parameters
    ----------
    tp : foreground called foreground
    fp : background called foreground
    fn : foreground called background
    tn : background called background
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    def __add__(self, other: PixelCounts) -> PixelCounts:
        return PixelCounts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)

    @property
    def dice(self) -> float | None:
        """2 TP / (2 TP + FP + FN); None when neither side holds foreground."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def iou(self) -> float | None:
        """TP / (TP + FP + FN); None when neither side holds foreground."""
        return ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def accuracy(self) -> float | None:
        """Share of pixels called right; high for any answer where cells are sparse, see `background_floor`."""
        return ratio(self.tp + self.tn, self.tp + self.fp + self.fn + self.tn)

    @property
    def background_floor(self) -> float | None:
        """The accuracy that calling every pixel background would reach."""
        return ratio(self.fp + self.tn, self.tp + self.fp + self.fn + self.tn)


def count_pixels(true_inside: NDArray[np.bool_], predicted_inside: NDArray[np.bool_]) -> PixelCounts:
    """Compare two foregrounds.

    Parameters
    ----------
    true_inside, predicted_inside : bool, shape (Y, X)

    Raises
    ------
    ValueError
        The shapes differ, or an image is not bool.
    """
    if true_inside.shape != predicted_inside.shape:
        raise ValueError(f"the shapes differ: {true_inside.shape} true, {predicted_inside.shape} predicted")
    if true_inside.dtype != np.bool_ or predicted_inside.dtype != np.bool_:
        raise ValueError(f"expected two bool images, not {true_inside.dtype} and {predicted_inside.dtype}")
    true, predicted = int(np.count_nonzero(true_inside)), int(np.count_nonzero(predicted_inside))
    both = int(np.count_nonzero(true_inside & predicted_inside))
    return PixelCounts(both, predicted - both, true - both, true_inside.size - true - predicted + both)
