"""Pixels of one size from pixels of another along one axis, as weights that depend on the place alone."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Taps:
    """For each of some new pixels, the old ones that it is made of.

    Parameters
    ----------
    index : (taps, new), places of old pixels
    weight : (taps, new), adding up to 1 for each new pixel
    """

    index: NDArray[np.intp]
    weight: NDArray[np.float64]

    @property
    def span(self) -> tuple[int, int]:
        """First and last old pixel, half-open."""
        return int(self.index.min()), int(self.index.max()) + 1

    def apply(self, pixels: NDArray[Any], start: int, *, axis: int) -> NDArray[Any]:
        """Make new pixels along `axis` of `pixels`, a float array whose first place along it is `start`.

        Notes
        -----
        Products are added in the order of the taps, one multiplication and one addition at a time, so that a pixel has
        the same bits in whatever region it is asked for.
        """
        shape = [1] * pixels.ndim
        shape[axis] = -1
        total = np.zeros((), pixels.dtype)
        for index, weight in zip(self.index - start, self.weight.astype(pixels.dtype), strict=True):
            total = total + pixels.take(index, axis=axis) * weight.reshape(shape)
        return total


def new_length(length: int, factor: float) -> int:
    """Give how many pixels, each `factor` old ones wide, cover `length` old ones; the last may reach beyond."""
    return max(1, ceil(length / factor - 1e-6))


def taps(first: int, end: int, *, factor: float, length: int) -> Taps:
    """Give what the new pixels `first` to `end`, half-open, are made of.

    Parameters
    ----------
    factor : old pixels per new one: above 1 the old ones are averaged by how much of them is covered, below 1 the two
        nearest are interpolated linearly between their middles
    length : how many old pixels there are
    """
    at = np.arange(first, end, dtype=np.float64)
    if factor == 1:
        return Taps(np.arange(first, end)[np.newaxis], np.ones((1, end - first)))
    if factor < 1:
        middle = np.clip((at + 0.5) * factor - 0.5, 0, length - 1)
        low = np.floor(middle)
        places = np.stack([low, np.minimum(low + 1, length - 1)])
        return Taps(places.astype(np.intp), np.stack([1 - (middle - low), middle - low]))
    start, stop = at * factor, np.minimum((at + 1) * factor, length)
    places = np.floor(start) + np.arange(ceil(factor) + 1)[:, np.newaxis]
    weight = np.clip(np.minimum(stop, places + 1) - np.maximum(start, places), 0, None)
    return Taps(np.minimum(places, length - 1).astype(np.intp), weight / weight.sum(axis=0))
