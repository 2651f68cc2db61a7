"""Several passes over one window become one result: the mean probability, and how far the passes disagree; no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPREAD = "spread"
"""Name of the map that comes after the network's own."""

_LEAST = 1e-6  # probabilities are kept this far from 0 and 1, whose logits would be infinite


class Engine(Protocol):
    """What runs a window: `(1, C, h, w)` floating point, contiguous, to its logits `(1, K, h, w)`."""

    @property
    def name(self) -> str:
        """What it is, for the run record."""
        ...

    @property
    def precision(self) -> str:
        """The number format it computes in."""
        ...

    def run(self, window: NDArray[Any], /) -> NDArray[Any]:
        """Give the logits of a window."""
        ...


class MeanAndSpread:
    """Takes the probabilities of one window pass by pass, and holds no pass longer than it must.

    Parameters
    ----------
    foreground : which map the spread is of

    Notes
    -----
    Mean and squared deviations are updated with every pass (Welford 1962), so that memory does not grow with their
    number, and passes that agree give exactly their own probability and a spread of 0.
    """

    def __init__(self, *, foreground: int) -> None:
        self._foreground = foreground
        self._passes = 0
        self._mean: NDArray[Any] | None = None
        self._squares: NDArray[Any] | None = None

    def add(self, probabilities: NDArray[Any]) -> None:
        """Take the probabilities (K, h, w) of one pass."""
        self._passes += 1
        if self._mean is None or self._squares is None:
            self._mean = probabilities.copy()
            self._squares = np.zeros_like(probabilities[self._foreground])
            return
        before = probabilities[self._foreground] - self._mean[self._foreground]
        self._mean += (probabilities - self._mean) / self._passes
        self._squares += before * (probabilities[self._foreground] - self._mean[self._foreground])

    def logits(self) -> NDArray[Any]:
        """Give logits (1, K + 1, h, w), whose sigmoid is the mean of every map and, last, the spread.

        The spread is the standard deviation of the foreground probability over the passes, in [0, 0.5]. All values are
        kept between 1e-6 and 1 - 1e-6.
        """
        if self._mean is None or self._squares is None:
            raise ValueError("no pass was added, expected one at least")
        spread = np.sqrt(np.maximum(self._squares, 0) / self._passes)
        return _logit(np.concatenate([self._mean, spread[None]]))[None]


def _logit(probabilities: NDArray[Any]) -> NDArray[Any]:
    inside = np.clip(probabilities, _LEAST, 1 - _LEAST)
    logits: NDArray[Any] = np.log(inside) - np.log1p(-inside)
    return logits
