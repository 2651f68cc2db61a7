"""Windows to calibrate on: spread over the images, mostly with something in them, the same ones every time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from random_networks import write_random_model

from cellmonai.core.errors import InputError
from cellmonai.core.progress import Silent
from cellmonai.inference import openvino_int8
from cellmonai.workflows.inferring import int8
from cellmonai.workflows.inferring.background import is_background
from cellmonai.workflows.inferring.int8_windows import boxes_over, choose_windows, spread
from cellmonai.workflows.inferring.jobs import ImageJob, survey
from cellmonai.workflows.inferring.model import ChosenModel, choose_model
from cellmonai.workflows.inferring.settings import InferSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.fixture(scope="module", name="model")
def _model(tmp_path_factory: pytest.TempPathFactory) -> ChosenModel:
    return choose_model(write_random_model(tmp_path_factory.mktemp("model") / "model.safetensors"), threshold=None)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def jobs_of(model: ChosenModel, *images: NDArray[Any], settings: InferSettings | None = None) -> tuple[ImageJob, ...]:
    paths = [Path(f"x{number:03}.tif") for number in range(len(images))]
    for path, pixels in zip(paths, images, strict=True):
        tifffile.imwrite(path, pixels)
    return survey(paths, model.wants, settings or InferSettings()).jobs


def noise(rows: int, columns: int, seed: int = 0) -> NDArray[np.uint16]:
    return np.random.default_rng(seed).integers(0, 4000, (rows, columns)).astype(np.uint16)


@pytest.mark.parametrize(
    ("shape", "side", "most", "count", "box_shape"),
    [
        pytest.param((512, 768), 256, 32, 6, (256, 256), id="as many as cover the image"),
        pytest.param((520, 520), 256, 32, 9, (256, 256), id="overlapping rather than leaving a rest"),
        pytest.param((2560, 2560), 256, 32, 30, (256, 256), id="fewer, evenly"),
        pytest.param((100, 1), 256, 32, 1, (104, 16), id="an image smaller than a window"),
        pytest.param((256, 256_000), 256, 32, 32, (256, 256), id="one long row"),
        pytest.param((256_000, 500), 256, 32, 32, (256, 256), id="a long column"),
        pytest.param((4000, 4000), 256, 1, 1, (256, 256), id="one only"),
    ],
)
def test_boxes_are_spread_evenly(
    shape: tuple[int, int], side: int, most: int, count: int, box_shape: tuple[int, int]
) -> None:
    boxes = boxes_over(shape, side, 8, most=most)
    assert len(set(boxes)) == len(boxes) == count
    for box in boxes:
        assert box.shape == box_shape
        assert box.row0 % 8 == box.col0 % 8 == 0
        assert (box.row0, box.col0) < shape
    if count > 1:
        assert max(box.col1 for box in boxes) > 0.5 * shape[1]
        assert max(box.row1 for box in boxes) > 0.5 * shape[0]


def test_values_are_taken_from_the_middle_of_equal_parts() -> None:
    assert spread(range(10), 2) == [2, 7]
    assert spread(range(3), 8) == [0, 1, 2]
    assert spread(range(3), 0) == []


def test_most_windows_hold_something_and_a_few_show_background(model: ChosenModel) -> None:
    slide = np.random.default_rng(0).normal(500, 5, (2048, 2048))
    slide[:600] += 2000 * (noise(38, 128).repeat(16, 0).repeat(16, 1)[:600] > 3000)
    windows, planes = choose_windows(jobs_of(model, slide.clip(0).astype(np.uint16)), model, InferSettings(), side=128)
    assert (len(windows), planes) == (32, 1)
    assert {window.shape for window in windows} == {(1, 1, 128, 128)}
    assert {window.dtype for window in windows} == {np.dtype(np.float32)}
    assert sum(is_background(window[0]) for window in windows) == 4


def test_they_are_scaled_by_the_whole_plane_as_for_inference(model: ChosenModel) -> None:
    pixels = noise(300, 400)
    (first, *_), _ = choose_windows(jobs_of(model, pixels), model, InferSettings(), side=256)
    scaled = model.card.normalisation.scaling_for(pixels[None]).apply(pixels[None])
    assert np.array_equal(first[0], scaled[:, :256, :256])


def test_the_same_images_give_the_same_windows_and_inverted_ones_others(model: ChosenModel) -> None:
    jobs = jobs_of(model, *(noise(200, 200, seed) for seed in range(3)))
    first, again = (choose_windows(jobs, model, InferSettings(), side=64)[0] for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    inverted = choose_windows(jobs, model, InferSettings(invert=True), side=64)[0]
    assert not np.array_equal(first[0], inverted[0])


@pytest.mark.parametrize(
    ("images", "shape", "planes", "windows"),
    [
        pytest.param(40, (64, 64), 32, 32, id="many small images give one each"),
        pytest.param(6, (512, 512), 4, 32, id="of large images only four are read"),
        pytest.param(2, (60, 50), 2, 2, id="two small images"),
    ],
)
def test_a_handful_of_images_is_read(
    model: ChosenModel, images: int, shape: tuple[int, int], planes: int, windows: int
) -> None:
    jobs = jobs_of(model, *(noise(*shape, seed) for seed in range(images)))
    found, read = choose_windows(jobs, model, InferSettings(), side=64)
    assert (read, len(found)) == (planes, windows)


def test_an_image_that_cannot_be_read_is_passed_over_for_the_others(model: ChosenModel) -> None:
    broken = noise(300, 300).astype(np.float32)
    broken[5, 5] = np.nan
    good = noise(300, 300).astype(np.float32)
    windows, planes = choose_windows(jobs_of(model, broken, good), model, InferSettings(), side=64)
    assert planes == 1
    assert len(windows) == 25  # all that the other one holds
    with pytest.raises(InputError, match="NaN"):
        choose_windows(jobs_of(model, broken), model, InferSettings(), side=64)


@pytest.mark.parametrize(
    ("budget", "side"),
    [
        pytest.param(1 << 30, 256, id="enough"),
        pytest.param(200 << 20, 128, id="little"),
        pytest.param(1, 64, id="none"),
    ],
)
def test_windows_are_smaller_where_memory_is_little(
    model: ChosenModel, monkeypatch: pytest.MonkeyPatch, budget: int, side: int
) -> None:
    taken: list[NDArray[np.float32]] = []
    monkeypatch.setattr(openvino_int8, "convert_int8", lambda _, windows, **wishes: taken.extend(windows))
    converted: Any = SimpleNamespace(card=SimpleNamespace(memory=SimpleNamespace(bytes_per_px=700.0)))
    int8.calibration_on(jobs_of(model, noise(600, 600)), model, InferSettings(), Silent(), budget=budget)(converted)
    assert {window.shape[-2:] for window in taken} == {(side, side)}
