"""Resampling of crops: every pixel of the result is taken from a place between the pixels of the crop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch.nn.functional import grid_sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

Interpolation = Literal["nearest", "linear", "cubic"]

_MODES = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}


def pixel_places(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Give row and column of every pixel, (2, Y, X) in px: the sources that change nothing."""
    return np.indices(shape, np.float32)


def map_places(places: NDArray[np.float32], matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    """Multiply places (2, Y, X), taken from the middle of the crop, by a matrix (2, 2) of rows and columns."""
    middle = (np.asarray(places.shape[1:], np.float32)[:, None, None] - 1) / 2
    turned = np.tensordot(matrix.astype(np.float32), places - middle, axes=1)
    return np.asarray(turned + middle, np.float32)


def warp(
    array: NDArray[np.float32],
    sources: NDArray[np.float32],
    *,
    interpolation: Interpolation,
    fill: float | None = None,
) -> NDArray[np.float32]:
    """Take every pixel from its source.

    Parameters
    ----------
    array : (C, Y, X) float32
    sources : (2, Y, X) float32, row and column in px, also outside the array
    interpolation : cubic is the cubic convolution of Keys (1981), which may overshoot
    fill : value outside the array; without it the array is reflected about its outermost pixels

    Returns
    -------
    (C, Y, X) float32
    """
    # grid_sample counts from -1 at the first to 1 at the last pixel, columns first
    spans = np.maximum(np.asarray(array.shape[1:], np.float32) - 1, 1)[:, None, None]
    grid = torch.from_numpy(np.ascontiguousarray(np.moveaxis(sources * (2 / spans) - 1, 0, -1)[..., ::-1]))
    shift = np.float32(fill or 0.0)
    sampled = grid_sample(
        torch.from_numpy(np.ascontiguousarray(array - shift if shift else array))[None],
        grid[None],
        mode=_MODES[interpolation],
        padding_mode="reflection" if fill is None else "zeros",
        align_corners=True,
    )[0].numpy()
    warped: NDArray[np.float32] = sampled + shift if shift else sampled
    return warped


def warp_crop(
    crop: dict[str, NDArray[np.float32]],
    sources: NDArray[np.float32],
    *,
    interpolation: Interpolation = "linear",
    fill: float | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Take `image`, `target` and `weight` from the same sources.

    The image is interpolated; target and weight take the nearest pixel, so that classes stay classes and weights stay
    on their pixels. With `fill` that is the value of the image outside the crop; target and weight are 0 there.
    """
    outside = None if fill is None else 0.0
    return {
        key: warp(array, sources, interpolation=interpolation, fill=fill)
        if key == "image"
        else warp(array, sources, interpolation="nearest", fill=outside)
        for key, array in crop.items()
    }
