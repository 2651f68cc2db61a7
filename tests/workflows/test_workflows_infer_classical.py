"""infer with a method instead of a model: masks and a record, no maps, no torch; the count follows the method."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from painting import Disc, paint
from scipy import ndimage

from cellmonai.core.errors import InputError, MemoryBudgetError, OutputError, UsageError
from cellmonai.images.open import open_image
from cellmonai.instances.classical.catalogue import METHODS
from cellmonai.workflows.count import count
from cellmonai.workflows.counting.settings import CountSettings
from cellmonai.workflows.infer import InferResult, infer
from cellmonai.workflows.inferring.record import read_infer_record
from cellmonai.workflows.inferring.settings import InferSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

APART = [Disc(16 + 32 * row, 20 + 34 * col, radius_px=6 + (row + col) % 4) for row in range(4) for col in range(5)]
TOUCHING = [Disc(40, 30, 10), Disc(40, 48, 10), Disc(40, 80, 9)]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def cells(discs: list[Disc] = APART, shape: tuple[int, int] = (140, 180)) -> NDArray[np.uint16]:
    """Bright discs on a dark ground, a little blurred and noisy."""
    light = 400 + 2800 * ndimage.gaussian_filter((paint(discs, shape) > 0).astype(float), 0.8)
    return np.rint(light + np.random.default_rng(2).normal(0, 60, shape)).clip(0).astype(np.uint16)


def write(path: str, pixels: NDArray[Any], **tags: object) -> Path:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    tags = {"photometric": "minisblack", **tags}
    tifffile.imwrite(target, pixels, **tags)  # type: ignore[arg-type] # tags that fit
    return target


def run(images: Path | list[Path], method: str = "otsu", **settings: object) -> InferResult:
    inputs = images if isinstance(images, list) else [images]
    return infer(inputs, settings=InferSettings(method=method, **settings))  # type: ignore[arg-type] # each test gives what fits


def mask_of(folder: str = "masks", stem: str = "x") -> NDArray[np.bool_]:
    with open_image(Path(folder) / f"{stem}_mask.tif") as source:
        stored = source.read()[0]
    assert set(np.unique(stored)) <= {0, 255}
    return stored > 0


@pytest.mark.parametrize("method", METHODS)
def test_cells_that_lie_apart_are_counted_exactly(method: str) -> None:
    run(write("x.tif", cells()), method)
    assert count([Path("masks")]).total == len(APART)


@pytest.mark.parametrize("method", ["watershed", "region_growing"])
def test_what_a_method_divides_stays_divided_and_is_not_divided_again(method: str) -> None:
    run(write("x.tif", cells(TOUCHING, (80, 110))), method)
    counted = count([Path("masks")])
    assert counted.total == 3
    assert counted.parameters["split"] == "none"


def test_what_a_threshold_joins_is_divided_by_the_count() -> None:
    run(write("x.tif", cells(TOUCHING, (80, 110))))
    whole = CountSettings(output=Path("whole"), split="none")
    assert count([Path("masks")]).total == 3
    assert count([Path("masks")], settings=whole).total == 2


def test_the_files_are_a_mask_and_a_record_without_maps() -> None:
    size = {"resolution": (40000, 20000), "resolutionunit": "CENTIMETER"}  # 0.25 µm wide, 0.5 µm high
    result = run(write("x.tif", cells(), **size))
    assert sorted(path.name for path in Path("masks").glob("[!.]*")) == ["run.json", "x_mask.tif"]
    assert result.as_json()["outputs"] == ["masks/x_mask.tif", "masks/run.json"]
    record = read_infer_record(Path("masks"))
    assert record is not None
    assert record.made_by is None
    (mask,) = record.masks
    assert mask.maps is None
    assert mask.pixel_size_um == pytest.approx((0.5, 0.25))
    assert mask.channels == (0,)


def test_the_document_and_the_record_name_the_method() -> None:
    document = run(write("x.tif", cells()), "kmeans", parameters={"clusters": 3}).as_json()
    assert document["schema"] == "cellmonai.infer/1"
    assert (document["engine"], document["device"]) == ("classical", "cpu")
    assert (document["model"], document["precision"], document["stitch"]) == (None, None, None)
    assert document["method"]["name"] == "kmeans"
    assert document["method"]["parameters"] == {"smooth_px": 1.0, "clusters": 3, "bright": 1}
    (image,) = document["images"]
    assert (image["maps"], image["shape"], image["windows"]) == (None, [140, 180], 1)
    json.dumps(document, allow_nan=False)
    record = json.loads(Path("masks/run.json").read_text())
    assert record["schema"] == "cellmonai.run.infer/1"
    assert record["method"] == document["method"]
    assert record["model"] is None


def test_a_count_of_it_names_no_threshold_and_gives_no_interval() -> None:
    run(write("x.tif", cells()))
    counted = count([Path("masks")])
    assert "threshold" not in counted.parameters
    (image,) = counted.as_json()["images"]
    assert image["interval"] is None
    assert "with a trained model" in image["interval_reason"]
    with pytest.raises(InputError, match="has no probability maps that --threshold could cut"):
        count([Path("masks")], settings=CountSettings(threshold=0.4, output=Path("again")))


def test_a_parameter_changes_the_mask() -> None:
    image = write("x.tif", cells())
    run(image)
    run(image, output=Path("low"), parameters={"factor": 0.6})
    assert mask_of("low").sum() > mask_of().sum()


def test_dark_cells_are_found_when_inverted() -> None:
    bright, dark = write("x.tif", cells()), write("y.tif", 65535 - cells())
    run(bright, output=Path("bright"))
    run(dark, output=Path("dark"), invert=True)
    assert np.array_equal(mask_of("bright"), mask_of("dark", "y"))
    run(dark, output=Path("wrong"))
    assert mask_of("wrong", "y").mean() > 0.5


@pytest.mark.parametrize("channel", ["1", "Green", "GREEN"])
def test_one_channel_is_chosen_by_number_or_name(channel: str) -> None:
    pixels = np.stack([np.zeros((140, 180), np.uint16), cells(), cells()[::-1]])
    names = {"axes": "CYX", "Channel": {"Name": ["Red", "Green", "Blue"]}}
    run(write("x.ome.tif", pixels, metadata=names), channels=(channel,))
    run(write("y.tif", pixels[1]), output=Path("alone"))
    assert np.array_equal(mask_of(), mask_of("alone", "y"))


def test_a_grey_picture_stored_as_colour_is_one_channel() -> None:
    grey = (cells() // 16).astype(np.uint8)
    run(write("x.tif", np.stack([grey] * 3, axis=-1), photometric="rgb"))
    run(write("y.tif", grey), output=Path("grey"))
    assert np.array_equal(mask_of(), mask_of("grey", "y"))


@pytest.mark.parametrize(
    ("channels", "sentence"),
    [
        pytest.param((), r"3 different channels \(red, green, blue\) and the method otsu takes 1", id="not chosen"),
        pytest.param(("red", "green"), "--channel names 2 of its channels and the method otsu takes 1", id="two"),
        pytest.param(("dapi",), "it has no channel 'dapi'", id="unknown"),
    ],
)
def test_of_a_colour_picture_one_channel_must_be_chosen(channels: tuple[str, ...], sentence: str) -> None:
    colour = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)
    with pytest.raises(InputError, match=sentence):
        run(write("x.tif", colour, photometric="rgb"), channels=channels)


def test_two_unnamed_channels_are_refused() -> None:
    image = write("x.tif", np.stack([cells(), cells()]), metadata={"axes": "CYX"})
    with pytest.raises(InputError, match=r"it has 2 channels \(0, 1\) and the method otsu takes 1"):
        run(image)


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_image_gives_an_empty_mask_and_a_warning(method: str) -> None:
    result = run(write("x.tif", np.full((30, 40), 7, np.uint8)), method)
    assert not mask_of().any()
    assert [warning.code for warning in result.warnings] == ["no_foreground"]
    assert "--invert" in result.warnings[0].message
    assert count([Path("masks")]).total == 0


def test_an_image_of_one_pixel_is_done() -> None:
    run(write("x.tif", np.full((1, 1), 7, np.uint8)))
    assert mask_of().shape == (1, 1)


def test_float_images_of_any_range_are_done() -> None:
    image = cells().astype(np.float32) * 1e-3 - 5
    run(write("x.tif", image))
    run(write("y.tif", cells()), output=Path("whole"))
    assert np.mean(mask_of() == mask_of("whole", "y")) > 0.999


def test_every_plane_has_its_own_mask() -> None:
    result = run(write("x.tif", np.stack([cells(), cells()[::-1]]), imagej=True, metadata={"axes": "ZYX"}))
    first, second = result.images
    assert np.array_equal(mask_of("masks", first.job.stem), mask_of("masks", second.job.stem)[::-1])


def test_the_overlay_is_drawn_when_asked_for() -> None:
    result = run(write("x.tif", cells()), pictures=("overlay",))
    assert result.images[0].outputs == ("x_mask.tif", "x_overlay.png")
    assert Path("masks/x_overlay.png").is_file()


def test_an_image_that_does_not_fit_in_memory_is_refused_and_the_others_are_done() -> None:
    small, large = write("small.tif", cells()), write("large.tif", np.zeros((900, 900), np.uint16))
    with pytest.raises(MemoryBudgetError, match=r"large\.tif: an image of 900 x 900 px is done whole and needs"):
        run(large, memory=5_000_000)
    assert not Path("masks").exists()
    result = run([small, large], memory=5_000_000)
    assert [image.job.stem for image in result.images] == ["small"]
    assert list(result.failures) == ["large.tif"]


def test_one_bad_image_does_not_stop_the_others() -> None:
    write("images/x.tif", cells())
    Path("images/bad.tif").write_text("no image")
    result = run(Path("images"))
    assert [image.job.stem for image in result.images] == ["x"]
    assert list(result.failures) == ["images/bad.tif"]


def test_results_are_refused_unless_overwriting_which_removes_maps_of_a_network() -> None:
    image = write("x.tif", cells())
    maps = Path("masks/x_maps.zarr")
    maps.mkdir(parents=True)
    (maps / "zarr.json").write_text("{}")
    with pytest.raises(OutputError, match=r"x_maps\.zarr.*exists already"):
        run(image)
    run(image, overwrite=True)
    assert not maps.exists()
    with pytest.raises(OutputError, match="exists already"):
        run(image)


@pytest.mark.parametrize(
    ("settings", "option"),
    [
        ({"model": Path("runs/first")}, "--method: a model and the method otsu exclude each other"),
        ({"threshold": 0.4}, "--threshold"),
        ({"stitch": "constant"}, "--stitch"),
        ({"window": 512}, "--window"),
        ({"precision": "f32"}, "--precision"),
        ({"device": "cpu"}, "--device"),
        ({"sliding_window": True}, "--sliding-window"),
        ({"maps_dtype": "uint8"}, "--maps-dtype"),
        ({"pictures": ("overlay", "heatmap")}, "--pictures: the picture heatmap shows what a model gave"),
    ],
    ids=str,
)
def test_options_that_a_method_cannot_honour_are_refused(settings: dict[str, Any], option: str) -> None:
    with pytest.raises(UsageError, match=option):
        InferSettings(method="otsu", **settings)


def test_parameters_without_a_method_are_refused() -> None:
    with pytest.raises(UsageError, match="--set: sets parameters of a method, and none is named"):
        InferSettings(parameters={"smooth_px": 2.0})


def test_no_torch_is_imported_from_the_image_to_the_count() -> None:
    write("x.tif", cells())
    code = (
        "import sys, contextlib\n"
        "from cellmonai.cli.app import app\n"
        "for words in (['infer', 'x.tif', '--method', 'watershed', '-q'], ['count', 'masks', '-q']):\n"
        "    with contextlib.suppress(SystemExit): app(words)\n"
        "sys.exit('torch' in sys.modules or 'monai' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path("counts/counts.csv").is_file()
