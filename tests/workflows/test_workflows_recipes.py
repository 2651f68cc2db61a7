"""Every recipe of the folder trains, infers and counts, on painted cells that lie as its data do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from painting import Disc, paint
from PIL import Image

from cellmonai.nets.catalogue import NETWORKS
from cellmonai.recipe.load import load_recipe
from cellmonai.workflows.count import count
from cellmonai.workflows.counting.settings import CountSettings
from cellmonai.workflows.fit import fit
from cellmonai.workflows.infer import infer
from cellmonai.workflows.inferring.settings import InferSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER = Path(__file__).parents[2] / "recipes"
RECIPES = sorted(path.name for path in FOLDER.glob("*.toml"))
COLOUR = {"c_resunet", "tiled_cnn"}
SIDE = 128


def _labels(seed: int) -> NDArray[np.int32]:
    """Between 1 and 9 cells; field 0 has all nine."""
    generator = np.random.default_rng(seed)
    places = [(row, col) for row in (24, 64, 104) for col in (24, 64, 104)]
    kept = places if seed == 0 else [place for place in places if generator.random() < 0.6] or places[:1]
    return paint([Disc(row, col, 12) for row, col in kept], (SIDE, SIDE))


def _image(labels: NDArray[np.int32], seed: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed + 100).normal(30, 5, labels.shape)
    return np.clip(noise + 170 * (labels > 0), 0, 255).astype(np.uint8)


def _as_pairs(root: Path, *, colour: bool) -> list[Path]:
    for name in ("images", "masks"):
        (root / name).mkdir()
    for i in range(6):
        labels = _labels(i)
        grey = _image(labels, i)
        shown = np.stack([grey, grey // 2, np.zeros_like(grey)], axis=-1) if colour else grey
        Image.fromarray(shown).save(root / "images" / f"field{i}.png")
        Image.fromarray(((labels > 0) * 255).astype(np.uint8)).save(root / "masks" / f"field{i}.png")
    return sorted((root / "images").iterdir())


def _as_bbbc005(root: Path) -> list[Path]:
    for name in ("images", "masks"):
        (root / name).mkdir()
    for i in range(6):
        labels = _labels(i)
        name = f"SIMCEPImages_A{i + 1:02}_C{labels.max()}_F1_s{1 + i % 2:02}_w1.TIF"
        tifffile.imwrite(root / "images" / name, _image(labels, i))
        tifffile.imwrite(root / "masks" / name, ((labels > 0) * 255).astype(np.uint8))
    return sorted((root / "images").iterdir())


def _as_film(root: Path) -> list[Path]:
    folder, truth = root / "01", root / "01_GT"
    for path in (folder, truth / "SEG", truth / "TRA"):
        path.mkdir(parents=True)
    labels = _labels(0)
    for i in range(4):
        tifffile.imwrite(folder / f"t{i:03}.tif", _image(labels, i))
        tifffile.imwrite(truth / "SEG" / f"man_seg{i:03}.tif", labels.astype(np.uint16))
    (truth / "TRA" / "man_track.txt").write_text("".join(f"{n} 0 3 0\n" for n in range(1, 10)))
    return sorted(folder.iterdir())


def _as_dsb2018(root: Path) -> list[Path]:
    for name in ("images", "labels_fixed"):
        (root / name).mkdir()
    names = [f"picture{i}" for i in range(6)]
    for i, name in enumerate(names):
        labels = _labels(i)
        Image.fromarray(_image(labels, i)).save(root / "images" / f"{name}.png")
        Image.fromarray(labels.astype(np.uint16)).save(root / "labels_fixed" / f"{name}.png")
    (root / "images.csv").write_text("image_id,type\n" + "".join(f"{name},fluorescence_grey\n" for name in names))
    (root / "groups.csv").write_text("image_id,group\n" + "".join(f"{name},{name}\n" for name in names))
    return sorted((root / "images").iterdir())


def _paint_data(recipe: str, root: Path) -> list[Path]:
    loaded = load_recipe(FOLDER / recipe).recipe
    layouts: dict[str, Callable[[Path], list[Path]]] = {
        "pairs": lambda root: _as_pairs(root, colour=loaded.network.name in COLOUR),
        "bbbc005": _as_bbbc005,
        "ctc": _as_film,
        "dsb2018": _as_dsb2018,
    }
    return layouts[loaded.data.layout](root)


def _shortened(recipe: str) -> list[str]:
    """One short epoch on small crops with a narrow network, or one for each phase."""
    loaded = load_recipe(FOLDER / recipe).recipe
    words = ["training.batch_size=2", "training.workers=0", "sampling.patch=64", "training.max_minutes="]
    words += ["training.early_stopping=0", "training.validate_every=1"]
    if loaded.sampling.method == "random":
        words += ["sampling.per_image=1"]
    else:
        words += [f"sampling.overlap={min(loaded.sampling.overlap, 16)}"]
    if "width" in next(row for row in NETWORKS if row.name == loaded.network.name).parameters:
        words += ["network.width=4"]
    if loaded.training.phases:
        return [*words, *(f"training.phases.{i}.epochs=1" for i in range(len(loaded.training.phases)))]
    return [*words, "training.epochs=1"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_runs_from_images_to_counts(recipe: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    images = _paint_data(recipe, data)
    run = tmp_path / "run"
    fit(FOLDER / recipe, output=run, overrides=[f"data.root={data}", *_shortened(recipe)], device="cpu")
    masks = tmp_path / "masks"
    infer(images[:1], settings=InferSettings(model=run, output=masks, device="cpu"))
    counted = count([masks], settings=CountSettings(output=tmp_path / "counts"))
    assert len(counted.as_json()["images"]) == 1
    record = json.loads((run / "run.json").read_text())
    assert record["epochs"] == max(len(load_recipe(FOLDER / recipe).recipe.training.phases), 1)


def test_every_recipe_that_the_catalogue_names_is_there() -> None:
    assert {row.recipe for row in NETWORKS} <= set(RECIPES)
