"""ROIs as ImageJ reads them: decoded here by the layout of ImageJ's RoiDecoder, and compared with the labels."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from painting import paint, scattered_discs

from cellmonai.core.errors import OutputError
from cellmonai.images.labels import in_raster_order
from cellmonai.images.rows import ArrayRows
from cellmonai.measure.objects import measure_objects
from cellmonai.report.exports import stored_zip
from cellmonai.report.exports.rois import write_rois
from cellmonai.report.exports.stored_zip import StoredZip

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LABELS = in_raster_order(paint(scattered_discs(40, (150, 170), radius_px=(3, 8), seed=2), (150, 170)))
Ring = list[tuple[float, float]]


def short(data: bytes, at: int) -> int:
    """ImageJ's getShort: signed down to -5000, else unsigned."""
    (value,) = struct.unpack_from(">h", data, at)
    return int(value) if value >= -5000 else int(value) + 65536


def decoded(data: bytes) -> tuple[str, list[Ring], str]:
    """Give the kind, the rings and the name of a `.roi` file."""
    assert data[:4] == b"Iout"
    assert short(data, 4) >= 224
    assert struct.unpack_from(">i", data, 56) == (0,), "a position is set"
    kind, top, left, bottom, right = data[6], *(short(data, at) for at in (8, 10, 12, 14))
    points, floats = short(data, 16), struct.unpack_from(">i", data, 36)[0]
    (second,) = struct.unpack_from(">i", data, 60)
    start, length = struct.unpack_from(">2i", data, second + 16)
    name = data[start : start + 2 * length].decode("utf-16-be")
    if floats:
        assert kind == 1
        return "composite", composite(struct.unpack_from(f">{floats}f", data, 64)), name
    assert kind == 8
    x = [left + short(data, 64 + 2 * i) for i in range(points)]
    y = [top + short(data, 64 + 2 * (points + i)) for i in range(points)]
    assert (min(x), min(y), max(x), max(y)) == (left, top, right, bottom)
    return "traced", [list(zip(x, y, strict=True))], name


def composite(values: tuple[float, ...]) -> list[Ring]:
    rings: list[Ring] = []
    at = 0
    while at < len(values):
        if values[at] == 4:  # close
            at += 1
            continue
        assert values[at] in (0, 1)  # move, line
        if values[at] == 0:
            rings.append([])
        rings[-1].append((values[at + 1], values[at + 2]))
        at += 3
    return rings


def filled(rings: list[Ring], shape: tuple[int, int]) -> NDArray[np.int64]:
    """How often each pixel is enclosed."""
    change = np.zeros((shape[0], shape[1] + 1), np.int64)
    for ring in rings:
        for (x, y), (_, y_next) in zip(ring, [*ring[1:], ring[0]], strict=True):
            change[int(min(y, y_next)) : int(max(y, y_next)), int(x)] += 1 if y_next < y else -1
    return np.cumsum(change, axis=1)[:, :-1]


def written(path: Path, labels: NDArray[np.int32]) -> dict[str, tuple[str, list[Ring], str]]:
    write_rois(path, labels, measure_objects(labels, pixel_size_um=None), overwrite=True)
    with ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: decoded(archive.read(name)) for name in archive.namelist()}


def require_same(labels: NDArray[np.int32], rois: dict[str, tuple[str, list[Ring], str]]) -> None:
    width = len(str(labels.max()))
    assert list(rois) == [f"{label:0{width}d}.roi" for label in np.unique(labels[labels > 0])]
    for file, (_, rings, name) in rois.items():
        assert file == f"{name}.roi"
        assert np.array_equal(filled(rings, labels.shape), (labels == int(name)).astype(np.int64))


def test_each_roi_encloses_the_pixels_of_its_object_and_has_its_label_as_name(tmp_path: Path) -> None:
    rois = written(tmp_path / "a_rois.zip", LABELS)
    assert len(rois) == 40
    require_same(LABELS, rois)
    assert {kind for kind, _, _ in rois.values()} <= {"traced", "composite"}


@given(arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 2)))
def test_objects_with_holes_and_in_parts_are_composites(
    tmp_path_factory: pytest.TempPathFactory, labels: NDArray[np.int32]
) -> None:
    require_same(labels, written(tmp_path_factory.getbasetemp() / "a.zip", labels))


def test_simple_objects_are_traced_and_others_are_composites(tmp_path: Path) -> None:
    labels = np.zeros((5, 12), np.int32)
    labels[:3, :3], labels[1, 1] = 1, 0
    labels[0:2, 5:7] = 2
    labels[0, 9] = labels[1, 10] = 3
    assert [kind for kind, _, _ in written(tmp_path / "a.zip", labels).values()] == ["composite", "traced", "composite"]


def test_objects_far_from_the_corner_keep_their_place(tmp_path: Path) -> None:
    labels = np.zeros((4, 70_100), np.int32)
    for label, column in enumerate((32_760, 60_530, 60_531, 65_530, 70_000), start=1):
        labels[(label % 2) * 2, column : column + 5] = label
    labels = in_raster_order(labels)
    rois = written(tmp_path / "a.zip", labels)
    require_same(labels, rois)
    kinds = {int(min(x for x, _ in rings[0])): kind for kind, rings, _ in rois.values()}
    assert kinds == dict.fromkeys((32_760, 60_530), "traced") | dict.fromkeys((60_531, 65_530, 70_000), "composite")


def test_an_outline_with_more_corners_than_a_polygon_holds_is_a_composite(tmp_path: Path) -> None:
    labels = np.zeros((3, 40_000), np.int32)
    labels[0], labels[1:, ::2] = 1, 1
    ((kind, rings, _),) = written(tmp_path / "a.zip", labels).values()
    assert kind == "composite"
    assert np.array_equal(filled(rings, labels.shape), labels)


def test_the_same_labels_give_the_same_bytes(tmp_path: Path) -> None:
    table = measure_objects(LABELS, pixel_size_um=None)
    for name, labels in (("a", LABELS), ("b", LABELS), ("c", ArrayRows(LABELS))):
        write_rois(tmp_path / name, labels, table, overwrite=False)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()


def test_no_cells_are_an_empty_archive(tmp_path: Path) -> None:
    assert written(tmp_path / "a.zip", np.zeros((9, 9), np.int32)) == {}


def test_archives_are_new_and_kept_unless_asked_for(tmp_path: Path) -> None:
    written(tmp_path / "a.zip", LABELS)
    few = np.where(LABELS <= 3, LABELS, 0)
    with pytest.raises(OutputError, match="exists already"):
        write_rois(tmp_path / "a.zip", few, measure_objects(few, pixel_size_um=None), overwrite=False)
    assert len(written(tmp_path / "a.zip", few)) == 3


def test_an_image_beyond_what_floats_tell_apart_is_refused(tmp_path: Path) -> None:
    labels = np.zeros((1, 2**24 + 1), np.uint8)
    with pytest.raises(OutputError, match="save GeoJSON"):
        write_rois(tmp_path / "a.zip", labels, measure_objects(labels, pixel_size_um=None), overwrite=False)
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize("count", [65_534, 65_535, 65_536, 70_000])
def test_archives_of_many_files_are_read_by_other_programs(count: int, tmp_path: Path) -> None:
    with (tmp_path / "a.zip").open("wb") as stream:
        archive = StoredZip(stream)
        for number in range(count):
            archive.add(f"{number}.roi", b"x" * (number % 3))
        archive.close()
    with ZipFile(tmp_path / "a.zip") as read:
        assert len(read.namelist()) == count
        assert read.read(f"{count - 1}.roi") == b"x" * ((count - 1) % 3)


def test_archives_beyond_4_gib_use_the_large_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "a.zip").open("wb") as stream:
        archive = StoredZip(stream)
        archive.add("first.roi", b"1")
        stream.seek(2**32 + 7)  # a hole in a sparse file instead of gigabytes
        monkeypatch.setattr(archive, "_offset", 2**32 + 7)
        archive.add("second.roi", b"22")
        archive.close()
    with ZipFile(tmp_path / "a.zip") as read:
        assert [read.read(name) for name in read.namelist()] == [b"1", b"22"]
    monkeypatch.setattr(stored_zip, "_MAX_LONG", 5)
    with (tmp_path / "b.zip").open("wb") as stream, pytest.raises(ValueError, match="less than 4 GiB"):
        StoredZip(stream).add("a", b"123456")
