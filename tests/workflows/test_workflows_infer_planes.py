"""Times, depths and series of an image: all of them, or those that are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from random_networks import write_random_model

from cellmonai.core.errors import InputError
from cellmonai.workflows.infer import infer
from cellmonai.workflows.inferring.repeat import repeated_run
from cellmonai.workflows.inferring.settings import InferSettings


@pytest.fixture(scope="module", name="model")
def _model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("model") / "model.safetensors")


@pytest.fixture(autouse=True)
def _stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (2, 3, 64, 80), np.uint8)
    tifffile.imwrite("stack.ome.tif", pixels, metadata={"axes": "TZYX"})
    tifffile.imwrite("flat.tif", pixels[0, 0])


def _planes(model: Path | None, *planes: str, image: str = "stack.ome.tif") -> list[str]:
    method = None if model else "otsu"
    settings = InferSettings(model=model, method=method, planes=planes, overwrite=True)
    return [done.job.plane for done in infer([Path(image)], settings=settings).images]


def test_all_planes_are_done_unless_some_are_named(model: Path) -> None:
    assert _planes(model) == ["t0_z0", "t0_z1", "t0_z2", "t1_z0", "t1_z1", "t1_z2"]
    assert _planes(model, "t1_z2") == ["t1_z2"]
    assert _planes(model, "*z1") == ["t0_z1", "t1_z1"]
    assert _planes(model, "T0*", "5") == ["t0_z0", "t0_z1", "t0_z2", "t1_z2"]
    assert _planes(None, "*z1") == ["t0_z1", "t1_z1"]


def test_the_result_of_a_plane_does_not_depend_on_the_others(model: Path) -> None:
    _planes(model)
    whole = Path("masks/stack_t1_z2_mask.tif").read_bytes()
    _planes(model, "t1_z2")
    assert Path("masks/stack_t1_z2_mask.tif").read_bytes() == whole


def test_an_image_of_one_plane_has_number_0(model: Path) -> None:
    assert _planes(model, "0", image="flat.tif") == [""]
    with pytest.raises(InputError, match=r"flat\.tif: it has no plane 't1', it has a single one; leave --plane out"):
        _planes(model, "t1", image="flat.tif")


def test_a_plane_that_is_not_there_is_named_beside_those_that_are(model: Path) -> None:
    with pytest.raises(InputError, match=r"no plane 'z1', its planes are t0_z0, .*t1_z2; give one of these names"):
        _planes(model, "z1")


def test_a_record_repeats_the_planes_it_was_of(model: Path) -> None:
    _planes(model, "*z1")
    images, settings = repeated_run(Path("masks/run.json"), [], InferSettings(output=Path("again")))
    assert [done.job.plane for done in infer(images, settings=settings).images] == ["t0_z1", "t1_z1"]
