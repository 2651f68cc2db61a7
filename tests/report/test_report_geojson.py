"""GeoJSON as QuPath wants it: valid rings, ids that stay, finite measurements, a feature per line."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from painting import Disc, paint, scattered_discs

from cellmonai.core.errors import OutputError
from cellmonai.images.labels import in_raster_order
from cellmonai.images.rows import ArrayRows
from cellmonai.measure.objects import flag_objects, measure_objects
from cellmonai.report.exports.geojson import write_geojson

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.measure.objects import ObjectTable

LABELS = in_raster_order(paint(scattered_discs(40, (150, 170), radius_px=(3, 8), seed=2), (150, 170)))
TABLE = measure_objects(LABELS, pixel_size_um=(0.5, 0.5))


def written(
    path: Path,
    labels: NDArray[np.int32] = LABELS,
    table: ObjectTable = TABLE,
    name: str = "a",
    **flags: NDArray[np.bool_],
) -> dict[str, Any]:
    write_geojson(path, labels, table, flags=flags, name=name, overwrite=True)
    document: dict[str, Any] = json.loads(path.read_text("ascii"), parse_constant=lambda word: pytest.fail(word))
    return document


def shoelace(ring: list[list[int]]) -> float:
    return sum(x * b - a * y for (x, y), (a, b) in pairwise(ring)) / 2


def test_there_is_one_detection_per_object_with_the_area_of_its_pixels(tmp_path: Path) -> None:
    document = written(tmp_path / "a.geojson")
    assert document["type"] == "FeatureCollection"
    assert len(document["features"]) == LABELS.max() == 40
    for label, feature in enumerate(document["features"], start=1):
        geometry, properties = feature["geometry"], feature["properties"]
        assert feature["type"] == "Feature"
        assert properties["objectType"] == "detection"
        assert properties["name"] == f"{label:02d}"
        polygons = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
        for ring in (ring for polygon in polygons for ring in polygon):
            assert ring[0] == ring[-1]
            assert len(ring) >= 5
            assert all(type(number) is int for point in ring for number in point)
        assert all(shoelace(polygon[0]) > 0 for polygon in polygons)
        assert sum(shoelace(ring) for polygon in polygons for ring in polygon) == np.count_nonzero(label == LABELS)


def test_measurements_are_a_map_of_finite_numbers_named_as_in_the_table(tmp_path: Path) -> None:
    infinite = replace(
        TABLE, columns={**TABLE.columns, "intensity_mean_50%_{x}": np.where(np.arange(40) < 3, np.inf, 0.5)}
    )
    for row, feature in enumerate(written(tmp_path / "a.geojson", table=infinite)["features"]):
        measurements = feature["properties"]["measurements"]
        assert measurements["area_px"] == TABLE["area_px"][row]
        assert measurements["area_um2"] == pytest.approx(TABLE["area_px"][row] / 4, rel=1e-6)
        assert measurements["centroid_x_px"] == pytest.approx(TABLE["centroid_x_px"][row], rel=1e-6)
        assert ("intensity_mean_50%_{x}" in measurements) == (row >= 3)
        assert not [name for name in measurements if name.startswith("bbox")]
        assert all(isinstance(value, int | float) for value in measurements.values())


def test_flags_are_measurements_and_a_class(tmp_path: Path) -> None:
    flags = flag_objects(TABLE)
    features = written(tmp_path / "a.geojson", **flags)["features"]
    assert flags["touches_border"].any()
    for row, feature in enumerate(features):
        flagged = [name for name, values in flags.items() if values[row]]
        properties = feature["properties"]
        assert properties["classification"]["name"] == ("Cell: flagged" if flagged else "Cell")
        assert all(0 <= part <= 255 for part in properties["classification"]["color"])
        assert {name: properties["measurements"][name] for name in flags} == {
            name: int(name in flagged) for name in flags
        }


def test_each_feature_stands_on_a_line_of_its_own(tmp_path: Path) -> None:
    written(tmp_path / "a.geojson")
    lines = (tmp_path / "a.geojson").read_text().splitlines()
    assert len(lines) == 42
    assert all(json.loads(line.rstrip(","))["type"] == "Feature" for line in lines[1:-1])


def test_ids_are_uuids_that_depend_on_the_image_and_the_label_alone(tmp_path: Path) -> None:
    one, again, other = (written(tmp_path / f"{i}.geojson", name=name)["features"] for i, name in enumerate("aab"))
    ids = [feature["id"] for feature in one]
    assert ids == [feature["id"] for feature in again]
    assert len({*ids, *(feature["id"] for feature in other)}) == 80
    assert all(UUID(text).version == 5 for text in ids)


def test_rows_and_arrays_give_the_same_bytes(tmp_path: Path) -> None:
    for name, labels in (("a", LABELS), ("b", ArrayRows(LABELS))):
        write_geojson(tmp_path / name, labels, TABLE, flags={}, name="x", overwrite=False)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_object_in_two_parts_is_a_multipolygon(tmp_path: Path) -> None:
    labels = np.eye(2, dtype=np.int32)
    (feature,) = written(tmp_path / "a", labels, measure_objects(labels, pixel_size_um=None))["features"]
    assert feature["geometry"] == {
        "type": "MultiPolygon",
        "coordinates": [[[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]], [[[1, 1], [2, 1], [2, 2], [1, 2], [1, 1]]]],
    }


def test_no_cells_are_an_empty_collection(tmp_path: Path) -> None:
    labels = np.zeros((9, 9), np.int32)
    document = written(tmp_path / "a", labels, measure_objects(labels, pixel_size_um=None))
    assert document == {"type": "FeatureCollection", "features": []}


@given(st.text(st.characters(), max_size=20), st.text(st.characters(), max_size=20))
def test_any_name_of_an_image_or_a_column_makes_valid_json(
    tmp_path_factory: pytest.TempPathFactory, name: str, column: str
) -> None:
    labels = paint([Disc(5, 5, 3)], (12, 12))
    table = measure_objects(labels, pixel_size_um=None)
    table = replace(table, columns={**table.columns, f"x{column}": np.array([1.5])})
    (feature,) = written(tmp_path_factory.getbasetemp() / "a.geojson", labels, table, name=name)["features"]
    assert feature["properties"]["measurements"][f"x{column}"] == 1.5


def test_nothing_is_overwritten_unless_asked_for_and_nothing_half_is_left(tmp_path: Path) -> None:
    written(tmp_path / "a")
    with pytest.raises(OutputError, match="exists already"):
        write_geojson(tmp_path / "a", LABELS, TABLE, flags={}, name="a", overwrite=False)
    with pytest.raises(ValueError, match="the flags"):
        write_geojson(tmp_path / "b", LABELS, TABLE, flags={"odd": np.zeros(3, bool)}, name="a", overwrite=False)
    with pytest.raises(ValueError, match="not in the label image"):
        write_geojson(tmp_path / "b", np.zeros_like(LABELS), TABLE, flags={}, name="a", overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
