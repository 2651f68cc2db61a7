"""Plates of a count: they take the place of no other file, and none but an earlier plate of ours goes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellmonai.core.errors import OutputError
from cellmonai.workflows.count import CountResult, count
from cellmonai.workflows.counting.leftovers import old_outputs
from cellmonai.workflows.counting.settings import CountSettings

PATTERN = "{plate}_{well}_{site}"


def remove(folder: Path) -> None:
    """Remove what counts as left by an earlier run, as the next run does when its results get their names."""
    for name in old_outputs(folder):
        (folder / name).unlink()


def fields(folder: Path, *names: str) -> Path:
    mask = np.zeros((40, 40), np.uint8)
    mask[5:15, 5:15] = 255
    for kind, image in (("masks", mask), ("images", mask // 2 + np.uint8(3))):
        (folder / kind).mkdir(exist_ok=True)
        for name in names:
            tifffile.imwrite(folder / kind / f"{name}.tif", image)
    return folder


def run(folder: Path, **options: object) -> CountResult:
    how = {"output": folder / "counts", "images": folder / "images", "name_pattern": PATTERN, **options}
    return count([folder / "masks"], settings=CountSettings(**how))  # type: ignore[arg-type] # its settings


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["plate1_A01_1", "plate1_A02_1"], id="one plate"),
        pytest.param(["plate1_A01_1", "plate2_A01_1", "plate_A01_1"], id="several plates"),
        pytest.param(["a_overlay_A01_1", "b_labels_A01_1"], id="plates called as our files"),
    ],
)
def test_every_output_is_there_whatever_the_plates_are_called(tmp_path: Path, names: list[str]) -> None:
    fields(tmp_path, *names)
    for overwrite in (False, True):
        result = run(tmp_path, overwrite=overwrite)
        assert len(set(result.outputs)) == len(result.outputs)
        assert [path for path in result.outputs if not Path(path).is_file()] == []
        assert sum(path.endswith("_overlay.png") for path in result.outputs) == len(names)


def test_a_picture_of_the_user_stays_and_an_older_plate_goes(tmp_path: Path) -> None:
    fields(tmp_path, "P1_A01_1", "P2_A01_1")
    first = {Path(path).name for path in run(tmp_path).outputs}
    assert {"plate_P1_01.png", "plate_P2_02.png"} <= first
    theirs = [tmp_path / "counts" / name for name in ("plate_layout.png", "plates.png", "plate_mine_03.png")]
    for path in theirs:
        path.write_bytes(b"mine")
    (tmp_path / "masks" / "P2_A01_1.tif").unlink()
    run(tmp_path, overwrite=True)
    assert {path.name for path in (tmp_path / "counts").glob("plate*.png")} == {
        "plate.png", *(path.name for path in theirs)
    }  # fmt: skip
    assert all(path.read_bytes() == b"mine" for path in theirs)


def test_only_what_would_be_written_is_in_the_way(tmp_path: Path) -> None:
    fields(tmp_path, "P1_A01_1")
    (tmp_path / "counts").mkdir()
    (tmp_path / "counts" / "plate_layout.png").write_bytes(b"mine")
    (tmp_path / "counts" / "plate.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"plate\.png"):
        run(tmp_path)
    (tmp_path / "counts" / "plate.png").unlink()
    assert (tmp_path / "counts" / "plate.png").as_posix() in run(tmp_path).outputs


def test_plates_with_very_long_names_get_files(tmp_path: Path) -> None:
    sheet = "image,plate,well\n" + "".join(f"{name},{chr(0x20000) * 120}{name},A01\n" for name in "ab")
    (tmp_path / "sheet.csv").write_text(sheet, "utf-8")
    result = run(fields(tmp_path, "a", "b"), name_pattern=None, sheet=tmp_path / "sheet.csv")
    assert sum(Path(path).is_file() and Path(path).name.startswith("plate_") for path in result.outputs) == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"[1]", b"{}", b'{"outputs": 3}', b'{"outputs": [null, 1, "../plate.png/.."]}', b"[" * 100_000],
    ids=range(7),
)
def test_a_damaged_record_removes_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plate.png").write_bytes(b"mine")
    (tmp_path / "counts.json").write_bytes(content)
    remove(tmp_path)
    (tmp_path / "counts.json").unlink(missing_ok=True)
    remove(tmp_path)
    assert (tmp_path / "plate.png").is_file()


def test_a_record_cannot_point_out_of_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "counts"
    (folder / "sub").mkdir(parents=True)
    outside, link = tmp_path / "plate.png", folder / "b_labels.tif"
    for path in (outside, folder / "plate.png", folder / "sub" / "plate.png", folder / "notes.txt"):
        path.write_bytes(b"x")
    link.symlink_to(outside)
    names = ["counts.json", "plate.png", "../plate.png", "sub/plate.png", "notes.txt", "b_labels.tif", "\0.geojson"]
    outputs = [f"somewhere/counts/{name}" for name in names]
    (folder / "counts.json").write_text(json.dumps({"outputs": [*outputs, outside.as_posix()]}))
    remove(folder)
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert left == {"sub", "sub/plate.png", "notes.txt", "b_labels.tif"}
    assert outside.is_file()


def test_a_folder_of_plates_that_is_a_link_is_not_entered(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "counts", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (elsewhere / "001.png").write_bytes(b"mine")
    (folder / "audit").symlink_to(elsewhere, target_is_directory=True)
    (folder / "counts.json").write_text(json.dumps({"outputs": ["counts/counts.json", "counts/audit/001.png"]}))
    remove(folder)
    assert (elsewhere / "001.png").is_file()


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_level_of_a_run_is_the_one_of_its_groups(tmp_path: Path, level: float) -> None:
    fields(tmp_path, "P1_A01_1", "P1_A01_2")
    result = run(tmp_path, level=level)
    document = json.loads((tmp_path / "counts" / "counts.json").read_text())
    assert [group["interval_level"] for group in document["groups"]] == [level] * len(result.groups)
    low, high = {0.8: (0.27, 2.66), 0.95: (0.12, 3.61)}[level]  # Garwood's interval of 2 cells, for one field
    well = result.groups[-1]
    assert (well.sampling_low, well.sampling_high) == (pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01))
    assert f"{100 * level:g} % sampling interval" in (tmp_path / "counts" / "report.html").read_text()
