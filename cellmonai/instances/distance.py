"""Exact squared distance from every foreground pixel to the nearest background pixel, capped at 255 px.

Two passes as in Felzenszwalb and Huttenlocher (2012): down and up each column, then along each row. The cap is part of
the definition: farther pixels all have the distance 255, which bounds what a row strip must see of its neighbours.
Pixels outside the image are not background.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DISTANCE_CAP_PX = 255


def sweep_down(inside: NDArray[np.uint8], above: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Count, for every pixel, the rows up to the next background pixel of its column.

    Parameters
    ----------
    inside : uint8, shape (Y, X), 1 on foreground, 0 on background
    above : uint8, shape (X,), this count for the row above the first one; 255 where no background was met

    Returns
    -------
    uint8, shape (Y, X); 0 on background, never above 255
    """
    distance = np.empty_like(inside)
    previous = above
    for row, inside_row in zip(distance, inside, strict=True):
        np.minimum(previous, DISTANCE_CAP_PX - 1, out=row)
        row += 1
        row *= inside_row
        previous = row
    return distance


def sweep_up(inside: NDArray[np.uint8], below: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Count, for every pixel, the rows down to the next background pixel of its column.

    `below` holds the rows after `inside`; of these at most 255 are looked at, as the cap hides what is farther.
    """
    farthest = np.full(inside.shape[1], DISTANCE_CAP_PX, np.uint8)
    for inside_row in below[: DISTANCE_CAP_PX - 1][::-1]:
        np.minimum(farthest, DISTANCE_CAP_PX - 1, out=farthest)
        farthest += 1
        farthest *= inside_row
    return sweep_down(inside[::-1], farthest)[::-1]


def widen_to_squared(column_distance: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Turn distances within columns into squared distances within the image.

    D(x) = min over k of k² + g(x ± k)². A background pixel has g = 0, so nothing behind it can win, and a row is done
    as soon as k² reaches its largest D.

    Parameters
    ----------
    column_distance : uint8, shape (Y, X), the smaller of both sweeps

    Returns
    -------
    uint16, shape (Y, X), squared distance in px², at most 255²
    """
    column_squared = np.square(column_distance, dtype=np.uint16)
    squared = column_squared.copy()
    candidate = np.empty_like(squared)
    width = squared.shape[1]
    for k in range(1, min(DISTANCE_CAP_PX, width)):
        if k * k >= squared.max(initial=0):
            break
        # k² + g², cut off at the cap so that it fits uint16; against a row, as NumPy's minimum with one number is slow
        most = np.full(width, DISTANCE_CAP_PX**2 - k * k, np.uint16)
        np.minimum(column_squared, most, out=candidate)
        candidate += np.uint16(k * k)
        np.minimum(squared[:, k:], candidate[:, :-k], out=squared[:, k:])
        np.minimum(squared[:, :-k], candidate[:, k:], out=squared[:, :-k])
    return squared


def squared_distance(mask: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Measure the squared distance of each pixel to the nearest background pixel of a whole mask.

    Parameters
    ----------
    mask : bool, shape (Y, X), True on foreground

    Returns
    -------
    uint16, shape (Y, X), px²; 0 on background, 255² where background is 255 px away or more, or absent
    """
    inside = np.ascontiguousarray(mask).view(np.uint8)
    nothing_above = np.full(mask.shape[1], DISTANCE_CAP_PX, np.uint8)
    down, up = sweep_down(inside, nothing_above), sweep_up(inside, inside[:0])
    return widen_to_squared(np.minimum(down, up))
