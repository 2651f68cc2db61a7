"""Where floods start: local maxima of a height, by the rules of the library versions that the reference systems used.

scikit-image changed its peak finder with version 0.18: plateaus shrank to single points, and where every foreground
pixel is its own window's maximum, all peaks vanished. A preset states which rule is its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def window_maximum(height: NDArray[np.float64], side_px: int) -> NDArray[np.float64]:
    """Give the largest height in a square around each pixel; 0 outside the image.

    Parameters
    ----------
    height : float64, shape (Y, X), 0 or more
    side_px : side of the square; an even square reaches one pixel farther up and left than down and right
    """
    from scipy.ndimage import maximum_filter

    return cast("NDArray[np.float64]", maximum_filter(height, size=side_px, mode="constant"))


def plateau_peaks(height: NDArray[np.float64], inside: NDArray[np.bool_], side_px: int) -> NDArray[np.bool_]:
    """Find the foreground pixels that nothing in the square around them exceeds; plateaus stay whole.

    Parameters
    ----------
    height : float64, shape (Y, X), 0 or more
    inside : bool, shape (Y, X), the foreground; heights outside count as 0
    side_px : side of the square

    Returns
    -------
    bool, shape (Y, X); nothing at all where the height is the same everywhere

    Notes
    -----
    This is the rule of scikit-image up to 0.17, `peak_local_max(…, indices=False, exclude_border=False)`. It works
    within the bounding box of the foreground; as heights are not negative, the image around it makes no difference.
    """
    limited = np.where(inside, height, 0.0)
    peaks: NDArray[np.bool_] = (limited == window_maximum(limited, side_px)) & (limited > height.min(initial=np.inf))
    return peaks


def spaced_peaks(height: NDArray[np.float64], inside: NDArray[np.bool_], min_distance_px: int) -> NDArray[np.intp]:
    """Find peaks at least `min_distance_px` apart and as far from the image border, the highest first.

    Parameters
    ----------
    height : float64, shape (Y, X), above 0 on foreground
    inside : bool, shape (Y, X), the foreground
    min_distance_px : half the side of the square in which a peak must be highest, and the least distance of two peaks,
        the larger of rows and columns

    Returns
    -------
    intp, shape (N, 2), row and column

    Notes
    -----
    This is the rule of scikit-image from 0.18 on, `peak_local_max(height, min_distance=…, labels=inside)`, with its
    faults: the border is left out of the bounding box in which peaks are sought, so that a cut cell shows its peaks
    along the cut, and where the whole box is one plateau only isolated pixels are peaks.
    """
    from scipy.ndimage import binary_opening

    box = _bounding_box(inside, margin=min_distance_px)
    if box is None:
        return np.zeros((0, 2), np.intp)
    within = inside[box]
    limited = np.where(within, height[box], -np.inf)
    found = within & (limited == _nearest_maximum(limited, 2 * min_distance_px + 1))
    if found[within].all():
        found = within & ~binary_opening(within)
    corner = (box[0].start, box[1].start)
    return keep_apart(np.argwhere(found), limited[found], within.shape, min_distance_px) + np.array(corner, np.intp)


def keep_apart(
    place: NDArray[np.intp], height: NDArray[np.float64], shape: tuple[int, ...], min_distance_px: int
) -> NDArray[np.intp]:
    """Walk places from the highest down, equal ones in the given order, and leave out those too near a kept one.

    Parameters
    ----------
    place : intp, shape (N, 2), row and column
    height : float64, shape (N,)
    shape : of the image
    min_distance_px : least distance of two places, the larger of rows and columns

    Returns
    -------
    intp, shape (M, 2), in the order of the walk
    """
    taken, kept, reach = np.zeros(shape, np.bool_), [], min_distance_px - 1
    for row, column in place[np.argsort(-height, kind="stable")].tolist():
        if not taken[row, column]:
            kept.append((row, column))
            taken[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1] = True
    return np.array(kept, np.intp).reshape(-1, 2)


def _nearest_maximum(height: NDArray[np.float64], side_px: int) -> NDArray[np.float64]:
    from scipy.ndimage import maximum_filter

    return cast("NDArray[np.float64]", maximum_filter(height, size=side_px, mode="nearest"))


def _bounding_box(inside: NDArray[np.bool_], *, margin: int) -> tuple[slice, slice] | None:
    """Give the box around the foreground that is at least `margin` px away from the image border."""
    rows, columns = (size - margin for size in inside.shape)
    inner = inside[margin : max(rows, margin), margin : max(columns, margin)]
    row, column = np.flatnonzero(inner.any(axis=1)), np.flatnonzero(inner.any(axis=0))
    if not row.size:
        return None
    row, column = row + margin, column + margin
    return slice(int(row[0]), int(row[-1]) + 1), slice(int(column[0]), int(column[-1]) + 1)
