"""`cellmonai infer --method` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from cellmonai.cli.app import app
from cellmonai.instances.classical.catalogue import METHODS
from cellmonai.simulate import FieldSettings, paint_field

if TYPE_CHECKING:
    from typer.testing import Result

CELLS = 25


@pytest.fixture(autouse=True)
def _in_a_folder_with_painted_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    even = FieldSettings(
        cells=CELLS, clustering=0.0, border="inside", unevenness=0.0, brightness_spread=0.1, noise=0.02
    )
    tifffile.imwrite("x.tif", paint_field(even, seed=3).image, photometric="minisblack")


def call(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def infer(*words: str) -> Result:
    return call("infer", "x.tif", *words)


def record() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path("masks/run.json").read_text())
    return document


@pytest.mark.parametrize("method", ["otsu", "local_threshold", "watershed", "kmeans"])
def test_painted_cells_are_counted_with_two_commands(method: str) -> None:
    assert infer("--method", method, "-q").exit_code == 0
    counted = call("count", "masks", "--json")
    assert json.loads(counted.stdout)["total"] == CELLS


def test_the_command_says_the_method_and_what_comes_next() -> None:
    result = infer("--method", "otsu", "--set", "factor=0.9")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("1 mask in masks (0.0655 Mpx in ")
    assert "method: otsu, Otsu's threshold (smooth_px 1, factor 0.9); nothing was trained" in result.stderr
    assert "1 image, 0.0655 Mpx, each whole; about" in result.stderr
    assert result.stderr.rstrip().endswith("cellmonai count masks")


def test_json_is_one_document_that_names_the_method() -> None:
    document = json.loads(infer("--method", "mean_shift", "--set", "bandwidth=0.05", "--json").stdout)
    assert (document["model"], document["engine"]) == (None, "classical")
    assert document["method"]["name"] == "mean_shift"
    assert document["method"]["parameters"] == {"smooth_px": 1.0, "bandwidth": 0.05}


@pytest.mark.parametrize(
    ("words", "key", "value"),
    [
        pytest.param([], "method", "otsu", id="method"),
        pytest.param(["--set", "smooth_px=2", "--set", "factor=0.8"], "set", {"smooth_px": 2, "factor": 0.8}, id="set"),
        pytest.param(["--memory", "1GiB"], "memory", 2**30, id="memory"),
        pytest.param(["--channel", "0"], "channels", ["0"], id="channel"),
        pytest.param(["--invert"], "invert", True, id="invert"),
        pytest.param(["--pictures", "overlay"], "pictures", ["overlay"], id="pictures"),
    ],
)
def test_every_option_of_a_method_reaches_the_workflow(words: list[str], key: str, value: object) -> None:
    result = infer("--method", "otsu", *words)
    assert result.exit_code == 0, result.output
    assert record()["parameters"][key] == value


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        pytest.param(["--method", "otsus"], 2, "--method: unknown method 'otsus'; did you mean 'otsu'?", id="unknown"),
        pytest.param(
            ["--method", "otsu", "--set", "smoth=1"], 2, "--set: otsu has no parameter 'smoth'", id="unknown parameter"
        ),
        pytest.param(
            ["--method", "otsu", "--set", "smooth_px=wide"], 2, "'wide' does not fit; expected a number", id="no number"
        ),
        pytest.param(["--method", "otsu", "--set", "smooth_px"], 2, "write it as key=value", id="no value"),
        pytest.param(["--set", "smooth_px=1"], 2, "add --method, as --method otsu", id="no method"),
        pytest.param(["--method", "otsu", "--model", "m"], 2, "exclude each other", id="method and model"),
        pytest.param(["--method", "otsu", "--threshold", "0.4"], 2, "--threshold: is for models", id="threshold"),
        pytest.param(["--method", "otsu", "--sliding-window"], 2, "--sliding-window: is for models", id="windows"),
        pytest.param(["--method", "otsu", "--window", "256"], 2, "--window: is for models", id="window"),
        pytest.param(["--method", "otsu", "--stitch", "exact"], 2, "--stitch: is for models", id="stitch"),
        pytest.param(["--method", "otsu", "--device", "cpu"], 2, "--device: is for models", id="device"),
        pytest.param(["--method", "otsu", "--precision", "f32"], 2, "--precision: is for models", id="precision"),
        pytest.param(["--method", "otsu", "--maps-dtype", "uint8"], 2, "--maps-dtype: is for models", id="maps"),
        pytest.param(["--method", "otsu", "--pictures", "heatmap"], 2, "otsu gives a mask only", id="heatmap"),
        pytest.param(["--method", "otsu", "--memory", "300KB"], 8, "x.tif: an image of 256 x 256 px", id="memory"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_leaves_nothing(words: list[str], code: int, sentence: str) -> None:
    result = infer(*words)
    assert result.exit_code == code, result.output
    assert sentence in result.stderr
    assert result.stdout == ""
    assert not Path("masks").exists()


def test_a_bad_image_among_good_ones_gives_exit_code_9() -> None:
    Path("bad.tif").write_text("hello")
    result = infer("bad.tif", "--method", "otsu", "--json")
    assert result.exit_code == 9
    assert json.loads(result.stdout)["partial"] is True


def test_help_names_every_method() -> None:
    words = " ".join(call("infer", "--help").stdout.replace("│", " ").split())
    assert [name for name in METHODS if name not in words] == []


def test_a_colour_picture_needs_a_channel() -> None:
    colour = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)
    tifffile.imwrite("colour.tif", colour, photometric="rgb")
    result = call("infer", "colour.tif", "--method", "otsu")
    assert result.exit_code == 3
    assert "choose one, as --channel red" in result.stderr
    assert call("infer", "colour.tif", "--method", "otsu", "--channel", "green").exit_code == 0
