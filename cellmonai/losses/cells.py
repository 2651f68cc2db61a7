"""The cells of a label image one by one, each in a window of its own, and distances to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Window = tuple[slice, slice]

# up to so many lines, a sweep over the lines of a cell is faster than a distance transform of its window
_FEW_LINES = 32


def numbered(labels: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
    """Give labels that are not far above the number of pixels, so that a table by label fits in memory."""
    if int(labels.max(initial=0)) <= max(labels.size, 1 << 16):
        return labels.astype(np.int32, copy=False)
    present, numbers = np.unique(labels, return_inverse=True)
    first = 0 if present[0] == 0 else 1
    compact: NDArray[np.int32] = (numbers.reshape(labels.shape) + first).astype(np.int32)
    return compact


def each_cell(labels: NDArray[np.integer[Any]]) -> Iterator[tuple[Window, NDArray[np.bool_]]]:
    """Give the bounding box of every cell of labels (Y, X), in order of the labels, and its pixels inside the box."""
    labels = numbered(labels)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            yield box, labels[box] == label


def widened(box: Window, reach_px: int, shape: tuple[int, ...]) -> Window:
    """Give a box with `reach_px` more on every side, as far as the image goes."""
    rows, cols = (
        slice(max(side.start - reach_px, 0), min(side.stop + reach_px, length))
        for side, length in zip(box, shape, strict=True)
    )
    return rows, cols


def within(cell: NDArray[np.bool_], box: Window, window: Window) -> NDArray[np.bool_]:
    """Give the pixels of a cell, known in its bounding box, in a window that holds the box."""
    return np.pad(cell, _margins(box, window))


def squared_distance(cell: NDArray[np.bool_], box: Window, window: Window) -> NDArray[np.float32]:
    """Give the squared Euclidean distance of every pixel of a window to the nearest pixel of a cell, in px².

    Parameters
    ----------
    cell : bool, the pixels of the cell in its bounding box; at least one is True
    box, window : where box and window lie in the image; the window holds the box

    Notes
    -----
    Distances are between centres of pixels, 0 on the cell's own; whole numbers, exact up to 4,000 px.
    """
    if min(cell.shape) > _FEW_LINES:
        distance = ndimage.distance_transform_edt(~within(cell, box, window))
        squared: NDArray[np.float32] = np.square(distance).round().astype(np.float32)
        return squared
    above, beside = _margins(box, window)
    if cell.shape[0] <= cell.shape[1]:
        return _sweep(cell, above, beside)
    return _sweep(cell.T, beside, above).T


def _margins(box: Window, window: Window) -> tuple[tuple[int, int], tuple[int, int]]:
    """Give how far the window goes beyond the box: (above, below), (left, right)."""
    rows, cols = (
        (inner.start - outer.start, outer.stop - inner.stop) for inner, outer in zip(box, window, strict=True)
    )
    return rows, cols


def _sweep(cell: NDArray[np.bool_], above: tuple[int, int], beside: tuple[int, int]) -> NDArray[np.float32]:
    """Give squared distances as the least, over the lines of the cell, of distance across plus distance along."""
    along = _squared_along(np.pad(cell, ((0, 0), beside)))
    rows = np.arange(-above[0], cell.shape[0] + above[1], dtype=np.float32)
    least = np.full((rows.size, along.shape[1]), np.inf, np.float32)
    sums = np.empty_like(least)
    for line in range(cell.shape[0]):
        np.add(np.square(rows - line)[:, None], along[line], out=sums)
        np.minimum(least, sums, out=least)
    return least


def _squared_along(lines: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Give each pixel's squared distance to the nearest True of its own line; infinite in a line without any."""
    columns = np.arange(lines.shape[1], dtype=np.float32)
    left = np.maximum.accumulate(np.where(lines, columns, np.float32(-np.inf)), axis=1)
    right = np.minimum.accumulate(np.where(lines, columns, np.float32(np.inf))[:, ::-1], axis=1)[:, ::-1]
    return np.square(np.minimum(columns - left, right - columns))
