"""CPU time of the counting core against the usual SciPy and scikit-image pipeline.

    python tests/benchmarks/count_core.py [--side 4096] [--rounds 5] [--only speed|agreement|growth]

All sides turn one painted mask into labels and the same table: label, area, centroid, box, eccentricity, perimeter;
reading and writing are left out. They take turns, so that a busy machine meets all of them; a ratio is formed within
each round. CPU seconds of one process with one thread. The core runs with its compiled kernels and with their NumPy
twins. The best assembly of stock parts needs opencv-python-headless and connected-components-3d, and has no perimeter;
without them its lines are left out.
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
from cellmonai.kernels.library import VARIABLE, kernel_name, library
from cellmonai.measure.matching import overlap_table
from cellmonai.measure.objects import measure_objects

try:
    import cc3d
    import cv2
except ImportError:
    cc3d = cv2 = None

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]
    Labels = NDArray[np.integer]

COLUMNS = ("label", "area", "centroid", "bbox", "eccentricity", "perimeter")


def use(kernels: str) -> None:
    """Switch between the compiled kernels and their twins."""
    os.environ[VARIABLE] = kernels
    library.cache_clear()
    if kernel_name() != kernels:
        sys.exit("the compiled kernels are not built: pip install -e . with a C compiler")


def core(mask: Mask, *, kernels: str = "c", split: str = "auto") -> Labels:
    """Count with this package."""
    use(kernels)
    labels = find_instances(mask, InstanceSettings(min_area_px=0, split=split)).labels
    measure_objects(labels, pixel_size_um=None, columns="basic")
    return labels


def usual_labels(mask: Mask) -> Labels:
    """Split as most tutorials do: distance transform, smoothing, peaks, watershed."""
    height = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), 1)
    components, _ = ndimage.label(mask, np.ones((3, 3)))
    peaks = peak_local_max(height, min_distance=5, labels=components, exclude_border=False)
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return watershed(-height, seeds, mask=mask, connectivity=2)


def usual(mask: Mask) -> Labels:
    """As `usual_labels`, with the table of region properties."""
    labels = usual_labels(mask)
    regionprops_table(labels, properties=COLUMNS)
    return labels


def stock(mask: Mask) -> Labels:
    """The fastest parts that could be found ready made; moments by bincount, no perimeter."""
    inside = mask.astype(np.uint8)
    height = cv2.GaussianBlur(cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), (9, 9), 1)
    peak = (height == cv2.dilate(height, np.ones((11, 11), np.uint8))) & mask
    seeds = cc3d.connected_components(peak, connectivity=8)
    labels = watershed(-height, seeds, mask=mask, connectivity=2)
    cc3d.statistics(labels.astype(np.uint32))
    y, x = np.nonzero(labels)
    owner = labels[y, x]
    for values in (y * y, x * x, x * y):
        np.bincount(owner, weights=values)
    return labels


def cpu_seconds(call: Callable[[Mask], Labels], mask: Mask) -> tuple[float, Labels]:
    """CPU seconds of one call, and its labels."""
    start = time.process_time()
    labels = call(mask)
    return time.process_time() - start, labels


def spread(values: list[float]) -> str:
    """Smallest, median and largest."""
    return f"{min(values):7.2f} / {median(values):7.2f} / {max(values):7.2f}"


def compare(name: str, mask: Mask, *, rounds: int) -> None:
    """Time all sides in turns; print their seconds and the ratios to the core."""
    sides: dict[str, Callable[[Mask], Labels]] = {
        "core, C": core,
        "core, NumPy": lambda field: core(field, kernels="numpy"),
        "usual": usual,
    }
    if cv2 is not None:
        sides["stock"] = stock
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    counts = {}
    for _ in range(rounds):
        for side, call in sides.items():
            taken, labels = cpu_seconds(call, mask)
            seconds[side].append(taken)
            counts[side] = int(labels.max())
    print(f"{name}: {mask.shape[0]} x {mask.shape[1]} px, {mask.mean():.0%} foreground; min / median / max")
    for side, values in seconds.items():
        print(f"  {side:22} {spread(values)} CPU s   {counts[side]} cells")
    for slow, quick in (("usual", "core, C"), ("usual", "core, NumPy"), ("stock", "core, C")):
        if slow in seconds:
            ratios = [a / b for a, b in zip(seconds[slow], seconds[quick], strict=True)]
            print(f"  {slow + ' / ' + quick:22} {spread(ratios)} times", flush=True)


def worst_cases(side: int) -> None:
    """Time what costs most for its size."""
    rows, columns = np.ogrid[:side, :side]
    disc = (rows - side // 2) ** 2 + (columns - side // 2) ** 2 < (0.46 * side) ** 2
    noise = np.random.default_rng(0).random((side, side))
    fields = {"noise .5": noise < 0.5, "noise .9": noise < 0.9, "one disc": disc, "all foreground": np.ones_like(disc)}
    for name, mask in fields.items():
        parts = []
        for kernels in ("c", "numpy"):
            taken, labels = cpu_seconds(lambda field, k=kernels: core(field, kernels=k), mask)
            parts.append(f"{kernels} {taken:.2f} CPU s")
        print(f"  {name:16} {', '.join(parts)}, {int(labels.max())} cells", flush=True)


def agreement(name: str, mask: Mask) -> None:
    """Tell how far `--split markers` and the usual pipeline agree."""
    ours, theirs = core(mask, split="markers"), usual_labels(mask)
    table = overlap_table(theirs, ours)
    pair = table.iou > 0.5  # these are one to one
    areas = np.bincount(theirs.ravel())[1:][table.true_index] + np.bincount(ours.ravel())[1:][table.predicted_index]
    matched = float((areas * table.iou / (1 + table.iou))[pair].sum())
    print(
        f"  {name:8} usual {int(theirs.max())}, markers {int(ours.max())} cells; "
        f"{100 * matched / int(mask.sum()):.3f} % of the foreground in one-to-one labels",
        flush=True,
    )


def growth(field: Mask, rounds: int) -> None:
    """Time the core on pieces and multiples of one field."""
    for side in (1024, 2048, 4096, 8192):
        mask = np.tile(field, (2, 2))[:side, :side] if side > len(field) else field[:side, :side]
        per_px = [cpu_seconds(core, np.ascontiguousarray(mask))[0] / side**2 * 1e9 for _ in range(rounds)]
        print(f"  {side:5} x {side:<5} {spread(per_px)} ns/px", flush=True)


def main() -> None:
    """Paint the fields and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("speed", "agreement", "growth", "worst"))
    options = parser.parse_args()
    shape = (options.side, options.side)
    scale = (options.side / 4096) ** 2
    sparse = scattered_discs(round(9000 * scale), shape, radius_px=(8, 15), seed=1)
    dense = scattered_discs(round(12000 * scale), shape, radius_px=(8, 15), cells_per_cluster=10, seed=2)
    fields = {"sparse": paint(sparse, shape) > 0, "dense": paint(dense, shape) > 0}
    if options.only in (None, "speed"):
        for name, mask in fields.items():
            compare(name, mask, rounds=options.rounds)
    if options.only in (None, "worst"):
        print("worst cases")
        worst_cases(options.side)
    if options.only in (None, "agreement"):
        print("--split markers and the usual pipeline")
        for name, mask in fields.items():
            agreement(name, mask)
    if options.only in (None, "growth"):
        print("growth, dense field, min / median / max")
        growth(fields["dense"], options.rounds)


if __name__ == "__main__":
    main()
