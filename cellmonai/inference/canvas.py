"""Overlapping windows put together in one box: their average, or the lowest of them.

A pixel takes the windows that hold it in the order in which they are added, and nothing else of the box matters to it.
The same windows in the same order therefore give the same bits, however an image is cut into boxes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from cellmonai.inference.activation import probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.inference.windows import Box
    from cellmonai.models.file import Activation

Averaged = Literal["logits", "probabilities"]
"""What is averaged: logits as MONAI does, or probabilities where the engine has averaged such already."""


class Canvas(Protocol):
    """A box that windows are put into."""

    def add(self, place: Box, logits: NDArray[Any]) -> None:
        """Take the logits (K, h, w) of a window that lies at `place` and shares pixels with the box."""
        ...

    def maps(self) -> NDArray[Any] | None:
        """Give the probabilities (K, h, w) of the box, 0 where no window lies; None without any window.

        To be called once: the room of the sums is used for the result.
        """
        ...


class Average:
    """The average of windows, each weighted by the importance of its pixels, as MONAI's sliding window has it.

    Parameters
    ----------
    box : the pixels that are kept
    weights : importance of a window's pixels, float32 (h, w), above 0; see `importance.importance_map`
    activation : how logits become probabilities
    averaged : `logits`, or the `probabilities` of each window
    """

    def __init__(
        self, box: Box, *, weights: NDArray[np.float32], activation: Activation, averaged: Averaged = "logits"
    ) -> None:
        self._box, self._weights, self._activation, self._averaged = box, weights, activation, averaged
        self._sums: NDArray[Any] | None = None
        self._total = np.zeros(box.shape, np.float32)

    def add(self, place: Box, logits: NDArray[Any]) -> None:
        """Take the logits (K, h, w) of a window at `place`."""
        shared = place.common(self._box)
        here, there = shared.within(self._box).slices, shared.within(place).slices
        values = logits[(slice(None), *there)]
        if self._averaged == "probabilities":
            values = probabilities(values, self._activation)
        if self._sums is None:
            self._sums = np.zeros((logits.shape[0], *self._box.shape), logits.dtype)
        self._sums[(slice(None), *here)] += values * self._weights[there]
        self._total[here] += self._weights[there]

    def maps(self) -> NDArray[Any] | None:
        """Give the probabilities (K, h, w) of the box, 0 where no window lies; None without any window."""
        if self._sums is None:
            return None
        empty = self._total == 0
        self._total[empty] = 1
        self._sums /= self._total
        found = self._sums if self._averaged == "probabilities" else probabilities(self._sums, self._activation)
        found[:, empty] = 0
        return found


class Lowest:
    """For each pixel the result of the window with the lowest foreground probability, the first of equal ones.

    Parameters
    ----------
    box : the pixels that are kept
    activation : how logits become probabilities
    foreground : which map decides; the others come from the same window
    """

    def __init__(self, box: Box, *, activation: Activation, foreground: int = 0) -> None:
        self._box, self._activation, self._foreground = box, activation, foreground
        self._maps: NDArray[Any] | None = None

    def add(self, place: Box, logits: NDArray[Any]) -> None:
        """Take the logits (K, h, w) of a window at `place`."""
        shared = place.common(self._box)
        found = probabilities(logits[(slice(None), *shared.within(place).slices)], self._activation)
        if self._maps is None:
            self._maps = np.full((found.shape[0], *self._box.shape), np.inf, found.dtype)
        room = self._maps[(slice(None), *shared.within(self._box).slices)]
        lower = ~(found[self._foreground] >= room[self._foreground])  # what is not a number stays seen
        np.copyto(room, found, where=lower)

    def maps(self) -> NDArray[Any] | None:
        """Give the probabilities (K, h, w) of the box, 0 where no window lies; None without any window."""
        if self._maps is not None:
            self._maps[:, np.isinf(self._maps[self._foreground])] = 0
        return self._maps
