"""Masks as other programs leave them, good and bad: counted, or refused with the cure."""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cellmonai.core.errors import InputError
from cellmonai.core.progress import Silent
from cellmonai.images.write import write_maps, write_mask
from cellmonai.workflows.count import CountResult, count
from cellmonai.workflows.counting.settings import CountSettings


class Listening(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def cells(number: int, *, side: int = 6, shape: tuple[int, int] = (60, 200)) -> np.ndarray:
    """Squares numbered from 1."""
    labels = np.zeros(shape, np.uint16)
    for i in range(number):
        row, column = divmod(i, (shape[1] - 4) // 10)
        labels[4 + 10 * row : 4 + 10 * row + side, 4 + 10 * column : 4 + 10 * column + side] = i + 1
    return labels


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, array)
    elif path.suffix == ".npy":
        np.save(path, array)
    else:
        Image.fromarray(array).save(path)
    return path


def run(folder: Path, *inputs: Path, reporter: Silent | None = None, **options: object) -> CountResult:
    how = CountSettings(output=folder / "counts", report=False, **options)  # type: ignore[arg-type]
    return count(inputs or [folder / "masks"], settings=how, reporter=reporter)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        pytest.param("a.png", (cells(7) > 0).astype(np.uint8) * 255, id="0/255 PNG of Fiji"),
        pytest.param("a.tif", (cells(7) > 0).astype(np.uint8) * 255, id="0/255 TIFF of Fiji"),
        pytest.param("a.tif", (cells(7) > 0).astype(np.uint8), id="0/1"),
        pytest.param("a_cp_masks.tif", cells(7), id="Cellpose TIFF"),
        pytest.param("a_cp_masks.png", cells(7), id="Cellpose PNG"),
        pytest.param("a.tif", cells(7).astype(np.int32), id="StarDist TIFF"),
        pytest.param("a.tif", cells(7).astype(np.float32), id="labels as floats"),
        pytest.param("a.npy", cells(7), id="npy"),
        pytest.param("a.tif", cells(7) * 13, id="gaps in ids"),
        pytest.param("a.png", np.stack([(cells(7) > 0) * np.uint8(255)] * 3, -1), id="grey saved as RGB"),
    ],
)
def test_masks_of_other_programs_just_work(tmp_path: Path, name: str, array: np.ndarray) -> None:
    save(tmp_path / "masks" / name, array)
    result = run(tmp_path)
    assert [(image.image, image.count) for image in result.images] == [("a", 7)]


def test_a_palette_picture_of_labels_counts_its_indices(tmp_path: Path) -> None:
    picture = Image.new("P", (200, 60))
    picture.putdata(cells(7).astype(np.uint8).ravel().tolist())
    picture.putpalette([0, 0, 0, *(value for i in range(1, 256) for value in (i, 255 - i, i // 2))])
    (tmp_path / "masks").mkdir()
    picture.save(tmp_path / "masks" / "a.png")
    assert run(tmp_path).total == 7


def test_gaps_in_ids_are_noted(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", cells(7) * 13)
    reporter = Listening()
    assert run(tmp_path, reporter=reporter).total == 7
    assert any("7 labels with gaps up to 91" in note for note in reporter.notes)
    assert not reporter.warnings


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        pytest.param("a.tif", cells(7).astype(np.int16) - 1, "negative values", id="negative labels"),
        pytest.param("a.tif", cells(7) * np.float32(0.3), "fractions", id="fractions"),
        pytest.param("a.png", (cells(7)[..., None] % [3, 5, 9]).astype(np.uint8), "colour", id="RGB"),
        pytest.param("a.npy", np.array({"masks": 1}, dtype=object), "pickle.*PNG or TIFF", id="a pickle"),
    ],
)
def test_what_is_no_mask_is_refused_with_the_cure(tmp_path: Path, name: str, array: np.ndarray, words: str) -> None:
    save(tmp_path / "masks" / name, array)
    with pytest.raises(InputError, match=words):
        run(tmp_path)


def blurred() -> np.ndarray:
    """Borders as resizing leaves them."""
    sharp = np.kron(cells(60, shape=(80, 240)) > 0, np.ones((3, 3)))
    soft = sum(np.roll(sharp, (y, x), (0, 1)) for y in range(-2, 3) for x in range(-2, 3)) / 25
    return (soft * 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "array", "code"),
    [
        ("b.tif", cells(7).astype(np.int16) - 1, "negative_values"),
        ("b.tif", cells(7) * np.float32(0.3), "fractions"),
        ("b.tif", np.where(cells(7) > 0, np.uint32(2**32 - 1), 0).astype(np.uint32), "value_too_large"),
        ("b.png", (cells(7)[..., None] % [3, 5, 9]).astype(np.uint8), "colour_mask"),
        ("b.npy", np.array({"masks": 1}, dtype=object), "pickle"),
        ("b.tif", blurred(), "blurred_mask"),
        ("b.tif", (cells(7) > 0).astype(np.uint8) + 1, "unclear_background"),
        ("b.tif", np.random.default_rng(0).integers(0, 60, (60, 200)).astype(np.uint8), "photograph"),
        ("b.jpg", (cells(7) > 0).astype(np.uint8) * 255, "jpeg_mask"),
        ("b.tif", b"not an image", "unreadable"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_programs_read_a_stable_word_for_every_kind_of_refusal(
    tmp_path: Path, name: str, array: np.ndarray | bytes, code: str
) -> None:
    save(tmp_path / "masks" / "a.tif", (cells(7) > 0).astype(np.uint8))
    path = tmp_path / "masks" / name
    if isinstance(array, bytes):
        path.write_bytes(array)
    else:
        save(path, array)
    result = run(tmp_path, tmp_path / "masks" / "a.tif", path)
    (failure,) = result.as_json()["failures"]
    assert (failure["image"], failure["code"]) == ("b", code)
    record = json.loads((tmp_path / "counts" / "run.json").read_bytes())
    assert [entry["code"] for entry in record["images"] if entry["status"] == "failed"] == [code]


@pytest.mark.parametrize("quality", [50, 90])
@pytest.mark.parametrize("kind", ["auto", "binary"])
def test_a_mask_that_was_a_jpeg_is_refused(tmp_path: Path, quality: int, kind: str) -> None:
    (tmp_path / "masks").mkdir()
    Image.fromarray((cells(30) > 0).astype(np.uint8) * 255).save(tmp_path / "a.jpg", quality=quality)
    Image.open(tmp_path / "a.jpg").save(tmp_path / "masks" / "a.png")
    with pytest.raises(InputError, match=r"blurred.*cut it at half"):
        run(tmp_path, kind=kind)
    with pytest.raises(InputError, match="JPEG blurs"):
        run(tmp_path, tmp_path / "a.jpg")


def test_labels_that_ran_over_65535_are_told(tmp_path: Path) -> None:
    across, total = 265, 70_000
    labels = np.zeros((across * 3, across * 3), np.uint32)
    rows, columns = np.divmod(np.arange(total), across)
    for row, column in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        labels[3 * rows + row, 3 * columns + column] = np.arange(1, total + 1)
    save(tmp_path / "masks" / "a.tif", labels.astype(np.uint16))
    reporter = Listening()
    assert run(tmp_path, reporter=reporter, min_area="1px").total == 65_535
    assert [warning.code for warning in reporter.warnings] == ["labels_wrapped"]
    assert "lie in 69,999 pieces: the numbers ran over" in reporter.warnings[0].message  # number 65,536 became 0
    assert "32-bit TIFF" in reporter.warnings[0].message


@pytest.mark.parametrize("other", ["a_mask.png", "a_masks.tif"])
def test_two_masks_of_one_image_are_not_counted_twice(tmp_path: Path, other: str) -> None:
    save(tmp_path / "masks" / "a_mask.tif", cells(7))
    save(tmp_path / "masks" / other, cells(7))
    with pytest.raises(InputError, match="both masks of a, and its cells would be counted twice"):
        run(tmp_path)
    assert run(tmp_path, tmp_path / "masks" / other).total == 7


@pytest.mark.parametrize("beside", ["a_flows.tif", "a_overlay.png", "a_cp_output.png", "a_prob.tif"])
def test_pictures_beside_masks_are_never_counted(tmp_path: Path, beside: str) -> None:
    save(tmp_path / "masks" / "a.tif", cells(7))
    save(tmp_path / "masks" / beside, np.random.default_rng(0).integers(0, 255, (60, 200), np.uint8))
    reporter = Listening()
    assert run(tmp_path, reporter=reporter).total == 7
    assert any("other files" in note for note in reporter.notes)


def test_a_folder_of_cellpose_counts_its_masks(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", np.random.default_rng(0).integers(0, 255, (60, 200), np.uint8))
    save(tmp_path / "masks" / "a_seg.npy", np.array({"masks": cells(7)}, dtype=object))
    with pytest.raises(InputError, match=r"pickle.*TIFF or PNG"):
        run(tmp_path)
    save(tmp_path / "masks" / "a_cp_masks.png", cells(7))
    assert run(tmp_path).total == 7


def test_a_folder_of_folders_gets_the_command_that_fits(tmp_path: Path) -> None:
    save(tmp_path / "data" / "masks" / "a.tif", cells(7))
    save(tmp_path / "data" / "images" / "a.tif", cells(7))
    with pytest.raises(InputError, match=r"count .*masks --images .*images"):
        run(tmp_path, tmp_path / "data")


def unfinished(folder: Path, *, with_record: bool) -> Path:
    """Leave what a stopped `infer` leaves: masks and maps, and no record or one without an end."""
    folder.mkdir()
    mask = cells(7) > 0
    write_mask(folder / "a_mask.tif", mask, pixel_size_um=None, overwrite=False)
    maps = np.where(mask, 0.9, 0.1).astype(np.float32)[None]
    write_maps(folder / "a_maps.zarr", maps, names=("foreground",), pixel_size_um=None, overwrite=False)
    if with_record:
        entry = {"image": "a.tif", "plane": "", "mask": "a_mask.tif", "maps": "a_maps.zarr", "status": "done"}
        record = {"schema": "cellmonai.run.infer/1", "ended": None, "images": [entry]}
        (folder / "run.json").write_text(json.dumps(record))
    return folder


@pytest.mark.parametrize("with_record", [False, True])
def test_an_unfinished_run_of_infer_is_refused_unless_partial_is_allowed(tmp_path: Path, *, with_record: bool) -> None:
    unfinished(tmp_path / "masks", with_record=with_record)
    with pytest.raises(InputError, match=r"never finished.*--allow-partial"):
        run(tmp_path)
    reporter = Listening()
    result = run(tmp_path, allow_partial=True, reporter=reporter)
    assert (result.total, result.is_partial, result.as_json()["partial"]) == (7, True, True)
    assert result.as_json()["images"][0]["partial"] is True
    assert [warning.code for warning in reporter.warnings] == ["partial"]
    with (tmp_path / "counts" / "counts.csv").open(newline="") as stream:
        assert next(csv.DictReader(stream))["partial"] == "true"


def test_the_report_of_an_unfinished_run_says_partial(tmp_path: Path) -> None:
    unfinished(tmp_path / "masks", with_record=False)
    how = CountSettings(output=tmp_path / "counts", allow_partial=True)
    count([tmp_path / "masks"], settings=how)
    assert "partial" in (tmp_path / "counts" / "report.html").read_text().lower()


def test_no_cells_anywhere_is_explained_by_what_was_measured(tmp_path: Path) -> None:
    folder = unfinished(tmp_path / "masks", with_record=False)
    specks = np.zeros((60, 200), bool)
    specks[5:7, 5:8] = True
    write_mask(folder / "a_mask.tif", specks, pixel_size_um=None, overwrite=True)
    save(folder / "a.tif", np.full((60, 200), 7, np.uint8))
    reporter = Listening()
    result = run(tmp_path, allow_partial=True, reporter=reporter)
    assert result.total == 0
    (message,) = [warning.message for warning in reporter.warnings if warning.code == "no_cells"]
    for words in ("0.1 % of the pixels", "1 object was removed", "has 6 px", "probability in a is 0.90", "from 7 to 7"):
        assert words in message


def test_no_cells_leave_tables_with_heads_only(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / "masks" / f"{name}.tif", np.zeros((30, 40), np.uint8))
    how = CountSettings(output=tmp_path / "counts", save=("geojson", "rois"))
    result = count([tmp_path / "masks"], settings=how)
    assert result.total == 0
    assert not result.failures
    head, *rows = (tmp_path / "counts" / "cells.csv").read_text().splitlines()
    assert head.startswith("image,plane,label,")
    assert rows == []
    assert json.loads((tmp_path / "counts" / "a.geojson").read_text())["features"] == []


HOSTILE = [
    "<script>alert(1)</script>".replace("/", "_"),
    "=1+1",
    "+cmd|' -C calc'!A0",
    "@SUM(A1)",
    "-2",
    'quote"inside',
    "comma, space",
    "new\nline",
    "tab\there",
    "\rreturn",
    "[red]markup[_red]",
    "\x1b[2Jescape",
    "\u202ereversed",
    "{plate}%s{{x}}",
    "' OR 1=1",
    "µ ü 细胞 🔬",
]
if sys.platform == "linux":
    HOSTILE.append(os.fsdecode(b"caf\xe9"))


def read_name(cell: str) -> str:
    """Undo what protects spreadsheets and what UTF-8 cannot hold."""
    disarmed = cell[1:] if cell.startswith("'") and cell[1:2] in set("=+-@\t\r") else cell
    return disarmed.replace("\\udce9", "\udce9")


@pytest.mark.skipif(sys.platform != "linux", reason="such names cannot exist there")
def test_hostile_names_survive_every_table(tmp_path: Path) -> None:
    for name in HOSTILE:
        save(tmp_path / "masks" / f"{name}.tif", cells(2))
    how = CountSettings(output=tmp_path / "counts", save=("geojson", "rois"))
    result = count([tmp_path / "masks"], settings=how)
    assert sorted(image.image for image in result.images) == sorted(HOSTILE)
    document = json.loads((tmp_path / "counts" / "counts.json").read_bytes())
    assert sorted(image["image"] for image in document["images"]) == sorted(HOSTILE)
    for table, rows in (("counts.csv", 1), ("cells.csv", 2)):
        with (tmp_path / "counts" / table).open(newline="", encoding="utf-8") as stream:
            names = [row["image"] for row in csv.DictReader(stream)]
        assert sorted(map(read_name, names)) == sorted(HOSTILE * rows)
        assert not any(name.startswith(("=", "+", "-", "@", "\t", "\r")) for name in names)
    for image in result.images:
        assert all((tmp_path / "counts" / output).is_file() for output in image.outputs)
    page = (tmp_path / "counts" / "report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


names = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=30)


@pytest.mark.skipif(sys.platform != "linux", reason="such names cannot exist there")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=names)
def test_any_name_survives(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.mktemp("names")
    if len(name.encode()) > 200 or name.startswith(".") or name.lower().endswith(("_overlay", "_prob")):
        return
    result = run(folder, save(folder / "masks" / f"{name}.tif", cells(1)))
    (row,) = result.images
    with (folder / "counts" / "counts.csv").open(newline="", encoding="utf-8") as stream:
        (cell,) = [row["image"] for row in csv.DictReader(stream)]
    assert read_name(cell) == read_name(row.image)
    assert json.loads((folder / "counts" / "counts.json").read_bytes())["images"][0]["image"] == row.image
    assert row.image == name or name.lower().endswith(("_mask", "_masks", "_label", "_labels", ".ome"))
