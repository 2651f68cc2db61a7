"""`cellmonai fit` as a user calls it: what it writes, what each option does, how it fails."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
from conftest import run_cellmonai

from cellmonai.core.errors import CellmonaiError, InputError, LockedError, OutputError, RecipeError, UsageError
from cellmonai.core.files import sha256_of
from cellmonai.core.locks import folder_lock
from cellmonai.models.file import read_card
from cellmonai.workflows.fit import FitResult, fit

RECIPE = """
[data]
layout = "pairs"
[network]
name = "basic_unet"
width = 4
[sampling]
patch = 64
per_image = 2
[training]
epochs = 2
batch_size = 4
workers = 0
"""

FIT = ["fit", "recipe.toml", "--set", "data.root=data"]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory, small_data: Path) -> Path:
    folder = tmp_path_factory.mktemp("fit")
    (folder / "recipe.toml").write_text(RECIPE)
    shutil.copytree(small_data / "dsb2018", folder / "data")
    return folder / "recipe.toml"


@pytest.fixture(scope="module")
def finished(recipe: Path) -> subprocess.CompletedProcess[str]:
    return run_cellmonai("fit", recipe, "--set", "data.root=data", "-o", "run", "--json", cwd=recipe.parent)


def _fit(recipe: Path, output: Path, *overrides: str, **options: object) -> FitResult:
    words = [f"data.root={recipe.parent / 'data'}", *overrides]
    return fit(recipe, output=output, overrides=words, **options)  # type: ignore[arg-type]


def test_fit_writes_the_run_folder(finished: subprocess.CompletedProcess[str], recipe: Path) -> None:
    assert finished.returncode == 0, finished.stderr
    written = {path.name for path in (recipe.parent / "run").iterdir() if not path.name.startswith(".")}
    assert written == {"recipe.toml", "history.csv", "curves.png", "model.safetensors", "run.json"}
    assert "traceback" not in finished.stderr.lower()


def test_json_is_one_document_on_stdout(finished: subprocess.CompletedProcess[str]) -> None:
    document = json.loads(finished.stdout)
    assert document["schema"] == "cellmonai.fit/1"
    assert document["epochs"] == 2
    assert set(document["validation"]) == {"f1_50", "count_mae", "dice"}
    assert document["best"]["metric"] == "val_f1_50"
    assert document["calibration"] is None


def test_the_model_knows_how_to_be_used(finished: subprocess.CompletedProcess[str], recipe: Path) -> None:
    card = read_card(recipe.parent / "run" / "model.safetensors")
    assert (card.network, card.channels, card.divisor, card.tile_exact) == ("basic_unet", 1, 16, True)
    assert card.operating_point["threshold"] == json.loads(finished.stdout)["operating_point"]["threshold"]
    assert card.object_diameter_px is not None
    assert 5 < card.object_diameter_px < 60
    assert card.pixel_size_um is None


def test_the_run_says_which_images_it_learnt_from(finished: subprocess.CompletedProcess[str], recipe: Path) -> None:
    record = json.loads((recipe.parent / "run" / "run.json").read_text())
    assert record["status"] == "done"
    assert sorted(record["split"]["train"] + record["split"]["validation"]) == [f"cells_{c}" for c in "abcdef"]
    assert record["split"]["test"] == []
    model = recipe.parent / "run" / "model.safetensors"
    assert record["model_sha256"] == sha256_of(model)
    assert record["data_fingerprint"] == read_card(model).data_fingerprint


def test_the_resolved_recipe_trains_the_same_model(
    finished: subprocess.CompletedProcess[str], recipe: Path, tmp_path: Path
) -> None:
    resolved = recipe.parent / "run" / "recipe.toml"
    # a process of its own again: how many threads torch has here, other tests decide, and sums differ with them
    again = run_cellmonai("fit", resolved, "-o", "again", "--json", "--device", "cpu", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    one, other = (read_card(run / "model.safetensors") for run in (recipe.parent / "run", tmp_path / "again"))
    assert one.data_fingerprint == other.data_fingerprint
    validation, repeated = (json.loads(process.stdout)["validation"] for process in (finished, again))
    assert repeated == pytest.approx(validation, rel=1e-6)


def test_set_changes_the_run(recipe: Path, tmp_path: Path) -> None:
    result = _fit(recipe, tmp_path / "run", "training.epochs=1", "instances.threshold=0.3", "network.width=2")
    assert result.epochs == 1
    assert result.operating_point["threshold"] == 0.3
    assert read_card(result.model).parameters["width"] == 2


def test_without_output_the_run_gets_a_name_of_its_own(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [f"data.root={recipe.parent / 'data'}", "training.epochs=1"]
    assert fit(recipe, overrides=words).run.parent == Path("runs")


def test_an_existing_run_is_refused_and_replaced_when_told(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "history.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"history\.csv: the output exists already"):
        _fit(recipe, tmp_path / "run", "training.epochs=1")
    assert (tmp_path / "run" / "history.csv").read_text() == "mine"
    _fit(recipe, tmp_path / "run", "training.epochs=1", overwrite=True)
    assert (tmp_path / "run" / "history.csv").read_text() != "mine"


def test_a_run_that_cannot_be_rewritten_stays_as_it_was(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fit(recipe, tmp_path / "run", "training.epochs=1")

    older = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}

    def full_disk(*_: object, **__: object) -> None:
        raise OutputError("cannot be written", where="model.safetensors")

    monkeypatch.setattr("cellmonai.workflows.fit.write_model", full_disk)
    with pytest.raises(OutputError):
        _fit(recipe, tmp_path / "run", "training.epochs=1", overwrite=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()} == older


def test_a_run_folder_has_one_writer(recipe: Path, tmp_path: Path) -> None:
    with folder_lock(tmp_path / "run"), pytest.raises(LockedError, match="another run is writing here"):
        _fit(recipe, tmp_path / "run", "training.epochs=1")


def _no_mask(data: Path) -> None:
    (data / "labels" / "cells_c.png").unlink()


def _mask_of_another_size(data: Path) -> None:
    from PIL import Image

    Image.fromarray(np.ones((100, 120), np.uint8)).save(data / "labels" / "cells_c.png")


def _text_as_image(data: Path) -> None:
    (data / "images" / "cells_c.png").write_text("I am no picture")


def _no_images(data: Path) -> None:
    shutil.rmtree(data / "images")
    (data / "images").mkdir()


def _no_cells(data: Path) -> None:
    shutil.rmtree(data)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        pytest.param(_no_mask, "cells_c", id="an image without its mask"),
        pytest.param(_mask_of_another_size, r"cells_c\.png: the mask is 120 x 100 px", id="a mask of another size"),
        pytest.param(_text_as_image, r"cells_c\.png", id="text named as an image"),
        pytest.param(_no_images, "images", id="a folder without images"),
        pytest.param(_no_cells, "data", id="no data folder"),
    ],
)
def test_bad_data_are_named_with_the_cure(
    recipe: Path, tmp_path: Path, spoil: Callable[[Path], None], sentence: str
) -> None:
    shutil.copytree(recipe.parent / "data", tmp_path / "data")
    spoil(tmp_path / "data")
    with pytest.raises(InputError, match=sentence):
        fit(recipe, output=tmp_path / "run", overrides=[f"data.root={tmp_path / 'data'}", "training.epochs=1"])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("overrides", "kind", "sentence"),
    [
        pytest.param(["network.name=basic_unte"], RecipeError, "did you mean 'basic_unet'", id="unknown network"),
        pytest.param(["network.widht=8"], RecipeError, "did you mean 'width'", id="unknown parameter"),
        pytest.param(["loss.name=dise"], RecipeError, "did you mean 'dice'", id="unknown loss"),
        pytest.param(
            ["sampling.patch=100"], RecipeError, "no multiple of 16 from 32 on.*use 96", id="crop that does not fit"
        ),
        pytest.param(["data.group_by=slide"], RecipeError, "no attribute 'slide'", id="unknown group"),
        pytest.param(['data.select={stain="w1"}'], RecipeError, "'stain'", id="unknown attribute"),
        pytest.param(['data.channels=["DAPI"]'], InputError, "no channel 'DAPI'", id="unknown channel"),
    ],
)
def test_a_wrong_recipe_is_named_with_the_cure(
    recipe: Path, tmp_path: Path, overrides: Sequence[str], kind: type[CellmonaiError], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        _fit(recipe, tmp_path / "run", *overrides)
    assert not (tmp_path / "run").exists()


def test_a_device_that_is_not_there_is_refused(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="quantum"):
        _fit(recipe, tmp_path / "run", device="quantum")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        pytest.param(["fit", "absent.toml"], 3, "absent.toml", id="no such recipe"),
        pytest.param(["fit", "typo.toml"], 4, "typo.toml:3", id="a typo, with its line"),
        pytest.param(["fit", "recipe.toml"], 4, "--set data.root=FOLDER", id="no data folder given"),
        pytest.param([*FIT, "-o", "recipe.toml/x"], 5, "recipe.toml: a file", id="a file in the way of the output"),
        pytest.param(["fit"], 2, "RECIPE", id="no recipe given"),
        pytest.param(["fit", "recipe.toml", "--epochs", "3"], 2, "--epochs", id="an unknown option"),
    ],
)  # fmt: skip
def test_a_failure_is_one_sentence_with_its_code(recipe: Path, words: list[str], code: int, sentence: str) -> None:
    (recipe.parent / "typo.toml").write_text('[data]\nlayout = "pairs"\nmaskz = "x"\n')
    result = run_cellmonai(*words, cwd=recipe.parent)
    assert result.returncode == code, result.stderr
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_diverging_ends_with_code_7_and_no_model(recipe: Path, tmp_path: Path) -> None:
    for letter in "abcd":
        (tmp_path / "data" / "images").mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(tmp_path / "data" / "images" / f"{letter}.tif", np.full((64, 64), 1e38, np.float32))
    shutil.copytree(tmp_path / "data" / "images", tmp_path / "data" / "masks")
    for mask in (tmp_path / "data" / "masks").iterdir():
        tifffile.imwrite(mask, np.eye(64, dtype=np.uint8))
    words = ["--set", f"data.root={tmp_path / 'data'}", "--set", "normalise.method=none", "-o", tmp_path / "run"]
    result = run_cellmonai("fit", recipe, *words)
    assert result.returncode == 7, result.stderr
    assert "lower training.learning_rate" in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(os.name != "posix", reason="signals as a terminal sends them")
def test_ctrl_c_ends_with_code_130_and_keeps_the_best_epoch(recipe: Path, tmp_path: Path) -> None:
    words = ["fit", str(recipe), "--set", f"data.root={recipe.parent / 'data'}", "-o", str(tmp_path / "run")]
    words += ["--set", "training.epochs=100000", "--set", "sampling.patch=32"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "cellmonai", *words], stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("training …".encode()):
                break
        time.sleep(6)
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"the best epoch so far" in rest
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"
    assert read_card(tmp_path / "run" / "model.safetensors").network == "basic_unet"
