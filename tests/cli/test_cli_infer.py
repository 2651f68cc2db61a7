"""`cellmonai infer` as a user calls it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from random_networks import write_random_model
from typer.testing import CliRunner
from waiting import wait_for_line

from cellmonai.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.testing import Result


@pytest.fixture(autouse=True)
def _in_a_folder_with_a_run_and_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("runs/first")
    folder.mkdir(parents=True)
    write_random_model(folder / "model.safetensors")
    (folder / "run.json").write_text('{"status": "done"}')
    write_noise(Path("x.tif"))


def write_noise(path: Path, side: int = 120) -> None:
    pixels = np.random.default_rng(1).integers(0, 4000, (side, side)).astype(np.uint16)
    tifffile.imwrite(path, pixels, photometric="minisblack")


def infer(*words: str) -> Result:
    return CliRunner().invoke(app, ["infer", *words])


def record(folder: str = "masks") -> dict[str, Any]:
    document: dict[str, Any] = json.loads((Path(folder) / "run.json").read_text())
    return document


def test_the_plain_command_says_what_it_did_and_what_comes_next() -> None:
    result = infer("x.tif")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("1 mask in masks (0.0144 Mpx in ")
    assert "model: runs/first/model.safetensors (the only run); network: monai_attention_unet" in result.stderr
    assert "running on cpu (" in result.stderr
    assert "1 image, 0.0144 Mpx, in 1 window of up to 120 x 120 px (exact)" in result.stderr
    assert result.stderr.rstrip().endswith("cellmonai count masks")


def test_json_is_one_document_on_stdout() -> None:
    result = infer("x.tif", "--json")
    document = json.loads(result.stdout)
    assert document["schema"] == "cellmonai.infer/1"
    assert document["images"][0]["mask"] == "x_mask.tif"


def test_quiet_shows_the_result_alone() -> None:
    result = infer("x.tif", "--quiet")
    assert result.stderr == ""
    assert result.stdout.startswith("1 mask in masks")


@pytest.mark.parametrize(
    ("words", "key", "value"),
    [
        pytest.param(["--sliding-window"], "sliding_window", True, id="sliding window"),
        pytest.param(["--window", "104"], "window", 104, id="window"),
        pytest.param(["--stitch", "constant"], "stitch", "constant", id="stitch"),
        pytest.param(["--stitch", "minimum"], "stitch", "minimum", id="stitch by the minimum"),
        pytest.param(["--device", "cpu"], "device", "cpu", id="device"),
        pytest.param(["--precision", "f32"], "precision", "f32", id="precision"),
        pytest.param(["--memory", "1GiB"], "memory", 2**30, id="memory"),
        pytest.param(["--threshold", "0.7"], "threshold", 0.7, id="threshold"),
        pytest.param(["--channel", "0"], "channels", ["0"], id="channel"),
        pytest.param(["--invert"], "invert", True, id="invert"),
        pytest.param(["--pictures", "overlay, heatmap"], "pictures", ["overlay", "heatmap"], id="pictures"),
        pytest.param(["--pictures", "attention"], "pictures", ["attention"], id="attention"),
        pytest.param(["--pictures", "saliency", "--at", "7, 9"], "at", [7, 9], id="pixel of saliency"),
        pytest.param(["--maps-dtype", "uint8"], "maps_dtype", "uint8", id="maps type"),
        pytest.param(["--model", "runs/first"], "model", "runs/first", id="model"),
    ],
)
def test_every_option_reaches_the_workflow(words: list[str], key: str, value: object) -> None:
    result = infer("x.tif", *words)
    assert result.exit_code == 0, result.output
    assert record()["parameters"][key] == value


def test_output_and_overwrite() -> None:
    assert infer("x.tif", "--output", "there").exit_code == 0
    again = infer("x.tif", "-o", "there")
    assert again.exit_code == 5
    assert "the output exists already" in again.stderr
    assert infer("x.tif", "-o", "there", "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        pytest.param(["missing.tif"], 3, "missing.tif: no such file or folder", id="missing image"),
        pytest.param(["text.tif"], 3, "text.tif: it is named as a TIFF file and holds text", id="no image"),
        pytest.param(["x.tif", "--model", "none"], 3, "none: cannot be read", id="missing model"),
        pytest.param(["x.tif", "--pictures", "overlays"], 2, "did you mean 'overlay'?", id="unknown picture"),
        pytest.param(["x.tif", "--memory", "lots"], 2, "'lots' is no amount of memory", id="no amount"),
        pytest.param(["x.tif", "--memory", "300KB"], 8, "x.tif: ", id="budget too small"),
        pytest.param(["x.tif", "--device", "tpu"], 2, "unknown device 'tpu'", id="unknown device"),
        pytest.param(["x.tif", "--window", "80"], 2, "give 88 or more", id="window too small"),
        pytest.param(["x.tif", "--precision", "f16"], 2, "does not compute in f16", id="emulated precision"),
        pytest.param(
            ["x.tif", "--precision", "int8", "--engine", "torch"], 2, "leave --engine out", id="int8 with torch"
        ),
        pytest.param(["x.tif", "--precision", "int8", "--device", "cuda"], 2, "leave --device out", id="int8 on a GPU"),
        pytest.param(["x.tif", "--precision", "int8", "--mc-dropout", "4"], 2, "or --mc-dropout", id="int8 dropout"),
        pytest.param(["x.tif", "--channel", "dapi"], 3, "its channels are 0", id="unknown channel"),
        pytest.param(["x.tif", "--stitch", "maximum"], 2, "maximum", id="unknown stitch"),
        pytest.param(["x.tif", "--pictures", "uncertainty"], 2, "gives no uncertainty map", id="no uncertainty map"),
        pytest.param(["x.tif", "--at", "3,4"], 2, "is for --pictures saliency", id="a pixel without saliency"),
        pytest.param(["x.tif", "--pictures", "saliency", "--at", "3"], 2, "'3' is no pixel", id="half a pixel"),
        pytest.param(["x.tif", "--pictures", "saliency", "--at=-1,2"], 2, "'-1,2' is no pixel", id="negative pixel"),
        pytest.param(
            ["x.tif", "--pictures", "saliency", "--at", "120,0"], 2, "outside x.tif, which is 120 x 120", id="outside"
        ),
        pytest.param([], 2, "no image is named", id="no image named"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_leaves_nothing(words: list[str], code: int, sentence: str) -> None:
    Path("text.tif").write_text("hello")
    result = infer(*words)
    assert result.exit_code == code, result.output
    assert sentence in result.stderr
    assert result.stdout == ""
    assert not Path("masks").exists()


def test_a_bad_image_among_good_ones_gives_exit_code_9() -> None:
    Path("bad.tif").write_text("hello")
    result = infer("x.tif", "bad.tif", "--json")
    assert result.exit_code == 9
    assert json.loads(result.stdout)["partial"] is True
    assert "1 of 2 images failed, the others are done; the first: bad.tif" in result.stderr


@pytest.mark.parametrize("name", ["a\nb.tif", "[red].tif", "=cmd.tif", "<script>.tif", "-x.tif"])
def test_file_names_may_hold_anything(name: str) -> None:
    Path("images").mkdir()
    write_noise(Path("images") / name, side=40)
    result = infer("images", "--quiet")
    assert result.exit_code == 0, result.output
    assert (Path("masks") / f"{name[:-4]}_mask.tif").is_file()


def test_in_a_process_of_its_own_it_prints_nothing_else(cellmonai: Callable[..., Any]) -> None:
    write_noise(Path("big.tif"), side=400)
    words = ("infer", "--sliding-window", "big.tif", "--stitch", "gaussian", "--window", "128", "--json", "--quiet")
    result = cellmonai(*words, cwd=Path.cwd())
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["images"][0]["windows"] == 16
    assert [line[:8] for line in result.stderr.splitlines()] == ["warning:"] * 2  # of averages, and of what they left


def test_what_is_wrong_with_the_input_is_told_before_what_is_in_the_way() -> None:
    Path("masks").mkdir()
    (Path("masks") / "run.json").write_text("mine")
    Path("text.tif").write_text("hello")
    result = infer("text.tif")
    assert result.exit_code == 3
    assert "text.tif" in result.stderr


def test_the_next_command_takes_a_folder_for_a_folder() -> None:
    result = infer("x.tif", "-o", "-out")
    assert result.stderr.rstrip().replace("\\", "/").endswith("count ./-out")


def test_debug_shows_the_traceback(cellmonai: Callable[..., Any]) -> None:
    done = cellmonai("infer", "missing.tif", "--debug", cwd=Path.cwd())
    assert done.returncode == 3
    assert "Traceback" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT goes to a whole group there")
def test_ctrl_c_ends_with_130_and_one_sentence() -> None:
    write_noise(Path("big.tif"), side=3000)
    words = [sys.executable, "-m", "cellmonai", "infer", "big.tif", "--window", "128"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_line(process, process.stderr, "finding cells")
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "")
    assert errors == "error: stopped by Ctrl-C; run the same command again, which continues.\n"
    assert not Path("masks/big_mask.tif").exists()
    assert not Path("masks/run.json").exists()


@pytest.mark.parametrize("words", [["infer", "--help"], ["infer", "missing.tif"]], ids=["help", "missing image"])
def test_help_and_early_errors_come_without_torch(words: list[str]) -> None:
    code = (
        "import sys, contextlib\n"
        "from cellmonai.cli.app import app\n"
        f"with contextlib.suppress(SystemExit): app({words!r})\n"
        "sys.exit('torch' in sys.modules or 'monai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
