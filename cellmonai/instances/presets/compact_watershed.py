"""Flooding from markers in order of priority: the watershed of the reference systems, whatever library is installed.

scikit-image draws lines between compact floods up to 0.24 and silently leaves them out from 0.25 on, where it also lets
priorities no longer fall (its pull request 7071). Counts of the presets hang on both, so the flood is our own.
`cellmonai/kernels/compact_watershed.c` gives equal labels.
"""

from __future__ import annotations

import math
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.core.errors import InputError, MemoryBudgetError
from cellmonai.kernels.library import library

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LARGEST = 2**31 - 1  # places are 32-bit numbers in the queue


def flood(
    cost: NDArray[np.float64],
    markers: NDArray[np.int32],
    inside: NDArray[np.bool_],
    *,
    compactness: float = 0.0,
    with_lines: bool = False,
    monotone: bool = False,
) -> NDArray[np.int32]:
    """Let every marker grow over its 4-neighbours, cheapest pixel first, until the foreground is taken.

    Parameters
    ----------
    cost : float64, shape (Y, X); pixels of low cost are taken first
    markers : int32, shape (Y, X); where each label starts, 0 elsewhere
    inside : bool, shape (Y, X); the flood stays within
    compactness : added to the cost per px of Euclidean distance to the marker pixel from which the flood came, so that
        labels grow round; 0 is the plain watershed
    with_lines : leave a line of 0 where two floods meet
    monotone : a pixel is never taken before the level at which the flood reached it, as in scikit-image from 0.25 on,
        so that markers beside a deeper pit share it; else the first to spill over takes all

    Returns
    -------
    int32, shape (Y, X); 0 outside, on lines, and on foreground that no marker reaches

    Raises
    ------
    InputError
        The image has 2³¹ px or more.
    MemoryBudgetError
        There is no memory left for the queue.

    Notes
    -----
    Equal priorities are taken in order of discovery; markers come first, in raster order, and neighbours are visited
    up, left, right, down. A pixel with two labels among its neighbours becomes line when its turn comes: it never
    spreads and no longer separates. Without compactness and lines a pixel gets its label when it is discovered, else
    when it is taken.

    References
    ----------
    Neubert and Protzel 2014, Compact watershed and preemptive SLIC; Beucher and Meyer 1993 for the queue.
    """
    rows, columns = cost.shape
    if (rows + 2) * (columns + 2) > _LARGEST:
        raise InputError(f"the image has {rows} x {columns} px, and a watershed takes at most {_LARGEST}")
    framed_cost, still_open = np.zeros((rows + 2, columns + 2)), np.zeros((rows + 2, columns + 2), np.uint8)
    labels = np.zeros((rows + 2, columns + 2), np.int32)
    within = (slice(1, -1), slice(1, -1))
    framed_cost[within], still_open[within] = cost, inside
    labels[within] = np.where(inside, markers, 0)
    kernels = library()
    if kernels is None:
        _flood(framed_cost, still_open, labels, compactness, with_lines=with_lines, monotone=monotone)
    elif kernels("flood", framed_cost, still_open, labels, columns + 2, labels.size, compactness, with_lines, monotone):
        raise MemoryBudgetError("the queue of the watershed does not fit into memory", cure="cut the image")
    return labels[within].copy()


def flood_bytes_per_px() -> int:
    """Give the memory that a flood takes for each pixel, at worst: its images and its queue."""
    return 300 if library() is None else 90


def _flood(
    framed_cost: NDArray[np.float64],
    framed_open: NDArray[np.uint8],
    framed_labels: NDArray[np.int32],
    compactness: float,
    *,
    with_lines: bool,
    monotone: bool,
) -> None:
    """Flood as the kernel does, on images framed by one closed pixel; labels and open pixels are overwritten."""
    pitch = framed_cost.shape[1]
    steps = (-pitch, -1, 1, pitch)
    cost: list[float] = framed_cost.ravel().tolist()
    still_open: list[int] = framed_open.ravel().tolist()
    labels: list[int] = framed_labels.ravel().tolist()
    on_arrival = compactness > 0 or with_lines
    starts = np.flatnonzero(framed_labels).tolist()
    queue = [(cost[pixel], age, pixel, pixel) for age, pixel in enumerate(starts)]
    heapify(queue)
    age = len(queue)
    while queue:
        level, _, pixel, source = heappop(queue)
        if on_arrival:
            if labels[pixel] and pixel != source:
                continue
            if with_lines and len({labels[pixel + step] for step in steps if still_open[pixel + step]} - {0}) > 1:
                still_open[pixel] = 0
                continue
            labels[pixel] = labels[source]
        for step in steps:
            found = pixel + step
            if not still_open[found] or labels[found]:
                continue
            priority = cost[found]
            if compactness > 0:
                down, across = found // pitch - source // pitch, found % pitch - source % pitch
                priority += compactness * math.sqrt(down * down + across * across)
            if monotone and priority < level:
                priority = level
            if not on_arrival:
                labels[found] = labels[pixel]
            heappush(queue, (priority, age, found, source))
            age += 1
    framed_labels[...] = np.array(labels, np.int32).reshape(framed_labels.shape)
