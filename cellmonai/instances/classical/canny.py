"""Edges, closed to outlines and filled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage import feature

from cellmonai.instances.classical.steps import disc, fill_holes, is_flat, smooth

if TYPE_CHECKING:
    from numpy.typing import NDArray


def canny(
    image: NDArray[np.float32],
    *,
    smooth_px: float,
    low: float,
    high: float,
    closing_px: int,
    opening_px: int,
    mirror_px: int,
) -> NDArray[np.bool_]:
    """Find edges, close gaps in them, fill what they enclose, and take away what stayed a line.

    Parameters
    ----------
    image : float32, shape (Y, X), in [0, 1]; cells may be bright or dark, as only edges matter
    smooth_px : standard deviation of the blur before the gradient, px
    low, high : gradient where an edge may go on and where one begins, as a share of the steepest one
    closing_px, opening_px : radius of the disc that bridges gaps, and of the one that removes lines; 0 leaves it out
    mirror_px : the image is mirrored at its border for so many px, so that outlines of cells cut by it are closed

    Returns
    -------
    bool, shape (Y, X); empty where all pixels are equal

    References
    ----------
    Canny 1986, A computational approach to edge detection, IEEE Transactions on Pattern Analysis and Machine
    Intelligence 8(6), 679-698.

    Notes
    -----
    Mirroring raises F1 on half of DSB2018 from 0.69 to 0.76: a cell cut by the border has no closed outline.
    """
    if is_flat(image):
        return np.zeros(image.shape, np.bool_)
    edges = _edges(np.pad(image, mirror_px, mode="symmetric"), smooth_px, low, high)
    filled = fill_holes(_closed(edges, closing_px))
    opened = _opened(filled, opening_px)
    return opened[mirror_px : mirror_px + image.shape[0], mirror_px : mirror_px + image.shape[1]].copy()


def _edges(image: NDArray[np.float32], smooth_px: float, low: float, high: float) -> NDArray[np.bool_]:
    steepest = _steepest(smooth(image, smooth_px))
    edges: NDArray[np.bool_] = feature.canny(
        image, sigma=smooth_px, low_threshold=low * steepest, high_threshold=high * steepest, mode="nearest"
    )
    return edges


def _steepest(blurred: NDArray[np.float32]) -> float:
    """Give the greatest Sobel gradient, on the scale that scikit-image's edge detector compares with."""
    down, right = ndimage.sobel(blurred, axis=0), ndimage.sobel(blurred, axis=1)
    return float(np.sqrt((down * down + right * right).max()))


def _closed(mask: NDArray[np.bool_], radius_px: int) -> NDArray[np.bool_]:
    """Close with a disc; what lies beyond the image is background, but erases nothing within it."""
    if not radius_px:
        return mask
    wide = np.pad(mask, radius_px)
    closed: NDArray[np.bool_] = ndimage.binary_closing(wide, disc(radius_px))
    return closed[radius_px:-radius_px, radius_px:-radius_px]


def _opened(mask: NDArray[np.bool_], radius_px: int) -> NDArray[np.bool_]:
    if not radius_px:
        return mask
    wide = np.pad(mask, radius_px, mode="edge")
    opened: NDArray[np.bool_] = ndimage.binary_opening(wide, disc(radius_px))
    return opened[radius_px:-radius_px, radius_px:-radius_px]
