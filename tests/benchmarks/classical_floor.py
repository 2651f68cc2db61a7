"""What methods without training reach on real images, as a table: the floor that a learned result has to beat.

    python tests/benchmarks/classical_floor.py DATA [--methods otsu,watershed,…] [--sets dsb2018,fnc-green,…]
        [--set smooth_px=6] [--min-area 300]

Each image goes the way of `cellmonai infer --method NAME`, with the method's defaults or what `--set` puts in place of
those that it has, then of `cellmonai count`.

dsb2018           fluorescence pictures of the half of the groups that no default and no splitting rule was fitted on
dsb2018-recipe    those images of 256 x 256 px that recipes/dsb2018_fluorescence.toml keeps for its test
bbbc005           stain w1 in focus, simulated nuclei; the true count is in the file name, outlines are not given
bbbc005-recipe    the third sample of each count, which recipes/bbbc005.toml keeps for its test
fnc-green, -red   four pictures of yellow neurons, one of their two bright channels; the regions of the masks are truth
gowt1             the seven frames with every nucleus outlined; gowt1-02: those of the second sequence

bias is 100 (sum of predicted - sum of true) / sum of true, MAE in cells per image, F1 at an IoU of 0.5 over all cells.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import re
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from tifffile import imread

from cellmonai.data.splits import select_pairs, split_pairs
from cellmonai.images.layouts import find_pairs
from cellmonai.instances.classical.catalogue import METHODS, ChosenMethod, parse_parameters
from cellmonai.instances.classical.steps import to_unit_range
from cellmonai.instances.components import label_components
from cellmonai.instances.find import find_instances
from cellmonai.measure.counts import count_errors
from cellmonai.measure.matching import MatchCounts, match_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

RECIPES = Path(__file__).parents[2] / "recipes"
GOWT1_FULL = {"01": ("021", "031", "033", "039"), "02": ("052", "055", "072")}


@dataclass(frozen=True)
class Case:
    """One image (Y, X), how many cells it holds, and their labels where these are known."""

    image: NDArray[np.generic]
    count: int
    truth: NDArray[np.integer] | None = None


def outlined(image: NDArray[np.generic], truth: NDArray[np.integer]) -> Case:
    """Count the labels; they may have gaps."""
    return Case(image, np.unique(truth[truth > 0]).size, truth)


def dsb2018(data: Path) -> Iterator[Case]:
    """Fluorescence pictures of the groups whose hash is odd; `fit_split_rule.py` and the defaults saw the even ones."""
    root = data / "dsb2018_stage1_train"
    with (root / "groups.csv").open(newline="", encoding="utf-8") as table:
        group = {row["image_id"]: row["group"] for row in csv.DictReader(table)}
    with (root / "images.csv").open(newline="", encoding="utf-8") as table:
        kind = {row["image_id"]: row["type"] for row in csv.DictReader(table)}
    for path in sorted((root / "labels_fixed").glob("*.png")):
        unseen = hashlib.sha256(group[path.stem].encode()).digest()[0] % 2
        if unseen and kind[path.stem] == "fluorescence_grey":
            yield outlined(np.asarray(Image.open(root / "images" / path.name)), np.asarray(Image.open(path), np.int64))


def dsb2018_recipe(data: Path) -> Iterator[Case]:
    """The test share of the recipe, as `examples/reproduce.py` measures it."""
    asked = tomllib.loads((RECIPES / "dsb2018_fluorescence.toml").read_text(encoding="utf-8"))["data"]
    tables = [Path(table) for table in asked["tables"]]
    found = find_pairs("dsb2018", data / "dsb2018_stage1_train", masks=Path(asked["masks"]), tables=tables)
    chosen = select_pairs(found, {key: [value] for key, value in asked["select"].items()})
    for pair in split_pairs(chosen, group_by=asked["group_by"], **asked["split"]).test:
        image = np.asarray(Image.open(pair.image))
        if image.shape == (256, 256):
            yield outlined(image, np.asarray(Image.open(pair.masks[0]), np.int64))


def bbbc005(data: Path, sample: str = "*") -> Iterator[Case]:
    """Nuclei in focus and the count in their names."""
    for path in sorted((data / "bbbc005" / "images").glob(f"*_F1_{sample}_w1.TIF")):
        count = re.search(r"_C(\d+)_", path.name)
        assert count
        yield Case(imread(path), int(count[1]))


def fnc(data: Path, channel: str) -> Iterator[Case]:
    """One channel of four colour pictures; the regions of their masks do not touch."""
    index = ("red", "green", "blue").index(channel)
    for path in sorted((data / "fnc" / "images").glob("*.png")):
        mask = np.asarray(Image.open(data / "fnc" / "masks" / path.name)) > 0
        yield outlined(np.asarray(Image.open(path))[..., index], label_components(mask))


def gowt1(data: Path, sequences: Sequence[str] = tuple(GOWT1_FULL)) -> Iterator[Case]:
    """Frames whose segmentation truth holds every nucleus."""
    root = data / "ctc_gowt1" / "Fluo-N2DH-GOWT1"
    for sequence in sequences:
        for frame in GOWT1_FULL[sequence]:
            truth = imread(root / f"{sequence}_GT" / "SEG" / f"man_seg{frame}.tif").astype(np.int64)
            yield outlined(imread(root / sequence / f"t{frame}.tif"), truth)


SETS: dict[str, Callable[[Path], Iterator[Case]]] = {
    "dsb2018": dsb2018,
    "dsb2018-recipe": dsb2018_recipe,
    "bbbc005": bbbc005,
    "bbbc005-recipe": lambda data: bbbc005(data, "s03"),
    "fnc-green": lambda data: fnc(data, "green"),
    "fnc-red": lambda data: fnc(data, "red"),
    "gowt1": gowt1,
    "gowt1-02": lambda data: gowt1(data, ["02"]),
}


def row(cases: list[Case], chosen: ChosenMethod, min_area_px: float) -> str:
    """Bias, MAE, F1 and CPU seconds per Mpx over the images of a set."""
    start = time.process_time()
    point = replace(chosen.operating_point, min_area_px=min_area_px)
    labels = [find_instances(chosen.segment(to_unit_range(case.image)), point).labels for case in cases]
    seconds = (time.process_time() - start) / sum(case.image.size / 1e6 for case in cases)
    errors = count_errors([case.count for case in cases], [int(found.max(initial=0)) for found in labels])
    with_truth = [(case.truth, found) for case, found in zip(cases, labels, strict=True) if case.truth is not None]
    f1 = sum((match_labels(*pair) for pair in with_truth), MatchCounts()).f1
    return f"{errors.bias_percent:+8.1f} {errors.mae:8.2f} {'      -' if f1 is None else f'{f1:7.3f}'} {seconds:9.2f}"


def main() -> None:
    """Print a table per data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for methods that have it")
    parser.add_argument("--min-area", type=float, default=10, metavar="PX", help="as of cellmonai count")
    options = parser.parse_args()
    wanted = parse_parameters(options.set)
    for name in options.sets.split(","):
        cases = list(SETS[name](options.data))
        print(f"\n{name}: {len(cases)} images, {sum(case.count for case in cases)} cells")
        print(f"{'':16} {'bias %':>8} {'MAE':>8} {'F1':>7} {'CPU s/Mpx':>9}")
        for method in options.methods.split(","):
            own = {key: value for key, value in wanted.items() if key in METHODS[method].parameters}
            print(f"{method:16} {row(cases, ChosenMethod(method, own), options.min_area)}", flush=True)


if __name__ == "__main__":
    main()
