"""Local threshold: each pixel against the mean of its surroundings, for uneven illumination."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from skimage.filters import threshold_local

from cellmonai.instances.classical import steps

if TYPE_CHECKING:
    from numpy.typing import NDArray


def local_threshold(
    image: NDArray[np.float32],
    *,
    smooth_px: float,
    window: float,
    weights: Literal["mean", "gaussian"],
    offset: float,
    fill_holes: bool,
) -> NDArray[np.bool_]:
    """Take the pixels that lie more than `offset` above the mean of the window around them.

    Parameters
    ----------
    image : float32, shape (Y, X), in [0, 1]; cells are bright
    smooth_px : standard deviation of the blur, px
    window : side of the window as a share of the image's shorter side, see `window_px`
    weights : a plain mean, or one weighted by a Gaussian with a sixth of the window as standard deviation
    offset : how much brighter than its surroundings a cell is, as a share of the image's range
    fill_holes : fill what a mask encloses: the inside of a cell as wide as the window is no brighter than its mean

    Returns
    -------
    bool, shape (Y, X); empty where all pixels are equal

    References
    ----------
    Bradley and Roth 2007, Adaptive thresholding using the integral image, Journal of Graphics Tools 12(2), 13-21,
    there with the offset as a share of the mean.
    """
    blurred = steps.smooth(image, smooth_px)
    if steps.is_flat(blurred):
        return np.zeros(image.shape, np.bool_)
    mask = blurred > threshold_local(blurred, window_px(image.shape, window), method=weights) + offset
    return steps.fill_holes(mask) if fill_holes else mask


def window_px(shape: tuple[int, ...], window: float) -> int:
    """Give the odd side in px, at least 3, nearest below `window` times the shorter side."""
    return max(3, 2 * ((round(window * min(shape)) - 1) // 2) + 1)
