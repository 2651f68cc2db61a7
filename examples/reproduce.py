"""Measure a recipe again: fit on its training images, then infer, count and evaluate on images that fit never saw.

python examples/reproduce.py bbbc005 DATA           # fields s01 and s02 train, s03 tests, truth from the file names
python examples/reproduce.py dsb2018 DATA           # the test share of the recipe's split, its 256 x 256 px images
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import cellmonai
from cellmonai.cli.console import make_reporter, print_table
from cellmonai.images.layouts import Pair, find_pairs
from cellmonai.report.csv import write_csv
from cellmonai.report.evaluation_tables import summary_table
from cellmonai.workflows.count_settings import CountSettings
from cellmonai.workflows.evaluate_result import EvaluateSettings
from cellmonai.workflows.infer_settings import InferSettings

RECIPES = Path(__file__).parents[1] / "recipes"


def bbbc005_test(data: Path, output: Path, run: Path) -> tuple[list[Path], Path]:
    """Give the test images and a table of their true counts."""
    pairs = [pair for pair in find_pairs("bbbc005", data) if _has(pair, stain="w1", blur="1", sample="3")]
    truth = output / "true_counts.csv"
    write_csv(truth, {"image": [p.name for p in pairs], "count": [p.count for p in pairs]}, overwrite=True)
    return [pair.image for pair in pairs], truth


def dsb2018_test(data: Path, output: Path, run: Path) -> tuple[list[Path], Path]:
    """Give the test images and a folder with their corrected label images."""
    unseen = set(json.loads((run / "run.json").read_text())["split"]["test"])
    pairs = find_pairs("dsb2018", data, masks=Path("labels_fixed"), tables=[Path("images.csv")])
    chosen = [pair for pair in pairs if pair.name in unseen and _has(pair, width="256", height="256")]
    truth = output / "truth"
    shutil.rmtree(truth, ignore_errors=True)
    truth.mkdir(parents=True)
    for pair in chosen:
        shutil.copy(pair.masks[0], truth)
    return [pair.image for pair in chosen], truth


def _has(pair: Pair, **attributes: str) -> bool:
    return all(pair.attributes[name] == value for name, value in attributes.items())


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("experiment", choices=["bbbc005", "dsb2018"])
    words.add_argument("data", type=Path)
    words.add_argument("--output", type=Path, default=Path("reproduced"))
    words.add_argument("--set", action="append", default=[], help="change a value of the recipe")
    given = words.parse_args()
    output, reporter = given.output / given.experiment, make_reporter(quiet=False)
    recipe = RECIPES / {"bbbc005": "bbbc005.toml", "dsb2018": "dsb2018_fluorescence.toml"}[given.experiment]
    overrides = [f"data.root={given.data}", *given.set]
    fitted = cellmonai.fit(recipe, output=output / "run", overrides=overrides, overwrite=True, reporter=reporter)
    find_test = {"bbbc005": bbbc005_test, "dsb2018": dsb2018_test}[given.experiment]
    images, truth = find_test(given.data, output, fitted.run)
    masks = InferSettings(model=fitted.model, output=output / "masks", overwrite=True)
    cellmonai.infer(images, settings=masks, reporter=reporter)
    counting = CountSettings(output=output / "counts", overwrite=True)
    cellmonai.count([output / "masks"], settings=counting, reporter=reporter)
    scored = EvaluateSettings(output=output / "evaluation", overwrite=True)
    print_table(summary_table(cellmonai.evaluate(output / "counts", truth, settings=scored, reporter=reporter).summary))
