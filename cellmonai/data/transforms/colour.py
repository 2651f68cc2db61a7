"""Hue, saturation and value of RGB images between 0 and 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def rgb_to_hsv(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give hue in sixths of the circle (0 to 6), saturation and value (0 to 1); (3, Y, X) to (3, Y, X)."""
    red, green, blue = image
    value, darkest = image.max(axis=0), image.min(axis=0)
    chroma = value - darkest
    divisor = np.where(chroma > 0, chroma, 1)
    hue = np.select(
        [chroma == 0, value == red, value == green],
        [np.zeros_like(chroma), (green - blue) / divisor, 2 + (blue - red) / divisor],
        4 + (red - green) / divisor,
    )
    return np.stack([hue % 6, chroma / np.where(value > 0, value, 1), value])


def hsv_to_rgb(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Undo `rgb_to_hsv`."""
    hue, saturation, value = image
    places = ((np.float32(start) + hue) % 6 for start in (5, 3, 1))
    return np.stack([value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1) for k in places])


def shift_hsv(
    image: NDArray[np.float32], *, hue_deg: float = 0.0, saturation: float = 0.0, value: float = 0.0
) -> NDArray[np.float32]:
    """Add to hue, saturation and value, the last two cut to 0 to 1.

    Parameters
    ----------
    image : (C, Y, X) float32; cut to 0 to 1 first. Of images with another number of channels than 3 only the value is
        changed: it is added to every channel

    Returns
    -------
    (C, Y, X) float32, between 0 and 1
    """
    image = np.clip(image, 0.0, 1.0)
    if len(image) != 3:
        return np.asarray(np.clip(image + np.float32(value), 0.0, 1.0), np.float32)
    hsv = rgb_to_hsv(image)
    hsv[0] += np.float32(hue_deg / 60)
    hsv[1:] = np.clip(hsv[1:] + np.array([saturation, value], np.float32)[:, None, None], 0.0, 1.0)
    return np.clip(hsv_to_rgb(hsv), 0.0, 1.0)


def scale_contrast(image: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Multiply an image and cut it to 0 to 1."""
    return np.asarray(np.clip(image * np.float32(factor), 0.0, 1.0), np.float32)
