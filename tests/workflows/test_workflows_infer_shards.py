"""Parts of one run that know nothing of each other: `--shard 2/3`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from random_networks import write_random_model

from cellmonai.core.errors import InputError, LockedError, OutputError, UsageError
from cellmonai.core.locks import folder_lock
from cellmonai.workflows.count import count
from cellmonai.workflows.counting.settings import CountSettings
from cellmonai.workflows.infer import InferResult, infer
from cellmonai.workflows.inferring.repeat import repeated_run
from cellmonai.workflows.inferring.settings import InferSettings, parse_shard

NAMES = [f"{name}.tif" for name in ("a1", "a2", "a10", "b", "c")]


@pytest.fixture(scope="module", name="model")
def _model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("model") / "model.safetensors")


@pytest.fixture(autouse=True)
def _images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("images").mkdir()
    for seed, name in enumerate(NAMES):
        pixels = np.random.default_rng(seed).integers(0, 255, (80, 96), np.uint8)
        tifffile.imwrite(Path("images", name), pixels)


def _part(model: Path, number: int, of: int = 3, **wishes: Any) -> InferResult:  # noqa: ANN401 - of InferSettings
    return infer([Path("images")], settings=InferSettings(model=model, shard=(number, of), **wishes))


def _results(folder: str) -> dict[str, bytes]:
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file() and path.suffix != ".json")
    return {str(p.relative_to(folder)): p.read_bytes() for p in files if not p.name.endswith(".lock")}


def test_parts_together_leave_what_one_run_leaves(model: Path) -> None:
    infer([Path("images")], settings=InferSettings(model=model, output=Path("whole")))
    taken = [[image.job.path.name for image in _part(model, number).images] for number in (3, 1, 2)]
    assert taken == [["a10.tif"], ["a1.tif", "b.tif"], ["a2.tif", "c.tif"]]
    assert _results("masks") == _results("whole")
    joined, whole = (json.loads(Path(folder, "run.json").read_text()) for folder in ("masks", "whole"))
    names = [Path(image["image"]).name for image in joined["images"]]
    assert names == [Path(image["image"]).name for image in whole["images"]] == NAMES
    assert joined["shards"] == 3
    assert joined["parameters"]["shard"] is None
    assert joined["model"] == whole["model"]
    counted = [
        count([Path(name)], settings=CountSettings(output=Path(f"{name}_counts"))) for name in ("masks", "whole")
    ]
    assert counted[0].total == counted[1].total


def test_masks_are_not_counted_while_parts_are_missing(model: Path) -> None:
    _part(model, 1)
    with pytest.raises(InputError, match="parts of a run with --shard are still missing"):
        count([Path("masks")])


def test_more_parts_than_images_are_joined_all_the_same(model: Path) -> None:
    results = [_part(model, number, 7) for number in range(1, 8)]
    assert [len(result.images) for result in results] == [1, 1, 1, 1, 1, 0, 0]
    assert results[-1].as_json()["outputs"] == ["masks/.shards/00007-of-00007.json"]
    assert len(json.loads(Path("masks/run.json").read_text())["images"]) == 5


def test_a_part_of_bad_images_fails_and_the_others_are_joined_with_its_reasons(model: Path) -> None:
    Path("images/a10.tif").write_text("no image")
    with pytest.raises(InputError, match=r"a10\.tif"):
        _part(model, 3)
    _part(model, 1)
    _part(model, 2)
    images = json.loads(Path("masks/run.json").read_text())["images"]
    assert [image["status"] for image in images] == ["done", "done", "failed", "done", "done"]


def test_a_part_that_was_done_is_refused_and_with_overwrite_done_again(model: Path) -> None:
    for number in (1, 2, 3):
        _part(model, number)
    before = _results("masks")
    with pytest.raises(OutputError, match="exists already"):
        _part(model, 2)
    _part(model, 2, overwrite=True)
    assert _results("masks") == before
    assert len(json.loads(Path("masks/run.json").read_text())["images"]) == 5


def test_parts_done_in_different_ways_are_not_joined(model: Path) -> None:
    _part(model, 1)
    _part(model, 2)
    with pytest.raises(OutputError, match="differ in operating_point, so they are not joined"):
        _part(model, 3, threshold=0.25)
    assert not Path("masks/run.json").exists()
    _part(model, 3, overwrite=True)
    assert Path("masks/run.json").exists()


def test_parts_run_by_different_engines_are_not_joined(model: Path) -> None:
    _part(model, 1)
    _part(model, 2)
    with pytest.raises(OutputError, match="differ in engine, so they are not joined"):
        _part(model, 3, engine="torch")


def test_all_parts_can_be_done_anew_in_another_way(model: Path) -> None:
    for number in (1, 2, 3):
        _part(model, number)
    for number in (2, 3, 1):
        _part(model, number, threshold=0.25, overwrite=True)
        assert Path("masks/run.json").exists() == (number == 1)
    assert json.loads(Path("masks/run.json").read_text())["operating_point"]["threshold"] == 0.25


def test_a_mistyped_command_does_not_harm_what_is_there(model: Path) -> None:
    for number in (1, 2, 3):
        _part(model, number)
    before = {path: path.read_bytes() for path in Path("masks").rglob("*.json")}
    with pytest.raises(InputError, match="no channel 'nope'"):
        _part(model, 3, channels=("nope",))
    assert {path: path.read_bytes() for path in Path("masks").rglob("*.json")} == before


def test_records_of_parts_do_not_outlive_what_they_describe(model: Path) -> None:
    for number in (1, 2, 3):
        _part(model, number)
    infer([Path("images")], settings=InferSettings(model=model, overwrite=True, threshold=0.25))
    _part(model, 1, overwrite=True)
    assert not Path("masks/run.json").exists()
    for number in (1, 2):
        _part(model, number, of=2, overwrite=True)
    _part(model, 1, overwrite=True)
    assert not Path("masks/run.json").exists()


def test_parts_share_the_folder_and_nobody_else_does(model: Path) -> None:
    with folder_lock(Path("masks")), pytest.raises(LockedError, match="another run is writing here"):
        _part(model, 1)
    with folder_lock(Path("masks"), shared=True):
        _part(model, 1)
        with pytest.raises(LockedError, match="another run is writing here"):
            infer([Path("images/c.tif")], settings=InferSettings(model=model))
    with folder_lock(Path("masks/.shards"), name="00002-of-00003.lock"), pytest.raises(LockedError):
        _part(model, 2)


def test_methods_without_training_have_parts_too() -> None:
    for number in (1, 2):
        infer([Path("images")], settings=InferSettings(method="otsu", shard=(number, 2)))
    assert len(json.loads(Path("masks/run.json").read_text())["images"]) == len(NAMES)


def test_names_do_not_depend_on_the_part(model: Path) -> None:
    tifffile.imwrite("images/b.png.tif", np.zeros((80, 96), np.uint8))
    Path("images/other").mkdir()
    tifffile.imwrite("images/other/b.tif", np.ones((80, 96), np.uint8))
    inputs = [Path("images/b.tif"), Path("images/other/b.tif")]
    for number in (1, 2):
        infer(inputs, settings=InferSettings(model=model, shard=(number, 2)))
    assert sorted(path.name for path in Path("masks").glob("*.tif")) == ["images_b_mask.tif", "other_b_mask.tif"]


def test_the_record_of_a_part_repeats_that_part(model: Path) -> None:
    _part(model, 2)
    images, settings = repeated_run(Path("masks/.shards/00002-of-00003.json"), [], InferSettings(output=Path("again")))
    again = infer(images, settings=settings)
    assert [image.job.path.name for image in again.images] == ["a2.tif", "c.tif"]


@pytest.mark.parametrize("text", ["3", "4/3", "0/3", "a/b", "1/2/3", "-1/3"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no part"):
        InferSettings(shard=parse_shard(text))
