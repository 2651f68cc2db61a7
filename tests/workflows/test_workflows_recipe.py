"""A recipe is judged with its data: what is found, selected and split, and what a first recipe is fitted to."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from cellmonai.core.errors import InputError, OutputError, RecipeError
from cellmonai.core.progress import Silent
from cellmonai.images.recognise import recognise
from cellmonai.recipe.load import load_recipe
from cellmonai.workflows.recipe import CheckedRecipe, check_recipe, open_recipe, recipe_schema
from cellmonai.workflows.recipe_data import find_selected, split_selected
from cellmonai.workflows.recipe_init import init_recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIELD_PX = 96
RADIUS_PX = 8


def paint(centres: list[tuple[int, int]]) -> NDArray[np.uint16]:
    """Discs of radius 8 px, one label each."""
    rows, cols = np.mgrid[:FIELD_PX, :FIELD_PX]
    labels = np.zeros((FIELD_PX, FIELD_PX), np.uint16)
    for number, (row, col) in enumerate(centres, start=1):
        labels[(rows - row) ** 2 + (cols - col) ** 2 <= RADIUS_PX**2] = number
    return labels


def write_pairs(root: Path, names: list[str], *, cells: int = 4, binary: bool = False, channels: int = 1) -> Path:
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    labels = paint([(20 + 30 * (i // 3), 20 + 30 * (i % 3)) for i in range(cells)])
    image = (20 + 200 * (labels > 0)).astype(np.uint8)
    for name in names:
        stack = np.stack([image + 10 * channel for channel in range(channels)]) if channels > 1 else image
        axes = {"axes": "CYX"} if channels > 1 else None
        tifffile.imwrite(root / "images" / f"{name}.tif", stack, imagej=channels > 1, metadata=axes)
        tifffile.imwrite(root / "masks" / f"{name}.tif", (labels > 0).astype(np.uint8) * 255 if binary else labels)
    return root


def write_recipe(root: Path, more: str = "") -> Path:
    path = root.parent / "recipe.toml"
    path.write_text(f"[data]\nlayout = 'pairs'\nroot = '{root.name}'\n{more}")
    return path


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    names = [f"slide{slide}_{tile}" for slide in range(4) for tile in range(3)]
    return write_pairs(tmp_path / "cells", names)


def check(root: Path, *overrides: str, more: str = "") -> CheckedRecipe:
    return check_recipe(write_recipe(root, more), overrides=overrides, reporter=Silent())


def test_a_checked_recipe_tells_images_groups_and_sources(root: Path) -> None:
    checked = check(root, "training.seed=3", more="group_by = '^(slide\\d)'\n")
    assert checked.images == {"train": 9, "validation": 3, "test": 0}
    assert checked.groups == {"train": 3, "validation": 1, "test": 0}
    assert checked.first_image["shape"] == [1, FIELD_PX, FIELD_PX]
    sources = {row.key: row.source for row in checked.values}
    assert sources["data.group_by"] == "recipe"
    assert sources["training.seed"] == "--set"
    assert sources["network.width"] == "default"
    assert [row.value for row in checked.values if row.key == "network.width"] == [32]
    document = checked.as_json()
    assert document["schema"] == "cellmonai.recipe.check/1"
    assert document["recipe"]["loss"]["gamma"] == 2.0


def test_every_key_of_the_schema_is_listed_once(root: Path) -> None:
    checked = check(root)
    keys = [row.key for row in checked.values]
    assert len(keys) == len(set(keys))
    for key in ("data.root", "data.split.seed", "normalise.low", "augment.8", "loss.name", "instances.border"):
        assert key in keys
    assert [row.value for row in check(root, "augment=[]").values if row.key == "augment"] == [[]]


def test_the_rest_of_the_shares_is_the_test(root: Path) -> None:
    assert check(root, "data.split={ train = 0.5, validation = 0.25 }").images == {
        "train": 6,
        "validation": 3,
        "test": 3,
    }


def test_another_seed_draws_other_images(root: Path) -> None:
    def validation(seed: int) -> set[str]:
        loaded = open_recipe(write_recipe(root), [f"data.split.seed={seed}"])
        return {pair.name for pair in split_selected(loaded, find_selected(loaded).pairs).validation}

    assert validation(0) == validation(0)
    assert len({frozenset(validation(seed)) for seed in range(6)}) > 1


def test_tables_give_attributes_to_select_by(root: Path) -> None:
    with (root / "stains.csv").open("w", newline="") as stream:
        rows = [[f"slide{s}_{t}", "a" if s < 2 else "b", s] for s in range(4) for t in range(3)]
        csv.writer(stream).writerows([["image", "stain", "day"], *rows])
    more = "tables = ['stains.csv']\nselect = { stain = 'a' }\n"
    checked = check(root, more=more)
    assert len(checked.selected.found) == 12
    assert sum(checked.images.values()) == 6
    assert sum(check(root, "data.select.day=[1, 2]", more=more).images.values()) == 3
    with pytest.raises(RecipeError, match=r"recipe.toml:5 data.select: selects none of the images"):
        check(root, more="tables = ['stains.csv']\nselect = { stain = 'c' }\n")
    with pytest.raises(RecipeError, match=r"--set data.group_by: .* no attribute 'days'; did you mean 'day'"):
        check(root, "data.group_by=days", more=more)


def test_few_images_are_warned_of(tmp_path: Path) -> None:
    checked = check(write_pairs(tmp_path / "few", ["a", "b", "c"]))
    assert [warning["code"] for warning in checked.warnings] == ["few_images", "few_images"]


def test_steps_that_reproduce_a_published_fault_are_warned_of_once(root: Path) -> None:
    checked = check(root, 'augment=[{name="RandElasticSeed000"}, {name="RandElasticSeed000"}, {name="RandFlip"}]')
    messages = [warning["message"] for warning in checked.warnings if warning["code"] == "published_fault"]
    assert len(messages) == 1
    assert "RandElasticSeed000 moves pixels by about 180 px" in str(messages[0])


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        pytest.param("network.name=unnet", "--set network.name: unknown network 'unnet'; did you mean", id="network"),
        pytest.param(
            "network.widht=8", "--set network.widht: basic_unet has no parameter 'widht'; did", id="parameter"
        ),
        pytest.param("network.width=0", "--set network.width: 0 does not fit; expected 2 to 512.", id="value"),
        pytest.param("loss.name=dise", "--set loss.name: unknown loss 'dise'; did you mean 'dice'", id="loss"),
        pytest.param("loss.fn_weight=2", "--set loss.fn_weight: dice_focal has no parameter 'fn_weight'", id="weight"),
        pytest.param("sampling.patch=100", "--set sampling.patch: 100 px are no multiple of 16 from 32 on", id="crop"),
        pytest.param(
            "data.channels=[2]", "--set data.channels.0: the first image has no channel 2; it has '0'", id="channel"
        ),
        pytest.param(
            "data.group_by=slide", "--set data.group_by: image 'slide0_0' has no attribute 'slide'", id="group"
        ),
        pytest.param("data.root=", "--set data.root: no data folder is given; add --set data.root=FOLDER.", id="root"),
    ],
)
def test_what_does_not_fit_catalogue_or_data_is_refused(root: Path, override: str, sentence: str) -> None:
    with pytest.raises(RecipeError) as caught:
        check(root, override)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        pytest.param(
            ['network={ name = "fpn" }'],
            "fpn gives means and log-variances at four scales in training, and dice_focal takes one map for each map "
            "of the target; use aleatoric.",
            id="loss of another kind",
        ),
        pytest.param(
            ['network={ name = "tiled_cnn" }', "target.kind=foreground+border"],
            "--set target.kind: tiled_cnn learns foreground alone; use 'foreground' or another network.",
            id="target it cannot learn",
        ),
        pytest.param(
            ['network={ name = "tiled_cnn" }', "sampling.patch=40"],
            "--set sampling.patch: 40 px are no multiple of 8 from 48 on, as tiled_cnn needs; use 48.",
            id="crop that leaves nothing",
        ),
        pytest.param(
            ['loss={ parts = [{ name = "dice" }, { name = "tversky", fn_wait = 1.0 }] }'],
            "--set loss.parts.1.fn_wait: tversky has no parameter 'fn_wait'; did you mean 'fn_weight'?",
            id="parameter of a part",
        ),
    ],
)
def test_parts_that_do_not_fit_one_another_are_refused(root: Path, overrides: list[str], sentence: str) -> None:
    with pytest.raises(RecipeError) as caught:
        check(root, *overrides)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        pytest.param("data.root=/nowhere/at all", "/nowhere/at all: no such folder", id="root"),
        pytest.param("data.masks=labels", "labels: no such folder", id="masks"),
        pytest.param("data.tables=['t.csv']", "t.csv: no such table", id="table"),
    ],
)
def test_data_that_are_not_there_are_named(root: Path, override: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        check(root, override)
    assert sentence in str(caught.value)


def test_an_image_of_several_planes_is_refused_before_training(root: Path) -> None:
    stack = np.zeros((3, FIELD_PX, FIELD_PX), np.uint8)
    tifffile.imwrite(root / "images" / "slide0_0.tif", stack, imagej=True, metadata={"axes": "TYX"})
    with pytest.raises(InputError, match=r"slide0_0.tif: holds 3 planes, training takes images of one"):
        check(root)


def test_folders_without_a_root_do(root: Path) -> None:
    path = root.parent / "recipe.toml"
    path.write_text("[data]\nlayout = 'pairs'\nimages = 'cells/images'\nmasks = 'cells/masks'\n")
    assert sum(check_recipe(path, reporter=Silent()).images.values()) == 12


def test_channels_are_chosen_by_name_or_number(tmp_path: Path) -> None:
    root = write_pairs(tmp_path / "c", ["a", "b", "c", "d"], channels=3)
    assert len(check(root).first_image["channels"]) == 3
    assert check(root, "data.channels=[1]").first_image["channels"] == ["1"]


def test_a_recipe_written_by_init_passes_the_check(root: Path) -> None:
    output = root.parent / "made.toml"
    result = init_recipe(root, output=output, overwrite=False, reporter=Silent())
    recipe = load_recipe(output).recipe
    assert "root = 'cells'" in output.read_text() or 'root = "cells"' in output.read_text()
    assert recipe.data.root == root
    assert result.facts.pairs == 12
    assert result.facts.diameter_px == pytest.approx(2 * RADIUS_PX, rel=0.05)
    assert result.facts.objects == 4
    assert (recipe.sampling.patch, recipe.sampling.per_image) == (96, 8)
    assert recipe.instances.min_area_px == 10
    assert sum(check_recipe(output, reporter=Silent()).images.values()) == 12
    assert result.as_json()["outputs"] == [str(output)]


def test_binary_masks_are_split_to_see_the_size_of_a_cell(tmp_path: Path) -> None:
    root = write_pairs(tmp_path / "binary", ["a", "b", "c"], binary=True)
    facts = init_recipe(root, output=tmp_path / "r.toml", overwrite=False, reporter=Silent()).facts
    assert facts.diameter_px == pytest.approx(2 * RADIUS_PX, rel=0.05)
    assert facts.objects == 4


def test_nearly_empty_images_change_the_normalisation(tmp_path: Path) -> None:
    root = write_pairs(tmp_path / "cells", ["a", "b", "c", "d"])
    write_pairs(root, ["empty"], cells=0)
    init_recipe(root, output=tmp_path / "r.toml", overwrite=False, reporter=Silent())
    normalise = load_recipe(tmp_path / "r.toml").recipe.normalise
    assert (normalise.method, normalise.low, normalise.high) == ("range", 20.0, 220.0)


def test_masks_without_any_cell_still_give_a_recipe(tmp_path: Path) -> None:
    root = write_pairs(tmp_path / "empty", ["a", "b"], cells=0)
    facts = init_recipe(root, output=tmp_path / "r.toml", overwrite=False, reporter=Silent()).facts
    assert facts.diameter_px is None
    assert load_recipe(tmp_path / "r.toml").recipe.normalise.method == "percentile"


def test_a_table_that_names_the_images_is_used_and_its_groups_kept_together(root: Path) -> None:
    with (root / "facts.csv").open("w", newline="") as stream:
        rows = [[f"slide{s}_{t}", f"s{s}", "xy"[t % 2], s * 0.1] for s in range(4) for t in range(3)]
        csv.writer(stream).writerows([["image", "slide", "stain", "level"], *rows])
    (root / "other.csv").write_text("a,b\n1,2\n")
    output = root.parent / "r.toml"
    facts = init_recipe(root, output=output, overwrite=False, reporter=Silent()).facts
    assert facts.tables == ("facts.csv",)
    assert facts.groups == ("slide", 4)
    assert facts.attributes == {"stain": {"x": 8, "y": 4}}
    assert load_recipe(output).recipe.data.group_by == "slide"


@pytest.mark.parametrize(
    ("files", "layout", "masks"),
    [
        pytest.param(["images/a.tif", "masks/a.tif"], "pairs", None, id="two folders"),
        pytest.param(["a.tif", "a_masks.tif"], "pairs", None, id="one folder"),
        pytest.param(["x/images/x.png", "x/masks/1.png"], "dsb2018", None, id="one PNG per nucleus"),
        pytest.param(
            ["images/a.png", "labels_fixed/a.png", "labels_original/a.png"], "dsb2018", "labels_fixed", id="versions"
        ),
        pytest.param(["images/SIMCEPImages_A01_C1_F1_s01_w1.TIF", "masks/x.tif"], "bbbc005", None, id="BBBC005"),
        pytest.param(["Images/a.tif", "MASKS/a.tif"], "pairs", None, id="capitals"),
        pytest.param(["x/Images/x.png", "x/Masks/1.png"], "dsb2018", None, id="one PNG per nucleus, capitals"),
        pytest.param(["Images/a.png", "Labels_fixed/a.png"], "dsb2018", "Labels_fixed", id="versions, capitals"),
        pytest.param(["train/images/a.tif", "train/masks/a.tif"], "splits", None, id="StarDist's folders"),
        pytest.param(["Train/a.tif", "Train/a_mask.tif", "val/b.tif"], "splits", None, id="endings in folders"),
        pytest.param(["images/train/a.tif", "labels/train/a.tif"], "splits", None, id="folders of a split inside"),
        pytest.param(
            ["images/a.tif", "masks/a.tif", "train/run.json", "test/a.tif"], "pairs", None, id="pairs beside others"
        ),
        pytest.param(["imagesTr/a_0000.tif", "labelsTr/a.tif"], "nnunet", None, id="nnU-Net"),
        pytest.param(["ImagesTr/a_b_0000.nii.gz", "labelstr/a_b.nii.gz"], "nnunet", None, id="nnU-Net, NIfTI"),
    ],
)
def test_the_layout_is_recognised_by_names(tmp_path: Path, files: list[str], layout: str, masks: str | None) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    place = recognise(tmp_path)
    assert (place.layout, place.masks) == (layout, masks)


def spelt(root: Path, *, images: str, masks: str) -> Path:
    """Three pairs in folders of these names, with suffixes in capitals."""
    write_pairs(root, ["F00", "F01", "F02"])
    for old, new in (("images", images), ("masks", masks)):
        for path in (root / old).iterdir():
            path.rename(path.with_suffix(".TIF"))
        (root / old).rename(root / "moving")
        (root / "moving").rename(root / new)
    return root


@pytest.mark.parametrize(
    ("images", "masks"), [("Images", "Masks"), ("IMAGES", "labels"), ("Imgs", "GT"), ("images", "Annotations")]
)
def test_a_recipe_for_folders_in_capitals_finds_its_pairs(images: str, masks: str, tmp_path: Path) -> None:
    root = spelt(tmp_path / "upper", images=images, masks=masks)
    output = tmp_path / "recipe.toml"
    assert init_recipe(root, output=output, overwrite=False, reporter=Silent()).facts.pairs == 3
    assert sum(check_recipe(output, reporter=Silent()).images.values()) == 3


SHORT = "[training]\nepochs = 1\n"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param("images = 'upper/Images'\nmasks = 'upper/Masks'", id="images and masks"),
        pytest.param("images = 'upper/images'\nmasks = 'Upper/masks'", id="images and masks in other capitals"),
        pytest.param("root = 'UPPER'", id="the folder of both in other capitals"),
        pytest.param("images = 'upper/Images'", id="images alone"),
        pytest.param("root = 'upper'\nmasks = 'masks'", id="masks in a folder"),
        pytest.param("root = 'upper'\nlayout = 'pairs'\nimages = 'images'", id="a layout and other capitals"),
    ],
)
def test_a_recipe_of_four_lines_will_do(data: str, tmp_path: Path) -> None:
    spelt(tmp_path / "upper", images="Images", masks="Masks")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f"[data]\n{data}\n{SHORT}")
    checked = check_recipe(recipe, reporter=Silent())
    assert (checked.loaded.recipe.data.layout, sum(checked.images.values())) == ("pairs", 3)


def test_what_is_found_is_what_a_layout_named_in_full_gives(root: Path) -> None:
    named = open_recipe(write_recipe(root))
    found = root.parent / "found.toml"
    found.write_text(f"[data]\nroot = '{root.name}'\n")
    assert open_recipe(found).digest == named.digest


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        pytest.param("[data]\n", RecipeError, "no data folder is given", id="no folder"),
        pytest.param("[data]\nroot = 'gone'\n", InputError, "no such folder", id="a folder that is not there"),
        pytest.param("[data]\nmasks = 'masks'\n", RecipeError, "no data folder is given", id="masks alone"),
        pytest.param("[data]\nimages = 'a'\nmasks = 'b'\n", InputError, "no such folder", id="two that are not there"),
    ],
)
def test_data_that_cannot_be_found_are_refused(text: str, kind: type[Exception], reason: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(kind, match=reason):
        check_recipe(tmp_path / "recipe.toml", reporter=Silent())


def divided(root: Path, **parts: int) -> Path:
    for part, number in parts.items():
        write_pairs(root / part, [f"{part}{i}" for i in range(number)])
    return root


@pytest.mark.parametrize("validation", ["val", "valid", "Validation"])
def test_folders_of_a_split_are_followed_and_test_is_never_learnt_from(validation: str, tmp_path: Path) -> None:
    root = divided(tmp_path / "cells", train=5, test=3, **{validation: 2})
    output = tmp_path / "recipe.toml"
    assert init_recipe(root, output=output, overwrite=False, reporter=Silent()).facts.pairs == 7
    assert check_recipe(output, reporter=Silent()).images == {"train": 5, "validation": 2, "test": 3}
    output.write_text("[data]\nroot = 'cells'\n")
    loaded = open_recipe(output)
    assert loaded.recipe.data.split.by == "split"
    split = split_selected(loaded, find_selected(loaded).pairs)
    assert {pair.name for pair in split.validation} == {f"{validation}_{validation}{i}" for i in range(2)}
    assert all(pair.name.startswith("test") for pair in split.test)


def test_without_a_folder_for_validation_the_training_images_are_divided(tmp_path: Path) -> None:
    divided(tmp_path / "cells", train=10, test=3)
    (tmp_path / "recipe.toml").write_text("[data]\nroot = 'cells'\n")
    checked = check_recipe(tmp_path / "recipe.toml", reporter=Silent())
    assert checked.images == {"train": 8, "validation": 2, "test": 3}


def test_shares_that_are_given_are_drawn_from_all_but_the_test_images(tmp_path: Path) -> None:
    divided(tmp_path / "cells", train=6, val=4, test=3)
    text = "[data]\nroot = 'cells'\nsplit = { train = 0.5, validation = 0.5 }\n"
    (tmp_path / "recipe.toml").write_text(text)
    loaded = open_recipe(tmp_path / "recipe.toml")
    split = split_selected(loaded, find_selected(loaded).pairs)
    assert (len(split.train), len(split.validation)) == (5, 5)
    assert {pair.attributes["split"] for pair in split.test} == {"test"}


def test_what_lies_beside_the_images_is_said(root: Path) -> None:
    (root / "images" / "more.czi").touch()
    (root / "masks" / "old").mkdir()
    (root / "masks" / "old" / "x.tif").touch()
    codes = [warning["code"] for warning in check(root).warnings]
    assert codes.count("left_out") == 2
    reporter = Silent()
    init_recipe(root, output=root.parent / "r.toml", overwrite=False, reporter=reporter)
    assert [warning.code for warning in reporter.warnings].count("left_out") == 2


def test_init_refuses_what_it_cannot_use(root: Path, tmp_path: Path) -> None:
    def refusal(data: Path, kind: type[Exception], output: str = "new.toml") -> str:
        with pytest.raises(kind) as caught:
            init_recipe(data, output=tmp_path / output, overwrite=False, reporter=Silent())
        assert not (tmp_path / "new.toml").exists()
        return str(caught.value)

    assert "there is no such folder" in refusal(tmp_path / "nowhere", InputError)
    assert "is a file, not a folder" in refusal(root / "images" / "slide0_0.tif", InputError)
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in refusal(tmp_path / "empty", InputError)
    (root / "masks" / "slide0_0.tif").write_text("no image")
    assert "slide0_0.tif" in refusal(root, InputError)
    (tmp_path / "old.toml").write_text("mine")
    assert "the output exists already" in refusal(root, OutputError, "old.toml")
    assert (tmp_path / "old.toml").read_text() == "mine"


def test_overwrite_replaces_a_recipe(root: Path, tmp_path: Path) -> None:
    (tmp_path / "old.toml").write_text("mine")
    init_recipe(root, output=tmp_path / "old.toml", overwrite=True, reporter=Silent())
    assert "[data]" in (tmp_path / "old.toml").read_text()


def test_the_schema_names_the_networks_and_losses_of_the_catalogues() -> None:
    definitions: dict[str, Any] = recipe_schema()["$defs"]
    assert "basic_unet" in definitions["Network"]["properties"]["name"]["enum"]
    assert "tversky" in definitions["Loss"]["properties"]["name"]["enum"]


@pytest.mark.parametrize(
    ("recipe", "folder", "images"),
    [
        pytest.param("bbbc005", "bbbc005", {"train": 38, "validation": 10, "test": 0}, id="bbbc005"),
        pytest.param("dsb2018_fluorescence", "dsb2018_stage1_train", None, id="dsb2018"),
        pytest.param("quickstart", "fnc", {"train": 3, "validation": 1, "test": 0}, id="quickstart"),
    ],
)
def test_a_shipped_recipe_finds_its_data(
    recipe: str, folder: str, images: dict[str, int] | None, data_folder: Path
) -> None:
    path = Path(__file__).parents[2] / "recipes" / f"{recipe}.toml"
    overrides = [f"data.root={data_folder / folder}"]
    checked = check_recipe(path, overrides=overrides, reporter=Silent())
    assert images is None or checked.images == images
    if recipe == "dsb2018_fluorescence":
        assert sum(checked.images.values()) == 541
        assert checked.images["test"] == pytest.approx(0.2 * 541, abs=5)
