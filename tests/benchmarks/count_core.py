"""CPU time of the counting core against the usual SciPy and scikit-image pipeline.

    python tests/benchmarks/count_core.py [--side 4096] [--rounds 3] [--without-usual]

Both sides turn one painted mask into labels and the same table: area, centroid, box, eccentricity, perimeter. They take
turns, so that a busy machine meets both; a ratio is formed within each round. CPU seconds of one process, one thread.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from painting import paint, scattered_discs
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.measure import regionprops_table
from skimage.segmentation import watershed

from cellmonai.instances.find import find_instances
from cellmonai.instances.settings import InstanceSettings
from cellmonai.measure.objects import measure_objects

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def core(mask: NDArray[np.bool_]) -> int:
    """Count with this package."""
    found = find_instances(mask, InstanceSettings(min_area_px=0))
    return len(measure_objects(found.labels, pixel_size_um=None))


def core_labels(mask: NDArray[np.bool_]) -> int:
    """Split, filter and number with this package, without measuring."""
    return find_instances(mask, InstanceSettings()).count


def usual(mask: NDArray[np.bool_]) -> int:
    """Count as most tutorials do: distance transform, smoothing, peaks, watershed, region properties."""
    height = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), 1)
    components, _ = ndimage.label(mask, np.ones((3, 3)))
    peaks = peak_local_max(height, min_distance=5, labels=components, exclude_border=False)
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels = watershed(-height, seeds, mask=mask, connectivity=2)
    columns = ("label", "area", "centroid", "bbox", "eccentricity", "perimeter")
    return len(regionprops_table(labels, properties=columns)["label"])


def cpu_seconds(call: Callable[[NDArray[np.bool_]], int], mask: NDArray[np.bool_]) -> tuple[float, int]:
    """CPU seconds of one call, and what it counted."""
    start = time.process_time()
    count = call(mask)
    return time.process_time() - start, count


def spread(values: list[float]) -> str:
    """Smallest, median and largest."""
    return f"{min(values):6.2f} / {median(values):6.2f} / {max(values):6.2f}"


def compare(name: str, mask: NDArray[np.bool_], *, rounds: int, with_usual: bool) -> None:
    """Time both sides in turns and print a line per side and the ratios."""
    sides = {"labels only": core_labels, "core": core} | ({"usual": usual} if with_usual else {})
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    counts = {}
    for _ in range(rounds):
        for side, call in sides.items():
            taken, counts[side] = cpu_seconds(call, mask)
            seconds[side].append(taken)
    print(f"{name}: {mask.shape[0]} x {mask.shape[1]} px, {mask.mean():.0%} foreground, min / median / max")
    for side, values in seconds.items():
        print(f"  {side:12} {spread(values)} CPU s   {counts[side]} cells")
    if with_usual:
        ratios = [slow / quick for slow, quick in zip(seconds["usual"], seconds["core"], strict=True)]
        print(f"  usual / core {spread(ratios)}")


def main() -> None:
    """Paint the fields and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-usual", action="store_true")
    options = parser.parse_args()
    shape = (options.side, options.side)
    scale = (options.side / 4096) ** 2
    random = np.random.default_rng(0)
    sparse = scattered_discs(round(9000 * scale), shape, radius_px=(8, 15), seed=1)
    dense = scattered_discs(round(12000 * scale), shape, radius_px=(8, 15), cells_per_cluster=10, seed=2)
    fields = {"sparse": paint(sparse, shape) > 0, "dense": paint(dense, shape) > 0}
    for name, mask in fields.items():
        compare(name, mask, rounds=options.rounds, with_usual=not options.without_usual)
    worst = {"noise": random.random(shape) < 0.5, "all foreground": np.ones(shape, bool)}
    for name, mask in worst.items():
        compare(name, mask, rounds=1, with_usual=False)


if __name__ == "__main__":
    main()
