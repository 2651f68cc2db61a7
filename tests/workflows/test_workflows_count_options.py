"""Options of counting: each changes what it says, or is refused; files in parallel give what files in turn give."""

from __future__ import annotations

import csv
import json
import os
import signal
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from cellmonai.core.errors import InputError, InterruptedRunError, MemoryBudgetError, OutputError, UsageError
from cellmonai.core.progress import Silent
from cellmonai.images.open import open_image
from cellmonai.workflows.count import CountResult, count
from cellmonai.workflows.counting import every_plane
from cellmonai.workflows.counting import masks as count_masks
from cellmonai.workflows.counting.settings import CountSettings
from cellmonai.workflows.counting.units import parse_length_px, parse_pixel_size
from cellmonai.workflows.in_order import in_order

if TYPE_CHECKING:
    from pathlib import Path


def field(seed: int, *, cells: int = 20, shape: tuple[int, int] = (120, 160)) -> np.ndarray:
    random, mask = np.random.default_rng(seed), np.zeros(shape, bool)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    for row, column in random.uniform(0, shape, (cells, 2)):
        mask |= (rows - row) ** 2 + (columns - column) ** 2 <= 49
    return mask


def save(path: Path, array: np.ndarray, **options: Any) -> Path:  # noqa: ANN401
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array * np.uint8(255) if array.dtype == bool else array, **options)
    return path


def fields(folder: Path, *names: str, images: bool = False) -> Path:
    for seed, name in enumerate(names):
        save(folder / "masks" / f"{name}.tif", field(seed))
        if images:
            save(folder / "images" / f"{name}.tif", field(seed) * np.uint8(90) + np.uint8(seed))
    return folder


def run(folder: Path, *inputs: Path, reporter: Silent | None = None, **options: object) -> CountResult:
    how = CountSettings(**({"output": folder / "counts", "report": False} | options))  # type: ignore[arg-type]
    return count(inputs or [folder / "masks"], settings=how, reporter=reporter)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the records, which hold the time."""
    timed = {"run.json", "counts.json", "report.html", ".cellmonai.lock"}
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in timed}


def test_files_in_parallel_give_what_files_in_turn_give(tmp_path: Path) -> None:
    fields(tmp_path, *"abcdefgh", images=True)
    save(tmp_path / "masks" / "bad.tif", np.full((120, 160), 0.5, np.float32))
    save(tmp_path / "images" / "bad.tif", field(0))
    results, heard = [], []
    for threads in (1, 4):
        reporter = Silent()
        options: dict[str, Any] = {"save": ("geojson", "rois"), "overwrite": True}
        output = tmp_path / f"counts{threads}"
        results.append(
            run(tmp_path, threads=threads, reporter=reporter, output=output, images=tmp_path / "images", **options)
        )
        heard.append(reporter.warnings)
    assert results[0].images == results[1].images
    assert results[0].failures == results[1].failures
    assert [w.code for w in heard[0]] == [w.code for w in heard[1]] == ["failed"]
    assert contents(tmp_path / "counts1") == contents(tmp_path / "counts4")


@pytest.mark.parametrize("options", [{}, {"tile": (64, 64), "compression": "zlib"}], ids=["strips", "tiles"])
def test_a_mask_read_in_rows_gives_what_one_in_memory_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    save(tmp_path / "masks" / "a.tif", field(0, cells=200, shape=(700, 500)), **options)
    run(tmp_path, output=tmp_path / "whole")
    monkeypatch.setattr(count_masks, "SMALL_BYTES", 1000)
    monkeypatch.setattr(every_plane, "_LARGE_PX", 1000)
    run(tmp_path, output=tmp_path / "rows", threads=2)
    assert contents(tmp_path / "whole") == contents(tmp_path / "rows")


def test_planes_of_a_large_stack_are_counted_in_parallel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count_masks, "SMALL_BYTES", 1000)
    stack = np.stack([field(seed) for seed in range(6)]).astype(np.uint8)
    (tmp_path / "masks").mkdir()
    tifffile.imwrite(tmp_path / "masks" / "a.ome.tif", stack, metadata={"axes": "TYX"}, compression="zlib")
    one, many = run(tmp_path, threads=1), run(tmp_path, threads=4, overwrite=True)
    assert one.images == many.images
    assert len(one.images) == 6


def test_tasks_come_in_order_and_few_wait(tmp_path: Path) -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        return item * 2

    results = in_order(work, range(100), threads=3)
    assert next(results) == 0
    assert len(begun) <= 7
    assert list(results) == [2 * item for item in range(1, 100)]


def test_an_error_stops_the_rest(tmp_path: Path) -> None:
    def work(item: int) -> int:
        if item == 2:
            raise ValueError("two")
        return item

    with pytest.raises(ValueError, match="two"):
        list(in_order(work, range(100), threads=3))


def test_ctrl_c_stops_within_a_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "masks" / "a.tif", field(0))
    monkeypatch.setattr(count_masks, "SMALL_BYTES", 1000)
    real = every_plane.count_plane

    def press_ctrl_c(*arguments: object, **more: object) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return real(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(every_plane, "count_plane", press_ctrl_c)
    with pytest.raises(InterruptedRunError, match="same command again, which continues"):
        run(tmp_path)
    assert not list((tmp_path / "counts").glob("[!.]*"))


@pytest.mark.parametrize("split", ["auto", "learned", "markers", "none"])
def test_every_way_of_splitting_counts_and_is_recorded(tmp_path: Path, split: str) -> None:
    save(tmp_path / "masks" / "a.tif", field(3))
    result = run(tmp_path, split=split)
    assert result.parameters["split"] == split
    assert result.parameters["kernel"] in {"c", "numpy"}
    assert result.total > 5


def test_markers_that_must_lie_farther_apart_are_fewer(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", field(3))
    close = run(tmp_path, split="markers", min_distance="2px")
    apart = run(tmp_path, split="markers", min_distance="10um", pixel_size_um=(0.5, 0.5), overwrite=True)
    assert (close.parameters["min_distance"], apart.parameters["min_distance"]) == ("2px", "10um")
    assert apart.total < close.total


def test_a_preset_counts_as_the_system_did(tmp_path: Path) -> None:
    from cellmonai.instances.presets.catalogue import run_preset

    save(tmp_path / "masks" / "a.tif", field(3, shape=(200, 240)))
    result = run(tmp_path, preset="tashfeen")
    labels = run_preset("tashfeen", field(3, shape=(200, 240)))
    assert result.total >= len(np.unique(labels)) - 1 > 0
    assert result.parameters["preset"] == "tashfeen"
    assert "split" not in result.parameters


def border_mask() -> np.ndarray:
    """One cell within, one at the top, one at the left, one at the bottom and two at the right."""
    mask = np.zeros((60, 80), bool)
    for row, column in [(30, 30), (0, 40), (30, 0), (54, 20), (20, 74), (40, 74)]:
        mask[row : row + 6, column : column + 6] = True
    return mask


@pytest.mark.parametrize(("border", "expected"), [("keep", 6), ("exclude", 1), ("frame", 4)])
def test_every_border_rule_gives_its_count_and_those_of_the_others(tmp_path: Path, border: str, expected: int) -> None:
    save(tmp_path / "masks" / "a.tif", border_mask())
    image = run(tmp_path, border=border, pixel_size_um=(1.0, 1.0)).images[0]
    assert (image.count, image.border_rule) == (expected, border)
    assert image.density_per_mm2 == pytest.approx(expected / (60 * 80e-6))
    assert dict(image.at_border_rule) == {"keep": 6, "exclude": 1, "frame": 4}
    row = rows(tmp_path / "counts" / "counts.csv")[0]
    assert [row[f"count_border_{rule}"] for rule in ("keep", "exclude", "frame")] == ["6", "1", "4"]
    assert float(row["analysed_area_mm2"]) == pytest.approx(0.0048)


def test_more_files_are_saved_when_asked_for(tmp_path: Path) -> None:
    fields(tmp_path, "a", "b")
    result = run(tmp_path, save=("geojson", "rois"))
    for image in result.images:
        features = json.loads((tmp_path / "counts" / f"{image.image}.geojson").read_text())["features"]
        with zipfile.ZipFile(tmp_path / "counts" / f"{image.image}_rois.zip") as archive:
            assert len(features) == len(archive.namelist()) == image.count
    assert {path.removeprefix(f"{(tmp_path / 'counts').as_posix()}/") for path in result.outputs} == {
        path.name for path in (tmp_path / "counts").glob("[!.]*")
    }


def test_parquet_holds_what_cells_csv_holds(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    fields(tmp_path, "a", "b")
    save(tmp_path / "images" / "a.tif", field(0) * np.uint8(9))
    run(tmp_path, save=("parquet",), images=tmp_path / "images")
    table = parquet.read_table(tmp_path / "counts" / "cells.parquet").to_pydict()
    cells = rows(tmp_path / "counts" / "cells.csv")
    assert list(table) == list(cells[0])
    assert table["image"] == [cell["image"] for cell in cells]
    assert table["area_px"] == [int(cell["area_px"]) for cell in cells]
    assert table["intensity_mean_0"].count(None) == sum(cell["image"] == "b" for cell in cells)


def test_parquet_without_its_package_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    from cellmonai.workflows.counting import settings as count_settings

    monkeypatch.setattr(count_settings, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install"):
        CountSettings(save=("parquet",))


def test_columns_of_images_with_and_without_pixel_size_stand_side_by_side(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", field(0))
    save(tmp_path / "masks" / "b.tif", field(1), resolution=(10_000, 10_000), resolutionunit="CENTIMETER")
    run(tmp_path)
    cells = rows(tmp_path / "counts" / "cells.csv")
    columns = list(cells[0])
    assert columns.index("area_um2") == columns.index("area_px") + 1
    assert {(cell["image"], bool(cell["area_um2"])) for cell in cells} == {("a", False), ("b", True)}


def test_names_give_groups_with_a_table(tmp_path: Path) -> None:
    fields(tmp_path, "P1_A1_1", "P1_A1_2", "P1_B2_1", "P1_B2_2")
    result = run(tmp_path, name_pattern="{plate}_{well}_{site}")
    assert dict(result.images[0].attributes) == {"plate": "P1", "well": "A01", "site": "1"}
    assert [row["well"] for row in rows(tmp_path / "counts" / "counts.csv")] == ["A01", "A01", "B02", "B02"]
    document = json.loads((tmp_path / "counts" / "counts.json").read_text())
    assert {group["level"] for group in document["groups"]} == {"plate", "well"}
    assert sum(g["sum"] for g in document["groups"] if g["level"] == "well") == result.total
    assert len(rows(tmp_path / "counts" / "groups.csv")) == 3
    assert (tmp_path / "counts" / "plate.png").is_file()
    with pytest.raises(OutputError, match=r"plate\.png"):
        run(tmp_path, name_pattern="{plate}_{well}_{site}", output=tmp_path / "counts")
    assert run(tmp_path, name_pattern="{plate}_{well}_{site}", overwrite=True).total == result.total


def test_a_sheet_gives_groups_too(tmp_path: Path) -> None:
    fields(tmp_path, "a", "b", "c")
    (tmp_path / "sheet.csv").write_text("image,treatment\na,drug\nb,drug\nc,none\n")
    result = run(tmp_path, sheet=tmp_path / "sheet.csv", group_by=("treatment",))
    sums = {group.group["treatment"]: group.sum for group in result.groups}
    assert sums == {"drug": result.images[0].count + result.images[1].count, "none": result.images[2].count}


def test_a_group_of_one_is_warned_of(tmp_path: Path) -> None:
    fields(tmp_path, "A1_1", "A2_1")
    reporter = Silent()
    run(tmp_path, name_pattern="{well}_{site}", reporter=reporter)
    assert "group" in {warning.code for warning in reporter.warnings}


def test_an_audit_is_drawn_and_read(tmp_path: Path) -> None:
    from cellmonai.workflows.auditing.reading import read_audit

    fields(tmp_path, "a", "b", images=True)
    result = run(tmp_path, images=tmp_path / "images", audit=2, audit_unit="fields", audit_seed=1)
    assert result.audit is not None
    assert result.as_json()["audit"]["drawn"] == 2
    sheet = tmp_path / "counts" / "audit" / "audit.csv"
    assert sheet.as_posix() in result.outputs
    lines = sheet.read_text().splitlines()
    head = lines[next(i for i, line in enumerate(lines) if "true_count" in line)]
    column = head.split(",").index("true_count")
    counts = iter([str(image.count) for image in result.images])
    start = lines.index(head) + 1
    for i in range(start, len(lines)):
        words = lines[i].split(",")
        words[column] = next(counts)
        lines[i] = ",".join(words)
    sheet.write_text("\n".join(lines) + "\n")
    assert read_audit(tmp_path / "counts").units == 2


def test_an_audit_without_images_is_refused_before_any_work(tmp_path: Path) -> None:
    fields(tmp_path, "a")
    with pytest.raises(InputError, match="--images"):
        run(tmp_path, audit=3)
    assert not (tmp_path / "counts").exists()


def test_an_audit_that_somebody_fills_stops_a_new_one_before_any_work(tmp_path: Path) -> None:
    fields(tmp_path, "a", images=True)
    how: dict[str, Any] = {"images": tmp_path / "images", "audit": 1, "audit_unit": "fields"}
    run(tmp_path, **how)
    counts, sheet = tmp_path / "counts" / "counts.csv", tmp_path / "counts" / "audit" / "audit.csv"
    for path in (tmp_path / "counts").glob("*.*"):  # the audit alone is in the way as well
        path.rename(tmp_path / path.name)
    with pytest.raises(OutputError, match=r"audit\.csv"):
        run(tmp_path, **how)
    assert not counts.exists()
    for path in tmp_path.glob("*.*"):
        path.rename(tmp_path / "counts" / path.name)
    before = counts.stat().st_mtime_ns
    sheet.write_text(sheet.read_text().replace("001.png,", "001.png,7"))
    with pytest.raises(OutputError, match="begun to fill"):
        run(tmp_path, overwrite=True, **how)
    assert counts.stat().st_mtime_ns == before


@pytest.mark.parametrize("border", ["exclude", "frame"])
def test_an_audit_corrects_the_count_of_every_cell_or_is_refused(tmp_path: Path, border: str) -> None:
    fields(tmp_path, "a", images=True)
    with pytest.raises(UsageError, match=f"every cell, and --border {border} leaves cells out"):
        run(tmp_path, images=tmp_path / "images", audit=3, border=border)
    assert not (tmp_path / "counts").exists()


def test_an_audit_draws_tiles_of_the_size_asked_for(tmp_path: Path) -> None:
    fields(tmp_path, "a", "b", images=True)
    result = run(tmp_path, images=tmp_path / "images", audit=2, audit_tile=40)
    assert result.audit is not None
    boxes = result.audit.record.frame.boxes[:, 1:]
    assert len(boxes) == 2 * 3 * 4
    assert {(bottom - top, right - left) for top, left, bottom, right in boxes.tolist()} == {(40, 40)}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"audit_tile": 64}, "--audit 30"),
        ({"audit_unit": "fields"}, "--audit 30"),
        ({"audit_strata": 2}, "--audit 30"),
        ({"audit": 0}, "--audit"),
        ({"audit": 3, "audit_tile": 0}, "--audit-tile"),
        ({"audit": 3, "audit_tile": 64, "audit_unit": "fields"}, "no tile size"),
    ],
)
def test_options_of_an_audit_are_honoured_or_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        CountSettings(**options)


def test_the_report_is_written_unless_left_out(tmp_path: Path) -> None:
    fields(tmp_path, "a", images=True)
    run(tmp_path, report=True, images=tmp_path / "images")
    page = (tmp_path / "counts" / "report.html").read_text()
    assert "data:image/" in page
    run(tmp_path, report=False, overwrite=True, output=tmp_path / "without")
    assert not (tmp_path / "without" / "report.html").exists()


def test_without_calibration_there_is_a_reason(tmp_path: Path) -> None:
    fields(tmp_path, "a")
    image = run(tmp_path).as_json()["images"][0]
    assert image["interval"] is None
    assert "do not come from cellmonai infer" in image["interval_reason"]


def test_a_large_overlay_is_drawn_in_strips(tmp_path: Path) -> None:
    shape = (5000, 300)
    save(tmp_path / "masks" / "a.tif", field(0, cells=50, shape=shape))
    save(tmp_path / "images" / "a.tif", field(0, cells=50, shape=shape) * np.uint8(99))
    run(tmp_path, images=tmp_path / "images")
    with open_image(tmp_path / "counts" / "a_overlay.png") as picture:
        assert max(picture.shape[1:]) == 4096


def test_a_preset_over_the_memory_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.tif", field(0, shape=(600, 600)))
    with pytest.raises(MemoryBudgetError, match="morelli2021"):
        run(tmp_path, preset="morelli2021", memory=2 * 2**20)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0.65", (0.65, 0.65)), ("0.65,0.325", (0.325, 0.65)), ("1 , 2", (2.0, 1.0)), ("1x2", (2.0, 1.0))],
)
def test_pixel_sizes_are_typed_as_x_and_y(text: str, size: tuple[float, float]) -> None:
    assert parse_pixel_size(text) == size


@pytest.mark.parametrize("text", ["", "a", "0", "-1", "1,2,3", "inf", "nan", "1,"])
def test_what_is_no_pixel_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--pixel-size"):
        parse_pixel_size(text)


def test_lengths_are_given_in_px() -> None:
    assert parse_length_px("7", None) == parse_length_px("7 px", None) == 7
    assert parse_length_px("3um", (0.5, 0.5)) == 6
    assert parse_length_px("3µm", (0.25, 1.0)) == 6
    for text, pixel_size in (("3um", None), ("far", None), ("3um2", (1.0, 1.0)), ("-3", None)):
        with pytest.raises(UsageError):
            parse_length_px(text, pixel_size)


def calibrated(folder: Path) -> Path:
    """Leave what `infer` leaves with a model that carries a calibration of 25 groups."""
    from cellmonai.core.files import sha256_of
    from cellmonai.images.normalise import Normalisation
    from cellmonai.images.write import write_mask
    from cellmonai.instances.find import find_instances
    from cellmonai.instances.settings import InstanceSettings
    from cellmonai.measure.intervals.features import count_features, image_features
    from cellmonai.models.calibration import CalibrationImage, make_calibration
    from cellmonai.models.file import ModelCard, write_model

    point, size = InstanceSettings(), (0.5, 0.5)
    images = []
    for group in range(25):
        mask = field(100 + group)
        picture = mask * np.uint8(90) + np.uint8(9)
        areas = np.bincount(find_instances(mask, point).labels.ravel())[1:]
        features = image_features(picture, pixel_size_um=size) | count_features(areas, mask.shape)
        images.append(CalibrationImage(areas.size, areas.size + group % 5 - 2, f"g{group}", mask.shape, size, features))
    how: dict[str, str | bool] = {"stitch": "exact", "invert": False}
    block = make_calibration(images, phi=0.05, operating_point=point.as_json(), inference=how)
    card = ModelCard(
        network="monai_attention_unet",
        parameters={},
        channels=1,
        channel_names=("nuclei",),
        normalisation=Normalisation(),
        operating_point=point.as_json(),
        radius_px=10,
        divisor=8,
        tile_exact=True,
        calibration=block.as_json(),
    )
    model = folder / "model.safetensors"
    write_model(model, card, {"weight": np.zeros(3, np.float32)})
    (folder / "masks").mkdir()
    write_mask(folder / "masks" / "a_mask.tif", field(3), pixel_size_um=size, overwrite=False)
    save(folder / "images" / "a.tif", field(3) * np.uint8(90) + np.uint8(9))
    entry = {"image": str(folder / "images" / "a.tif"), "plane": "", "mask": "a_mask.tif", "status": "done"}
    record = {
        "schema": "cellmonai.run.infer/1",
        "ended": "2026-01-01T00:00:00+00:00",
        "operating_point": point.as_json(),
        "model": {"path": str(model), "sha256": sha256_of(model)},
        "images": [{**entry, "maps": None, "pixel_size_um": list(size)}],
        **how,
    }
    (folder / "masks" / "run.json").write_text(json.dumps(record))
    return folder


def test_the_interval_of_the_model_stands_in_every_table(tmp_path: Path) -> None:
    image = run(calibrated(tmp_path)).images[0]
    assert image.interval_reason is None
    assert image.interval is not None
    assert image.interval[0] <= image.count <= image.interval[1]
    row = rows(tmp_path / "counts" / "counts.csv")[0]
    assert (int(row["interval_low"]), int(row["interval_high"])) == image.interval
    narrow = run(tmp_path, level=0.8, overwrite=True).images[0].interval
    assert narrow is not None
    assert narrow[1] - narrow[0] <= image.interval[1] - image.interval[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"min_area": "30px"}, "another operating point"),
        ({"preset": "tashfeen"}, "--preset tashfeen"),
        ({"kind": "labels"}, "--kind labels"),
        ({"split": "markers"}, "another operating point"),
    ],
)
def test_what_was_not_calibrated_has_no_interval(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    image = run(calibrated(tmp_path), **options).images[0]
    assert image.interval is None
    assert words in (image.interval_reason or "")


def test_a_count_split_along_a_map_has_no_interval_of_a_calibration_without_it(tmp_path: Path) -> None:
    from cellmonai.images.write import write_maps

    folder = calibrated(tmp_path) / "masks"
    maps = np.stack([field(3), field(3)]).astype(np.float32)
    write_maps(folder / "a_maps.zarr", maps, names=("foreground", "centre"), pixel_size_um=None, overwrite=False)
    record = json.loads((folder / "run.json").read_text())
    record["images"][0]["maps"] = "a_maps.zarr"
    (folder / "run.json").write_text(json.dumps(record))
    result = run(tmp_path)
    assert result.parameters["landscape"] == "centre map"
    assert result.images[0].interval is None
    assert "split along the centre map" in (result.images[0].interval_reason or "")
