"""Planes of any size: block by block, killed and continued, the same bytes in the end."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from noise_slides import digests_in, write_slide
from random_networks import write_random_model
from waiting import LONGEST_S

from cellmonai.core.errors import InputError, OutputError, UsageError
from cellmonai.images.maps import read_maps
from cellmonai.images.open import open_image
from cellmonai.nets.catalogue import resolve
from cellmonai.workflows.count import count
from cellmonai.workflows.counting.settings import CountSettings
from cellmonai.workflows.infer import InferResult, infer
from cellmonai.workflows.inferring.finished import FinishedPlanes
from cellmonai.workflows.inferring.repeat import repeated_run
from cellmonai.workflows.inferring.settings import InferSettings


@pytest.fixture(scope="module", name="model")
def _model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("model") / "model.safetensors")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _run(image: Path | list[Path], model: Path, **wishes: Any) -> InferResult:  # noqa: ANN401 - of InferSettings
    images = image if isinstance(image, list) else [image]
    return infer(images, settings=InferSettings(model=model, **({"memory": 300 << 20} | wishes)))


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_a_slide_in_blocks_equals_the_slide_in_one_window(model: Path, engine: str) -> None:
    image = write_slide("slide.tif", 1100, 1300)
    one = _run(image, model, output=Path("one"), memory=2 << 30, window=1400, engine=engine)
    many = _run(image, model, output=Path("many"), window=640, engine=engine)
    assert one.images[0].windows == 1
    assert many.images[0].windows > 4
    difference = np.abs(read_maps(Path("one/slide_maps.zarr")).maps - read_maps(Path("many/slide_maps.zarr")).maps)
    assert difference.max() <= 2.0**-11 + 1e-5  # one step of float16
    masks = [tifffile.imread(f"{folder}/slide_mask.tif") for folder in ("one", "many")]
    assert np.count_nonzero(masks[0] != masks[1]) <= 2
    scaling = json.loads(Path("many/run.json").read_text())["images"][0]["scaling"]
    low, high = np.percentile(tifffile.imread(image), (1.0, 99.8))
    assert scaling == {"offset": [low], "scale": [high - low], "clip": False}
    seams = many.as_json()["images"][0]["seams"]
    assert seams["holds"]
    assert seams["windows"] > 0
    assert seams["largest_difference"] <= 1e-5


def test_engines_give_the_same_mask_but_for_pixels_on_the_threshold(model: Path) -> None:
    image = write_slide("slide.tif", 700, 600)
    for engine in ("torch", "openvino"):
        assert _run(image, model, output=Path(engine), engine=engine).as_json()["engine"] == engine
    torch, openvino = (read_maps(Path(f"{engine}/slide_maps.zarr")).maps for engine in ("torch", "openvino"))
    assert np.abs(torch - openvino).max() <= 2.0**-11 + 1e-5


def test_a_converted_model_runs_without_torch_and_monai(model: Path) -> None:
    image = write_slide("slide.tif", 300, 400)
    _run(image, model, output=Path("first"), engine="openvino")  # converts it, which takes torch
    code = (
        "import sys; from pathlib import Path; from cellmonai.workflows.infer import infer;"
        "from cellmonai.workflows.inferring.settings import InferSettings;"
        f"infer([Path('slide.tif')], settings=InferSettings(model=Path({str(model)!r}), device='cpu'));"
        "sys.exit(any(name in sys.modules for name in ('torch', 'monai', 'ignite')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert Path("masks/slide_mask.tif").is_file()


def _words(image: Path, model: Path, output: str) -> list[str]:
    words = ["infer", str(image), "--model", str(model), "--output", output, "--window", "640", "--quiet"]
    return [*words, "--engine", "openvino", "--memory", "300MiB"]


def _start(image: Path, model: Path, output: str, stderr: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cellmonai", *_words(image, model, output)]
    return subprocess.Popen(command, stderr=stderr)


def _killed_at(number: int, image: Path, model: Path, output: str) -> int:
    """Give the exit code of the command that is killed before it touches its n-th file; every block is journaled."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r});"
        "from plane_writer import kill_self_at; from cellmonai.cli.start import main;"
        "from cellmonai.images import block_store;"
        f"block_store.GROUP_BLOCKS = 1; kill_self_at({number}, {output!r}); "
        f"sys.argv[1:] = {_words(image, model, output)!r}; main()"
    )
    return subprocess.run([sys.executable, "-c", code], check=False, stderr=subprocess.DEVNULL).returncode


needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")


@needs_kill
def test_a_run_killed_between_its_files_ends_with_the_same_bytes(model: Path) -> None:
    image = write_slide("slide.tif", 1600, 2100)
    assert _start(image, model, "whole").wait(LONGEST_S) == 0
    for number in (40, 60, 55):
        assert _killed_at(number, image, model, "killed") == -signal.SIGKILL
    assert _start(image, model, "killed").wait(LONGEST_S) == 0
    assert digests_in("killed") == digests_in("whole")
    record, whole = (json.loads(Path(folder, "run.json").read_text())["images"][0] for folder in ("killed", "whole"))
    assert record["windows"] == whole["windows"]
    assert record["resumed_blocks"] > 0
    assert whole["resumed_blocks"] == 0


@pytest.mark.long
@needs_kill
def test_fifty_kills_of_a_slide_of_64_blocks_at_random_accesses_lose_nothing(model: Path) -> None:
    image = write_slide("slide.tif", 4096, 4096)
    assert _start(image, model, "whole").wait(LONGEST_S) == 0
    generator = random.Random(50)
    for slide in range(25):
        for _ in range(2):
            assert _killed_at(generator.randrange(100), image, model, f"killed{slide}") == -signal.SIGKILL
        assert _start(image, model, f"killed{slide}").wait(LONGEST_S) == 0
        assert digests_in(f"killed{slide}") == digests_in("whole")


def _interrupted(image: Path, model: Path, output: str) -> None:
    assert _killed_at(40, image, model, output) == -signal.SIGKILL
    assert list(Path(output).glob(".*.work"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({"threshold": 0.4}, "threshold", id="another threshold"),
        pytest.param({"invert": True}, "invert", id="inverted"),
        pytest.param({"engine": "torch"}, "engine", id="another engine"),
        pytest.param({"maps_dtype": "uint8"}, "uint8", id="another type of maps"),
    ],
)
def test_an_unfinished_run_of_something_else_is_refused_with_the_difference(
    model: Path, changes: dict[str, Any], sentence: str
) -> None:
    image = write_slide("slide.tif", 1600, 2100)
    _interrupted(image, model, "masks")
    with pytest.raises(OutputError, match=sentence) as caught:
        _run(image, model, engine=changes.pop("engine", "openvino"), window=640, **changes)
    assert "--overwrite" in caught.value.sentence
    assert not Path("masks/slide_mask.tif").exists()


def test_a_changed_image_is_not_continued(model: Path) -> None:
    image = write_slide("slide.tif", 1600, 2100)
    _interrupted(image, model, "masks")
    write_slide("slide.tif", 1600, 2100, seed=5)
    with pytest.raises(OutputError, match="image"):
        _run(image, model, window=640)
    assert _run(image, model, window=640, overwrite=True).images[0].resumed_blocks == 0


def test_a_run_killed_after_its_record_was_written_ends_with_the_same_command(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = write_slide("slide.tif", 200, 200)

    class KilledError(Exception):
        """Stands for a kill before the journal goes."""

    def killed(_: FinishedPlanes) -> None:
        raise KilledError

    with monkeypatch.context() as patched, pytest.raises(KilledError):
        patched.setattr(FinishedPlanes, "end", killed)
        _run(image, model)
    before = Path("masks/slide_mask.tif").read_bytes()
    assert Path("masks/run.json").exists()
    assert len(_run(image, model).images) == 1
    assert Path("masks/slide_mask.tif").read_bytes() == before
    assert not Path("masks/.infer.journal").exists()


def test_finished_images_of_a_killed_run_are_kept_and_changed_ones_refused(model: Path) -> None:
    images = [write_slide(f"images/{name}.tif", 300, 400, seed=i) for i, name in enumerate("abc")]
    _run(images, model, output=Path("whole"))
    bad = images[2].read_bytes()
    settings = InferSettings(model=model, memory=300 << 20)

    class KilledError(Exception):
        """Stands for a kill after the second image."""

    import cellmonai.workflows.inferring.blockwise as blockwise

    real = blockwise.infer_plane

    def fails(job: Any, *args: Any) -> Any:  # noqa: ANN401 - as infer_plane
        if job.stem == "c":
            raise KilledError
        return real(job, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blockwise, "infer_plane", fails)
        with pytest.raises(KilledError):
            infer(images, settings=settings)
    assert not Path("masks/run.json").exists()
    stamps = {name: Path(f"masks/{name}_mask.tif").stat().st_mtime_ns for name in "ab"}
    infer(images, settings=settings)
    assert {name: Path(f"masks/{name}_mask.tif").stat().st_mtime_ns for name in "ab"} == stamps
    assert digests_in("masks") == digests_in("whole")
    assert images[2].read_bytes() == bad


def test_an_image_that_fails_in_the_middle_leaves_nothing_behind(model: Path) -> None:
    pixels = np.random.default_rng(0).random((700, 700)).astype(np.float32)
    pixels[600:, 600:] = np.nan
    tifffile.imwrite("broken.tif", pixels, tile=(256, 256))
    with pytest.raises(InputError, match="NaN"):
        _run(Path("broken.tif"), model)
    assert not [path for path in Path("masks").rglob("*") if path.name != ".cellmonai.lock"]


def test_flat_windows_are_repeated_and_background_is_left_out_only_when_asked(model: Path) -> None:
    pixels = np.zeros((1100, 2600), np.uint8)
    pixels[:400, :400] = np.random.default_rng(0).integers(0, 255, (400, 400))
    pixels[-400:, -400:] = np.random.default_rng(1).integers(0, 3, (400, 400))
    tifffile.imwrite("slide.tif", pixels, tile=(256, 256))
    every = _run(Path("slide.tif"), model, output=Path("every"), window=640).as_json()["images"][0]
    assert every["repeated_windows"] > 0
    assert every["skipped_windows"] == 0
    fewer = _run(Path("slide.tif"), model, output=Path("fewer"), window=640, skip_background=True)
    entry = fewer.as_json()["images"][0]
    assert entry["skipped_windows"] > 0
    assert json.loads(Path("fewer/run.json").read_text())["images"][0]["skipped_windows"] == entry["skipped_windows"]
    found = read_maps(Path("fewer/slide_maps.zarr")).maps[0]
    assert not found[-50:, :50].any()
    np.testing.assert_array_equal(found[:300, :300], read_maps(Path("every/slide_maps.zarr")).maps[0][:300, :300])


def test_views_are_averaged_and_a_map_tells_how_far_they_disagree(model: Path) -> None:
    image = write_slide("slide.tif", 700, 900)
    _run(image, model, output=Path("plain"))
    several = _run(image, model, output=Path("flips"), tta="flips", window=600)
    whole = _run(image, model, output=Path("whole"), tta="flips", memory=2 << 30)
    assert (several.images[0].windows > 1, whole.images[0].windows) == (True, 1)
    maps = read_maps(Path("flips/slide_maps.zarr"))
    assert maps.names == ("foreground", "spread")
    assert 0.0 < maps.maps[1].max() <= 0.5
    assert np.abs(maps.maps - read_maps(Path("whole/slide_maps.zarr")).maps).max() <= 2.0**-11 + 1e-5
    assert np.abs(maps.maps[0] - read_maps(Path("plain/slide_maps.zarr")).maps[0]).max() > 0.01


def test_passes_with_dropout_give_a_spread_and_a_network_without_it_is_refused(model: Path, tmp_path: Path) -> None:
    image = write_slide("slide.tif", 300, 300)
    with pytest.raises(UsageError, match="without dropout"):
        _run(image, model, mc_dropout=4)
    parameters = resolve("monai_attention_unet", {"width": 4, "dropout": 0.3})
    dropping = write_random_model(tmp_path / "dropping.safetensors", parameters=parameters)
    _run(image, dropping, mc_dropout=4)
    assert read_maps(Path("masks/slide_maps.zarr")).maps[1].max() > 0.0


@pytest.mark.parametrize(
    ("wishes", "shape", "um"),
    [
        pytest.param({"um_per_px": 1.0}, (350, 450), 1.0, id="by pixel size"),
        pytest.param({"level": 1}, (350, 450), 1.0, id="by level"),
        pytest.param({}, (700, 900), 0.5, id="full size"),
    ],
)
def test_a_resolution_is_chosen_and_the_mask_says_its_pixel_size(
    model: Path, wishes: dict[str, Any], shape: tuple[int, int], um: float
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (700, 900), np.uint8)
    with tifffile.TiffWriter("slide.ome.tif", ome=True) as writer:
        size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
        writer.write(pixels, subifds=1, tile=(256, 256), metadata={"axes": "YX", **size})
        writer.write(pixels[::2, ::2], subfiletype=1, tile=(256, 256))
    result = _run(Path("slide.ome.tif"), model, **wishes)
    assert tuple(result.as_json()["images"][0]["shape"]) == shape
    with open_image(Path("masks/slide_mask.tif")) as mask:
        assert mask.shape[1:] == shape
        assert mask.pixel_size_um == pytest.approx((um, um))
    counted = count([Path("masks")], settings=CountSettings(output=Path("counts")))
    assert len(counted.as_json()["images"]) == 1


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        pytest.param({"tta": "flips", "pictures": ("saliency",)}, "leave it out, or saliency", id="views explained"),
        pytest.param({"mc_dropout": 4, "pictures": ("saliency",)}, "single pass", id="passes explained"),
        pytest.param({"engine": "openvino", "pictures": ("saliency",)}, "single pass", id="OpenVINO explained"),
        pytest.param({"skip_background": True, "pictures": ("saliency",)}, "single pass", id="background explained"),
        pytest.param({"engine": "openvino", "mc_dropout": 4}, "without dropout", id="OpenVINO and dropout"),
        pytest.param({"mc_dropout": 4, "stitch": "minimum"}, "another --stitch", id="passes and the minimum"),
        pytest.param({"tta": "d4", "mc_dropout": 5}, "exclude each other", id="views and passes"),
        pytest.param({"mc_dropout": 1}, "no spread", id="one pass"),
        pytest.param({"level": 1, "um_per_px": 0.5}, "give one of them", id="two resolutions"),
        pytest.param({"um_per_px": 0.0}, "no pixel size", id="no length"),
    ],
)
def test_what_does_not_go_together_is_refused(model: Path, wishes: dict[str, Any], sentence: str) -> None:
    image = write_slide("slide.tif", 200, 200)
    with pytest.raises(UsageError, match=sentence):
        _run(image, model, **wishes)


def test_a_level_that_is_not_there_is_told_with_those_that_are(model: Path) -> None:
    with pytest.raises(InputError, match=r"no level 3 \(it has 0: 200 x 200 px\)"):
        _run(write_slide("slide.tif", 200, 200), model, level=3)


def test_a_record_repeats_its_run(model: Path) -> None:
    image = write_slide("slide.tif", 500, 400)
    _run(image, model, output=Path("first"), threshold=0.4, invert=True, tta="flips", pictures=("overlay",))
    images, settings = repeated_run(Path("first/run.json"), [], InferSettings(output=Path("second")))
    infer(images, settings=settings)
    assert digests_in("second") == digests_in("first")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        pytest.param('"schema"', "", "is no JSON", id="cut"),
        pytest.param("run.infer/1", "other/1", "is no record of cellmonai", id="of another program"),
        pytest.param('"window"', '"wimdow"', "damaged", id="damaged"),
        pytest.param("model.safetensors", "gone.safetensors", "the model of that run is gone", id="no model"),
    ],
)
def test_a_record_that_cannot_be_repeated_is_refused(model: Path, old: str, new: str, sentence: str) -> None:
    _run(write_slide("slide.tif", 200, 200), model)
    record = Path("masks/run.json")
    record.write_text(record.read_text().replace(old, new))
    with pytest.raises(InputError, match=sentence):
        repeated_run(record, [], InferSettings(output=Path("second")))


def test_options_beside_a_record_are_refused(model: Path) -> None:
    _run(write_slide("slide.tif", 200, 200), model)
    with pytest.raises(UsageError, match="give --output, --overwrite, --workers and --scheduler alone"):
        repeated_run(Path("masks/run.json"), [], InferSettings(output=Path("second"), invert=True))
