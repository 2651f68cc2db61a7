"""Mean shift on intensity: grey levels climb to the peaks of the histogram, all above the background's are cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellmonai.instances.classical.steps import is_flat, smooth

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVELS = 256
_MOST_STEPS = 10_000
_STILL = 1e-9  # below this a level has arrived; sums of floats never stand still exactly


def mean_shift(image: NDArray[np.float32], *, smooth_px: float, bandwidth: float) -> NDArray[np.bool_]:
    """Take the pixels of every group brighter than the background, the group with the most pixels.

    Parameters
    ----------
    image : float32, shape (Y, X), in [0, 1]; cells are bright
    smooth_px : standard deviation of the blur, px
    bandwidth : how far a grey level looks for its mean, as a share of the image's range

    Returns
    -------
    bool, shape (Y, X); empty where all pixels are equal or all are one group

    References
    ----------
    Comaniciu and Meer 2002, Mean shift: a robust approach toward feature space analysis, IEEE Transactions on Pattern
    Analysis and Machine Intelligence 24(5), 603-619; sections 2.1 (uniform kernel) and 4 (peaks closer than the
    bandwidth are one group). Here on intensity alone, in 256 levels, without the pixels' places.
    """
    blurred = smooth(image, smooth_px)
    if is_flat(blurred):
        return np.zeros(image.shape, np.bool_)
    level = np.minimum((blurred * np.float32(LEVELS)).astype(np.intp), LEVELS - 1)
    pixels = np.bincount(level.ravel(), minlength=LEVELS)
    group = level_groups(pixels, bandwidth)
    background = np.bincount(group, pixels).argmax()  # of equal ones the darker
    bright: NDArray[np.bool_] = (group > background)[level]
    return bright


def level_groups(pixels: NDArray[np.intp], bandwidth: float) -> NDArray[np.intp]:
    """Give the group of each grey level, ascending from 0.

    Parameters
    ----------
    pixels : shape (256,), how many pixels each level has
    bandwidth : as in `mean_shift`

    Notes
    -----
    A level without pixels gets the group of the next darker one that has some. On a line, levels never overtake each
    other on their way up, so that a group is an interval of levels.
    """
    used = np.flatnonzero(pixels)
    place = (used + 0.5) / LEVELS
    peaks = _climb(place, pixels[used].astype(np.float64), bandwidth)
    group = np.concatenate([[0], np.cumsum(np.diff(peaks) > bandwidth)])
    return group[np.maximum(np.searchsorted(used, np.arange(LEVELS), side="right") - 1, 0)]


def _climb(place: NDArray[np.float64], weight: NDArray[np.float64], bandwidth: float) -> NDArray[np.float64]:
    """Move a point from each place to the weighted mean of the places within `bandwidth` of it, until all stand."""
    points = place.copy()
    for _ in range(_MOST_STEPS):
        near = (np.abs(points[:, None] - place) <= bandwidth) * weight
        moved = near @ place / near.sum(axis=1)
        arrived = bool(np.abs(moved - points).max() < _STILL)
        points = moved
        if arrived:
            break
    return points
