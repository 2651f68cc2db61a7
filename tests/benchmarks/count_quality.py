"""Counts and outlines that each rule and preset finds on real masks, as a table.

    python tests/benchmarks/count_quality.py DATA [--rules auto,none,morelli2021,…] [--repaired]

DATA holds three data sets with perfect foreground, so that only the splitting is judged:

bbbc005   masks in focus; the true count is in the file name (simulated cells, which overlap)
dsb2018   corrected labels merged into one mask, of the half of the groups on which `fit_split_rule.py` never fits
fnc       four masks of neurons that do not touch: regions are the truth, so any rule that never splits is perfect here

bias is 100 (sum of predicted - sum of true) / sum of true, MAE in cells per image, F1 at an IoU of 0.5.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from tifffile import imread

from cellmonai.instances.components import label_components
from cellmonai.instances.find import find_instances
from cellmonai.instances.presets.catalogue import PRESETS, run_preset
from cellmonai.instances.settings import InstanceSettings
from cellmonai.measure.counts import count_errors
from cellmonai.measure.matching import MatchCounts, match_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Finder = Callable[[NDArray[np.bool_]], NDArray[np.int32]]

RULES = ("auto", "learned", "markers", "none")


def bbbc005(data: Path, stain: str) -> Iterator[tuple[NDArray[np.bool_], int, None]]:
    """Masks in focus and the count in their names."""
    for path in sorted((data / "bbbc005" / "masks").glob(f"*_F1_*_{stain}.TIF")):
        count = re.search(r"_C(\d+)_", path.name)
        assert count
        yield imread(path) > 0, int(count[1]), None


def dsb2018(data: Path) -> Iterator[tuple[NDArray[np.bool_], int, NDArray[np.int64]]]:
    """Merged labels of the groups that are kept for tests, and the labels themselves."""
    root = data / "dsb2018_stage1_train"
    with (root / "groups.csv").open(newline="", encoding="utf-8") as table:
        group = {row["image_id"]: row["group"] for row in csv.DictReader(table)}
    for path in sorted((root / "labels_fixed").glob("*.png")):
        if hashlib.sha256(group[path.stem].encode()).digest()[0] % 2:
            truth = np.asarray(Image.open(path)).astype(np.int64)
            yield truth > 0, np.unique(truth[truth > 0]).size, truth


def fnc(data: Path) -> Iterator[tuple[NDArray[np.bool_], int, NDArray[np.int32]]]:
    """Masks of four pictures; their regions are the cells."""
    for path in sorted((data / "fnc" / "masks").glob("*.png")):
        truth = label_components(np.asarray(Image.open(path)) > 0)
        yield truth > 0, int(truth.max()), truth


def finders(names: list[str], *, repaired: bool) -> dict[str, Finder]:
    """Give the rules and presets of these names, and the presets without their faults where wanted."""
    found: dict[str, Finder] = {}
    for name in names:
        if name in RULES:
            settings = InstanceSettings(split=name)  # type: ignore[arg-type]
            found[name] = lambda mask, settings=settings: find_instances(mask, settings).labels
        else:
            found[name] = lambda mask, name=name: run_preset(name, mask)
            if repaired and PRESETS[name].faults:
                found[f"{name}, repaired"] = lambda mask, name=name: run_preset(name, mask, original=False)
    return found


def row(images: list[tuple[NDArray[np.bool_], int, NDArray[np.integer] | None]], find: Finder) -> str:
    """Bias, MAE, F1 and CPU seconds over the images of a set."""
    start = time.process_time()
    labels = [find(mask) for mask, _, _ in images]
    seconds = time.process_time() - start
    errors = count_errors([count for _, count, _ in images], [int(found.max(initial=0)) for found in labels])
    outlined = [(truth, found) for (_, _, truth), found in zip(images, labels, strict=True) if truth is not None]
    f1 = sum((match_labels(*pair) for pair in outlined), MatchCounts()).f1
    return f"{errors.bias_percent:+8.2f} {errors.mae:7.2f} {'      -' if f1 is None else f'{f1:7.4f}'} {seconds:7.1f}"


def main() -> None:
    """Print a table per data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rules", default=",".join((*RULES, *PRESETS)))
    parser.add_argument("--repaired", action="store_true", help="also the presets without the faults of the originals")
    options = parser.parse_args()
    ways = finders(options.rules.split(","), repaired=options.repaired)
    sets = {
        "bbbc005 w1": bbbc005(options.data, "w1"),
        "bbbc005 w2": bbbc005(options.data, "w2"),
        "dsb2018": dsb2018(options.data),
        "fnc": fnc(options.data),
    }
    for name, images in sets.items():
        loaded = list(images)
        print(f"\n{name}: {len(loaded)} images, {sum(count for _, count, _ in loaded)} cells")
        print(f"{'':32} {'bias %':>8} {'MAE':>7} {'F1':>7} {'CPU s':>7}")
        for way, find in ways.items():
            print(f"{way:32} {row(loaded, find)}", flush=True)


if __name__ == "__main__":
    main()
