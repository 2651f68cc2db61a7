"""TIFF files of several dialects: axes, planes, channels, pixel sizes, regions, levels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tifffile import TiffFile, TiffWriter, imwrite

from cellmonai.core.errors import InputError
from cellmonai.images.open import open_image

if TYPE_CHECKING:
    from pathlib import Path

RANDOM = np.random.default_rng(3)


def noise(*shape: int, dtype: type = np.uint16) -> np.ndarray:
    return RANDOM.integers(0, 250, shape).astype(dtype)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="one raw strip"),
        pytest.param({"rowsperstrip": 7}, id="raw strips"),
        pytest.param({"rowsperstrip": 7, "compression": "zlib", "predictor": True}, id="deflate strips, predictor"),
        pytest.param({"tile": (16, 32)}, id="raw tiles"),
        pytest.param({"tile": (32, 16), "compression": "lzw"}, id="LZW tiles"),
        pytest.param({"bigtiff": True, "byteorder": ">"}, id="BigTIFF, big-endian"),
        pytest.param({"photometric": "rgb", "planarconfig": "contig"}, id="colour"),
        pytest.param({"photometric": "rgb", "planarconfig": "separate", "rowsperstrip": 9}, id="colour in planes"),
    ],
)
def test_any_region_of_any_storage_is_cut_from_the_whole(options: dict[str, Any], tmp_path: Path) -> None:
    colour, planar = "photometric" in options, options.get("planarconfig") == "separate"
    array = noise(3, 70, 90) if planar else noise(70, 90, 3) if colour else noise(70, 90)
    imwrite(tmp_path / "a.tif", array, **options)
    whole = array if planar else np.moveaxis(array, -1, 0) if colour else array[np.newaxis]
    with open_image(tmp_path / "a.tif") as source:
        assert source.channels == (("red", "green", "blue") if colour else ("0",))
        assert np.array_equal(source.read(), whole)
        for region in [(0, 0, 1, 1), (69, 89, 70, 90), (15, 31, 33, 65), (7, 0, 14, 90)]:
            row0, column0, row1, column1 = region
            assert np.array_equal(source.read(region), whole[:, row0:row1, column0:column1])
        assert np.array_equal(source.read(channels=[len(whole) - 1]), whole[-1:])


def test_a_region_reads_only_the_tiles_that_overlap_it(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    imwrite(path, noise(64, 64, dtype=np.uint8), tile=(32, 32), compression="zlib")
    with TiffFile(path) as tif:
        offset, count = tif.pages.first.dataoffsets[3], tif.pages.first.databytecounts[3]
    data = bytearray(path.read_bytes())
    data[offset : offset + count] = b"\xff" * count  # the last tile is garbage
    path.write_bytes(data)
    with open_image(path) as source:
        assert source.read((0, 0, 32, 64)).shape == (1, 32, 64)
        with pytest.raises(InputError, match="cannot read the pixels"):
            source.read((0, 0, 33, 33))


@pytest.mark.parametrize(
    ("axes", "shape", "planes", "channels"),
    [
        pytest.param("CYX", (2, 30, 40), ("",), 2, id="channels"),
        pytest.param("ZCYX", (3, 2, 30, 40), ("z0", "z1", "z2"), 2, id="depths of channels"),
        pytest.param("TZYX", (2, 2, 30, 40), ("t0_z0", "t0_z1", "t1_z0", "t1_z1"), 1, id="times and depths"),
    ],
)
@pytest.mark.parametrize("kind", ["imagej", "ome", "plain"])
def test_hyperstacks_become_planes_of_channels(
    kind: str, axes: str, shape: tuple[int, ...], planes: tuple[str, ...], channels: int, tmp_path: Path
) -> None:
    array = noise(*shape)
    options: dict[str, Any] = {} if kind == "plain" else {kind: True}
    imwrite(tmp_path / "a.tif", array, photometric="minisblack", metadata={"axes": axes}, **options)
    with open_image(tmp_path / "a.tif") as source:
        assert source.planes == planes
        assert source.shape == (channels, 30, 40)
        flat = array.reshape(-1, channels, 30, 40)
        assert all(np.array_equal(source.read(plane=i), flat[i]) for i in range(len(planes)))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({"resolution": (1e4 / 0.5, 1e4 / 0.25), "resolutionunit": 3}, (0.25, 0.5), id="centimetres"),
        pytest.param({"resolution": (25400 / 0.5,) * 2, "resolutionunit": 2}, (0.5, 0.5), id="a microscope's inches"),
        pytest.param({"resolution": (72, 72), "resolutionunit": 2}, None, id="72 dpi"),
        pytest.param({"resolution": (600, 600), "resolutionunit": 2}, None, id="600 dpi"),
        pytest.param({"resolution": (28.3464, 28.3464), "resolutionunit": 3}, None, id="72 dpi in centimetres"),
        pytest.param({"resolution": (2.0, 2.0), "resolutionunit": 1}, None, id="no unit"),
        pytest.param({}, None, id="nothing"),
        pytest.param({"imagej": True, "resolution": (2, 4), "metadata": {"unit": "um"}}, (0.25, 0.5), id="ImageJ um"),
        pytest.param({"imagej": True, "resolution": (2, 2), "metadata": {"unit": "nm"}}, (5e-4, 5e-4), id="ImageJ nm"),
        pytest.param({"imagej": True, "resolution": (2, 2), "metadata": {"unit": "pixel"}}, None, id="ImageJ pixel"),
        pytest.param(
            {"ome": True, "metadata": {"PhysicalSizeX": 0.65, "PhysicalSizeY": 0.7}},
            (0.7, 0.65),
            id="OME, default unit",
        ),
        pytest.param(
            {
                "ome": True,
                "metadata": {
                    "PhysicalSizeX": 650.0,
                    "PhysicalSizeXUnit": "nm",
                    "PhysicalSizeY": 700.0,
                    "PhysicalSizeYUnit": "nm",
                },
            },
            (0.7, 0.65),
            id="OME in nanometres",
        ),
    ],
)
def test_a_pixel_size_is_micrometres_or_unknown(
    options: dict[str, Any], expected: tuple[float, float] | None, tmp_path: Path
) -> None:
    imwrite(tmp_path / "a.tif", noise(8, 9, dtype=np.uint8), **options)
    with open_image(tmp_path / "a.tif") as source:
        assert source.pixel_size_um == (None if expected is None else pytest.approx(expected, rel=1e-6))


def test_ome_channel_names_are_kept(tmp_path: Path) -> None:
    names = ["DAPI", "GFP"]
    imwrite(tmp_path / "a.ome.tif", noise(2, 8, 9), metadata={"axes": "CYX", "Channel": {"Name": names}})
    with open_image(tmp_path / "a.ome.tif") as source:
        assert source.channels == ("DAPI", "GFP")


def test_sub_directories_are_levels(tmp_path: Path) -> None:
    array = noise(64, 96)
    with TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(array, tile=(16, 16), subifds=2)
        writer.write(array[::2, ::2], tile=(16, 16), subfiletype=1)
        writer.write(array[::4, ::4], tile=(16, 16), subfiletype=1)
    with open_image(tmp_path / "a.tif") as source:
        assert source.levels == ((64, 96), (32, 48), (16, 24))
        assert np.array_equal(source.read(level=2)[0], array[::4, ::4])


def test_an_imagej_stack_with_one_directory_is_read_from_the_data_behind_it(tmp_path: Path) -> None:
    stack = noise(5, 20, 30)
    text = "ImageJ=1.54f\nimages=5\nslices=5\n"
    imwrite(tmp_path / "a.tif", stack[0], description=text, metadata=None)
    with TiffFile(tmp_path / "a.tif") as tif:
        start = tif.pages.first.dataoffsets[0]
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[start : start + stack[0].nbytes] = stack.tobytes()  # the first page is the last thing in the file
    (tmp_path / "a.tif").write_bytes(data)
    with open_image(tmp_path / "a.tif") as source:
        assert source.planes == ("z0", "z1", "z2", "z3", "z4")
        assert np.array_equal(source.read((3, 4, 9, 9), plane=4)[0], stack[4, 3:9, 4:9])


def test_axes_that_the_user_names_replace_those_of_the_file(tmp_path: Path) -> None:
    array = noise(2, 30, 40)
    imwrite(tmp_path / "a.tif", array, photometric="minisblack")
    with open_image(tmp_path / "a.tif") as source:
        assert source.planes == ("p0", "p1")
    with open_image(tmp_path / "a.tif", axes="cyx") as source:
        assert source.planes == ("",)
        assert np.array_equal(source.read(), array)


@pytest.mark.parametrize("axes", ["YXC", "XY", "CYXQ", "TZYX", "YY", "CCYX"])
def test_axes_that_do_not_fit_are_refused(axes: str, tmp_path: Path) -> None:
    imwrite(tmp_path / "a.tif", noise(2, 30, 40), photometric="minisblack")
    with pytest.raises(InputError, match="axes"):
        open_image(tmp_path / "a.tif", axes=axes)


@pytest.mark.parametrize("bits", [1, 8, 16])
def test_white_stored_as_zero_is_turned_round(bits: int, tmp_path: Path) -> None:
    dtype = {1: np.bool_, 8: np.uint8, 16: np.uint16}[bits]
    array = noise(16, 16).astype(dtype)
    imwrite(tmp_path / "a.tif", array, photometric="miniswhite", software="a microscope")
    with open_image(tmp_path / "a.tif") as source:
        expected = ~array if bits == 1 else np.iinfo(dtype).max - array
        assert np.array_equal(source.read()[0], expected)


def test_a_bool_array_that_tifffile_wrote_keeps_its_meaning(tmp_path: Path) -> None:
    array = noise(16, 16) > 200
    imwrite(tmp_path / "a.tif", array)  # marked as white-is-0 by tifffile, although True is a set bit
    with open_image(tmp_path / "a.tif") as source:
        assert np.array_equal(source.read()[0], array)


def test_alpha_is_left_out_and_said(tmp_path: Path) -> None:
    array = noise(16, 16, 4, dtype=np.uint8)
    imwrite(tmp_path / "a.tif", array, photometric="rgb", extrasamples=["unassalpha"])
    with open_image(tmp_path / "a.tif") as source:
        assert source.channels == ("red", "green", "blue")
        assert source.notes == ("alpha channel left out",)
        assert np.array_equal(source.read(), np.moveaxis(array[..., :3], -1, 0))


def test_a_palette_becomes_colour(tmp_path: Path) -> None:
    table = np.arange(3 * 256, dtype=np.uint16).reshape(3, 256) % 256 * 257
    array = noise(16, 16, dtype=np.uint8)
    imwrite(tmp_path / "a.tif", array, photometric="palette", colormap=table)
    with open_image(tmp_path / "a.tif") as source:
        assert source.dtype == np.uint8
        assert np.array_equal(source.read(), np.stack([array] * 3))


@pytest.mark.parametrize(
    "call",
    [
        pytest.param({"region": (0, 0, 31, 8)}, id="too low"),
        pytest.param({"region": (4, 4, 4, 8)}, id="empty"),
        pytest.param({"region": (-1, 0, 4, 8)}, id="negative"),
        pytest.param({"channels": [1]}, id="no such channel"),
        pytest.param({"level": 1}, id="no such level"),
        pytest.param({"plane": 1}, id="no such plane"),
    ],
)
def test_what_lies_outside_the_image_is_a_callers_mistake(call: dict[str, Any], tmp_path: Path) -> None:
    imwrite(tmp_path / "a.tif", noise(30, 40))
    with open_image(tmp_path / "a.tif") as source, pytest.raises(ValueError, match="expected"):
        source.read(**call)


def test_the_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    array = noise(8, 8)
    for name in ("a.tif", "b.tif"):
        imwrite(tmp_path / name, array, metadata=None)
    imwrite(tmp_path / "c.tif", array + 1, metadata=None)
    prints = []
    for name in ("a.tif", "b.tif", "c.tif"):
        with open_image(tmp_path / name) as source:
            prints.append(source.fingerprint)
    assert prints[0] == prints[1] != prints[2]
    assert len(prints[0]) == 64
