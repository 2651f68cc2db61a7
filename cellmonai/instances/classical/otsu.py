"""Otsu's threshold: the grey level that parts the histogram into the two most different classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from skimage.filters import threshold_otsu

from cellmonai.instances.classical.steps import is_flat, smooth

if TYPE_CHECKING:
    from numpy.typing import NDArray


def otsu(image: NDArray[np.float32], *, smooth_px: float, factor: float) -> NDArray[np.bool_]:
    """Take the pixels above `factor` times Otsu's threshold of the blurred image.

    Parameters
    ----------
    image : float32, shape (Y, X), in [0, 1]; cells are bright
    smooth_px : standard deviation of the blur, px
    factor : below 1 takes dimmer pixels in too

    Returns
    -------
    bool, shape (Y, X); empty where all pixels are equal

    References
    ----------
    Otsu 1979, A threshold selection method from gray-level histograms, IEEE Transactions on Systems, Man, and
    Cybernetics 9(1), 62-66; on a histogram of 256 levels.
    """
    blurred = smooth(image, smooth_px)
    if is_flat(blurred):
        return np.zeros(image.shape, np.bool_)
    mask: NDArray[np.bool_] = blurred > factor * threshold_otsu(blurred)
    return mask
