"""Measure a recipe again: fit on its training images, then infer, count and evaluate on images that fit never saw.

python examples/reproduce.py bbbc005 bbbc005/                      # our recipes
python examples/reproduce.py dsb2018 dsb2018_stage1_train/
python examples/reproduce.py c_resunet fnc/ --minutes 10           # published systems, trained for ten minutes
python examples/reproduce.py unet dsb2018_stage1_train/ --minutes 10
python examples/reproduce.py fpn bbbc005/ --minutes 10
python examples/reproduce.py gowt1 Fluo-N2DH-GOWT1/ --minutes 10
python examples/reproduce.py tiled_cnn fnc/ --minutes 10
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from tifffile import imwrite

from cellmonai.images.layouts import Pair, find_pairs, read_pair_mask
from cellmonai.instances.components import label_components
from cellmonai.report.csv import write_csv

RECIPES = Path(__file__).parents[1] / "recipes"
TWO_TRAIN_ONE_TESTS = "data.split={ train = 0.5, validation = 0.25, seed = 0 }"  # of four pictures
# what is changed of a recipe so that ten minutes on two cores show something: narrower networks, smaller batches
CHANGES = {
    "unet": (
        'data={ layout = "dsb2018", masks = "labels_fixed", tables = ["images.csv", "groups.csv"], group_by = "group", '
        'select = { type = "fluorescence_grey" }, split = { train = 0.68, validation = 0.12, seed = 0 } }',
        'normalise={ method = "percentile" }',
        'sampling={ method = "random", patch = 128, foreground_share = 0.7 }',
        "network.width=16",
        "training.validate_every=2",
    ),
    "c_resunet": (
        TWO_TRAIN_ONE_TESTS,
        'sampling={ method = "random", patch = 256, per_image = 24, foreground_share = 0.7 }',
        "training.monitor=val_dice",
        "training.validate_every=4",
    ),
    "fpn": ("sampling.patch=96", "sampling.per_image=4", "training.validate_every=4"),
    "gowt1": ("training.learning_rate=1e-3", "training.validate_every=4"),
    "tiled_cnn": (TWO_TRAIN_ONE_TESTS, "training.batch_size=8"),
}


def test_pairs(experiment: str, data: Path, run: Path) -> list[Pair]:
    """Give the pairs that training never saw."""
    if experiment in ("bbbc005", "fpn"):
        wanted = {"stain": "w1", "blur": "1", "sample": "3"}
        return [pair for pair in find_pairs("bbbc005", data) if wanted.items() <= pair.attributes.items()]
    if experiment == "gowt1":
        wanted = {"sequence": "02", "annotated": "full"}
        return [pair for pair in find_pairs("ctc", data) if wanted.items() <= pair.attributes.items()]
    unseen = set(json.loads((run / "run.json").read_text())["split"]["test"])
    if experiment in ("c_resunet", "tiled_cnn"):
        return [pair for pair in find_pairs("pairs", data) if pair.name in unseen]
    found = find_pairs("dsb2018", data, masks=Path("labels_fixed"), tables=[Path("images.csv")])
    size = {"width": "256", "height": "256"}
    return [pair for pair in found if pair.name in unseen and size.items() <= pair.attributes.items()]


def truth_of(experiment: str, pairs: list[Pair], output: Path) -> Path:
    """Write what is true of the test images: a table of counts where masks merge cells, else their masks."""
    if experiment in ("bbbc005", "fpn"):
        write_csv(output / "true_counts.csv", {"image": [p.name for p in pairs], "count": [p.count for p in pairs]})
        return output / "true_counts.csv"
    (output / "truth").mkdir()
    for pair in pairs:
        if experiment in ("c_resunet", "tiled_cnn"):  # binary masks of neurons that lie apart: every region is one
            labels = label_components(read_pair_mask(pair).array != 0)
            imwrite(output / "truth" / f"{pair.image.stem}.tif", labels.astype("uint16"))
        else:
            shutil.copy(pair.masks[0], output / "truth" / f"{pair.image.stem}{pair.masks[0].suffix}")
    return output / "truth"


def cellmonai(*words: str | Path) -> None:
    """Run a command as a user would."""
    subprocess.run([sys.executable, "-m", "cellmonai", *words, "--overwrite"], check=True)


if __name__ == "__main__":
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("experiment", choices=["bbbc005", "dsb2018", *CHANGES])
    given.add_argument("data", type=Path)
    given.add_argument("--minutes", type=float, help="stop training after so many")
    given.add_argument("--output", type=Path, default=Path("reproduced"))
    words = given.parse_args()
    name, output = words.experiment, words.output / words.experiment
    if output.exists():
        sys.exit(f"{output} exists already; name another --output")
    changes = [*CHANGES.get(name, ()), f"data.root={words.data}"]
    changes += [f"training.max_minutes={words.minutes}"] if words.minutes else []
    recipe = RECIPES / f"{'dsb2018_fluorescence' if name == 'dsb2018' else name}.toml"
    cellmonai("fit", recipe, *(word for change in changes for word in ("--set", change)), "--output", output / "run")
    pairs = test_pairs(name, words.data, output / "run")
    stitch = ("--stitch", "minimum") if name == "tiled_cnn" else ()
    images = [pair.image for pair in pairs]
    cellmonai("infer", *images, "--model", output / "run", "--output", output / "masks", *stitch)
    preset = {"c_resunet": ("--preset", "morelli2021"), "tiled_cnn": ("--preset", "floodfill_127")}.get(name, ())
    cellmonai("count", output / "masks", "--output", output / "counts", "--quiet", *preset)
    truth = truth_of(name, pairs, output)
    centres = ("--centres", "40") if truth.is_dir() else ()  # px, as in a comparison with c-ResUnet
    cellmonai("evaluate", output / "counts", truth, "--output", output / "evaluation", *centres)
