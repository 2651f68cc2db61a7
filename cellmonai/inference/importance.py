"""How much each pixel of a window counts where windows are averaged: MONAI's importance map, in NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIGMA = 0.125  # of the side; MONAI's default
_LEAST = 1e-3  # so that no pixel's weights add up to nothing; MONAI's too


def importance_map(side: tuple[int, int], mode: Literal["gaussian", "constant"]) -> NDArray[np.float32]:
    """Give the weight of every pixel of a window, float32 of shape `side` (rows, columns), in (0, 1].

    `gaussian` falls from the middle to the edges with a standard deviation of an eighth of the side, down to 0.001 at
    least; `constant` is 1 everywhere, read-only.

    Notes
    -----
    The same as `monai.data.utils.compute_importance_map` to the last bit of float32 or the one before: the exponential
    of torch rounds otherwise. Here, so that engines other than torch average without it.
    """
    if mode == "constant":
        return np.broadcast_to(np.float32(1), side)
    rows, columns = (_bell(length) for length in side)
    weights: NDArray[np.float32] = rows[:, None] * columns
    return np.maximum(weights, np.float32(max(float(weights.min()), _LEAST)), out=weights)


def _bell(length: int) -> NDArray[np.float32]:
    sigma = _SIGMA * length
    place = np.arange(length, dtype=np.float32) - np.float32((length - 1) / 2)
    bell: NDArray[np.float32] = np.exp(place**2 / np.float32(-2 * sigma**2))
    return bell
