"""Files of Fiji, editors and phones through whole commands: what is counted is what is meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from tifffile import imwrite
from typer.testing import CliRunner

from cellmonai.cli.app import app
from tests.painting import Disc, paint

if TYPE_CHECKING:
    from typer.testing import Result

CELLS = 20
LABELS = paint([Disc(14 + 24 * (i // 5), 16 + 34 * (i % 5), 6 + i % 3) for i in range(CELLS)], (104, 170))
MASK = ((LABELS > 0) * 255).astype(np.uint8)
SIGNAL = np.where(LABELS > 0, 200, 30).astype(np.uint8)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def call(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def count(*words: str) -> dict[str, Any]:
    done = call("count", *words, "--json", "--overwrite", "-q")
    assert done.exit_code == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def fiji(name: str, array: np.ndarray, text: str = "", **options: object) -> None:
    imwrite(name, array, description=f"ImageJ=1.54f\n{text}", metadata=None, software=False, **options)


def turned_by_tag(name: str, shown: np.ndarray, orientation: int) -> None:
    """Save a picture stored on its side, with the tag that makes viewers show it upright."""
    exif = Image.Exif()
    exif[274] = orientation
    stored = np.rot90(shown, {6: 1, 8: -1}[orientation])
    Image.fromarray(np.ascontiguousarray(stored)).save(name, exif=exif)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_mask_with_fijis_inverting_look_up_table_is_counted_as_stored(dtype: type) -> None:
    fiji("a.tif", MASK.astype(dtype), photometric="miniswhite")
    assert count("a.tif")["total"] == CELLS


def test_an_image_with_an_inverting_look_up_table_is_segmented_as_stored() -> None:
    fiji("a.tif", SIGNAL, photometric="miniswhite")
    assert call("infer", "a.tif", "--method", "otsu", "-q").exit_code == 0
    assert count("masks")["total"] == CELLS
    assert "ImageJ's look-up table is for display and was not applied" in Path("masks/run.json").read_text()


def test_white_first_palettes_and_transparency_are_counted_or_refused() -> None:
    image = Image.fromarray((MASK == 0).astype(np.uint8)).convert("P")
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save("white_first.png")
    Image.fromarray(np.dstack([np.full((*MASK.shape, 3), 255, np.uint8), MASK])).save("alpha.png")
    assert count("white_first.png")["total"] == CELLS
    assert count("alpha.png")["total"] == CELLS
    image.putpalette([255, 255, 255, 200, 0, 0])
    image.save("red_on_white.png")
    refused = call("count", "red_on_white.png")
    assert refused.exit_code == 3
    assert "unclear which one is the background" in refused.stderr


def test_truth_from_fiji_is_what_it_is_in_evaluate() -> None:
    for folder in ("p", "t"):
        Path(folder).mkdir()
    imwrite("p/a.tif", LABELS.astype(np.uint16))
    fiji("t/a.tif", MASK, photometric="miniswhite")
    done = call("evaluate", "p", "t", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["summary"]["f1_50"] == 1.0


@pytest.mark.parametrize("channel", [0, 1])
def test_planes_of_an_imagej_stack_with_slices_first_are_told_apart(channel: int) -> None:
    stack = np.repeat(SIGNAL[np.newaxis], 6, 0)
    for page, cells in zip(stack, (1, 2, 3, 11, 12, 13), strict=True):  # z0c0, z1c0, z2c0, z0c1, …
        page[cells < LABELS] = 30
    description = "ImageJ=1.53t\nimages=6\nchannels=2\nslices=3\nhyperstack=true\norder=zct\n"
    imwrite("a.tif", stack, description=description, metadata=None, photometric="minisblack", software=False)
    assert call("infer", "a.tif", "--method", "otsu", "--channel", str(channel), "-q").exit_code == 0
    assert [row["count"] for row in count("masks")["images"]] == [[1, 2, 3], [11, 12, 13]][channel]


def test_a_colour_picture_is_refused_with_the_channel_that_holds_the_signal() -> None:
    imwrite("a.tif", np.dstack([SIGNAL // 8, SIGNAL, np.full_like(SIGNAL, 9)]), photometric="rgb")
    refused = call("infer", "a.tif", "--method", "otsu")
    assert refused.exit_code != 0
    assert "choose one, as --channel green, which varies most" in " ".join(refused.stderr.split())


@pytest.mark.parametrize("orientation", [6, 8])
@pytest.mark.parametrize("drawn", ["as shown", "as stored"])
def test_cells_of_a_turned_picture_are_measured_where_they_are(orientation: int, drawn: str) -> None:
    turned_by_tag("a.png", SIGNAL, orientation)
    stored = np.rot90(MASK, {6: 1, 8: -1}[orientation])
    imwrite("a_mask.tif", MASK if drawn == "as shown" else np.ascontiguousarray(stored))
    document = count("a_mask.tif", "--images", "a.png")
    assert document["total"] == CELLS
    assert document["warnings"] == []
    header, *rows = Path("counts/cells.csv").read_text().splitlines()
    at = header.split(",").index("intensity_mean_0")
    assert {round(float(row.split(",")[at])) for row in rows} == {200}


def test_a_square_picture_with_a_tag_and_a_mask_without_are_warned_about() -> None:
    turned_by_tag("a.png", SIGNAL[:104, :104], 6)
    imwrite("a_mask.tif", MASK[:104, :104])
    warnings = count("a_mask.tif", "--images", "a.png")["warnings"]
    assert [warning["code"] for warning in warnings] == ["orientation_unsure"]


def test_a_turned_picture_is_segmented_as_it_is_shown() -> None:
    turned_by_tag("a.jpg", SIGNAL, 6)
    assert call("infer", "a.jpg", "--method", "otsu", "-q").exit_code == 0
    document = count("masks")
    assert (document["total"], document["warnings"]) == (CELLS, [])
    with Image.open("masks/a_mask.tif") as mask:
        assert mask.size == (170, 104)
    assert "orientation tag 6 applied" in Path("masks/run.json").read_text()
