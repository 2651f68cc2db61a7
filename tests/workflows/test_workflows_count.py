"""Counting folders of painted masks, called as from Python."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from cellmonai.core.errors import (
    InputError,
    InterruptedRunError,
    LockedError,
    MemoryBudgetError,
    OutputError,
    UsageError,
)
from cellmonai.core.files import sha256_of
from cellmonai.core.locks import folder_lock
from cellmonai.core.progress import Silent
from cellmonai.images.open import open_image
from cellmonai.workflows.count import CountResult, count
from cellmonai.workflows.counting.settings import CountSettings

if TYPE_CHECKING:
    from pathlib import Path

    from cellmonai.workflows.counting.survey import PlaneJob


def discs(*centres: tuple[int, int], radius: int = 8, shape: tuple[int, int] = (96, 128)) -> np.ndarray:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    mask = np.zeros(shape, bool)
    for row, column in centres:
        mask |= (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    return mask


def squares(cells: int, *, side: int = 4, gap: int = 2) -> np.ndarray:
    across = int(np.ceil(np.sqrt(max(cells, 1))))
    step = side + gap
    mask = np.zeros((across * step, across * step), bool)
    for i in range(cells):
        row, column = divmod(i, across)
        mask[row * step : row * step + side, column * step : column * step + side] = True
    return mask


def save(path: Path, array: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array * np.uint8(255) if array.dtype == bool else array, **options)
    return path


def run(folder: Path, *inputs: Path, reporter: Silent | None = None, **options: object) -> CountResult:
    settings = CountSettings(output=folder / "counts", **options)  # type: ignore[arg-type]
    return count(inputs or [folder / "masks"], settings=settings, reporter=reporter)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("cells", [0, 1, 2, 255, 256])
def test_painted_cells_are_counted(tmp_path: Path, cells: int) -> None:
    save(tmp_path / "masks" / "a.tif", squares(cells))
    result = run(tmp_path)
    assert result.total == cells
    assert int(tifffile.imread(tmp_path / "counts" / "a_labels.tif").max()) == cells
    assert len(rows(tmp_path / "counts" / "cells.csv")) == cells


def test_more_cells_than_16_bits_can_name_are_counted(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", squares(65_536, side=2, gap=1))
    assert run(tmp_path, min_area="1px").total == 65_536
    labels = tifffile.imread(tmp_path / "counts" / "a_labels.tif")
    assert labels.dtype == np.uint32
    assert labels.max() == 65_536


@pytest.mark.parametrize("corner", [(0, 0), (0, 127), (95, 0), (95, 127)])
def test_a_cell_in_a_corner_is_counted_and_flagged(tmp_path: Path, corner: tuple[int, int]) -> None:
    save(tmp_path / "masks" / "a.tif", discs(corner, (48, 64)))
    result = run(tmp_path)
    assert result.total == 2
    assert result.images[0].flags["touches_border"] == 1


def test_touching_cells_are_split_unless_told_not_to(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", discs((48, 50), (48, 63), radius=8))
    assert run(tmp_path).total == 2
    assert run(tmp_path, split="none", overwrite=True).total == 1


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        pytest.param((0, 1), np.uint8, id="0 and 1"),
        pytest.param((0, 255), np.uint8, id="0 and 255"),
        pytest.param((0, 65535), np.uint16, id="0 and 65535"),
    ],
)
def test_two_values_with_zero_are_a_binary_mask(tmp_path: Path, values: tuple[int, int], dtype: type) -> None:
    mask = discs((30, 30), (60, 90))
    save(tmp_path / "masks" / "a.tif", np.where(mask, values[1], values[0]).astype(dtype))
    result = run(tmp_path)
    assert (result.total, result.parameters["kind"]) == (2, "binary")


def test_one_file_with_three_values_makes_the_whole_folder_labels(tmp_path: Path) -> None:
    one = discs((48, 50), (48, 63), radius=8).astype(np.uint8)  # touching: 1 as labels, 2 as a mask
    save(tmp_path / "masks" / "a.tif", one)
    save(tmp_path / "masks" / "b.tif", discs((20, 20)) + 2 * discs((70, 70)).astype(np.uint8))
    result = run(tmp_path)
    assert [image.count for image in result.images] == [1, 2]
    assert result.parameters["kind"] == "labels"
    assert "split" not in result.parameters


def test_the_kind_can_be_said(tmp_path: Path) -> None:
    touching = discs((48, 50), (48, 63), radius=8)
    labels = touching.astype(np.uint16) * 3
    labels[0, :30] = 9
    save(tmp_path / "masks" / "a.tif", labels)
    assert run(tmp_path).total == 2
    assert run(tmp_path, kind="binary", overwrite=True).total == 3
    save(tmp_path / "masks" / "a.tif", touching)
    assert run(tmp_path, kind="labels", overwrite=True).total == 1


def test_values_one_and_two_are_not_guessed(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", (discs((30, 30)) + 1).astype(np.uint8))
    with pytest.raises(InputError, match="1 and 2"):
        run(tmp_path)
    assert run(tmp_path, kind="labels").total == 2


def test_a_photograph_is_no_label_image(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (96, 128), np.uint8)
    save(tmp_path / "masks" / "a.tif", noise)
    with pytest.raises(InputError, match="looks like a picture"):
        run(tmp_path)
    assert run(tmp_path, kind="labels", min_area="1px").total == 254


@pytest.mark.parametrize(
    ("options", "total", "words"),
    [
        ({}, 2, "1 label lies in 2 separate pieces; each label is counted as one cell"),
        ({"kind": "labels", "min_area": "300px"}, 1, "1 label lies in 2 separate pieces"),
        ({"max_area": "300px"}, 1, None),
    ],
    ids=["default", "the others are too small", "itself too large"],
)
def test_a_label_in_several_pieces_is_one_cell_and_told(
    tmp_path: Path, options: dict[str, str], total: int, words: str | None
) -> None:
    labels = discs((20, 20), (60, 60)).astype(np.uint8) * 4 + discs((20, 100)).astype(np.uint8)
    save(tmp_path / "masks" / "a.tif", labels)
    reporter = Silent()
    assert run(tmp_path, reporter=reporter, **options).total == total
    assert [warning.code for warning in reporter.warnings] == (["extra_pieces"] if words else [])
    assert words is None or words in reporter.warnings[0].message


def test_labels_that_fill_their_type_are_suspected(tmp_path: Path) -> None:
    mask = squares(255)
    labels = np.zeros(mask.shape, np.uint8)
    labels[mask] = np.repeat(np.arange(1, 256), 1)[np.searchsorted(np.unique(cell_of(mask)[mask]), cell_of(mask)[mask])]
    save(tmp_path / "masks" / "a.tif", labels)
    reporter = Silent()
    assert run(tmp_path, reporter=reporter).total == 255
    assert [warning.code for warning in reporter.warnings] == ["labels_full"]


def cell_of(mask: np.ndarray, step: int = 6) -> np.ndarray:
    rows, columns = np.indices(mask.shape)
    return (rows // step) * 1000 + columns // step


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        pytest.param("min_area", "60px", 1, id="a greater smallest area"),
        pytest.param("max_area", "60px", 1, id="a largest area"),
        pytest.param("min_area", "15um2", 1, id="an area in micrometres"),
        pytest.param("border", "exclude", 1, id="border cells excluded"),
        pytest.param("opening", 5, 1, id="opening removes the small cell"),
        pytest.param("closing", 20, 1, id="closing joins them"),
    ],
)
def test_every_filter_and_step_changes_the_count(tmp_path: Path, option: str, value: object, expected: int) -> None:
    mask = discs((48, 64), radius=12) | discs((48, 90), radius=4)
    if option == "border":
        mask |= discs((0, 10), radius=4)
        mask &= ~discs((48, 90), radius=4)
    save(tmp_path / "masks" / "a.tif", mask)
    pixel_size = {"pixel_size_um": (0.5, 0.5)} if str(value).endswith("um2") else {}
    assert run(tmp_path, split="none", **pixel_size).total == 2
    changed = run(tmp_path, split="none", overwrite=True, **{option: value}, **pixel_size)
    assert changed.total == expected


def test_filling_holes_changes_the_area(tmp_path: Path) -> None:
    mask = discs((48, 64), radius=12) & ~discs((48, 64), radius=3)
    save(tmp_path / "masks" / "a.tif", mask)
    open_area = run(tmp_path, split="none", fill_holes="none").images[0].area_mean_px
    filled = run(tmp_path, split="none", fill_holes="all", overwrite=True).images[0].area_mean_px
    assert open_area is not None
    assert filled == open_area + discs((48, 64), radius=3).sum()


def test_filters_say_how_many_objects_they_removed(tmp_path: Path) -> None:
    save(
        tmp_path / "masks" / "a.tif", discs((48, 64), radius=12) | discs((48, 90), radius=1) | discs((0, 10), radius=5)
    )
    image = run(tmp_path, border="exclude").images[0]
    assert (image.count, dict(image.removed)) == (1, {"min_area": 1, "max_area": 0, "border": 1})


def test_the_pixel_size_gives_densities_and_areas_in_micrometres(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", discs((48, 64)))
    unknown = run(tmp_path).images[0]
    assert (unknown.density_per_mm2, unknown.area_mean_um2) == (None, None)
    image = run(tmp_path, pixel_size_um=(0.5, 0.5), overwrite=True).images[0]
    assert image.density_per_mm2 == pytest.approx(1 / (96 * 128 * 0.25e-6))
    assert image.area_mean_um2 == pytest.approx(image.area_mean_px * 0.25)
    cell = rows(tmp_path / "counts" / "cells.csv")[0]
    assert float(cell["area_um2"]) == pytest.approx(float(cell["area_px"]) * 0.25, abs=1e-3)
    with open_image(tmp_path / "counts" / "a_labels.tif") as labels:
        assert labels.pixel_size_um == pytest.approx((0.5, 0.5))


def test_the_pixel_size_of_the_file_is_used(tmp_path: Path) -> None:
    metadata = {"PhysicalSizeX": 2.0, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 1.0, "PhysicalSizeYUnit": "µm"}
    mask = discs((48, 64)).astype(np.uint8)
    (tmp_path / "masks").mkdir()
    tifffile.imwrite(tmp_path / "masks" / "a.ome.tif", mask, metadata={"axes": "YX", **metadata})
    image = run(tmp_path).images[0]
    assert image.image == "a"
    assert image.area_mean_um2 == pytest.approx(image.area_mean_px * 2)


def test_an_area_in_micrometres_without_pixel_size_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", discs((48, 64)))
    with pytest.raises(UsageError, match="pixel size is unknown"):
        run(tmp_path, min_area="25um2")
    assert not (tmp_path / "counts").exists()


@pytest.mark.parametrize(
    "option", [{"split": "none"}, {"opening": 1}, {"closing": 1}, {"fill_holes": "all"}], ids=lambda o: next(iter(o))
)
def test_options_that_do_nothing_on_labels_are_refused(tmp_path: Path, option: dict[str, object]) -> None:
    save(tmp_path / "masks" / "a.tif", discs((20, 20)) + 2 * discs((70, 70)).astype(np.uint8))
    with pytest.raises(UsageError, match="label images"):
        run(tmp_path, **option)


def test_each_plane_of_a_stack_is_a_row(tmp_path: Path) -> None:
    stack = np.stack([discs((30, 30)), discs((30, 30), (60, 90)), discs()]).astype(np.uint8)
    (tmp_path / "masks").mkdir()
    tifffile.imwrite(tmp_path / "masks" / "a.ome.tif", stack, metadata={"axes": "TYX"})
    result = run(tmp_path)
    assert [image.count for image in result.images] == [1, 2, 0]
    assert len({image.plane for image in result.images}) == 3
    assert len(list((tmp_path / "counts").glob("a_*_labels.tif"))) == 3


def test_the_same_masks_give_the_same_files(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", discs((48, 50), (48, 63), (20, 20)))
    run(tmp_path)
    names = ("counts.csv", "cells.csv", "a_labels.tif")
    first = [(tmp_path / "counts" / name).read_bytes() for name in names]
    run(tmp_path, overwrite=True)
    assert [(tmp_path / "counts" / name).read_bytes() for name in names] == first


def test_counts_json_is_the_document_and_run_json_the_record(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", discs((48, 64)))
    result = run(tmp_path)
    document = json.loads((tmp_path / "counts" / "counts.json").read_text())
    assert document == json.loads(json.dumps(result.as_json()))
    assert document["schema"] == "cellmonai.count/1"
    assert (document["total"], document["partial"], document["groups"]) == (1, False, [])
    image = document["images"][0]
    assert (image["image"], image["plane"], image["count"], image["interval"]) == ("a", "", 1, None)
    assert image["interval_reason"]
    assert {"density_per_mm2", "area_median_px", "area_mean_px", "removed", "flags"} <= set(image)
    record = json.loads((tmp_path / "counts" / "run.json").read_text())
    assert record["schema"] == "cellmonai.run.count/1"
    assert record["images"][0]["status"] == "done"
    assert len(record["images"][0]["sha256"]) == 64


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "good.tif", discs((48, 64)))
    (tmp_path / "masks" / "bad.tif").write_text("no image")
    result = run(tmp_path)
    assert result.total == 1
    assert list(result.failures) == ["bad"]
    document = json.loads((tmp_path / "counts" / "counts.json").read_text())
    assert document["partial"]
    assert document["failures"][0]["image"] == "bad"
    record = json.loads((tmp_path / "counts" / "run.json").read_text())
    assert {(image["image"], image["status"]) for image in record["images"]} == {("good", "done"), ("bad", "failed")}


def test_when_all_fail_there_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    for name in "ab":
        (tmp_path / "masks" / f"{name}.tif").write_text("no image")
    with pytest.raises(InputError, match="none of the 2 inputs"):
        run(tmp_path)
    assert not list((tmp_path / "counts").glob("*.*s*"))


def test_a_colour_picture_is_no_mask(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", np.arange(1800, dtype=np.uint8).reshape(20, 30, 3), photometric="rgb")
    with pytest.raises(InputError):
        run(tmp_path)


def test_a_memory_budget_that_is_too_small_is_said(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", discs((48, 64)))
    with pytest.raises(MemoryBudgetError):
        run(tmp_path, memory=1000)
    assert run(tmp_path, memory=10**8).total == 1


@pytest.mark.parametrize("name", ["counts.csv", "cells.csv", "counts.json", "run.json", "a_labels.tif"])
def test_an_output_that_exists_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    save(tmp_path / "masks" / "a.tif", discs((48, 64)))
    (tmp_path / "counts").mkdir()
    (tmp_path / "counts" / name).write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        run(tmp_path)
    assert [path.name for path in (tmp_path / "counts").iterdir()] == [name]
    assert run(tmp_path, overwrite=True).total == 1


def test_results_are_not_mixed_with_masks(tmp_path: Path) -> None:
    save(tmp_path / "counts" / "a.tif", discs((48, 64)))
    with pytest.raises(UsageError, match="another --output"):
        run(tmp_path, tmp_path / "counts", overwrite=True)


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", discs((48, 64)))
    with folder_lock(tmp_path / "counts"), pytest.raises(LockedError):
        run(tmp_path)


def test_temporary_files_of_a_killed_run_go_with_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cellmonai.core import locks

    save(tmp_path / "masks" / "a.tif", discs((48, 64)))
    left = [tmp_path / "counts" / f".{'0a' * 8}.tmp.csv", tmp_path / "counts" / "audit" / f".{'0b' * 8}.tmp.png"]
    (tmp_path / "counts" / "audit").mkdir(parents=True)
    for path in left:
        path.write_text("half")

    def refuse(descriptor: int, **_: bool) -> None:
        raise OSError("no locks here")

    with monkeypatch.context() as without_locks:  # another run may be writing them
        without_locks.setattr(locks, "_lock", refuse)
        run(tmp_path)
    assert all(path.exists() for path in left)
    run(tmp_path, overwrite=True)
    assert not any(path.exists() for path in left)


@pytest.mark.parametrize(("size", "warned"), [((0.5, 0.5), 0), ((0.5, 0.25), 1), (None, 0)])
def test_pixels_that_are_not_square_are_said_once(
    tmp_path: Path, size: tuple[float, float] | None, warned: int
) -> None:
    for name in "ab":
        save(tmp_path / "masks" / f"{name}.tif", discs((48, 64)))
    reporter = Silent()
    run(tmp_path, reporter=reporter, pixel_size_um=size)
    warnings = [warning for warning in reporter.warnings if warning.code == "pixels_not_square"]
    assert len(warnings) == warned
    assert all("(x 0.25 µm, y 0.5 µm): circularity, eccentricity" in warning.message for warning in warnings)
    assert ("not square" in (tmp_path / "counts" / "report.html").read_text()) == bool(warned)


def test_no_cells_anywhere_is_done_and_explained(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", discs((48, 64), radius=1))
    reporter = Silent()
    assert run(tmp_path, reporter=reporter).total == 0
    (warning,) = [w for w in reporter.warnings if w.code == "no_cells"]
    for reason in ("wrong channel", "scale", "contrast is inverted", "1 object was removed", "has 5 px"):
        assert reason in warning.message


def test_an_inverted_mask_is_suspected(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", ~discs((48, 64), radius=3))
    reporter = Silent()
    run(tmp_path, reporter=reporter)
    assert "mostly_foreground" in [warning.code for warning in reporter.warnings]


def test_ctrl_c_stops_between_files_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import signal

    from cellmonai.workflows.counting import every_plane as story

    for name in "abc":
        save(tmp_path / "masks" / f"{name}.tif", discs((48, 64)))
    real = story.count_plane

    def press_ctrl_c(*arguments: object, **more: object) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return real(*arguments, **more)  # type: ignore[arg-type]

    with (
        monkeypatch.context() as patch,
        pytest.raises(InterruptedRunError, match="which continues"),
    ):
        patch.setattr(story, "count_plane", press_ctrl_c)
        run(tmp_path, threads=1)
    assert not list((tmp_path / "counts").glob("[!.]*"))
    counted = []

    def counting(job: PlaneJob, *arguments: object, **more: object) -> object:
        counted.append(job.stem)
        return real(job, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(story, "count_plane", counting)
    assert len(run(tmp_path, threads=1).images) == 3
    assert counted == ["b", "c"]


def test_ctrl_c_while_overwriting_leaves_the_older_run_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cellmonai.workflows.counting import every_plane as story

    save(tmp_path / "masks" / "a.tif", discs((48, 64)))
    run(tmp_path)
    before = sha256_of(tmp_path / "counts")

    def stopped(*arguments: object, **more: object) -> object:
        raise InterruptedRunError("stopped")

    monkeypatch.setattr(story, "count_plane", stopped)
    with pytest.raises(InterruptedRunError):
        run(tmp_path, overwrite=True)
    assert sha256_of(tmp_path / "counts") == before


def test_cells_csv_names_image_first_and_labels_as_the_label_image(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", discs((20, 20), (60, 90)))
    run(tmp_path)
    table = rows(tmp_path / "counts" / "cells.csv")
    assert list(table[0])[:3] == ["image", "plane", "label"]
    labels = tifffile.imread(tmp_path / "counts" / "a_labels.tif")
    for cell in table:
        assert labels[round(float(cell["centroid_y_px"])), round(float(cell["centroid_x_px"]))] == int(cell["label"])
        assert int(cell["area_px"]) == (labels == int(cell["label"])).sum()
