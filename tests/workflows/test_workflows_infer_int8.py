"""`infer --precision int8`: calibrated once, what it changes is said, the same bytes afterwards, refused elsewhere."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from random_networks import write_random_model

from cellmonai.core.cache import VARIABLE
from cellmonai.core.errors import InputError, OutputError, UsageError
from cellmonai.core.files import sha256_of
from cellmonai.core.machine import multiplies_int8
from cellmonai.core.progress import Silent
from cellmonai.images.maps import read_maps
from cellmonai.inference import int8_difference, openvino_engine
from cellmonai.inference.openvino_runner import find_conversion
from cellmonai.models.file import read_card
from cellmonai.workflows.infer import InferResult, infer
from cellmonai.workflows.inferring.repeat import repeated_run
from cellmonai.workflows.inferring.settings import InferSettings

needs_int8 = pytest.mark.skipif(multiplies_int8() is False, reason="this CPU has no VNNI, AMX or dot products")


@dataclass
class Notes(Silent):
    """Keeps what is said."""

    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def said(self, words: str) -> list[str]:
        """Those with these words."""
        return [note for note in self.notes if words in note]


@dataclass(frozen=True)
class Calibrated:
    """A model, and the run that calibrated it on `slide`."""

    model: Path
    slide: Path
    output: Path
    result: InferResult
    reporter: Notes

    @property
    def record(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.output / "run.json").read_text())
        return document


@pytest.fixture(scope="module", name="cache")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache_int8")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, str(cache))


@pytest.fixture(scope="module", name="model")
def _model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("model") / "model.safetensors")


@pytest.fixture(scope="module", name="first")
def _first(tmp_path_factory: pytest.TempPathFactory, cache: Path, model: Path) -> Calibrated:
    if multiplies_int8() is False:
        pytest.skip("this CPU has no VNNI, AMX or dot products")
    pytest.importorskip("nncf", reason="the extra int8 is not installed")
    folder = tmp_path_factory.mktemp("first")
    slide, reporter = write_slide(folder / "slide.tif"), Notes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(cache))
        result = run(slide, model, folder / "masks", reporter)
    return Calibrated(model, slide, folder / "masks", result, reporter)


def write_slide(path: Path, rows: int = 700, columns: int = 900, *, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 255, (rows, columns), np.uint8)
    tifffile.imwrite(path, pixels, tile=(256, 256))
    return path


def run(slide: Path, model: Path, output: Path, reporter: Notes | None = None, **wishes: Any) -> InferResult:  # noqa: ANN401
    """Infer in windows of 400 px; `wishes` are of InferSettings."""
    facts = {"model": model, "output": output, "precision": "int8", "window": 400, "memory": 300 << 20}
    return infer([slide], settings=InferSettings(**(facts | wishes)), reporter=reporter or Notes())


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    kept = [path for path in files if path.name not in ("run.json", ".cellmonai.lock")]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}


def calibration_folder(model: Path) -> Path:
    found = find_conversion(read_card(model), sha256_of(model), "int8")
    assert found is not None
    return found.folder


def test_the_first_run_calibrates_and_says_on_what_and_what_it_changes(first: Calibrated) -> None:
    assert first.result.as_json()["precision"] == "int8"
    assert first.reporter.said("calibrating the model in 8-bit integers on ")
    (sentence,) = first.reporter.said("int8 beside f32 on ")
    said = first.record["calibration"]
    assert f"{said['objects_f32']:,} -> {said['objects_int8']:,} objects" in sentence
    assert f"{said['mask_px_changed']:,} of {said['mask_px_f32']:,} px of the mask changed" in sentence
    assert said["windows"] >= 4
    assert 0 < said["mask_px_changed"] < said["mask_px_f32"]
    assert 0 < said["mean"] < said["largest"] < 1
    assert said["threshold"] == 0.5
    assert not first.reporter.said("an earlier run")


def test_it_is_another_network_than_in_f32_and_close_to_it(first: Calibrated) -> None:
    run(first.slide, first.model, Path("f32"), precision="f32")
    exact, rounded = (read_maps(folder / "slide_maps.zarr").maps for folder in (Path("f32"), first.output))
    assert 0 < np.abs(exact - rounded).mean() < 0.05
    assert "calibration" not in json.loads(Path("f32/run.json").read_text())


def test_windows_equal_one_pass_over_the_whole_plane_but_for_a_step_in_few_pixels(first: Calibrated) -> None:
    assert first.result.images[0].windows > 4
    assert first.record["images"][0]["seams"]["windows"] > 0
    assert first.record["images"][0]["seams"]["holds"]
    whole = run(first.slide, first.model, Path("whole"), window=None, memory=2 << 30)
    assert whole.images[0].windows == 1
    one, many = (read_maps(folder / "slide_maps.zarr").maps for folder in (Path("whole"), first.output))
    assert np.abs(one - many).max() <= 5e-2
    assert np.count_nonzero(np.abs(one - many) > 1e-3) <= 1e-3 * one.size


def test_a_later_run_needs_neither_nncf_nor_torch_and_says_whose_calibration_it_is(first: Calibrated) -> None:
    code = (
        "import sys; from cellmonai.cli.start import main\n"
        f"sys.argv[1:] = {['infer', str(first.slide), '--model', str(first.model)]!r}\n"
        "sys.argv += ['--precision', 'int8', '--window', '400', '--memory', '300MiB', '--json']\n"
        "try: main()\n"
        "finally: print(*{'torch', 'monai', 'ignite', 'nncf'} & set(sys.modules), file=open('heavy', 'w'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path("heavy").read_text() == "\n"
    assert json.loads(done.stdout)["precision"] == "int8"
    said = " ".join(done.stderr.split())
    assert "calibrating" not in said
    assert "int8 beside f32 on " in said
    assert "an earlier run calibrated the model; remove " in said
    assert json.loads(Path("masks/run.json").read_text())["calibration"] == first.record["calibration"]
    assert digests(Path("masks")) == digests(first.output)


def test_the_memory_that_was_foreseen_is_that_of_the_network_in_int8(first: Calibrated) -> None:
    memory = first.record["memory"]
    assert 0 < memory["needed_bytes"] <= memory["budget_bytes"] == 300 << 20
    assert not [warning for warning in first.result.warnings if warning.code == "memory"]


def test_views_are_averaged_in_int8_too(first: Calibrated) -> None:
    result = run(first.slide, first.model, Path("flips"), tta="flips")
    assert result.as_json()["precision"] == "int8"
    maps = read_maps(Path("flips/slide_maps.zarr"))
    assert maps.names == ("foreground", "spread")
    assert 0 < maps.maps[1].max() <= 0.5
    assert json.loads(Path("flips/run.json").read_text())["calibration"] == first.record["calibration"]


def test_a_record_is_repeated_with_the_same_bytes(first: Calibrated) -> None:
    images, settings = repeated_run(first.output / "run.json", [], InferSettings(output=Path("again")))
    assert settings.precision == "int8"
    infer(images, settings=settings)
    assert digests(Path("again")) == digests(first.output)


def test_much_change_is_a_warning(first: Calibrated, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not [warning for warning in first.result.warnings if warning.code == "int8"]
    monkeypatch.setattr(int8_difference, "_MOST_UNSAID", -1.0)
    (warning,) = [
        warning for warning in run(first.slide, first.model, Path("masks")).warnings if warning.code == "int8"
    ]
    assert "objects" in warning.message
    assert "leave --precision out" in warning.message


def killed_at(number: int, first: Calibrated, output: str) -> int:
    """Give the exit code of the command that is killed before it touches its n-th file; every block is journaled."""
    words = ["infer", str(first.slide), "--model", str(first.model), "--output", output, "--quiet"]
    words += ["--precision", "int8", "--window", "400", "--memory", "300MiB"]
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r});"
        "from plane_writer import kill_self_at; from cellmonai.cli.start import main;"
        "from cellmonai.images import block_store;"
        f"block_store.GROUP_BLOCKS = 1; kill_self_at({number}, {output!r}); sys.argv[1:] = {words!r}; main()"
    )
    return subprocess.run([sys.executable, "-c", code], check=False, stderr=subprocess.DEVNULL).returncode


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_a_killed_run_ends_with_the_same_bytes_also_where_the_calibration_was_lost(first: Calibrated) -> None:
    assert killed_at(80, first, "killed") == -signal.SIGKILL
    shutil.rmtree(calibration_folder(first.model))
    reporter = Notes()
    result = run(first.slide, first.model, Path("killed"), reporter)
    assert reporter.said("calibrating the model")  # on the same windows, which gives the same network
    assert result.images[0].resumed_blocks > 0
    assert digests(Path("killed")) == digests(first.output)
    assert json.loads(Path("killed/run.json").read_text())["calibration"] == first.record["calibration"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_a_run_is_neither_continued_nor_repeated_with_another_calibration(first: Calibrated) -> None:
    assert killed_at(80, first, "masks") == -signal.SIGKILL
    here = calibration_folder(first.model)
    shutil.move(here, "kept")
    run(write_slide(Path("other.tif"), 300, 300, seed=9), first.model, Path("other"))
    with pytest.raises(OutputError, match=r"int8.network"):
        run(first.slide, first.model, Path("masks"))
    with pytest.raises(InputError, match="calibrated on other images since") as caught:
        repeated_run(first.output / "run.json", [], InferSettings(output=Path("again")))
    assert str(here) in caught.value.cure
    shutil.rmtree(here)
    shutil.move("kept", here)
    assert run(first.slide, first.model, Path("masks")).images[0].resumed_blocks > 0


@needs_int8
def test_without_nncf_a_calibration_is_refused_before_any_work(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "empty"))
    monkeypatch.setitem(sys.modules, "nncf", None)
    reporter = Notes()
    with pytest.raises(UsageError) as caught:
        run(write_slide(Path("slide.tif"), 200, 200), model, Path("masks"), reporter)
    assert caught.value.where == "--precision int8"
    assert caught.value.cure == 'pip install "cellmonai[int8]"'
    assert not reporter.said("converting")
    assert not Path("masks").exists()


def test_without_nncf_a_model_that_is_calibrated_runs(first: Calibrated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    run(first.slide, first.model, Path("masks"))
    assert digests(Path("masks")) == digests(first.output)


def test_a_cpu_that_only_emulates_int8_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_engine, "multiplies_int8", lambda: False)
    with pytest.raises(UsageError, match="does not compute in int8, it would only emulate it; use auto or f32"):
        run(write_slide(Path("slide.tif"), 200, 200), model, Path("masks"))


@pytest.mark.parametrize(
    ("wishes", "cure"),
    [
        pytest.param({"engine": "torch"}, "leave --engine out", id="torch"),
        pytest.param({"device": "cuda"}, "leave --device out", id="a GPU"),
        pytest.param({"pictures": ("attention",)}, "pictures of explanations", id="an explanation"),
        pytest.param({"mc_dropout": 4}, "--mc-dropout", id="dropout"),
    ],
)
def test_what_does_not_run_in_8_bit_integers_is_refused(model: Path, wishes: dict[str, Any], cure: str) -> None:
    with pytest.raises(UsageError) as caught:
        run(write_slide(Path("slide.tif"), 200, 200), model, Path("masks"), **wishes)
    assert caught.value.where == "--precision int8"
    assert cure in caught.value.cure
    assert not Path("masks").exists()


@pytest.mark.parametrize("stitch", ["gaussian", "minimum"])
def test_windows_that_overlap_run_in_8_bit_integers_too(first: Calibrated, stitch: str) -> None:
    run(first.slide, first.model, Path("masks"), stitch=stitch, window=128)
    record = json.loads(Path("masks/run.json").read_text())
    assert (record["precision"], record["stitch"]) == ("int8", stitch)


def test_a_network_that_depends_on_all_its_window_holds_is_not_calibrated_on_small_ones(tmp_path: Path) -> None:
    model = write_random_model(tmp_path / "model.safetensors", tile_exact=False)
    with pytest.raises(UsageError, match="everything its window holds"):
        run(write_slide(Path("slide.tif"), 200, 200), model, Path("masks"))


def test_int8_is_never_chosen_by_itself(model: Path) -> None:
    run(write_slide(Path("slide.tif"), 200, 200), model, Path("masks"), precision="auto", device="cpu")
    assert json.loads(Path("masks/run.json").read_text())["precision"] == "f32"
