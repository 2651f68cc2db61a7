"""infer: images and a model in; masks, maps, pictures and a record out."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
import tifffile
import torch
from random_networks import write_random_model

from cellmonai.core.errors import (
    CellmonaiError,
    InputError,
    InterruptedRunError,
    LockedError,
    MemoryBudgetError,
    OutputError,
    UsageError,
)
from cellmonai.core.locks import folder_lock
from cellmonai.core.progress import Silent, Stage
from cellmonai.images.maps import read_maps
from cellmonai.images.open import open_image
from cellmonai.workflows.infer import InferResult, infer
from cellmonai.workflows.inferring.record import read_infer_record
from cellmonai.workflows.inferring.settings import InferSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("models") / "model.safetensors")


def noise(*shape: int, seed: int = 1) -> NDArray[np.uint16]:
    return np.random.default_rng(seed).integers(0, 4000, shape).astype(np.uint16)


def write_image(path: Path, pixels: NDArray[Any], **tags: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, photometric="minisblack", **tags)  # type: ignore[arg-type] # tags that fit
    return path


def run(images: Path | list[Path], model: Path | None, **settings: object) -> InferResult:
    inputs = images if isinstance(images, list) else [images]
    return infer(inputs, settings=InferSettings(model=model, **settings))  # type: ignore[arg-type] # each test gives what fits


def mask_bytes(folder: str, stem: str) -> bytes:
    return (Path(folder) / f"{stem}_mask.tif").read_bytes()


def mask_of(folder: Path | str, stem: str = "x") -> NDArray[Any]:
    with open_image(Path(folder) / f"{stem}_mask.tif") as source:
        mask: NDArray[Any] = source.read()[0]
        return mask


def maps_of(folder: Path | str, stem: str = "x") -> NDArray[np.float32]:
    return read_maps(Path(folder) / f"{stem}_maps.zarr").maps


def test_an_image_becomes_a_mask_maps_and_a_record(model: Path) -> None:
    size = {"resolution": (40000, 20000), "resolutionunit": "CENTIMETER"}  # 0.25 µm wide, 0.5 µm high
    result = run(write_image(Path("x.tif"), noise(70, 101), **size), model)
    mask = mask_of("masks")
    assert mask.shape == (70, 101)
    assert set(np.unique(mask)) == {0, 255}
    assert maps_of("masks").shape == (1, 70, 101)
    assert np.mean((maps_of("masks")[0] >= 0.5) == (mask > 0)) > 0.999  # maps are stored as float16
    record = read_infer_record(Path("masks"))
    assert record is not None
    assert [entry.mask.name for entry in record.masks] == ["x_mask.tif"]
    assert record.masks[0].pixel_size_um == pytest.approx((0.5, 0.25))
    assert record.operating_point.threshold == 0.5
    assert result.as_json()["outputs"] == ["masks/x_mask.tif", "masks/x_maps.zarr", "masks/run.json"]


def test_the_result_names_model_device_and_speed(model: Path) -> None:
    document = run(write_image(Path("x.tif"), noise(70, 101)), model).as_json()
    assert document["schema"] == "cellmonai.infer/1"
    assert (document["device"], document["engine"]) == ("cpu", "openvino")
    assert (document["precision"], document["stitch"]) == ("f32", "exact")
    assert document["peak_memory_bytes"] > 1 << 20
    (image,) = document["images"]
    assert image["shape"] == [70, 101]
    assert image["windows"] == 1
    assert image["mpx_per_second"] > 0
    json.dumps(document, allow_nan=False)


def test_results_do_not_depend_on_the_window(model: Path) -> None:
    image = write_image(Path("x.tif"), noise(150, 203))
    one = run(image, model, output=Path("one"))
    several = run(image, model, output=Path("several"), window=104)
    assert one.images[0].windows == 1
    assert several.images[0].windows > 9
    assert np.abs(maps_of("one") - maps_of("several")).max() <= 1e-3  # one step of float16
    assert np.mean(mask_of("one") == mask_of("several")) > 0.9999  # a pixel on the threshold may fall either way


def test_a_sliding_window_cuts_what_fits_in_one(model: Path) -> None:
    image = write_image(Path("x.tif"), noise(120, 120))
    assert run(image, model, output=Path("one")).images[0].windows == 1
    assert run(image, model, output=Path("cut"), sliding_window=True).images[0].windows == 2
    assert run(image, model, output=Path("both"), sliding_window=True, window=104).images[0].windows > 2


@pytest.mark.parametrize("stitch", ["gaussian", "constant"])
def test_blended_stitches_differ_from_the_exact_one_and_say_so(
    model: Path, stitch: Literal["gaussian", "constant"]
) -> None:
    image = write_image(Path("x.tif"), noise(150, 203))
    run(image, model, output=Path("exact"), window=104)
    result = run(image, model, output=Path("blended"), window=104, stitch=stitch)
    assert np.abs(maps_of("exact") - maps_of("blended")).max() > 0.01
    assert [warning.code for warning in result.warnings] == ["blended", "seams"]
    assert "leave --stitch out" in result.warnings[1].message


def test_gaussian_and_constant_differ(model: Path) -> None:
    image = write_image(Path("x.tif"), noise(150, 203))
    for stitch in ("gaussian", "constant"):
        run(image, model, output=Path(stitch), window=104, stitch=stitch)
    assert not np.array_equal(maps_of("gaussian"), maps_of("constant"))


def test_the_minimum_stitch_keeps_the_lowest_of_even_tiles_and_says_so(model: Path) -> None:
    image = write_image(Path("x.tif"), noise(150, 203))
    run(image, model, output=Path("exact"))
    result = run(image, model, output=Path("lowest"), stitch="minimum", window=104)
    assert result.as_json()["stitch"] == "minimum"
    assert result.images[0].windows == 6  # 0 and 46 px down, 0, 49 and 99 px to the right
    warning, seams = result.warnings
    assert "the lowest probability is kept (minimum)" in warning.message
    assert seams.code == "seams"
    lowest, exact = maps_of("lowest"), maps_of("exact")
    assert lowest.shape == exact.shape == (1, 150, 203)
    assert lowest.mean() < exact.mean()


def test_tiles_of_the_minimum_stitch_are_400_px_where_none_are_asked_for(model: Path) -> None:
    image = write_image(Path("x.tif"), noise(401, 200))
    run(image, model, output=Path("own"), stitch="minimum")
    result = run(image, model, output=Path("asked"), stitch="minimum", window=400)
    assert result.images[0].windows == 2
    assert np.array_equal(maps_of("own"), maps_of("asked"))


def test_a_network_that_is_not_exact_is_blended_with_a_warning(tmp_path: Path) -> None:
    model = write_random_model(tmp_path / "model.safetensors", tile_exact=False)
    image = write_image(Path("x.tif"), noise(150, 203))
    result = run(image, model, window=104)
    assert result.as_json()["stitch"] == "gaussian"
    assert "everything its window holds" in result.warnings[0].message
    assert run(image, model, output=Path("whole")).warnings == ()  # one window needs no stitch


def test_exact_is_refused_where_it_cannot_be_unless_one_window_does(tmp_path: Path) -> None:
    model = write_random_model(tmp_path / "model.safetensors", tile_exact=False)
    image = write_image(Path("x.tif"), noise(150, 203))
    with pytest.raises(UsageError, match="--window 208 for a single window"):
        run(image, model, window=104, stitch="exact")
    assert not Path("masks").exists()
    assert run(image, model, stitch="exact").images[0].windows == 1


def test_a_window_too_small_for_the_network_is_refused(model: Path) -> None:
    image = write_image(Path("x.tif"), noise(150, 203))
    with pytest.raises(UsageError, match="give 88 or more"):
        run(image, model, window=80)


def test_the_threshold_changes_the_mask_and_the_operating_point(model: Path) -> None:
    image = write_image(Path("x.tif"), noise(70, 101))
    run(image, model, output=Path("own"))
    run(image, model, output=Path("high"), threshold=0.9)
    assert np.count_nonzero(mask_of("high")) < np.count_nonzero(mask_of("own"))
    record = read_infer_record(Path("high"))
    assert record is not None
    assert record.operating_point.threshold == 0.9


@pytest.mark.parametrize("channel", ["1", "Green", "GREEN"])
def test_channels_are_chosen_by_number_or_name(model: Path, channel: str) -> None:
    pixels = noise(3, 70, 101)
    write_image(Path("x.ome.tif"), pixels, metadata={"axes": "CYX", "Channel": {"Name": ["Red", "Green", "Blue"]}})
    write_image(Path("y.tif"), pixels[1])
    run(Path("x.ome.tif"), model, output=Path("chosen"), channels=(channel,))
    run(Path("y.tif"), model, output=Path("alone"))
    assert np.array_equal(maps_of("chosen"), maps_of("alone", "y"))


def test_channels_are_found_by_the_names_they_had_in_training(tmp_path: Path) -> None:
    model = write_random_model(tmp_path / "model.safetensors", channels=2)  # of nuclei and membrane, in this order
    pixels = noise(3, 70, 101)
    names = {"axes": "CYX", "Channel": {"Name": ["membrane", "other", "nuclei"]}}
    write_image(Path("x.ome.tif"), pixels, metadata=names)
    run(Path("x.ome.tif"), model, output=Path("found"))
    run(Path("x.ome.tif"), model, output=Path("given"), channels=("nuclei", "membrane"))
    assert np.array_equal(maps_of("found"), maps_of("given"))


def test_two_channels_go_in_in_the_order_given(tmp_path: Path) -> None:
    model = write_random_model(tmp_path / "model.safetensors", channels=2)
    image = write_image(Path("x.tif"), noise(3, 70, 101), metadata={"axes": "CYX"})
    run(image, model, output=Path("one"), channels=("0", "2"))
    run(image, model, output=Path("other"), channels=("2", "0"))
    assert np.abs(maps_of("one") - maps_of("other")).max() > 0.1


@pytest.mark.parametrize(
    ("channels", "sentence"),
    [
        pytest.param((), r"it has 2 channels \(Red, Green\) and the model takes 1 \(nuclei\)", id="not chosen"),
        pytest.param(("dapi",), "it has no channel 'dapi', its channels are Red, Green", id="unknown"),
        pytest.param(("0", "1"), "--channel names 2 of its channels and the model takes 1", id="too many"),
    ],
)
def test_channels_that_do_not_fit_are_named(model: Path, channels: tuple[str, ...], sentence: str) -> None:
    image = Path("x.ome.tif")
    write_image(image, noise(2, 70, 101), metadata={"axes": "CYX", "Channel": {"Name": ["Red", "Green"]}})
    with pytest.raises(InputError, match=sentence):
        run(image, model, channels=channels)


def test_a_grey_picture_stored_as_colour_is_one_channel(model: Path) -> None:
    grey = noise(70, 101).astype(np.uint8)
    tifffile.imwrite("colour.tif", np.stack([grey] * 3, axis=-1), photometric="rgb")
    write_image(Path("grey.tif"), grey)
    run([Path("colour.tif"), Path("grey.tif")], model)
    assert np.array_equal(maps_of("masks", "colour"), maps_of("masks", "grey"))


def test_a_colour_picture_is_refused_by_a_grey_model(model: Path) -> None:
    tifffile.imwrite("x.tif", noise(70, 101, 3).astype(np.uint8), photometric="rgb")
    with pytest.raises(InputError, match="3 different channels"):
        run(Path("x.tif"), model)


def test_inverting_equals_an_inverted_image(model: Path) -> None:
    pixels = noise(70, 101)
    write_image(Path("x.tif"), pixels)
    write_image(Path("y.tif"), 65535 - pixels)
    run(Path("x.tif"), model, output=Path("plain"))
    run(Path("x.tif"), model, output=Path("swapped"), invert=True)
    run(Path("y.tif"), model, output=Path("dark"))
    assert np.array_equal(maps_of("swapped"), maps_of("dark", "y"))
    assert not np.array_equal(maps_of("swapped"), maps_of("plain"))


def test_pictures_are_drawn_when_asked_for(model: Path) -> None:
    image = write_image(Path("x.tif"), noise(70, 101))
    run(image, model, output=Path("none"))
    run(image, model, output=Path("both"), pictures=("overlay", "heatmap"))
    assert not list(Path("none").glob("*.png"))
    assert sorted(path.name for path in Path("both").glob("*.png")) == ["x_heatmap.png", "x_overlay.png"]


def test_maps_are_stored_in_the_type_asked_for(model: Path) -> None:
    image = write_image(Path("x.tif"), noise(70, 101))
    run(image, model, output=Path("fine"))
    run(image, model, output=Path("coarse"), maps_dtype="uint8")
    steps = maps_of("coarse") * 255
    assert np.abs(steps - np.rint(steps)).max() < 1e-4
    assert 0 < np.abs(maps_of("coarse") - maps_of("fine")).max() < 0.003


def test_every_plane_has_its_own_files(model: Path) -> None:
    pixels = noise(2, 70, 101)
    write_image(Path("x.tif"), pixels, imagej=True, metadata={"axes": "ZYX"})
    write_image(Path("y.tif"), pixels[1])
    result = run([Path("x.tif"), Path("y.tif")], model)
    first, second, alone = result.images
    assert first.job.plane != second.job.plane
    assert first.job.mask == f"x_{first.job.plane}_mask.tif"
    assert np.array_equal(mask_of("masks", second.job.stem), mask_of("masks", alone.job.stem))


def test_images_of_equal_names_are_told_apart_by_their_folders(model: Path) -> None:
    images = [write_image(Path(folder) / "x.tif", noise(40, 40)) for folder in ("a", "b")]
    result = run(images, model)
    assert [image.job.mask for image in result.images] == ["a_x_mask.tif", "b_x_mask.tif"]


def test_one_bad_image_does_not_stop_the_others(model: Path) -> None:
    write_image(Path("images/x.tif"), noise(70, 101))
    Path("images/bad.tif").write_text("no image")
    whole = write_image(Path("images/cut.tif"), noise(300, 300))
    whole.write_bytes(whole.read_bytes()[:-5000])
    result = run(Path("images"), model)
    assert [str(image.job.path) for image in result.images] == ["images/x.tif"]
    assert sorted(result.failures) == ["images/bad.tif", "images/cut.tif"]
    record = read_infer_record(Path("masks"))
    assert record is not None
    assert sorted(record.failed) == ["images/bad.tif", "images/cut.tif"]
    assert sorted(path.name for path in Path("masks").glob("[!.]*")) == ["run.json", "x_maps.zarr", "x_mask.tif"]


def test_nothing_is_left_when_every_image_fails(model: Path) -> None:
    Path("bad.tif").write_text("no image")
    with pytest.raises(InputError, match=r"bad\.tif"):
        run(Path("bad.tif"), model)
    assert not Path("masks").exists()


def test_a_budget_too_small_is_refused_before_the_start(model: Path) -> None:
    image = write_image(Path("x.tif"), noise(600, 600))
    with pytest.raises(
        MemoryBudgetError, match=r"x\.tif: needs 65\.\d MiB of memory at least, and the memory budget is"
    ):
        run(image, model, memory=5_000_000, engine="torch")
    assert not Path("masks").exists()


def test_a_smaller_budget_gives_smaller_windows(model: Path) -> None:
    image = write_image(Path("x.tif"), noise(600, 600))
    assert run(image, model, output=Path("much"), engine="torch").images[0].windows == 1
    assert run(image, model, output=Path("little"), memory=80_000_000, engine="torch").images[0].windows > 1
    assert np.mean(mask_of("much") == mask_of("little")) > 0.9999


@pytest.mark.parametrize(("um", "warns"), [(0.5, False), (0.54, False), (0.57, True), (0.44, True)])
def test_another_pixel_size_than_the_models_is_a_warning(tmp_path: Path, um: float, *, warns: bool) -> None:
    model = write_random_model(tmp_path / "model.safetensors", pixel_size_um=(0.5, 0.5))
    resolution = {"resolution": (10000 / um, 10000 / um), "resolutionunit": "CENTIMETER"}
    result = run(write_image(Path("x.tif"), noise(40, 40), **resolution), model)
    assert [warning.code for warning in result.warnings] == ["pixel_size"] * warns


def test_no_cells_at_all_is_done_with_a_warning(model: Path) -> None:
    result = run(write_image(Path("x.tif"), noise(40, 40)), model, threshold=1.0)
    assert [warning.code for warning in result.warnings] == ["no_foreground"]


@pytest.mark.parametrize("name", ["x_mask.tif", "x_maps.zarr", "run.json"])
def test_outputs_are_refused_unless_overwriting(model: Path, name: str) -> None:
    image = write_image(Path("x.tif"), noise(40, 40))
    Path("masks").mkdir()
    (Path("masks") / name).write_text("precious")
    with pytest.raises(OutputError, match="exists already"):
        run(image, model)
    assert (Path("masks") / name).read_text() == "precious"
    assert len(run(image, model, overwrite=True).images) == 1


def test_the_output_folder_must_not_be_that_of_the_images(model: Path) -> None:
    write_image(Path("images/x.tif"), noise(40, 40))
    with pytest.raises(InputError, match="the output folder holds the images"):
        run(Path("images"), model, output=Path("images"))


def test_a_folder_that_another_run_writes_to_is_locked(model: Path) -> None:
    image = write_image(Path("x.tif"), noise(40, 40))
    with folder_lock(Path("masks")), pytest.raises(LockedError):
        run(image, model)


@dataclass
class _StopsAt(Silent):
    """A reporter that presses Ctrl-C when the progress has moved `moves` times."""

    moves: int = 1
    notes: list[str] = field(default_factory=list)

    def stage(self, title: str, total: float) -> Stage:
        outer, stage = self, super().stage(title, total)

        class Stopping(type(stage)):  # type: ignore[misc] # the silent stage, with one method replaced
            def advance(self, steps: float = 1.0, *, note: str = "") -> None:
                outer.moves -= 1
                if not outer.moves:
                    os.kill(os.getpid(), 2)

        return Stopping()


def test_ctrl_c_between_windows_leaves_finished_images_and_no_record(model: Path) -> None:
    images = [write_image(Path("images") / f"{n}.tif", noise(150, 203)) for n in "ab"]
    settings = InferSettings(model=model, window=104)
    whole = infer(images, settings=replace(settings, output=Path("whole")))
    moves = whole.images[0].windows + 2
    with pytest.raises(InterruptedRunError, match="run the same command again, which continues"):
        infer(images, settings=settings, reporter=_StopsAt(moves=moves))
    assert sorted(path.name for path in Path("masks").glob("[!.]*")) == ["a_maps.zarr", "a_mask.tif"]
    assert not list(Path("masks").glob(".*.tmp*"))
    continued = infer(images, settings=settings)
    assert [image.seconds > 0 for image in continued.images] == [True, True]
    assert all(mask_bytes("masks", name) == mask_bytes("whole", name) for name in "ab")
    assert not (Path("masks") / ".infer.journal").exists()


def test_the_newest_finished_run_is_the_model() -> None:
    image = write_image(Path("x.tif"), noise(40, 40))
    for name, age in (("old", 300), ("new", 200), ("unfinished", 100), ("interrupted", 50)):
        folder = Path("runs") / name
        folder.mkdir(parents=True)
        write_random_model(folder / "model.safetensors")
        if name != "unfinished":
            status = "interrupted" if name == "interrupted" else "done"
            (folder / "run.json").write_text(json.dumps({"status": status}))
            os.utime(folder / "run.json", (1e9 - age, 1e9 - age))
    assert run(image, None).model == Path("runs/new/model.safetensors")
    assert run(image, Path("runs/old"), output=Path("other")).model == Path("runs/old/model.safetensors")


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        pytest.param(None, "no finished run under runs; train one with cellmonai fit recipe.toml", id="no run"),
        pytest.param(Path("empty"), "holds no model.safetensors", id="folder without a model"),
        pytest.param(Path("missing.safetensors"), "cannot be read", id="missing"),
        pytest.param(Path("half.safetensors"), "promises", id="cut in half"),
    ],
)
def test_a_model_that_is_not_there_is_named(model: Path, wanted: Path | None, sentence: str) -> None:
    image = write_image(Path("x.tif"), noise(40, 40))
    Path("empty").mkdir()
    Path("half.safetensors").write_bytes(model.read_bytes()[: model.stat().st_size // 2])
    with pytest.raises(InputError, match=sentence):
        run(image, wanted)


@pytest.mark.parametrize(
    "wrong",
    [{"pictures": ("contour",)}, {"threshold": 1.5}, {"window": 0}, {"stitch": "maximum"}, {"maps_dtype": "float64"}],
    ids=str,
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(CellmonaiError) as caught:
        InferSettings(**wrong)
    assert caught.value.exit_code == 2
