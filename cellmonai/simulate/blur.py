"""Gaussian blur in NumPy alone, and rough surfaces made with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REACH = 3.0  # the kernel ends at three standard deviations
_DIRECT_UP_TO_PX = 6.0  # wider blurs are done on a coarser grid, where they cost no more


def blur(image: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Blur a (Y, X) image by a Gaussian; the image is mirrored at its edges, so a level image stays level.

    Parameters
    ----------
    image : float32 (Y, X)
    sigma_px : standard deviation in pixels; below 0.2 px nothing changes
    """
    if sigma_px < 0.2:
        return image.copy()
    if sigma_px > _DIRECT_UP_TO_PX:
        factor = int(sigma_px / 3)
        return _enlarge(blur(_shrink(image, factor), sigma_px / factor), factor, image.shape)
    reach = int(np.ceil(_REACH * sigma_px))
    weights = np.exp(-0.5 * (np.arange(reach + 1) / sigma_px) ** 2)
    weights = (weights / (weights[0] + 2 * weights[1:].sum())).astype(np.float32)
    return _blur_rows(_blur_rows(image, weights).T, weights).T.copy()


def rough(shape: tuple[int, int], scale_px: float, random: np.random.Generator) -> NDArray[np.float32]:
    """Give a random surface, float32 (Y, X), with hills about `scale_px` wide, mean 0 and standard deviation 1."""
    # hills wider than the blur's direct range are drawn on a coarser grid to start with
    factor = max(1, int(scale_px / 3))
    coarse = (-(-shape[0] // factor) + 2, -(-shape[1] // factor) + 2)
    surface = _enlarge(blur(random.standard_normal(coarse, np.float32), scale_px / factor), factor, shape)
    spread = float(surface.std())
    return np.asarray((surface - surface.mean()) / (spread if spread > 1e-6 else 1.0), np.float32)


def _blur_rows(image: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convolve along the first axis with a kernel of which the middle and one side are given."""
    reach, height = len(weights) - 1, image.shape[0]
    padded = np.pad(image, ((reach, reach), (0, 0)), mode="symmetric")
    total = weights[0] * padded[reach : reach + height]
    for step in range(1, reach + 1):
        pair = padded[reach - step : reach - step + height] + padded[reach + step : reach + step + height]
        pair *= weights[step]
        total += pair
    return np.asarray(total, np.float32)


def _shrink(image: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Average squares of `factor` pixels; the last ones are filled up with the image's edge."""
    height, width = (-(-side // factor) for side in image.shape)
    padding = ((0, height * factor - image.shape[0]), (0, width * factor - image.shape[1]))
    squares = np.pad(image, padding, mode="edge").reshape(height, factor, width, factor)
    return np.asarray(squares.mean(axis=(1, 3)), np.float32)


def _enlarge(image: NDArray[np.float32], factor: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Interpolate linearly between the centres of squares of `factor` pixels, cut to `shape`."""
    if factor == 1:
        return image[: shape[0], : shape[1]].copy()
    for axis in (0, 1):
        place = (np.arange(shape[axis]) + 0.5) / factor - 0.5
        low = np.clip(np.floor(place), 0, image.shape[axis] - 1).astype(np.int64)
        high = np.minimum(low + 1, image.shape[axis] - 1)
        share = np.clip(place - low, 0, 1).astype(np.float32).reshape((-1, 1) if axis == 0 else (1, -1))
        image = np.take(image, low, axis) * (1 - share) + np.take(image, high, axis) * share
    return image
