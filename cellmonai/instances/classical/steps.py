"""What several methods share: intensities in [0, 1], a blur, flat images, discs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

EIGHT_NEIGHBOURS = np.ones((3, 3), np.bool_)


def to_unit_range(plane: NDArray[Any]) -> NDArray[np.float32]:
    """Scale the darkest pixel of a plane to 0 and the brightest to 1.

    Parameters
    ----------
    plane : (Y, X), any real type without NaN and infinity

    Returns
    -------
    float32, shape (Y, X), in [0, 1]; a plane of one value gives zeros

    Notes
    -----
    Not percentiles: where cells cover a thousandth of a field, the 99.8th percentile is background.
    """
    exact = plane.dtype.kind in "iu" and plane.dtype.itemsize <= 2
    values: NDArray[Any] = plane.astype(np.float32 if exact else np.float64)
    np.divide(values, 2, out=values)  # the difference of the two ends of a type must not overflow
    if is_flat(values):
        return np.zeros(plane.shape, np.float32)
    np.subtract(values, values.min(), out=values)
    np.divide(values, values.max(), out=values)
    return values.astype(np.float32, copy=False)


def is_flat(image: NDArray[Any]) -> bool:
    """Tell whether all pixels have one value, so that nothing can be told from anything; so also without pixels."""
    return bool(image.size == 0 or image.min() == image.max())


def smooth(image: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Blur by a Gaussian of this standard deviation, repeating the border's pixels; 0 leaves the image as it is."""
    if not sigma_px:
        return image
    return cast("NDArray[np.float32]", ndimage.gaussian_filter(image, sigma_px, mode="nearest"))


def fill_holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill background that foreground encloses, with 4-connected background."""
    return cast("NDArray[np.bool_]", ndimage.binary_fill_holes(mask))


def disc(radius_px: int) -> NDArray[np.bool_]:
    """Give the pixels within `radius_px` of the centre of a square of 2 radius_px + 1."""
    row, column = np.ogrid[-radius_px : radius_px + 1, -radius_px : radius_px + 1]
    return cast("NDArray[np.bool_]", row**2 + column**2 <= radius_px**2)
