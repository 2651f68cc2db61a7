"""What must not be opened: each refused in one sentence, from the header, without room made for its pixels."""

from __future__ import annotations

import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tifffile import imwrite

from cellmonai.core.errors import CellmonaiError, InputError, MemoryBudgetError
from cellmonai.images.guard import reading
from cellmonai.images.open import open_image

if TYPE_CHECKING:
    from collections.abc import Callable

_IMAGE = np.arange(64, dtype=np.uint8).reshape(8, 8)


def tiff(*tags: tuple[int, int, int, int], following: int = 0, tail: bytes = b"") -> bytes:
    """Write a TIFF by hand: tags are (code, type, count, value); the next directory lies at `following`."""
    block = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<I", 8) + block + struct.pack("<I", following) + tail


def picture(width: int, height: int, *more: tuple[int, int, int, int], offset: int = 8, count: int = 8) -> list:
    return sorted(
        [
            (256, 4, 1, width),
            (257, 4, 1, height),
            (258, 3, 1, 8),
            (259, 3, 1, 1),
            (262, 3, 1, 1),
            (273, 4, 1, offset),
            (277, 3, 1, 1),
            (278, 4, 1, height),
            (279, 4, 1, count),
            *more,
        ]
    )


def png(width: int, height: int) -> bytes:
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 8) + b"IDAT" + bytes(12)


def compressed(*pairs: tuple[int, int]) -> list:
    tags = {tag[0]: tag for tag in picture(40_000, 40_000)}
    return sorted({**tags, 259: (259, 3, 1, 8), **{code: (code, 4, 1, value) for code, value in pairs}}.values())


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        pytest.param("a.tif", b"", "is empty", id="empty"),
        pytest.param("a.tif", b"II*\0\x08", "structure is damaged", id="five bytes"),
        pytest.param("a.tif", b"this is no image\n", "holds text data", id="text named tif"),
        pytest.param("a.png", tiff(*picture(8, 8)), "named as a PNG file and holds TIFF data", id="TIFF named png"),
        pytest.param("a.npy", b"\x93NUMPY\x01\0\x10\0{broken", "npy header", id="broken npy"),
        pytest.param("a.docx", b"PK\x03\x04", "is no image format", id="unknown suffix"),
        pytest.param("a.tif", tiff(*picture(8, 8), following=8), "form a loop", id="loop of directories"),
        pytest.param("a.tif", tiff(*picture(8, 8, (330, 4, 1, 8))), "form a loop", id="sub-directory is its parent"),
        pytest.param("a.tif", tiff(*picture(0, 8)), "no pixels", id="no columns"),
        pytest.param("a.tif", tiff(*picture(8, 0)), "no pixels", id="no rows"),
        pytest.param("a.tif", tiff(*picture(10**6, 10**6)), "cut short", id="a million square"),
        pytest.param("a.tif", tiff(*picture(16, 16)), "cut short", id="data beyond the end"),
        pytest.param("a.tif", tiff(*picture(8, 8), following=10**6), "beyond its end", id="directory beyond the end"),
        pytest.param("a.tif", tiff(*picture(8, 8, (322, 4, 1, 0), (323, 4, 1, 0))), "no pixels", id="tiles of 0"),
        pytest.param("a.tif", tiff((256, 4, 10**9, 8)), "claims 1000000000 values", id="lying count"),
    ],
)
def test_a_bad_file_is_refused(name: str, content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=reason) as refusal, open_image(tmp_path / name) as source:
        source.read()
    assert name in str(refusal.value)
    assert str(refusal.value).count("\n") == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.tif", tiff(*compressed((259, 5))), id="one LZW strip of 1.6 GB"),
        pytest.param("a.png", png(20_000, 5_000), id="PNG of 100 megapixels"),
    ],
)
def test_what_is_over_the_budget_is_refused_from_the_header(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MemoryBudgetError, match="memory budget"):
        open_image(tmp_path / name, memory=2**26)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.tif", tiff(*compressed()), id="TIFF"),
        pytest.param("b.tif", tiff(*compressed((273, 0), (279, 0))), id="TIFF without data"),
        pytest.param("a.png", png(20_000, 15_000), id="PNG"),
    ],
)
def test_a_tiny_file_that_claims_a_huge_picture_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"megapixels|claim to be"):
        open_image(tmp_path / name, memory=2**40)


def test_a_large_npy_that_is_not_there_is_refused(tmp_path: Path) -> None:
    header = np.lib.format.header_data_from_array_1_0(np.zeros((1, 1), np.uint8)) | {"shape": (10**6, 10**6)}
    with (tmp_path / "a.npy").open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
    with pytest.raises(InputError, match="cut short"):
        open_image(tmp_path / "a.npy")


def test_a_whole_image_over_the_budget_is_refused_and_a_part_is_read(tmp_path: Path) -> None:
    imwrite(tmp_path / "a.tif", np.zeros((2000, 2000), np.uint8), tile=(64, 64))
    with open_image(tmp_path / "a.tif", memory=2**20) as source:
        assert source.read((0, 0, 100, 100)).shape == (1, 100, 100)
        with pytest.raises(MemoryBudgetError, match="2000 x 2000 px"):
            source.read()


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        pytest.param(np.full((8, 8), np.nan, np.float32), "NaN or infinite", id="NaN"),
        pytest.param(np.full((8, 8), np.inf, np.float32), "NaN or infinite", id="infinity"),
        pytest.param(np.zeros((8, 8), np.complex64), "complex", id="complex"),
        pytest.param(np.zeros((0, 8), np.uint8), "no pixels", id="no rows"),
        pytest.param(np.zeros((8, 8), "U3"), "type <U3", id="words"),
        pytest.param(np.zeros((3, 8, 8), np.uint8), "axes .* are unknown", id="axes not named"),
        pytest.param(np.zeros(8, np.uint8), "is no image", id="one axis"),
    ],
)
def test_an_array_that_is_no_picture_is_refused(array: np.ndarray, reason: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", image=array)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(InputError, match=reason), open_image(tmp_path / name) as source:
            source.read()


def test_complex_numbers_and_nan_in_a_tiff_are_refused(tmp_path: Path) -> None:
    imwrite(tmp_path / "c.tif", np.zeros((8, 8), np.complex64))
    imwrite(tmp_path / "n.tif", np.full((8, 8), np.nan, np.float32))
    with pytest.raises(InputError, match="complex"):
        open_image(tmp_path / "c.tif")
    with open_image(tmp_path / "n.tif") as source, pytest.raises(InputError, match="64 pixel values are NaN"):
        source.read()
    imwrite(tmp_path / "one.tif", np.pad(np.full((1, 1), np.nan, np.float32), 4))
    with open_image(tmp_path / "one.tif") as source, pytest.raises(InputError, match="1 pixel value is NaN"):
        source.read()


def test_python_objects_are_never_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "a_seg.npy", {"masks": _IMAGE}, allow_pickle=True)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="pickle"):
        open_image(tmp_path / "a_seg.npy")


def test_places_that_are_no_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.tif").mkdir()
    with pytest.raises(InputError, match="no such file"):
        open_image(tmp_path / "missing.tif")
    with pytest.raises(InputError, match="this is a folder"):
        open_image(tmp_path / "folder.tif")


def _loop(folder: Path) -> None:
    (folder / "other.tif").symlink_to("x.tif")
    (folder / "x.tif").symlink_to("other.tif")


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "x.tif").symlink_to("pipe")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes and links as files need POSIX")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda folder: os.mkfifo(folder / "x.tif"), "this is a pipe", id="a pipe"),
        pytest.param(_pipe, "this is a pipe", id="a link to a pipe"),
        pytest.param(lambda folder: (folder / "x.tif").symlink_to("/dev/zero"), "device", id="a link to a device"),
        pytest.param(lambda folder: (folder / "x.tif").symlink_to("gone.tif"), "cannot be found", id="a broken link"),
        pytest.param(_loop, "a link that leads back to itself", id="a loop of links"),
        pytest.param(lambda folder: (folder / "x.tif").symlink_to(folder), "this is a folder", id="a link to a folder"),
    ],
)
def test_what_is_no_file_is_refused_without_being_opened(
    make: Callable[[Path], None], reason: str, tmp_path: Path
) -> None:
    make(tmp_path)
    with pytest.raises(InputError, match=reason):
        open_image(tmp_path / "x.tif")


def test_a_link_to_an_image_is_that_image(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    imwrite(tmp_path / "data" / "a.tif", _IMAGE)
    (tmp_path / "link.tif").symlink_to(Path("data", "a.tif"))
    (tmp_path / "link of link.tif").symlink_to("link.tif")
    with open_image(tmp_path / "link of link.tif") as image:
        assert np.array_equal(image.read()[0], _IMAGE)


def ome(body: str, *, before: str = "", uuid: str = "") -> str:
    space = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    return f'<?xml version="1.0" encoding="UTF-8"?>{before}<OME xmlns="{space}"{uuid}>{body}</OME>'


def pixels(inner: str = "", **sizes: int) -> str:
    given = {"C": 1, "Z": 1, "T": 1} | sizes
    text = " ".join(f'Size{axis}="{n}"' for axis, n in given.items())
    return f'<Image ID="Image:0"><Pixels DimensionOrder="XYCZT" SizeX="8" SizeY="8" {text}>{inner}</Pixels></Image>'


_BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
_OUTSIDE = '<TiffData IFD="0" FirstZ="{z}"><UUID FileName="{name}">urn:uuid:{z}</UUID></TiffData>'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(ome(pixels(), before=_BOMB), "document type definition", id="entities"),
        pytest.param(ome(pixels(C=30_000, Z=1_000)), "declares 30000000 planes", id="planes from nowhere"),
        pytest.param(ome(pixels(Z=0)), "SizeZ='0'", id="no planes"),
        pytest.param(ome(pixels('<TiffData IFD="5"/>')), "beyond the 1", id="directory that is not there"),
        pytest.param(ome(pixels())[:-9], "cannot be parsed", id="cut XML"),
        pytest.param(ome("<a>" * 40 + "</a>" * 40), "nested deeper", id="deep XML"),
        pytest.param("ImageJ=1.54f\nimages=100000000\nslices=100000000\n", "declares 100000000 planes", id="ImageJ"),
        pytest.param("ImageJ=1.54f\nimages=3\nslices=3\n", "cut short", id="ImageJ planes that are not stored"),
        pytest.param('{"shape": [9, 8, 8], "axes": "ZYX"}', "cut short|more than it holds", id="tifffile"),
    ],
)
def test_a_description_that_promises_too_much_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    imwrite(tmp_path / "a.tif", _IMAGE, description=text, metadata=None)
    with pytest.raises(InputError, match=reason):
        open_image(tmp_path / "a.tif")


def test_files_that_ome_xml_names_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "secret.tif")  # opening it would hang
    blocks = _OUTSIDE.format(z=0, name="a.ome.tif") + _OUTSIDE.format(z=1, name="../secret.tif")
    path = tmp_path / "inside" / "a.ome.tif"
    imwrite(path, _IMAGE, description=ome(pixels(blocks, Z=2)), metadata=None, ome=False)
    with open_image(path) as source:
        assert source.planes == ("",)  # the plane that is in this file
        assert np.array_equal(source.read()[0], _IMAGE)


def test_an_ome_file_may_be_renamed(tmp_path: Path) -> None:
    block = '<TiffData IFD="0"><UUID FileName="other.ome.tif">urn:uuid:1</UUID></TiffData>'
    imwrite(tmp_path / "a.tif", _IMAGE, description=ome(pixels(block)), metadata=None)
    with open_image(tmp_path / "a.tif") as source:
        assert np.array_equal(source.read()[0], _IMAGE)


def test_a_name_with_any_characters_stays_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refusal:
        open_image(tmp_path / "a\n[red]\x1b]0;.tif")
    assert "\n" not in str(refusal.value)
    assert "\x1b" not in str(refusal.value)


@pytest.mark.parametrize(
    "error", [RecursionError(), AssertionError("odd"), KeyError(3), OSError(5, "Input/output error")]
)
def test_any_failure_of_a_reader_becomes_a_sentence(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the pixels"), reading(tmp_path / "a.tif", "the pixels"):
        raise error


def test_no_memory_for_a_reader_is_a_budget_error(tmp_path: Path) -> None:
    with pytest.raises(MemoryBudgetError), reading(tmp_path / "a.tif", "the pixels"):
        raise MemoryError


@pytest.mark.parametrize("compression", [None, "zlib", "jpeg"])
def test_a_mutated_tiff_gives_pixels_or_a_sentence(compression: str | None, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    imwrite(path, np.tile(_IMAGE, (4, 4)), tile=(16, 16), compression=compression)
    whole, random = path.read_bytes(), np.random.default_rng(5)
    for _ in range(150):
        data = bytearray(whole)
        for place in random.integers(0, min(len(data), 500), 2):
            data[place] = random.integers(0, 256)
        path.write_bytes(data)
        _open_and_read(path)


def _open_and_read(path: Path) -> None:
    with suppress(CellmonaiError), open_image(path, memory=2**28) as source:
        source.read()
