"""Seeded region growing: every bright peak takes in the neighbours that look like it, the most alike first."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu

from cellmonai.instances.classical.steps import is_flat, smooth

if TYPE_CHECKING:
    from numpy.typing import NDArray


def region_growing(
    image: NDArray[np.float32], *, smooth_px: float, seed_smooth_px: float, seed_distance_px: int, tolerance: float
) -> NDArray[np.int32]:
    """Grow a region from each bright peak while the next pixel resembles the region's mean.

    Parameters
    ----------
    image : float32, shape (Y, X), in [0, 1]; cells are bright
    smooth_px : standard deviation of the blur of the intensities that are compared, px
    seed_smooth_px : standard deviation of the blur in which peaks are looked for, px; texture gives peaks below it
    seed_distance_px : two seeds are farther apart than this
    tolerance : a pixel may differ from the region's mean by this share of the mean's height above the background

    Returns
    -------
    int32, shape (Y, X); 0 is background, objects are 4-connected and may touch; empty where all pixels are equal

    References
    ----------
    Adams and Bischof 1994, Seeded region growing, IEEE Transactions on Pattern Analysis and Machine Intelligence
    16(6), 641-647. The tolerance is an addition: in the article the regions grow until they cover the image.

    Notes
    -----
    Seeds are peaks above Otsu's threshold; the background is the mean below it. A seed has the mean of its own pixel.
    """
    blurred = smooth(image, smooth_px)
    if is_flat(blurred):
        return np.zeros(image.shape, np.int32)
    threshold = threshold_otsu(blurred)
    background = float(blurred[blurred <= threshold].mean(dtype=np.float64))
    seeds = peak_local_max(
        smooth(image, seed_smooth_px),
        min_distance=seed_distance_px,
        labels=(blurred > threshold).astype(np.int32),
        exclude_border=False,
    )
    return grow(blurred, seeds, background=background, tolerance=tolerance)


def grow(
    image: NDArray[np.float32], seeds: NDArray[np.intp], *, background: float, tolerance: float
) -> NDArray[np.int32]:
    """Let regions grow from seeds (N, 2), rows and columns; region n is label n + 1.

    A pixel waits with its difference to the mean that each neighbouring region had when it reached the pixel; the
    smallest difference in the image goes first, among equal ones the first pixel and then the first region.
    """
    width = image.shape[1] + 2
    # plain lists with a frame that belongs to nobody: pixels are visited one by one
    grey: list[float] = np.pad(image, 1).ravel().tolist()
    labels: list[int] = np.pad(np.zeros(image.shape, np.int32), 1, constant_values=-1).ravel().tolist()
    total, count = [0.0] * (len(seeds) + 1), [0] * (len(seeds) + 1)
    waiting: list[tuple[float, int, int]] = []

    def take(pixel: int, region: int) -> None:
        labels[pixel] = region
        total[region] += grey[pixel]
        count[region] += 1
        mean = total[region] / count[region]
        for neighbour in (pixel - width, pixel - 1, pixel + 1, pixel + width):
            if labels[neighbour] == 0:
                difference = abs(grey[neighbour] - mean)
                if difference <= tolerance * (mean - background):
                    heapq.heappush(waiting, (difference, neighbour, region))

    for region, (row, column) in enumerate(seeds.tolist(), start=1):
        take((row + 1) * width + column + 1, region)
    while waiting:
        _, pixel, region = heapq.heappop(waiting)
        if labels[pixel] == 0:
            take(pixel, region)
    return np.array(labels, np.int32).reshape(-1, width)[1:-1, 1:-1].copy()
