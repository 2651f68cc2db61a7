"""How a published U-Net for a cell counting competition turns its probability into objects, in three levels.

Source: github.com/allureking/unet-cell-segmentation, src/model/postprocess.py and src/utils/metrics.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from cellmonai.instances.components import label_components
from cellmonai.instances.presets.compact_watershed import flood
from cellmonai.instances.presets.peaks import keep_apart, spaced_peaks, window_maximum

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_AREA_PX = 10
MIN_DISTANCE_PX = 5


def allureking_plain(mask: NDArray[np.bool_], *, original: bool = True) -> NDArray[np.int32]:
    """Label 4-connected regions of at least 10 px; this gave the competition's counts.

    Parameters
    ----------
    mask : bool, shape (Y, X), foreground probability above 0.5
    original : nothing is wrong here, so both give the same

    Returns
    -------
    int32, shape (Y, X); 0 is background, objects are 1..N by their first pixel, each 4-connected
    """
    del original
    return _at_least_10_px(label_components(mask, connectivity=4))


def allureking_morph(mask: NDArray[np.bool_], *, original: bool = True) -> NDArray[np.int32]:
    """Open and close with a cross, fill holes, then label as `allureking_plain` does.

    Parameters
    ----------
    original : beyond the image border lies background, so that cells lose their row there; else the border pixels are
        repeated outside

    Notes
    -----
    The code opens three times and closes three times, which equals once: both are idempotent.
    """
    return _at_least_10_px(label_components(smooth_with_cross(mask, original=original), connectivity=4))


def allureking_watershed(mask: NDArray[np.bool_], *, original: bool = True) -> NDArray[np.int32]:
    """Smooth as `allureking_morph` does, then cut by a watershed of the distance from its peaks; parts from 10 px on.

    Parameters
    ----------
    original : every point of a plateau may be a peak, none lies within 5 px of the image border, and a cell within that
        band vanishes; else each plateau gives one peak, wherever it lies, and so each region has one

    Notes
    -----
    The published code falls back to regions without a word where the watershed fails; ours does not fail.
    """
    from scipy.ndimage import distance_transform_edt

    inside = smooth_with_cross(mask, original=original)
    if inside.all():  # no background, no distance: one object
        return label_components(inside)
    height = distance_transform_edt(inside)
    place = spaced_peaks(height, inside, MIN_DISTANCE_PX) if original else _plateau_centres(height, inside)
    markers = np.zeros(inside.shape, np.int32)
    markers[tuple(place.T)] = np.arange(1, len(place) + 1)
    return _at_least_10_px(label_components(flood(-height, markers, inside, monotone=True)))


def smooth_with_cross(mask: NDArray[np.bool_], *, original: bool) -> NDArray[np.bool_]:
    """Open with a cross of five pixels, close with it, and fill what background the result encloses."""
    from scipy.ndimage import binary_closing, binary_fill_holes, binary_opening

    if not original and mask.size:
        smooth = binary_closing(binary_opening(np.pad(mask, 4, mode="edge")))[4:-4, 4:-4]
    else:
        smooth = binary_closing(binary_opening(mask))
    return cast("NDArray[np.bool_]", binary_fill_holes(smooth))


def _plateau_centres(height: NDArray[np.float64], inside: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Give one place per plateau that is highest around it within its region, 5 px apart within a region."""
    from scipy.ndimage import find_objects

    region = label_components(inside, connectivity=4)
    places = []
    for number, box in enumerate(find_objects(region), start=1):
        own = np.where(region[box] == number, height[box], 0.0)
        plateau = label_components((own == window_maximum(own, 2 * MIN_DISTANCE_PX + 1)) & (own > 0))
        pixels = np.argwhere(plateau)
        order = np.argsort(plateau[plateau > 0], kind="stable")
        size = np.bincount(plateau.ravel())[1:]
        middle = pixels[order][np.cumsum(size) - 1 - size // 2]  # the plateau's middle pixel in raster order
        near = keep_apart(middle, own[tuple(middle.T)], own.shape, MIN_DISTANCE_PX)
        places.append(near + np.array([box[0].start, box[1].start], np.intp))
    return np.concatenate(places) if places else np.zeros((0, 2), np.intp)


def _at_least_10_px(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Drop smaller labels and close the gaps in the numbering."""
    if not labels.size:
        return labels
    kept = np.bincount(labels.ravel()) >= MIN_AREA_PX
    kept[0] = False
    return np.where(kept, np.cumsum(kept), 0).astype(np.int32)[labels]
