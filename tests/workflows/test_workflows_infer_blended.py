"""Windows that overlap over planes of any size: block by block, killed and continued, the same bytes in the end."""

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
import torch
from monai.inferers import SlidingWindowInferer
from noise_slides import write_slide
from random_networks import write_random_model

from cellmonai.core.errors import MemoryBudgetError, OutputError
from cellmonai.images.maps import read_maps
from cellmonai.images.open import open_image
from cellmonai.inference.activation import probabilities
from cellmonai.inference.stitch import padded_image
from cellmonai.inference.windows import make_blending
from cellmonai.models.load import load_model
from cellmonai.nets.catalogue import resolve
from cellmonai.workflows.infer import InferResult, infer
from cellmonai.workflows.inferring.settings import InferSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEP = 2.0**-11
"""Of the float16 that maps are stored in, around 1."""

needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")


@pytest.fixture(scope="module", name="model")
def _model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a network whose windows cannot equal the whole image, as its card says."""
    return write_random_model(tmp_path_factory.mktemp("model") / "model.safetensors", tile_exact=False)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)


def _run(image: Path, model: Path, **wishes: object) -> InferResult:
    settings: dict[str, Any] = {"memory": 300 << 20, "window": 200} | wishes
    return infer([image], settings=InferSettings(model=model, **settings))


def _maps(folder: str) -> NDArray[np.float32]:
    return read_maps(Path(f"{folder}/slide_maps.zarr")).maps


@pytest.mark.parametrize("stitch", ["gaussian", "constant"])
def test_a_slide_equals_monais_sliding_window_over_all_of_it(model: Path, stitch: str) -> None:
    image = write_slide("slide.tif", 601, 1130)
    result = _run(image, model, stitch=stitch, engine="torch")
    loaded = load_model(model)
    with open_image(image) as source:
        pixels = source.read()
    scaled = loaded.card.normalisation.scaling_for(pixels).apply(pixels)
    blending = make_blending((601, 1130), window=200, divisor=loaded.card.divisor)
    inferer = SlidingWindowInferer(blending.side, overlap=0.25, mode=stitch)
    with torch.inference_mode():
        logits = inferer(torch.from_numpy(padded_image(scaled, blending.padded))[None], loaded.net.eval())
    whole = probabilities(logits[0, :, :601, :1130].numpy())
    assert np.abs(_maps("masks") - whole).max() < STEP / 2 + 1e-5
    assert result.images[0].windows == blending.windows
    assert result.as_json()["stitch"] == stitch


@pytest.mark.parametrize("stitch", ["gaussian", "minimum"])
def test_engines_agree(model: Path, stitch: str) -> None:
    image = write_slide("slide.tif", 600, 700)
    for engine in ("torch", "openvino"):
        assert _run(image, model, output=Path(engine), engine=engine, stitch=stitch).as_json()["engine"] == engine
    assert np.abs(_maps("torch") - _maps("openvino")).max() <= STEP + 1e-5


@pytest.mark.parametrize("stitch", ["auto", "constant", "minimum"])
def test_a_converted_model_is_blended_without_torch_and_monai(model: Path, stitch: str) -> None:
    image = write_slide("slide.tif", 300, 400)
    _run(image, model, output=Path("first"), engine="openvino")  # converts it, which takes torch
    code = (
        "import sys; from pathlib import Path; from cellmonai.workflows.infer import infer;"
        "from cellmonai.workflows.inferring.settings import InferSettings;"
        f"infer([Path('slide.tif')], settings=InferSettings(model=Path({str(model)!r}), window=128,"
        f" stitch={stitch!r}, device='cpu'));"
        "sys.exit(any(name in sys.modules for name in ('torch', 'monai', 'ignite')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert json.loads(Path("masks/run.json").read_text())["images"][0]["windows"] > 1


def test_bytes_do_not_depend_on_the_memory(model: Path) -> None:
    image = write_slide("slide.tif", 1100, 1600)
    for output, memory in (("little", 80 << 20), ("much", 400 << 20)):
        _run(image, model, output=Path(output), memory=memory, engine="torch")
    assert np.array_equal(_maps("little"), _maps("much"))
    assert Path("little/slide_mask.tif").read_bytes() == Path("much/slide_mask.tif").read_bytes()


def test_an_image_whose_maps_are_larger_than_the_memory_is_done(model: Path) -> None:
    image = write_slide("slide.tif", 2100, 2600)
    held = 2100 * 2600 * (4 + 2 * 4 + 4)  # what holding it took: pixels, sums, maps and weights
    result = _run(image, model, memory=(64 << 20) + held // 3, engine="torch", window=128)
    assert result.images[0].windows > 500
    facts = json.loads(Path("masks/run.json").read_text())["memory"]
    assert facts["needed_bytes"] <= facts["budget_bytes"]


def test_too_little_memory_is_refused_with_what_it_takes(model: Path) -> None:
    image = write_slide("slide.tif", 600, 700)
    with pytest.raises(MemoryBudgetError, match=r"slide.tif: a window of .* raise --memory or give a smaller --window"):
        _run(image, model, memory=70 << 20, engine="torch", window=512)


def _words(image: Path, model: Path, output: str, stitch: str) -> list[str]:
    words = ["infer", str(image), "--model", str(model), "--output", output, "--window", "200", "--quiet"]
    return [*words, "--stitch", stitch, "--engine", "openvino", "--memory", "400MiB"]


def _killed_at(number: int, image: Path, model: Path, output: str, stitch: str) -> int:
    """Give the exit code of the command that is killed before it touches its n-th file.

    Blocks are single chunks there, as with little memory, and each is journaled at once.
    """
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r});"
        "from plane_writer import kill_self_at; from cellmonai.cli.start import main;"
        "from cellmonai.images import block_store; from cellmonai.inference import blended_blocks;"
        "blended_blocks.LONGEST_BLOCK_PX = 512;"
        f"block_store.GROUP_BLOCKS = 1; kill_self_at({number}, {output!r}); "
        f"sys.argv[1:] = {_words(image, model, output, stitch)!r}; main()"
    )
    return subprocess.run([sys.executable, "-c", code], check=False, stderr=subprocess.DEVNULL).returncode


def _interrupted(model: Path, stitch: str = "gaussian") -> Path:
    image = write_slide("slide.tif", 1600, 2100)
    assert _killed_at(80, image, model, "masks", stitch) == -signal.SIGKILL
    assert list(Path("masks").glob(".*.work"))
    return image


def _continued(image: Path, model: Path, **wishes: object) -> InferResult:
    return _run(image, model, **({"memory": 400 << 20, "engine": "openvino", "stitch": "gaussian"} | wishes))


@needs_kill
@pytest.mark.parametrize("stitch", ["gaussian", "minimum"])
def test_a_killed_run_ends_with_the_same_bytes(model: Path, stitch: str) -> None:
    image = _interrupted(model, stitch)
    resumed = _continued(image, model, stitch=stitch)
    whole = _continued(image, model, stitch=stitch, output=Path("whole"))
    assert resumed.images[0].resumed_blocks > 0
    assert whole.images[0].resumed_blocks == 0
    assert np.array_equal(_maps("masks"), _maps("whole"))
    assert Path("masks/slide_mask.tif").read_bytes() == Path("whole/slide_mask.tif").read_bytes()


@needs_kill
@pytest.mark.parametrize("wishes", [{"window": 320}, {"memory": 2 << 30}], ids=str)
def test_an_unfinished_run_keeps_its_windows_and_blocks(model: Path, wishes: dict[str, Any]) -> None:
    image = _interrupted(model)
    resumed = _continued(image, model, **wishes)
    whole = _continued(image, model, output=Path("whole"))
    assert resumed.images[0].resumed_blocks > 0
    assert resumed.images[0].windows == whole.images[0].windows
    assert np.array_equal(_maps("masks"), _maps("whole"))
    told = [warning.message for warning in resumed.warnings if warning.code == "window"]
    assert len(told) == ("window" in wishes)
    assert all("windows of 192 x 192 px, which were kept" in message for message in told)


@needs_kill
def test_with_overwrite_another_window_starts_anew(model: Path) -> None:
    image = _interrupted(model)
    assert _continued(image, model, window=320, overwrite=True).images[0].resumed_blocks == 0
    _continued(image, model, window=320, output=Path("whole"))
    assert np.array_equal(_maps("masks"), _maps("whole"))


@needs_kill
def test_an_unfinished_run_of_another_stitch_is_refused_with_the_difference(model: Path) -> None:
    image = _interrupted(model)
    with pytest.raises(OutputError, match="stitch gaussian, this one constant") as caught:
        _continued(image, model, stitch="constant")
    assert "--overwrite" in caught.value.sentence


def test_seams_are_measured_and_told(model: Path) -> None:
    image = write_slide("slide.tif", 500, 900)
    result = _run(image, model)
    seams = json.loads(Path("masks/run.json").read_text())["images"][0]["seams"]
    assert seams["windows"] == 3
    assert seams["bound"] == 0.05
    assert seams["largest_difference"] > 0.05
    assert not seams["holds"]
    assert [warning.code for warning in result.warnings] == ["blended", "seams"]
    assert "give a larger --window" in result.warnings[1].message


def test_a_single_window_has_no_seams(model: Path) -> None:
    result = _run(write_slide("slide.tif", 150, 130), model)
    assert result.warnings == ()
    assert result.images[0].seams is not None
    assert result.images[0].seams["windows"] == 0


def test_background_takes_no_part_when_asked_for(model: Path) -> None:
    pixels = np.zeros((300, 1400), np.uint8)
    pixels[:, :300] = np.random.default_rng(0).integers(0, 255, (300, 300))
    tifffile.imwrite("slide.tif", pixels, tile=(256, 256))
    _run(Path("slide.tif"), model, output=Path("every"))
    fewer = _run(Path("slide.tif"), model, output=Path("fewer"), skip_background=True)
    assert fewer.images[0].skipped > 0
    assert _maps("every")[0, :, 800:].any()
    assert not _maps("fewer")[0, :, 800:].any()
    assert np.array_equal(_maps("fewer")[0, :, :200], _maps("every")[0, :, :200])


@pytest.mark.parametrize("stitch", ["gaussian", "minimum"])
def test_views_are_averaged_in_windows_that_overlap_too(model: Path, stitch: str) -> None:
    image = write_slide("slide.tif", 300, 400)
    _run(image, model, output=Path("plain"), stitch=stitch)
    _run(image, model, output=Path("flips"), stitch=stitch, tta="flips")
    maps = read_maps(Path("flips/slide_maps.zarr"))
    assert maps.names == ("foreground", "spread")
    assert 0.0 < maps.maps[1].max() <= 0.5
    assert np.abs(maps.maps[0] - _maps("plain")[0]).max() > 0.01


def test_passes_with_dropout_are_averaged_in_windows_that_overlap(tmp_path: Path) -> None:
    parameters = resolve("monai_attention_unet", {"width": 4, "dropout": 0.3})
    dropping = write_random_model(tmp_path / "dropping.safetensors", parameters=parameters, tile_exact=False)
    _run(write_slide("slide.tif", 300, 300), dropping, mc_dropout=4)
    assert read_maps(Path("masks/slide_maps.zarr")).maps[1].max() > 0.0


def test_workers_give_the_bytes_of_a_run_alone(model: Path) -> None:
    pytest.importorskip("distributed", reason="the extra `distributed` is not installed")
    image = write_slide("slide.tif", 1100, 1600)
    _run(image, model, output=Path("alone"), engine="openvino")
    words = ["infer", str(image), "--model", str(model), "--output", "shared", "--window", "200", "--workers", "2"]
    code = (
        "import sys; from cellmonai.cli.start import main; from cellmonai.inference import blended_blocks;"
        "blended_blocks.LONGEST_BLOCK_PX = 512;"
        f"sys.argv[1:] = {[*words, '--engine', 'openvino', '--quiet']!r}; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == 0
    assert np.array_equal(_maps("shared"), _maps("alone"))
    assert Path("shared/slide_mask.tif").read_bytes() == Path("alone/slide_mask.tif").read_bytes()
