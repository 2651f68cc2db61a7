"""Measure a recipe again: fit on its training images, then infer, count and evaluate on images that fit never saw.

python examples/reproduce.py bbbc005 DATA           # fields s01 and s02 train, s03 tests, truth from the file names
python examples/reproduce.py dsb2018 DATA           # the test share of the recipe's split, its 256 x 256 px images
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from cellmonai.images.layouts import Pair, find_pairs
from cellmonai.report.csv import write_csv

RECIPES = Path(__file__).parents[1] / "recipes"


def bbbc005_test(data: Path, output: Path) -> tuple[list[Pair], Path]:
    """Give the test images and a table of their true counts."""
    wanted = {"stain": "w1", "blur": "1", "sample": "3"}
    pairs = [pair for pair in find_pairs("bbbc005", data) if wanted.items() <= pair.attributes.items()]
    truth = output / "true_counts.csv"
    write_csv(truth, {"image": [p.name for p in pairs], "count": [p.count for p in pairs]}, overwrite=True)
    return pairs, truth


def dsb2018_test(data: Path, output: Path) -> tuple[list[Pair], Path]:
    """Give the test images and a folder with their corrected label images."""
    unseen = set(json.loads((output / "run" / "run.json").read_text())["split"]["test"])
    found = find_pairs("dsb2018", data, masks=Path("labels_fixed"), tables=[Path("images.csv")])
    size = {"width": "256", "height": "256"}
    pairs = [pair for pair in found if pair.name in unseen and size.items() <= pair.attributes.items()]
    (output / "truth").mkdir()
    for pair in pairs:
        shutil.copy(pair.masks[0], output / "truth")
    return pairs, output / "truth"


def cellmonai(*words: str | Path) -> None:
    """Run a command as a user would."""
    subprocess.run([sys.executable, "-m", "cellmonai", *words, "--overwrite"], check=True)


if __name__ == "__main__":
    find_test = {"bbbc005": bbbc005_test, "dsb2018": dsb2018_test}
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("experiment", choices=find_test)
    given.add_argument("data", type=Path)
    given.add_argument("--output", type=Path, default=Path("reproduced"))
    words = given.parse_args()
    output = words.output / words.experiment
    recipe = RECIPES / {"bbbc005": "bbbc005.toml", "dsb2018": "dsb2018_fluorescence.toml"}[words.experiment]
    if output.exists():
        sys.exit(f"{output} exists already; name another --output")
    cellmonai("fit", recipe, "--set", f"data.root={words.data}", "--output", output / "run")
    pairs, truth = find_test[words.experiment](words.data, output)
    images = [pair.image for pair in pairs]
    cellmonai("infer", *images, "--model", output / "run", "--output", output / "masks")
    cellmonai("count", output / "masks", "--output", output / "counts", "--quiet")
    cellmonai("evaluate", output / "counts", truth, "--output", output / "evaluation")
