"""The usual pipeline: Otsu's foreground, divided by a watershed from the peaks of its distance to the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import ndimage
from skimage import segmentation
from skimage.feature import peak_local_max
from skimage.filters import sobel

from cellmonai.instances.classical.otsu import otsu
from cellmonai.instances.classical.steps import EIGHT_NEIGHBOURS, fill_holes, smooth

if TYPE_CHECKING:
    from numpy.typing import NDArray


def watershed(
    image: NDArray[np.float32],
    *,
    smooth_px: float,
    factor: float,
    min_distance_px: int,
    surface: Literal["distance", "gradient", "intensity"],
) -> NDArray[np.int32]:
    """Flood Otsu's foreground from its distance peaks; every region of it becomes at least one object.

    Parameters
    ----------
    image : float32, shape (Y, X), in [0, 1]; cells are bright
    smooth_px, factor : as in `otsu`
    min_distance_px : two markers are farther apart than this
    surface : what is flooded: minus the distance to the background, the gradient, or minus the intensity

    Returns
    -------
    int32, shape (Y, X); 0 is background, objects are 8-connected and may touch

    References
    ----------
    Beucher and Lantuéjoul 1979, Use of watersheds in contour detection, International Workshop on Image Processing,
    Rennes; Meyer 1994, Topographic distance and watershed lines, Signal Processing 38(1), 113-125.

    Notes
    -----
    Holes are filled first, and the distance is smoothed by 1 px, without which a ragged outline gives many peaks.
    """
    inside = fill_holes(otsu(image, smooth_px=smooth_px, factor=factor))
    if not inside.any():
        return np.zeros(image.shape, np.int32)
    distance = smooth(ndimage.distance_transform_edt(inside).astype(np.float32), 1.0)
    markers = _markers(distance, inside, min_distance_px)
    labels: NDArray[np.int32] = segmentation.watershed(
        _surface(surface, image, smooth_px, distance), markers, mask=inside, connectivity=EIGHT_NEIGHBOURS
    ).astype(np.int32)
    # a region whose peak lies too near to a higher one of its neighbour has no marker, and is an object all the same
    without, _ = ndimage.label(inside & (labels == 0), EIGHT_NEIGHBOURS)
    labels += np.where(without > 0, without + markers.max(initial=0), 0).astype(np.int32)
    return labels


def _markers(distance: NDArray[np.float32], inside: NDArray[np.bool_], min_distance_px: int) -> NDArray[np.int32]:
    peaks = peak_local_max(distance, min_distance=min_distance_px, labels=inside.astype(np.int32), exclude_border=False)
    markers = np.zeros(distance.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return markers


def _surface(
    surface: Literal["distance", "gradient", "intensity"],
    image: NDArray[np.float32],
    smooth_px: float,
    distance: NDArray[np.float32],
) -> NDArray[np.float32]:
    match surface:
        case "distance":
            return -distance
        case "gradient":
            gradient: NDArray[np.float32] = sobel(smooth(image, smooth_px))
            return gradient
        case "intensity":
            return -smooth(image, smooth_px)
