"""Label stacks: cells that run through planes are counted once, and the user is told which was done."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from painting import Disc, paint

from cellmonai.core.errors import InputError, OutputError, UsageError
from cellmonai.core.progress import Silent
from cellmonai.images.open import open_image
from cellmonai.workflows.count import CountResult, count
from cellmonai.workflows.counting.settings import CountSettings
from cellmonai.workflows.evaluate import evaluate
from cellmonai.workflows.evaluating.result import EvaluateSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Saver = Callable[..., None]

SHAPE = (60, 150)
RADII = {7: (5, 7, 8, 7, 5), 3: (0, 4, 6, 0, 0), 12: (0, 0, 0, 5, 0), 5: (3, 3, 3, 3, 3)}  # by id, on each plane


def volume() -> NDArray[np.uint16]:
    """Four cells beside each other, of which two are on all planes, one on two, and one on a single one."""
    stack = np.zeros((5, *SHAPE), np.uint16)
    for place, (label, radii) in enumerate(RADII.items()):
        for z, radius in enumerate(radii):
            if radius:
                stack[z][paint([Disc(20, 20 + 35 * place, radius)], SHAPE) > 0] = label
    return stack


def restarting() -> NDArray[np.uint16]:
    """The same cells, numbered anew on each plane, in turn from the left and from the right."""
    stack = volume()
    for z, plane in enumerate(stack):
        present = np.setdiff1d(plane, [0])
        order = sorted(present, key=lambda label: int(np.nonzero(plane == label)[1].min()), reverse=bool(z % 2))
        numbers = np.zeros(13, np.uint16)
        numbers[order] = np.arange(1, len(order) + 1)
        stack[z] = numbers[plane]
    return stack


def in_imagej(path: Path, stack: NDArray[Any], **metadata: Any) -> None:  # noqa: ANN401 - as tifffile takes it
    facts = {"axes": "ZYX", **metadata}
    sizes = {"resolution": (2, 2)} if "unit" in metadata else {}
    tifffile.imwrite(path, stack, imagej=True, metadata=facts, **sizes)


def in_ome(path: Path, stack: NDArray[Any], **metadata: Any) -> None:  # noqa: ANN401 - as tifffile takes it
    tifffile.imwrite(path, stack, ome=True, metadata={"axes": "ZYX", **metadata})


def in_pages(path: Path, stack: NDArray[Any]) -> None:
    """Save as napari and scikit-image do."""
    tifffile.imwrite(path, stack, photometric="minisblack")


def in_bare_pages(path: Path, stack: NDArray[Any]) -> None:
    with tifffile.TiffWriter(path) as tif:
        for plane in stack:
            tif.write(plane, metadata=None)


def run(folder: Path, reporter: Silent | None = None, **options: Any) -> CountResult:  # noqa: ANN401 - any setting
    how = {"report": False, "kind": "labels", **options}
    return count([folder / "masks"], settings=CountSettings(output=folder / "counts", **how), reporter=reporter)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    (tmp_path / "masks").mkdir()
    return tmp_path / "masks"


@pytest.mark.parametrize(
    ("save", "warned"),
    [
        pytest.param(in_imagej, [], id="slices of ImageJ"),
        pytest.param(in_ome, [], id="OME-TIFF"),
        pytest.param(in_pages, ["volume_assumed"], id="pages without a name"),
        pytest.param(in_bare_pages, ["volume_assumed"], id="pages without any description"),
    ],
)
@pytest.mark.parametrize("kind", ["auto", "labels"])
def test_cells_of_a_volume_are_counted_once(masks: Path, save: Saver, warned: list[str], kind: str) -> None:
    save(masks / "a.tif", volume())
    reporter = Silent()
    result = run(masks.parent, reporter, kind=kind)
    assert [(row.image, row.plane, row.planes, row.count) for row in result.images] == [("a", "", 5, 4)]
    assert [warning.code for warning in reporter.warnings] == warned
    table = rows(masks.parent / "counts" / "cells.csv")
    assert [int(row["area_px"]) for row in table] == [197, 29, 113, 81]
    assert [int(row["volume_px"]) for row in table] == [657, 145, 162, 81]
    assert [int(row["planes"]) for row in table] == [5, 5, 2, 1]
    assert "volume_um3" not in table[0]


def test_rows_say_where_a_cell_lies_and_how_large_it_is(masks: Path) -> None:
    in_imagej(masks / "a.tif", volume(), spacing=2.0, unit="um")
    run(masks.parent)
    (whole,) = rows(masks.parent / "counts" / "counts.csv")
    assert (whole["plane"], whole["planes"], whole["count"]) == ("", "5", "4")
    table = rows(masks.parent / "counts" / "cells.csv")
    places = [[row[name] for name in ("label", "plane", "first_plane", "last_plane")] for row in table]
    # by first voxel: two cells begin on the first plane, one on the second, one on the fourth
    assert places == [
        ["1", "z2", "z0", "z4"],
        ["2", "z0", "z0", "z4"],
        ["3", "z2", "z1", "z2"],
        ["4", "z3", "z3", "z3"],
    ]
    assert [float(row["volume_um3"]) for row in table] == [float(row["volume_px"]) * 0.5 for row in table]


@pytest.mark.parametrize(
    ("save", "facts"),
    [
        pytest.param(in_imagej, {"spacing": 3.0, "unit": "um"}, id="ImageJ"),
        pytest.param(
            in_ome,
            {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 3000, "PhysicalSizeZUnit": "nm"},
            id="OME",
        ),
    ],
)
def test_the_step_between_planes_is_read(masks: Path, save: Saver, facts: dict[str, Any]) -> None:
    save(masks / "a.tif", volume(), **facts)
    with open_image(masks / "a.tif") as source:
        assert (source.pixel_size_um, source.z_step_um) == ((0.5, 0.5), 3.0)


def test_planes_are_counted_by_themselves_when_asked_for(masks: Path) -> None:
    in_imagej(masks / "a.tif", volume())
    result = run(masks.parent, per_plane=True)
    assert [(row.plane, row.planes, row.count) for row in result.images] == [
        (f"z{z}", None, sum(1 for radii in RADII.values() if radii[z])) for z in range(5)
    ]
    assert "volume_px" not in rows(masks.parent / "counts" / "cells.csv")[0]


@pytest.mark.parametrize(
    ("save", "warned"),
    [pytest.param(in_imagej, ["planes_apart"], id="slices"), pytest.param(in_pages, [], id="pages without a name")],
)
def test_ids_that_begin_anew_on_each_plane_are_counted_per_plane_and_told(
    masks: Path,
    save: Saver,
    warned: list[str],
) -> None:
    save(masks / "a.tif", restarting())
    reporter = Silent()
    result = run(masks.parent, reporter)
    assert [row.count for row in result.images] == [2, 3, 3, 3, 2]
    assert [warning.code for warning in reporter.warnings] == warned
    assert not warned or "sections, not of cells" in reporter.warnings[0].message


def test_times_stay_apart(masks: Path) -> None:
    tracked = np.stack([volume()[2]] * 3)
    in_imagej(masks / "a.tif", tracked, axes="TYX")
    reporter = Silent()
    assert [row.count for row in run(masks.parent, reporter).images] == [3, 3, 3]
    assert not reporter.warnings


def test_each_time_of_a_series_of_volumes_has_a_row(masks: Path) -> None:
    later = np.where(volume() == 3, 0, volume())
    in_imagej(masks / "a.tif", np.stack([volume(), later]), axes="TZYX")
    result = run(masks.parent)
    assert [(row.plane, row.planes, row.count) for row in result.images] == [("t0", 5, 4), ("t1", 5, 3)]
    assert {row["plane"] for row in rows(masks.parent / "counts" / "cells.csv")} >= {"t0_z2", "t1_z2"}


def test_labels_are_one_number_on_all_planes(masks: Path) -> None:
    in_imagej(masks / "a.tif", volume())
    result = run(masks.parent, save=("geojson", "rois"), min_area="50px")
    assert (result.total, result.images[0].removed["min_area"]) == (3, 1)
    assert set(result.images[0].outputs) == {
        "a_labels.tif",
        *(f"a_z{z}{ending}" for z in range(5) for ending in (".geojson", "_rois.zip")),
    }
    numbers = {7: 1, 3: 2, 12: 3}
    painted = tifffile.imread(masks.parent / "counts" / "a_labels.tif")
    for z, plane in enumerate(volume()):
        expected = np.select([plane == label for label in numbers], list(numbers.values()), 0)
        np.testing.assert_array_equal(painted[z], expected)
        features = json.loads((masks.parent / "counts" / f"a_z{z}.geojson").read_text())["features"]
        assert [int(feature["properties"]["name"]) for feature in features] == np.setdiff1d(expected, [0]).tolist()


def test_what_count_writes_of_a_volume_is_counted_and_compared_as_that_volume(masks: Path) -> None:
    in_imagej(masks / "a.tif", volume(), spacing=2.0, unit="um")
    run(masks.parent)
    with open_image(masks.parent / "counts" / "a_labels.tif") as source:
        assert (source.pixel_size_um, source.z_step_um, source.planes) == (
            (0.5, 0.5),
            2.0,
            ("z0", "z1", "z2", "z3", "z4"),
        )
    again = CountSettings(output=masks.parent / "again", report=False)
    assert count([masks.parent / "counts" / "a_labels.tif"], settings=again).total == 4
    reporter = Silent()
    compared = evaluate(masks.parent / "counts", masks, settings=EvaluateSettings(), reporter=reporter)
    assert [image.scores.true_count for image in compared.images] == [2, 3, 3, 3, 2]
    assert compared.summary["f1_50"] == 1.0


def test_an_older_stack_is_refused_before_anything_is_counted(masks: Path) -> None:
    in_imagej(masks / "a.tif", volume())
    run(masks.parent)
    for name in ("counts.csv", "cells.csv", "counts.json", "run.json"):
        (masks.parent / "counts" / name).unlink()
    with pytest.raises(OutputError, match=r"a_labels\.tif"):
        run(masks.parent)
    assert not (masks.parent / "counts" / "cells.csv").exists()


def test_stacks_never_take_the_name_of_another_mask(masks: Path) -> None:
    in_imagej(masks / "a.tif", np.stack([volume(), volume()]), axes="TZYX")
    tifffile.imwrite(masks / "a_t0.tif", volume()[2])
    result = run(masks.parent)
    assert [row.count for row in result.images] == [4, 4, 3]
    assert [row.outputs[0] for row in result.images] == [
        "a_t0_volume0_labels.tif",
        "a_t1_labels.tif",
        "a_t0_labels.tif",
    ]


def test_an_id_that_leaves_planes_out_is_one_cell_and_told(masks: Path) -> None:
    gap = volume()
    gap[2][gap[2] == 7] = 0
    in_imagej(masks / "a.tif", gap)
    reporter = Silent()
    assert run(masks.parent, reporter).total == 4
    assert [warning.code for warning in reporter.warnings] == ["extra_pieces"]


def test_a_volume_with_cells_on_one_plane_only_is_a_volume(masks: Path) -> None:
    flat = volume()
    flat[[0, 1, 3, 4]] = 0
    in_imagej(masks / "a.tif", flat)
    assert [(row.planes, row.count) for row in run(masks.parent).images] == [(5, 3)]


def test_a_volume_that_begins_with_empty_planes_is_no_mask(masks: Path) -> None:
    in_imagej(masks / "a.tif", np.concatenate([np.zeros_like(volume()), volume(), np.zeros_like(volume())]))
    reporter = Silent()
    result = run(masks.parent, reporter, kind="auto")
    assert [(row.planes, row.count) for row in result.images] == [(15, 4)]
    assert not reporter.warnings


@pytest.mark.parametrize(
    ("value", "counts"), [(7, [1]), (255, [1, 1, 2, 1, 1])], ids=["one cell", "a mask among label images"]
)
def test_one_value_in_pieces_on_a_plane_is_a_cell_or_a_mask(masks: Path, value: int, counts: list[int]) -> None:
    stack = np.zeros((5, *SHAPE), np.uint8)
    stack[:, 10:20, 10:20] = stack[2, 10:20, 40:50] = value
    in_imagej(masks / "a.tif", stack)
    tifffile.imwrite(masks / "b.tif", volume()[2])
    assert [row.count for row in run(masks.parent, kind="auto").images] == [*counts, 3]


def test_a_volume_with_one_label_on_each_plane_is_no_mask(masks: Path) -> None:
    stack = np.zeros((5, *SHAPE), np.uint8)
    for z, label in enumerate([1, 1, 2, 2, 3]):
        stack[z, 10:20, 10:20] = label
    in_imagej(masks / "a.tif", stack)
    assert [(row.planes, row.count) for row in run(masks.parent, kind="auto").images] == [(5, 3)]


def test_filters_that_leave_no_cell_of_a_volume_are_told(masks: Path) -> None:
    in_imagej(masks / "a.tif", volume())
    reporter = Silent()
    result = run(masks.parent, reporter, min_area="1000px")
    assert (result.total, result.images[0].removed["min_area"]) == (0, 4)
    assert [warning.code for warning in reporter.warnings] == ["no_cells"]


def test_a_volume_without_cells_counts_none(masks: Path) -> None:
    in_imagej(masks / "a.tif", np.zeros_like(volume()))
    assert [(row.planes, row.count) for row in run(masks.parent).images] == [(5, 0)]
    assert rows(masks.parent / "counts" / "cells.csv") == []


def test_masks_with_depths_are_counted_per_plane_and_told(masks: Path) -> None:
    in_imagej(masks / "a.tif", (volume() > 0).astype(np.uint8) * 255)
    reporter = Silent()
    assert [row.count for row in run(masks.parent, reporter, kind="auto").images] == [2, 3, 3, 3, 2]
    assert [warning.code for warning in reporter.warnings] == ["planes_apart"]


def test_a_stack_of_pictures_is_no_volume(masks: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (4, 64, 64), np.uint8)
    in_imagej(masks / "a.tif", noise)
    with pytest.raises(InputError, match="looks like a picture"):
        run(masks.parent, kind="auto")


def test_images_of_a_volume_give_pictures_and_intensities_of_each_plane(masks: Path) -> None:
    in_imagej(masks / "a.tif", volume())
    (masks.parent / "images").mkdir()
    brightness = 100 * (1 + np.arange(5, dtype=np.uint16))[:, None, None]
    in_imagej(masks.parent / "images" / "a.tif", np.broadcast_to(brightness, (5, *SHAPE)).astype(np.uint16))
    result = run(masks.parent, images=masks.parent / "images", report=True)
    assert sum(name.endswith("_overlay.png") for name in result.images[0].outputs) == 5
    means = [float(row["intensity_mean_0"]) for row in rows(masks.parent / "counts" / "cells.csv")]
    assert means == [300, 100, 300, 400]  # of the planes of the largest sections
    assert (masks.parent / "counts" / "report.html").stat().st_size > 1000


def test_volumes_and_planes_share_a_table(masks: Path) -> None:
    in_imagej(masks / "a.tif", volume())
    tifffile.imwrite(masks / "b.tif", volume()[2])
    pytest.importorskip("pyarrow")
    result = run(masks.parent, save=("parquet",), name_pattern="{dish}")
    assert [(row.image, row.planes, row.count) for row in result.images] == [("a", 5, 4), ("b", None, 3)]
    table = rows(masks.parent / "counts" / "cells.csv")
    assert [row["volume_px"] for row in table] == ["657", "145", "162", "81", "", "", ""]
    from pyarrow.parquet import read_table

    columns = read_table(masks.parent / "counts" / "cells.parquet").to_pydict()
    assert columns["plane"] == [row["plane"] for row in table]
    assert columns["volume_px"] == [657, 145, 162, 81, None, None, None]


def test_an_audit_of_a_volume_is_refused_with_the_cure(masks: Path) -> None:
    in_imagej(masks / "a.tif", volume())
    (masks.parent / "images").mkdir()
    in_imagej(masks.parent / "images" / "a.tif", volume())
    with pytest.raises(UsageError, match="--per-plane"):
        run(masks.parent, images=masks.parent / "images", audit=2)


def test_intervals_of_volumes_are_withheld_with_the_reason(masks: Path) -> None:
    in_imagej(masks / "a.tif", volume())
    (row,) = run(masks.parent).as_json()["images"]
    assert row["interval"] is None
    assert "volume" in row["interval_reason"]
