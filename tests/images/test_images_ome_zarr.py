"""OME-Zarr 0.4 and 0.5: one folder is one image, read chunk by chunk, and nothing in it is trusted."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numcodecs import BZ2, LZ4, Blosc, GZip, Zlib, Zstd
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, ZstdCodec
from zarr_files import write_ome_zarr

from cellmonai.core.errors import InputError, MemoryBudgetError
from cellmonai.images.find import find_images, image_stem
from cellmonai.images.labels import read_mask
from cellmonai.images.maps import write_maps
from cellmonai.images.open import open_image
from cellmonai.workflows.count import count
from cellmonai.workflows.counting.settings import CountSettings
from cellmonai.workflows.infer import infer
from cellmonai.workflows.inferring.settings import InferSettings

if TYPE_CHECKING:
    from numcodecs.abc import Codec

RANDOM = np.random.default_rng(11)
BOTH = pytest.mark.parametrize("version", ["0.4", "0.5"])


def noise(*shape: int, dtype: type = np.uint16) -> np.ndarray:
    return RANDOM.integers(0, 250, shape).astype(dtype)


Change = Callable[[dict[str, Any]], None]


def edit(path: Path, change: Change) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def set_at(*keys: str | int, to: object) -> Change:
    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to

    return change


@BOTH
@pytest.mark.parametrize(
    ("axes", "shape", "planes", "channels"),
    [
        pytest.param("YX", (30, 40), ("",), 1, id="rows and columns"),
        pytest.param("CYX", (3, 30, 40), ("",), 3, id="channels"),
        pytest.param("ZYX", (2, 30, 40), ("z0", "z1"), 1, id="depths"),
        pytest.param("TYX", (2, 30, 40), ("t0", "t1"), 1, id="times"),
        pytest.param("TZYX", (1, 2, 30, 40), ("z0", "z1"), 1, id="one time of two depths"),
        pytest.param("TCZYX", (2, 3, 2, 30, 40), ("t0_z0", "t0_z1", "t1_z0", "t1_z1"), 3, id="all five"),
        pytest.param("CZYX", (2, 3, 30, 40), ("z0", "z1", "z2"), 2, id="channels of depths"),
    ],
)
def test_any_allowed_axes_become_planes_of_channels(
    axes: str, shape: tuple[int, ...], planes: tuple[str, ...], channels: int, version: str, tmp_path: Path
) -> None:
    array = noise(*shape)
    write_ome_zarr(tmp_path / "a.ome.zarr", [array], axes, version=version, chunks=(1,) * (len(axes) - 2) + (16, 16))
    flat = np.moveaxis(array, axes.index("C"), -3) if "C" in axes else array[..., np.newaxis, :, :]
    flat = flat.reshape(-1, channels, 30, 40)
    with open_image(tmp_path / "a.ome.zarr") as source:
        assert (source.stored_axes, source.planes) == (axes, planes)
        assert source.shape == (channels, 30, 40)
        for plane in range(len(planes)):
            assert np.array_equal(source.read(plane=plane), flat[plane])
        region = source.read((3, 15, 29, 33), channels=[channels - 1, 0], plane=len(planes) - 1)
        assert np.array_equal(region, flat[-1][[channels - 1, 0], 3:29, 15:33])


@BOTH
def test_levels_names_and_pixel_size_are_those_that_the_metadata_state(version: str, tmp_path: Path) -> None:
    full = noise(2, 64, 96)
    levels = [full, full[:, ::2, ::2], full[:, ::4, ::4]]
    size, names = {"Y": 0.7, "X": 0.65}, ["DAPI", "GFP"]
    write_ome_zarr(tmp_path / "a.zarr", levels, "CYX", version=version, size=size, channels=names, chunks=(1, 32, 32))
    with open_image(tmp_path / "a.zarr") as source:
        assert source.levels == ((64, 96), (32, 48), (16, 24))
        assert source.pixel_size_um == (0.7, 0.65)
        assert source.channels == ("DAPI", "GFP")
        assert source.notes == ()
        assert source.block_shape() == (32, 32)
        for number, level in enumerate(levels):
            assert np.array_equal(source.read(level=number), level)


@pytest.mark.parametrize(
    ("units", "scale", "expected"),
    [
        pytest.param({"Y": "nanometer", "X": "nanometer"}, 650.0, (0.65, 0.65), id="nanometres"),
        pytest.param({"Y": "angstrom", "X": "angstrom"}, 6500.0, (0.65, 0.65), id="angstrom"),
        pytest.param({}, 0.65, None, id="no unit"),
        pytest.param({"Y": "micrometer"}, 0.65, None, id="one unit"),
        pytest.param({"Y": "pixel", "X": "pixel"}, 1.0, None, id="pixels"),
        pytest.param({"Y": "micrometer", "X": "micrometer"}, -1.0, None, id="negative"),
        pytest.param({"Y": "micrometer", "X": "micrometer"}, 0, None, id="zero"),
        pytest.param({"Y": "micrometer", "X": "micrometer"}, "0.5", None, id="text"),
    ],
)
def test_a_pixel_size_is_micrometres_or_unknown(
    units: dict[str, str], scale: object, expected: tuple[float, float] | None, tmp_path: Path
) -> None:
    write_ome_zarr(tmp_path / "a.zarr", [noise(8, 9)], "YX", size={}, units=units, chunks=(8, 9))
    steps = ["attributes", "ome", "multiscales", 0, "datasets", 0, "coordinateTransformations", 0, "scale"]
    edit(tmp_path / "a.zarr" / "zarr.json", set_at(*steps, to=[scale, scale]))
    with open_image(tmp_path / "a.zarr") as source:
        assert source.pixel_size_um == (None if expected is None else pytest.approx(expected))


def test_a_scale_of_the_whole_multiplies_that_of_the_level(tmp_path: Path) -> None:
    write_ome_zarr(tmp_path / "a.zarr", [noise(8, 9)], "YX", size={"Y": 2.0, "X": 3.0}, chunks=(8, 9))
    steps = [{"type": "scale", "scale": [0.1, 0.1]}]
    edit(
        tmp_path / "a.zarr" / "zarr.json",
        set_at("attributes", "ome", "multiscales", 0, "coordinateTransformations", to=steps),
    )
    with open_image(tmp_path / "a.zarr") as source:
        assert source.pixel_size_um == pytest.approx((0.2, 0.3))


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8", "b1"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_type_is_read_in_native_order(dtype: str, order: str, tmp_path: Path) -> None:
    array = (noise(20, 30, dtype=np.uint8) // 2).astype(order + dtype)
    write_ome_zarr(tmp_path / "old.zarr", [array], "YX", version="0.4", chunks=(16, 16), compressors=None)
    write_ome_zarr(tmp_path / "new.zarr", [array], "YX", chunks=(16, 16))
    for name in ("old.zarr", "new.zarr"):
        with open_image(tmp_path / name) as source:
            assert source.dtype == np.dtype(dtype)
            assert source.dtype.isnative
            assert np.array_equal(source.read()[0], array)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"compressors": Blosc(cname="lz4")}, id="Blosc of LZ4"),
        pytest.param({"compressors": Blosc(cname="zstd", shuffle=2)}, id="Blosc of Zstandard, bits shuffled"),
        pytest.param({"compressors": Zstd()}, id="Zstandard"),
        pytest.param({"compressors": GZip()}, id="gzip"),
        pytest.param({"compressors": Zlib()}, id="zlib"),
        pytest.param({"compressors": LZ4()}, id="LZ4"),
        pytest.param({"compressors": BZ2()}, id="bzip2"),
        pytest.param({"compressors": None, "order": "F"}, id="columns first"),
        pytest.param({"chunk_key_encoding": {"name": "v2", "separator": "."}}, id="dots in names"),
    ],
)
def test_a_version_2_array_is_read_however_it_is_stored(options: dict[str, Any], tmp_path: Path) -> None:
    array = noise(3, 50, 70)
    write_ome_zarr(tmp_path / "a.zarr", [array], "CYX", version="0.4", chunks=(2, 16, 32), **options)
    with open_image(tmp_path / "a.zarr") as source:
        assert np.array_equal(source.read(), array)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"compressors": None}, id="plain"),
        pytest.param({"compressors": [ZstdCodec(level=3), Crc32cCodec()]}, id="Zstandard with a checksum"),
        pytest.param({"compressors": GzipCodec()}, id="gzip"),
        pytest.param({"compressors": BloscCodec()}, id="Blosc"),
        pytest.param({"shards": (2, 32, 64), "chunks": (1, 16, 32)}, id="shards"),
        pytest.param({"shards": (1, 16, 32), "compressors": None}, id="a shard of one chunk"),
        pytest.param({"chunk_key_encoding": {"name": "default", "separator": "."}}, id="dots in names"),
    ],
)
def test_a_version_3_array_is_read_however_it_is_stored(options: dict[str, Any], tmp_path: Path) -> None:
    array = noise(3, 50, 70)
    write_ome_zarr(tmp_path / "a.zarr", [array], "CYX", **{"chunks": (1, 16, 32), **options})
    with open_image(tmp_path / "a.zarr") as source:
        assert source.block_shape() == (16, 32)
        assert np.array_equal(source.read(), array)
        assert np.array_equal(source.read((10, 20, 50, 41), channels=[2]), array[2:, 10:50, 20:41])


@pytest.mark.parametrize("shards", [None, (64, 64)])
def test_a_region_reads_only_the_chunks_that_overlap_it(shards: tuple[int, int] | None, tmp_path: Path) -> None:
    array = noise(128, 128)
    write_ome_zarr(tmp_path / "a.zarr", [array], "YX", chunks=(32, 32), shards=shards)
    last = tmp_path / "a.zarr/0/c" / ("1/1" if shards else "3/3")
    last.write_bytes(b"\xff" * last.stat().st_size)
    with open_image(tmp_path / "a.zarr") as source:
        edge = 64 if shards else 96
        assert np.array_equal(source.read((0, 0, edge, 128))[0], array[:edge])
        with pytest.raises(InputError, match="cannot read the pixels"):
            source.read((edge, edge, 128, 128))


def test_windows_that_overlap_decode_no_chunk_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cellmonai.images import zarr_store

    inflated = []
    real = zarr_store.inflate
    monkeypatch.setattr(zarr_store, "inflate", lambda kind, data, most: (inflated.append(1), real(kind, data, most))[1])
    array = noise(128, 128)
    write_ome_zarr(tmp_path / "a.zarr", [array], "YX", chunks=(32, 32))
    with open_image(tmp_path / "a.zarr") as source:
        for top in range(0, 97, 16):
            for left in range(0, 97, 16):
                assert source.read((top, left, top + 32, left + 32)).shape == (1, 32, 32)
    assert len(inflated) == 16


def test_chunks_that_are_not_stored_are_the_fill_value_and_noted(tmp_path: Path) -> None:
    array = noise(64, 64)
    write_ome_zarr(tmp_path / "a.zarr", [array], "YX", chunks=(32, 32), fill_value=7)
    (tmp_path / "a.zarr/0/c/1/0").unlink()
    with open_image(tmp_path / "a.zarr") as source:
        assert source.notes == ("1 of 4 chunks are missing and read as 7",)
        assert (source.read((32, 0, 64, 32)) == 7).all()
        assert np.array_equal(source.read((0, 0, 32, 64))[0], array[:32])


def test_a_fill_value_that_is_no_number_is_refused_where_it_is_read(tmp_path: Path) -> None:
    write_ome_zarr(tmp_path / "a.zarr", [np.ones((64, 64), np.float32)], "YX", chunks=(32, 32), fill_value=np.nan)
    (tmp_path / "a.zarr/0/c/1/1").unlink()
    with open_image(tmp_path / "a.zarr") as source:
        assert (source.read((0, 0, 32, 64)) == 1).all()
        with pytest.raises(InputError, match="NaN"):
            source.read()


def test_resolutions_that_are_no_smaller_copies_are_left_out_and_said(tmp_path: Path) -> None:
    stack = noise(4, 32, 32)
    write_ome_zarr(tmp_path / "a.zarr", [stack, stack[:, ::2, ::2], stack[::2, ::4, ::4]], "ZYX", chunks=(1, 32, 32))
    with open_image(tmp_path / "a.zarr") as source:
        assert source.levels == ((32, 32), (16, 16))
        assert source.notes == ("resolutions left out that differ in depth or type: 1",)


def test_axes_that_the_user_names_replace_those_of_the_file(tmp_path: Path) -> None:
    array = noise(2, 30, 40)
    write_ome_zarr(tmp_path / "a.zarr", [array], "ZYX", chunks=(1, 16, 16))
    with open_image(tmp_path / "a.zarr", axes="CYX") as source:
        assert np.array_equal(source.read(), array)
    with open_image(tmp_path / "a.zarr", axes="CXY") as source:
        assert np.array_equal(source.read((5, 3, 37, 20)), array.transpose(0, 2, 1)[:, 5:37, 3:20])
    with pytest.raises(InputError, match="axes"):
        open_image(tmp_path / "a.zarr", axes="YX")


def test_a_label_image_is_a_mask(tmp_path: Path) -> None:
    labels = noise(40, 50, dtype=np.int32)
    write_ome_zarr(tmp_path / "a.zarr", [labels], "YX", chunks=(16, 16))
    assert np.array_equal(read_mask(tmp_path / "a.zarr").array, labels)


def test_the_fingerprint_is_of_every_name_and_byte_in_the_folder(tmp_path: Path) -> None:
    def print_of(name: str) -> str:
        with open_image(tmp_path / name) as source:
            return source.fingerprint

    write_ome_zarr(tmp_path / "a.zarr", [noise(64, 64)], "YX", chunks=(32, 32))
    for name in ("same.zarr", "byte.zarr", "moved.zarr"):
        shutil.copytree(tmp_path / "a.zarr", tmp_path / name)
    chunk = tmp_path / "byte.zarr/0/c/1/1"
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"\0")
    (tmp_path / "moved.zarr/0/c/1/1").rename(tmp_path / "moved.zarr/0/c/1/2")
    assert print_of("a.zarr") == print_of("same.zarr")
    assert len({print_of(name) for name in ("a.zarr", "byte.zarr", "moved.zarr")}) == 3


def test_a_zarr_folder_is_one_image_among_others(tmp_path: Path) -> None:
    for name in ("b.ome.zarr", "a10.zarr"):
        write_ome_zarr(tmp_path / name, [noise(8, 9)], "YX", chunks=(8, 9))
    np.save(tmp_path / "a2.npy", noise(8, 9))
    (tmp_path / "folder.tif").mkdir()
    assert [path.name for path in find_images([tmp_path]).images] == ["a2.npy", "a10.zarr", "b.ome.zarr"]
    assert find_images([tmp_path / "b.ome.zarr"]).images == [tmp_path / "b.ome.zarr"]
    assert find_images([Path(f"{tmp_path}/*.zarr")]).images == [tmp_path / "a10.zarr", tmp_path / "b.ome.zarr"]
    assert image_stem(tmp_path / "b.ome.zarr") == "b"
    assert image_stem(tmp_path / "a10.zarr") == "a10"


def test_maps_of_infer_are_left_out_of_a_folder_and_refused_by_name(tmp_path: Path) -> None:
    maps = np.zeros((1, 20, 30), np.float32)
    write_maps(tmp_path / "x_maps.zarr", maps, names=("foreground",), pixel_size_um=None, overwrite=False)
    np.save(tmp_path / "x_mask.npy", np.zeros((20, 30), np.uint8))
    assert find_images([tmp_path]).images == [tmp_path / "x_mask.npy"]
    with pytest.raises(InputError, match=r"probability maps of cellmonai infer, not an image; name the images"):
        open_image(tmp_path / "x_maps.zarr")


def test_an_image_of_somebody_else_may_be_called_maps(tmp_path: Path) -> None:
    write_ome_zarr(tmp_path / "x_maps.zarr", [noise(8, 9)], "YX", chunks=(8, 9))
    assert find_images([tmp_path]).images == [tmp_path / "x_maps.zarr"]


def test_what_bioformats2raw_writes_is_its_only_image(tmp_path: Path) -> None:
    array = noise(8, 9)
    folder = tmp_path / "a.zarr"
    write_ome_zarr(folder / "0", [array], "YX", version="0.4", chunks=(8, 9))
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    (folder / ".zattrs").write_text('{"bioformats2raw.layout": 3}')
    with open_image(folder) as source:
        assert np.array_equal(source.read()[0], array)
    shutil.copytree(folder / "0", folder / "1")
    with pytest.raises(InputError, match=r"several images or none; name one, as a\.zarr/0"):
        open_image(folder)
    with open_image(folder / "1") as source:
        assert np.array_equal(source.read()[0], array)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        pytest.param({}, "no metadata of an OME-Zarr image", id="none"),
        pytest.param({"ome": []}, "no metadata of an OME-Zarr image", id="a list"),
        pytest.param({"ome": {"version": "0.5", "plate": {}}}, r"a plate of many images; name one field", id="a plate"),
        pytest.param({"ome": {"version": "0.5", "well": {}}}, "a well of many images", id="a well"),
        pytest.param({"ome": {"labels": ["cells"]}}, "label images; name one of them: cells", id="labels"),
        pytest.param({"ome": {"multiscales": []}}, "damaged multiscales", id="no multiscales"),
        pytest.param({"ome": {"version": "0.3", "multiscales": [{}]}}, "is OME-Zarr 0.3, and 0.4 and 0.5", id="old"),
        pytest.param({"ome": {"multiscales": [{"axes": ["y", "x"]}]}}, "names no axes", id="axes as names"),
    ],
)
def test_a_zarr_folder_without_an_image_says_what_it_is(attributes: dict, reason: str, tmp_path: Path) -> None:
    write_ome_zarr(tmp_path / "a.zarr", [noise(8, 9)], "YX", chunks=(8, 9))
    edit(tmp_path / "a.zarr" / "zarr.json", set_at("attributes", to=attributes))
    with pytest.raises(InputError, match=reason) as refusal:
        open_image(tmp_path / "a.zarr")
    assert "a.zarr" in str(refusal.value)


@pytest.mark.parametrize("name", ["../b.zarr/0", "/etc", "0/../../b.zarr/0", "a\\..\\b", "C:/x", "", 5, "0\0", "gone"])
def test_a_path_in_the_metadata_that_leads_elsewhere_is_refused(name: object, tmp_path: Path) -> None:
    for folder in ("a.zarr", "b.zarr"):
        write_ome_zarr(tmp_path / folder, [noise(8, 9)], "YX", chunks=(8, 9))
    steps = ["attributes", "ome", "multiscales", 0, "datasets", 0, "path"]
    edit(tmp_path / "a.zarr" / "zarr.json", set_at(*steps, to=name))
    with pytest.raises(InputError, match="names"):
        open_image(tmp_path / "a.zarr")


_STEPS = ("codecs", 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(set_at("shape", to=[0, 9]), r"has a shape of \[0, 9\]", id="no rows"),
        pytest.param(set_at("shape", to=[8.0, 9]), "has a shape", id="half rows"),
        pytest.param(set_at("shape", to=[10**6, 10**6]), "declares 1,000,000,000,000 pixels", id="a million square"),
        pytest.param(set_at("shape", to=[4 * 10**5, 10**5]), "not one of its", id="empty and huge"),
        pytest.param(set_at("chunk_grid", "configuration", "chunk_shape", to=[8]), "chunk_shape", id="one length"),
        pytest.param(set_at("chunk_grid", "name", to="rectilinear"), "different sizes", id="uneven chunks"),
        pytest.param(set_at("data_type", to="complex64"), "whole numbers and floats are read", id="complex"),
        pytest.param(set_at("data_type", to={"name": "struct"}), "whole numbers and floats are read", id="records"),
        pytest.param(set_at(*_STEPS, to={"name": "numcodecs.pickle"}), "'pickle', which is not read", id="pickle"),
        pytest.param(set_at(*_STEPS, to={"name": "lzma"}), "'lzma', which is not read", id="unknown compression"),
        pytest.param(set_at("codecs", to="zstd"), "no list of codecs", id="codecs as a word"),
        pytest.param(
            set_at("chunk_key_encoding", "configuration", "separator", to="/../"), "unknown names", id="dots in keys"
        ),
        pytest.param(set_at("storage_transformers", to=[{"name": "x"}]), "not read", id="transformers"),
        pytest.param(set_at("fill_value", to=[1]), "fill value", id="list as fill value"),
        pytest.param(set_at("node_type", to="group"), "is not of an array", id="a group"),
    ],
)
def test_a_header_that_asks_for_too_much_is_refused(change: Change, reason: str, tmp_path: Path) -> None:
    write_ome_zarr(tmp_path / "a.zarr", [noise(8, 9)], "YX", chunks=(8, 9))
    shutil.rmtree(tmp_path / "a.zarr/0/c")
    edit(tmp_path / "a.zarr/0/zarr.json", change)
    with pytest.raises(InputError, match=reason):
        open_image(tmp_path / "a.zarr")


def test_filters_of_version_2_are_refused_so_that_none_unpickles(tmp_path: Path) -> None:
    write_ome_zarr(tmp_path / "a.zarr", [noise(8, 9)], "YX", version="0.4", chunks=(8, 9))
    edit(tmp_path / "a.zarr/0/.zarray", set_at("filters", to=[{"id": "pickle"}]))
    with pytest.raises(InputError, match="filters"):
        open_image(tmp_path / "a.zarr")


def test_a_chunk_over_the_budget_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    write_ome_zarr(tmp_path / "a.zarr", [noise(8, 9)], "YX", chunks=(8, 9))
    grid = set_at("chunk_grid", "configuration", "chunk_shape", to=[10**6, 10**6])
    edit(tmp_path / "a.zarr/0/zarr.json", grid)
    with pytest.raises(MemoryBudgetError, match="one chunk of it needs") as refusal:
        open_image(tmp_path / "a.zarr")
    assert refusal.value.exit_code == 8


@pytest.mark.parametrize("count", ["planes", "channels"])
def test_absurdly_many_planes_or_channels_are_refused(count: str, tmp_path: Path) -> None:
    axes = {"planes": "ZYX", "channels": "CYX"}[count]
    write_ome_zarr(tmp_path / "a.zarr", [noise(1, 8, 9)], axes, chunks=(1, 8, 9))
    edit(tmp_path / "a.zarr/0/zarr.json", set_at("shape", to=[10**7, 8, 9]))
    with pytest.raises(InputError, match=f"declares 10,000,000 {count}"):
        open_image(tmp_path / "a.zarr")


@pytest.mark.parametrize(
    ("kind", "codec"),
    [
        pytest.param("zstd", Zstd(level=19), id="Zstandard"),
        pytest.param("gzip", GZip(level=9), id="gzip"),
        pytest.param("zlib", Zlib(level=9), id="zlib"),
        pytest.param("bz2", BZ2(), id="bzip2"),
        pytest.param("lz4", LZ4(), id="LZ4"),
        pytest.param("blosc", Blosc(cname="zstd", clevel=9), id="Blosc"),
    ],
)
def test_a_chunk_that_inflates_beyond_its_size_is_refused_without_room_for_it(
    kind: str, codec: Codec, tmp_path: Path
) -> None:
    import tracemalloc

    write_ome_zarr(
        tmp_path / "a.zarr", [noise(64, 64, dtype=np.uint8)], "YX", version="0.4", chunks=(64, 64), compressors=codec
    )
    (tmp_path / "a.zarr/0/0/0").write_bytes(bytes(codec.encode(bytes(200_000)))[:9000])
    with open_image(tmp_path / "a.zarr") as source:
        tracemalloc.start()
        with pytest.raises(InputError, match=r"cannot read the pixels|more than a chunk"):
            source.read()
        assert tracemalloc.get_traced_memory()[1] < 100_000
        tracemalloc.stop()
    assert kind == codec.codec_id


def test_a_file_longer_than_a_chunk_can_be_is_not_read(tmp_path: Path) -> None:
    write_ome_zarr(tmp_path / "a.zarr", [noise(64, 64)], "YX", chunks=(32, 32))
    with (tmp_path / "a.zarr/0/c/0/0").open("ab") as stream:
        stream.truncate(10**9)
    with open_image(tmp_path / "a.zarr") as source, pytest.raises(InputError, match="1,000,000,000 bytes, more than"):
        source.read()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes and links as files need POSIX")
@pytest.mark.parametrize("place", ["0/c/0/0", "0/c/0", "0/zarr.json", "0", "zarr.json"])
def test_links_in_the_folder_are_refused(place: str, tmp_path: Path) -> None:
    for name in ("a.zarr", "b.zarr"):
        write_ome_zarr(tmp_path / name, [noise(64, 64)], "YX", chunks=(32, 32))
    (tmp_path / "a.zarr" / place).rename(tmp_path / "moved")
    (tmp_path / "a.zarr" / place).symlink_to(tmp_path / "b.zarr" / place)
    with pytest.raises(InputError, match="link"):
        open_image(tmp_path / "a.zarr")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes and links as files need POSIX")
def test_links_and_pipes_that_appear_later_are_refused_when_they_are_reached(tmp_path: Path) -> None:
    for name in ("a.zarr", "b.zarr"):
        write_ome_zarr(tmp_path / name, [noise(64, 64)], "YX", chunks=(32, 32))
    with open_image(tmp_path / "a.zarr") as source:
        (tmp_path / "a.zarr/0/c/0/0").unlink()
        (tmp_path / "a.zarr/0/c/0/0").symlink_to(tmp_path / "b.zarr/0/c/0/0")
        with pytest.raises(InputError, match="a link or a device"):
            source.read()
        (tmp_path / "a.zarr/0/c/0/0").unlink()
        os.mkfifo(tmp_path / "a.zarr/0/c/0/0")  # reading it would hang
        with pytest.raises(InputError, match="a link or a device"):
            source.read()


def test_a_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    write_ome_zarr(tmp_path / "a.zarr", [noise(8, 9)], "YX", chunks=(8, 9))
    (tmp_path / "link.zarr").symlink_to(tmp_path / "a.zarr")
    with open_image(tmp_path / "link.zarr") as linked, open_image(tmp_path / "a.zarr") as image:
        assert np.array_equal(linked.read(), image.read())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a":' * 100_000, b"\xff\xfe"])
@pytest.mark.parametrize("name", ["zarr.json", "0/zarr.json"])
def test_a_header_that_is_no_json_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    write_ome_zarr(tmp_path / "a.zarr", [noise(8, 9)], "YX", chunks=(8, 9))
    (tmp_path / "a.zarr" / name).write_bytes(content)
    with pytest.raises(InputError, match=r"a\.zarr"):
        open_image(tmp_path / "a.zarr")


def test_a_shard_whose_index_lies_is_refused(tmp_path: Path) -> None:
    write_ome_zarr(tmp_path / "a.zarr", [noise(64, 64)], "YX", chunks=(16, 16), shards=(64, 64))
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    edit(tmp_path / "a.zarr/0/zarr.json", set_at("codecs", 0, "configuration", "index_codecs", to=[little]))
    shard = tmp_path / "a.zarr/0/c/0/0"
    index = np.tile(np.array([0, 2**40], "<u8"), 16)
    shard.write_bytes(shard.read_bytes()[: -(16 * 16 + 4)] + index.tobytes())
    with open_image(tmp_path / "a.zarr") as source, pytest.raises(InputError, match="claims 1,099,511,627,776 bytes"):
        source.read((0, 0, 10, 10))


def test_a_mutated_folder_gives_pixels_or_a_sentence(tmp_path: Path) -> None:
    write_ome_zarr(tmp_path / "a.zarr", [noise(32, 32)], "YX", chunks=(16, 16), shards=(32, 32))
    files = [path for path in (tmp_path / "a.zarr").rglob("*") if path.is_file()]
    random = np.random.default_rng(5)
    for round_ in range(60):
        path = files[round_ % len(files)]
        whole = path.read_bytes()
        data = bytearray(whole)
        for place in random.integers(0, len(data), 2):
            data[place] = random.integers(32, 127)
        path.write_bytes(data)
        try:
            with open_image(tmp_path / "a.zarr", memory=2**28) as source:
                source.read()
        except (InputError, MemoryBudgetError):
            pass
        path.write_bytes(whole)


def _without_chunks(folder: Path, *names: str) -> Path:
    image = np.full((64, 64), 50, np.uint8)
    image[5:12, 5:12] = image[40:47, 40:47] = 200
    write_ome_zarr(folder / "a.zarr", [image], "YX", chunks=(32, 32))
    for name in names:
        (folder / "a.zarr/0/c" / name).unlink()
    return folder / "a.zarr"


@pytest.mark.parametrize("names", [(), ("0/0",), ("0/0", "1/1"), ("0/0", "0/1", "1/0")], ids=len)
def test_missing_chunks_are_warned_of_by_the_commands(tmp_path: Path, names: tuple[str, ...]) -> None:
    path = _without_chunks(tmp_path, *names)
    inferred = infer([path], settings=InferSettings(method="otsu", output=tmp_path / "masks"))
    counted = count([path], settings=CountSettings(output=tmp_path / "counts", kind="labels"))
    expected = [f"{len(names)} of 4 chunks are missing and read as 0"] if names else []
    for result in (inferred, counted):
        told = [warning for warning in result.warnings if warning.code == "missing_chunks"]
        assert [warning.message for warning in told] == expected
        assert all("a" in (warning.image or "") for warning in told)
