"""Connected components by runs: pieces of rows of equal value, united where runs of neighbouring rows touch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from cellmonai.instances import compiled
from cellmonai.instances.runs import Runs, find_runs
from cellmonai.instances.unite import unite_pairs
from cellmonai.kernels.library import library

if TYPE_CHECKING:
    from numpy.typing import NDArray


def label_components(image: NDArray[np.generic], *, connectivity: Literal[4, 8] = 8) -> NDArray[np.int32]:
    """Label the connected regions of equal nonzero value.

    Parameters
    ----------
    image : bool or integer, shape (Y, X); in a label image, neighbours of different value stay apart
    connectivity : 8 joins pixels across a corner, 4 does not

    Returns
    -------
    int32, shape (Y, X); 0 where the image is 0, regions are 1..N, numbered by their first pixel in raster order
    """
    kernels = library()
    if kernels is not None and image.size:
        return compiled.components(kernels, np.ascontiguousarray(image, np.int32), diagonal=connectivity == 8)[0]
    runs = find_runs(image)
    first, second = _touching_runs(runs, image.shape[1], diagonal=1 if connectivity == 8 else 0)
    root = unite_pairs(runs.row.size, first, second)
    # runs are in raster order and the smallest one stands for its region, so roots are in order of first pixels
    is_root = root == np.arange(root.size)
    label = np.cumsum(is_root, dtype=np.int32)[root]
    return paint_runs(runs, label, (image.shape[0], image.shape[1]))


def paint_runs(runs: Runs, label: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Write a label into every pixel of each run, 0 elsewhere."""
    labels = np.zeros(shape, np.int32)
    length = runs.stop - runs.start
    # raster index of every pixel of every run: the run's own start plus the place within it
    within = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
    labels.reshape(-1)[np.repeat(runs.row * shape[1] + runs.start, length) + within] = np.repeat(label, length)
    return labels


def _touching_runs(runs: Runs, columns: int, *, diagonal: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pair each run with the runs of the row above that it touches and that have its value.

    Every run gets its place on one long line of rows, with two columns between rows that belong to no run. Seen from
    the row below, the runs above it are then neighbours on that line, found by bisection.
    """
    pitch = columns + 2
    start, stop = runs.row * pitch + runs.start, runs.row * pitch + runs.stop
    # touches: the upper run ends after my start and starts before my end, each by one px more across corners
    first_above = np.searchsorted(stop, start - pitch - diagonal, side="right")
    after_above = np.searchsorted(start, stop - pitch + diagonal, side="left")
    touching = np.maximum(after_above - first_above, 0)
    below = np.repeat(np.arange(touching.size), touching)
    offset = np.arange(below.size) - np.repeat(np.cumsum(touching) - touching, touching)
    above = np.repeat(first_above, touching) + offset
    same = runs.value[above] == runs.value[below]
    return above[same], below[same]
