"""What is written reads back as it was, with its pixel size, and the same every time."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from tifffile import TiffFile

from cellmonai.core.errors import InputError, MemoryBudgetError, OutputError
from cellmonai.images import tiff_write, write
from cellmonai.images.labels import read_mask
from cellmonai.images.open import open_image
from cellmonai.images.rows import ArrayRows
from cellmonai.images.write import label_colours, read_maps, write_labels, write_maps, write_mask, write_png

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

MASK = np.random.default_rng(4).random((300, 517)) > 0.8
PROBABILITY = np.random.default_rng(4).random((2, 600, 530)).astype(np.float32)


@pytest.mark.parametrize("pixel_size", [None, (0.5, 0.65), (0.1234567, 12.5)], ids=["unknown", "usual", "odd"])
@pytest.mark.parametrize("shape", [(1, 1), (256, 256), (300, 517)], ids=str)
def test_a_mask_is_read_back_with_its_pixel_size(
    shape: tuple[int, int], pixel_size: tuple[float, float] | None, tmp_path: Path
) -> None:
    mask = MASK[: shape[0], : shape[1]]
    write_mask(tmp_path / "a_mask.tif", mask, pixel_size_um=pixel_size, overwrite=False)
    found = read_mask(tmp_path / "a_mask.tif")
    assert found.array.dtype == np.uint8
    assert np.array_equal(found.array, mask * np.uint8(255))
    assert found.pixel_size_um == pixel_size


@pytest.mark.parametrize("count", [0, 1, 255, 256, 65_535, 65_536])
def test_any_number_of_labels_is_read_back(count: int, tmp_path: Path) -> None:
    labels = np.zeros((600, 600), np.int32)
    labels[::2, ::2].reshape(-1)[:0] = 0
    places = np.flatnonzero(np.add.outer(np.arange(600) % 2, np.arange(600) % 2) == 0)[:count]
    labels.ravel()[places] = np.arange(1, count + 1)
    write_labels(tmp_path / "a_labels.tif", labels, pixel_size_um=(0.5, 0.5), overwrite=False)
    found = read_mask(tmp_path / "a_labels.tif")
    assert found.array.dtype == (np.uint16 if count <= 65_535 else np.uint32)
    assert np.array_equal(found.array, labels)
    assert found.pixel_size_um == (0.5, 0.5)


def test_a_mask_is_a_tiled_ome_tiff_that_other_programs_understand(tmp_path: Path) -> None:
    write_mask(tmp_path / "a_mask.tif", MASK, pixel_size_um=(0.5, 0.25), overwrite=False)
    with TiffFile(tmp_path / "a_mask.tif") as tif:
        page = tif.pages.first
        assert tif.is_ome
        assert not tif.is_bigtiff
        assert page.is_tiled
        assert page.compression == 8
        assert np.array_equal(tif.asarray(), MASK * np.uint8(255))
        assert 'PhysicalSizeX="0.25" PhysicalSizeXUnit="&#181;m"' in page.description
        assert page.tags["XResolution"].value == (40_000, 1)
        assert page.tags["ResolutionUnit"].value == 3


def test_a_large_picture_is_written_as_bigtiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff_write, "CLASSIC_TIFF_LIMIT", 1000)
    write_mask(tmp_path / "a.tif", MASK, pixel_size_um=None, overwrite=False)
    with TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_bigtiff
    assert np.array_equal(read_mask(tmp_path / "a.tif").array > 0, MASK)


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_mask(tmp_path / f"{name}.tif", MASK, pixel_size_um=(1.0, 1.0), overwrite=False)
        write_maps(tmp_path / f"{name}.zarr", PROBABILITY, names=("a", "b"), pixel_size_um=None, overwrite=False)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
    files = sorted(p.relative_to(tmp_path / "a.zarr") for p in (tmp_path / "a.zarr").rglob("*") if p.is_file())
    assert len(files) == 2 + 2 * 2 * 2
    assert all((tmp_path / "a.zarr" / p).read_bytes() == (tmp_path / "b.zarr" / p).read_bytes() for p in files)


def test_nothing_is_overwritten_unless_asked_for(tmp_path: Path) -> None:
    empty = np.zeros((4, 4), bool)
    for _ in range(2):
        write_mask(tmp_path / "a.tif", MASK, pixel_size_um=None, overwrite=True)
        write_maps(tmp_path / "a.zarr", PROBABILITY, names=("a", "b"), pixel_size_um=None, overwrite=True)
    with pytest.raises(OutputError, match="exists already"):
        write_mask(tmp_path / "a.tif", empty, pixel_size_um=None, overwrite=False)
    with pytest.raises(OutputError, match="exists already"):
        write_maps(tmp_path / "a.zarr", PROBABILITY, names=("a", "b"), pixel_size_um=None, overwrite=False)
    assert np.array_equal(read_mask(tmp_path / "a.tif").array > 0, MASK)
    assert {path.name for path in tmp_path.iterdir()} == {"a.tif", "a.zarr"}


@pytest.mark.parametrize("limit", [0, 2**26], ids=["tiles", "strips"])
def test_a_label_image_that_reads_back_otherwise_is_not_kept(
    limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "LARGEST_IN_STRIPS_PX", limit)
    monkeypatch.setattr(write, "_whole", lambda labels: labels % 256)
    with pytest.raises(OutputError, match="does not read back"):
        write_labels(tmp_path / "a.tif", np.full((9, 9), 300, np.int32), pixel_size_um=None, overwrite=False)
    monkeypatch.undo()
    with pytest.raises(OutputError, match="does not read back"):
        write_labels(tmp_path / "a.tif", np.full((9, 9), 70_000), count=9, pixel_size_um=None, overwrite=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [0, 2**26], ids=["tiles", "strips"])
@pytest.mark.parametrize("count", [1, 70_000])
def test_rows_and_arrays_give_the_same_bytes_and_the_right_labels(
    limit: int, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "LARGEST_IN_STRIPS_PX", limit)
    labels = np.random.default_rng(2).integers(0, count + 1, (300, 517)).astype(np.int32)
    labels[0, 0] = count
    write_labels(tmp_path / "a.tif", labels, pixel_size_um=(0.5, 0.25), overwrite=False)
    write_labels(tmp_path / "b.tif", ArrayRows(labels), count=count, pixel_size_um=(0.5, 0.25), overwrite=False)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
    with TiffFile(tmp_path / "a.tif") as tif:
        assert tif.pages.first.is_tiled == (limit == 0)
        assert np.array_equal(tif.asarray(), labels)


def test_only_a_few_rows_are_asked_for_at_a_time(tmp_path: Path) -> None:
    class Counted(ArrayRows):
        most = 0

        def rows(self, top: int, bottom: int) -> NDArray[Any]:
            self.most = max(self.most, bottom - top)
            return super().rows(top, bottom)

    labels, mask = Counted(np.ones((3000, 5000), np.int32)), Counted(np.ones((3000, 5000), bool))
    write_labels(tmp_path / "a.tif", labels, pixel_size_um=None, overwrite=False)
    write_mask(tmp_path / "b.tif", mask, pixel_size_um=None, overwrite=False)
    assert max(labels.most, mask.most) <= 256
    assert read_mask(tmp_path / "b.tif").array.min() == 255


def test_labels_carry_colours_for_imagej_and_stay_grey_for_all_others(tmp_path: Path) -> None:
    labels = np.arange(12, dtype=np.int32).reshape(3, 4)
    write_labels(tmp_path / "a.tif", labels, pixel_size_um=(0.5, 0.25), overwrite=False)
    with TiffFile(tmp_path / "a.tif") as tif:
        page = tif.pages.first
        assert tif.is_ome
        assert page.photometric == 1
        assert not page.is_tiled
        assert 'PhysicalSizeX="0.25" PhysicalSizeXUnit="&#181;m"' in page.description
        assert page.tags["ColorMap"].count == 768  # what ImageJ's TiffDecoder looks for
        assert np.array_equal(page.colormap // 257, label_colours().T)
        assert np.array_equal(tif.asarray(), labels)
    with open_image(tmp_path / "a.tif") as source:
        assert np.array_equal(source.read()[0], labels)
    with Image.open(tmp_path / "a.tif") as picture:
        assert np.array_equal(np.asarray(picture), labels)


def test_label_colours_are_bright_and_differ_from_their_neighbours() -> None:
    colours = label_colours().astype(int)
    assert colours[0].tolist() == [0, 0, 0]
    assert colours[1:].max(axis=1).min() >= 200
    assert len({tuple(colour) for colour in colours.tolist()}) == 256
    assert np.abs(np.diff(colours, axis=0)).sum(axis=1).min() > 100


def test_a_picture_is_written_as_png(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (9, 11, 3)).astype(np.uint8)
    write_png(tmp_path / "a.png", rgb, overwrite=False)
    with open_image(tmp_path / "a.png") as source:
        assert np.array_equal(np.moveaxis(source.read(), 0, -1), rgb)


def test_arrays_of_the_wrong_kind_are_a_callers_mistake(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with pytest.raises(ValueError, match="expected bool"):
        write_mask(path, MASK.astype(np.uint8), pixel_size_um=None, overwrite=False)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected whole numbers"):
        write_labels(path, PROBABILITY[0], pixel_size_um=None, overwrite=False)
    with pytest.raises(ValueError, match="expected 0 to"):
        write_labels(path, np.full((3, 3), -1), pixel_size_um=None, overwrite=False)
    with pytest.raises(ValueError, match="expected uint8"):
        write_png(path, MASK.astype(np.uint8), overwrite=False)
    with pytest.raises(ValueError, match="one name per channel"):
        write_maps(path, PROBABILITY, names=("one",), pixel_size_um=None, overwrite=False)
    with pytest.raises(ValueError, match="cannot be stored as uint8"):
        write_maps(path, PROBABILITY * 3, names=("a", "b"), pixel_size_um=None, dtype="uint8", overwrite=False)
    assert not path.exists()


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 2**-11), ("uint8", 0.5 / 255 + 1e-6)])
def test_maps_are_read_back_to_the_precision_of_their_type(dtype: str, tolerance: float, tmp_path: Path) -> None:
    path = tmp_path / "x_maps.zarr"
    write_maps(
        path,
        PROBABILITY,
        names=("foreground", "border"),
        pixel_size_um=(0.5, 0.25),
        dtype=dtype,  # type: ignore[arg-type]
        overwrite=False,
    )
    maps = read_maps(path)
    assert maps.names == ("foreground", "border")
    assert maps.pixel_size_um == (0.5, 0.25)
    assert maps.maps.dtype == np.float32
    assert np.abs(maps.maps - PROBABILITY).max() <= tolerance


def test_empty_maps_are_stored_too(tmp_path: Path) -> None:
    write_maps(tmp_path / "a.zarr", np.zeros((1, 5, 6)), names=("a",), pixel_size_um=None, overwrite=False)
    assert read_maps(tmp_path / "a.zarr").maps.shape == (1, 5, 6)


def test_maps_say_what_they_are_in_ome_zarr(tmp_path: Path) -> None:
    from zarr import open_group

    write_maps(tmp_path / "a.zarr", PROBABILITY, names=("a", "b"), pixel_size_um=(0.5, 0.25), overwrite=False)
    ome = open_group(tmp_path / "a.zarr", mode="r").attrs["ome"]
    assert ome["version"] == "0.5"
    (multiscale,) = ome["multiscales"]
    assert [axis["name"] for axis in multiscale["axes"]] == ["c", "y", "x"]
    assert multiscale["datasets"][0]["coordinateTransformations"] == [{"type": "scale", "scale": [1.0, 0.5, 0.25]}]
    assert [channel["label"] for channel in ome["omero"]["channels"]] == ["a", "b"]


def _lose_chunk(folder: Path) -> None:
    (folder / "0" / "c" / "1" / "1" / "0").unlink()


def _flip_bit(folder: Path) -> None:
    chunk = folder / "0" / "c" / "0" / "0" / "0"
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 4
    chunk.write_bytes(data)


def _cut_metadata(folder: Path) -> None:
    (folder / "zarr.json").write_text("{")


def _link_chunk(folder: Path) -> None:
    chunk = folder / "0" / "c" / "0" / "0" / "0"
    chunk.rename(folder / "real")
    chunk.symlink_to(folder / "real")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_lose_chunk, "a part of the maps is lost"),
        (_flip_bit, "cannot read the maps"),
        (_cut_metadata, "cannot read the Zarr header"),
        (_link_chunk, "there is a link"),
    ],
    ids=["lost chunk", "flipped bit", "cut metadata", "linked chunk"],
)
def test_damaged_maps_are_refused(damage: object, reason: str, tmp_path: Path) -> None:
    write_maps(tmp_path / "a.zarr", PROBABILITY, names=("a", "b"), pixel_size_um=None, overwrite=False)
    damage(tmp_path / "a.zarr")  # type: ignore[operator]
    with pytest.raises(InputError, match=reason):
        read_maps(tmp_path / "a.zarr")


def test_maps_are_refused_where_there_are_none_or_no_room(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder of maps"):
        read_maps(tmp_path / "a.zarr")
    write_maps(tmp_path / "a.zarr", PROBABILITY, names=("a", "b"), pixel_size_um=None, overwrite=False)
    with pytest.raises(MemoryBudgetError, match="memory budget"):
        read_maps(tmp_path / "a.zarr", memory=1000)


def _bomb(folder: Path) -> None:
    from imagecodecs import zstd_encode
    from numcodecs.checksum32 import CRC32C

    (folder / "0/c/0/0/0").write_bytes(CRC32C().encode(zstd_encode(bytes(256 << 20))))


def _changed_metadata(**facts: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        document = json.loads((folder / "zarr.json").read_text())
        document["attributes"]["cellmonai"].update(facts)
        (folder / "zarr.json").write_text(json.dumps(document))

    return change


def _huge(folder: Path) -> None:
    document = json.loads((folder / "0/zarr.json").read_text())
    document["shape"] = document["chunk_grid"]["configuration"]["chunk_shape"] = [1, 10**6, 10**6]
    (folder / "0/zarr.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        pytest.param(_bomb, "cannot read the maps|more bytes than|more than", id="a chunk that inflates to 256 MiB"),
        pytest.param(_huge, "a chunk is larger than the maps", id="a chunk of a terapixel"),
        pytest.param(_changed_metadata(one_is=1e999), "the maps are damaged", id="an infinite scale"),
        pytest.param(_changed_metadata(one_is=0), "the maps are damaged", id="a scale of 0"),
        pytest.param(_changed_metadata(names=[1, 2]), "the maps are damaged", id="numbers as names"),
        pytest.param(_changed_metadata(names="ab"), "the maps are damaged", id="a text as names"),
        pytest.param(_changed_metadata(pixel_size_um=[0, 1]), "the maps are damaged", id="pixels of size 0"),
        pytest.param(_changed_metadata(pixel_size_um=[10**400, 1]), "the maps are damaged", id="endless pixels"),
    ],
)
def test_hostile_maps_are_refused_within_little_memory(
    damage: Callable[[Path], None], reason: str, tmp_path: Path
) -> None:
    write_maps(tmp_path / "a.zarr", PROBABILITY, names=("a", "b"), pixel_size_um=None, overwrite=False)
    damage(tmp_path / "a.zarr")
    tracemalloc.start()
    with pytest.raises(InputError, match=reason):
        read_maps(tmp_path / "a.zarr")
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()
