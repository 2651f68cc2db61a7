"""K-means on intensity: grey levels gather around a few means, and the brightest groups are cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellmonai.instances.classical.steps import is_flat, smooth

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_STEPS = 1000


def kmeans(image: NDArray[np.float32], *, smooth_px: float, clusters: int, bright: int) -> NDArray[np.bool_]:
    """Take the pixels of the `bright` brightest of `clusters` groups.

    Parameters
    ----------
    image : float32, shape (Y, X), in [0, 1]; cells are bright
    smooth_px : standard deviation of the blur, px
    clusters : how many groups
    bright : how many of them are cells

    Returns
    -------
    bool, shape (Y, X); empty where all pixels are equal

    Raises
    ------
    ValueError
        Every group would be cells.

    References
    ----------
    MacQueen 1967, Some methods for classification and analysis of multivariate observations, Proceedings of the Fifth
    Berkeley Symposium 1, 281-297; Lloyd 1982, Least squares quantization in PCM, IEEE Transactions on Information
    Theory 28(2), 129-137.
    """
    if bright >= clusters:
        raise ValueError(f"bright is {bright}, expected a number below that of the {clusters} clusters")
    blurred = smooth(image, smooth_px)
    if is_flat(blurred):
        return np.zeros(image.shape, np.bool_)
    means = cluster_means(blurred, clusters)
    mask: NDArray[np.bool_] = blurred > (means[-bright - 1] + means[-bright]) / 2
    return mask


def cluster_means(values: NDArray[np.floating], clusters: int) -> NDArray[np.float64]:
    """Move means to the middle of their values until nothing changes.

    Parameters
    ----------
    values : any shape, at least two different ones
    clusters : how many means

    Returns
    -------
    float64, shape (clusters,), ascending

    Notes
    -----
    They start in the middle of equal parts of the range, so that the result is the same every time. On a line, groups
    are intervals of the sorted values, and a step is a search for their ends. A mean without values stays.
    """
    levels, pixels = np.unique(values, return_counts=True)
    below = np.concatenate([[0], np.cumsum(pixels)])
    sums = np.concatenate([[0.0], np.cumsum(levels.astype(np.float64) * pixels)])
    low, high = float(levels[0]), float(levels[-1])
    means = low + (np.arange(clusters) + 0.5) / clusters * (high - low)
    for _ in range(_MOST_STEPS):
        # a value in the middle of two means belongs to the lower one
        ends = [0, *np.searchsorted(levels, (means[1:] + means[:-1]) / 2, side="right"), len(levels)]
        amount = np.diff(below[ends])
        moved = np.where(amount > 0, np.diff(sums[ends]) / np.maximum(amount, 1), means)
        if np.array_equal(moved, means):
            break
        means = moved
    return means
