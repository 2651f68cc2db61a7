"""Slide scans: planes, channels, levels and pixel sizes as the scanners of three makers store them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from slide_files import TILE_WIDTH, write_ndpi, write_qptiff
from tifffile import TiffWriter, imwrite

from cellmonai.core.errors import InputError
from cellmonai.images.open import open_image

RANDOM = np.random.default_rng(8)


def smooth(height: int, width: int) -> np.ndarray:
    """A colour picture that JPEG changes little."""
    y, x = np.mgrid[:height, :width]
    return np.stack([y * 200 // height, x * 200 // width, (x + y) * 100 // (height + width)], -1).astype(np.uint8)


def test_an_ndpi_scan_has_levels_and_no_macro_picture(tmp_path: Path) -> None:
    full = smooth(96, 256)
    pages = [
        {"pixels": full, "lens": 20.0},
        {"pixels": full[::2, ::2].copy(), "lens": 10.0},
        {"pixels": smooth(64, 128), "lens": -1.0},
    ]
    write_ndpi(tmp_path / "a.ndpi", pages)
    with open_image(tmp_path / "a.ndpi") as source:
        assert source.levels == ((96, 256), (48, 128))
        assert source.planes == ("",)
        assert source.channels == ("red", "green", "blue")
        assert source.notes == ("1 side pictures (thumbnail, label, macro) left out",)
        assert source.block_shape() == (8, TILE_WIDTH)  # from one restart marker to the next, not the whole JPEG
        found = np.moveaxis(source.read(), 0, -1).astype(int)
        assert np.abs(found - full).max() <= 8
        assert np.array_equal(source.read((20, 70, 41, 133)), np.moveaxis(found, -1, 0)[:, 20:41, 70:133])
        assert np.abs(np.moveaxis(source.read(level=1), 0, -1).astype(int) - full[::2, ::2]).max() <= 8


def test_depths_of_an_ndpi_scan_are_planes_with_levels_of_their_own(tmp_path: Path) -> None:
    pages = [
        {"pixels": np.full((size, 2 * size, 3), 40 * (depth + 2), np.uint8), "lens": size / 3, "depth": 1000 * depth}
        for size in (64, 32)
        for depth in (-1, 0, 1)
    ]
    write_ndpi(tmp_path / "a.ndpi", pages)
    with open_image(tmp_path / "a.ndpi") as source:
        assert source.planes == ("z0", "z1", "z2")
        assert source.levels == ((64, 128), (32, 64))
        for plane, value in enumerate((40, 80, 120)):
            assert abs(int(source.read(plane=plane, level=1).mean()) - value) <= 2


def test_a_loop_of_64_bit_offsets_is_refused(tmp_path: Path) -> None:
    write_ndpi(tmp_path / "a.ndpi", [{"pixels": smooth(16, 64), "lens": 20.0}] * 2)
    data = bytearray((tmp_path / "a.ndpi").read_bytes())
    first = data[4:12]
    tags = int.from_bytes(data[int.from_bytes(first, "little") :][:2], "little")
    link = int.from_bytes(first, "little") + 2 + 12 * tags
    data[link : link + 8] = first
    (tmp_path / "a.ndpi").write_bytes(data)
    with pytest.raises(InputError, match="form a loop"):
        open_image(tmp_path / "a.ndpi")


def test_a_qptiff_scan_has_named_channels_and_levels(tmp_path: Path) -> None:
    levels = [RANDOM.integers(0, 60_000, (3, 64 >> i, 96 >> i)).astype(np.uint16) for i in range(3)]
    write_qptiff(tmp_path / "a.qptiff", levels, ["DAPI", "CD3 &amp; CD8", "PanCK"])
    with open_image(tmp_path / "a.qptiff") as source:
        assert source.channels == ("DAPI", "CD3 & CD8", "PanCK")
        assert source.levels == ((64, 96), (32, 48), (16, 24))
        assert source.pixel_size_um == pytest.approx((0.5, 0.5))
        assert source.notes == ("2 side pictures (thumbnail, label, macro) left out",)
        for i, level in enumerate(levels):
            assert np.array_equal(source.read(level=i), level)
        assert np.array_equal(source.read((3, 5, 20, 40), channels=[2]), levels[0][2:, 3:20, 5:40])


def test_an_svs_scan_has_levels_and_no_label(tmp_path: Path) -> None:
    full = RANDOM.integers(0, 255, (96, 128, 3)).astype(np.uint8)
    text = "Aperio Image Library v12\r\n128x96 |AppMag = 20|MPP = 0.4990"
    with TiffWriter(tmp_path / "a.svs") as writer:
        writer.write(full, tile=(32, 32), photometric="rgb", description=text, metadata=None)
        writer.write(full[:24, :32], photometric="rgb", description="Aperio thumbnail", metadata=None)
        writer.write(full[::4, ::4], tile=(16, 16), photometric="rgb", description="Aperio level", metadata=None)
        writer.write(full[:20, :20], photometric="rgb", description="Aperio label", metadata=None, subfiletype=1)
    with open_image(tmp_path / "a.svs") as source:
        assert source.levels == ((96, 128), (24, 32))
        assert source.pixel_size_um == pytest.approx((0.499, 0.499))
        assert np.array_equal(source.read(level=1), np.moveaxis(full[::4, ::4], -1, 0))


def test_jpeg_2000_of_aperio_is_read_where_its_colours_are_known(tmp_path: Path) -> None:
    array = RANDOM.integers(0, 255, (64, 64, 3)).astype(np.uint8)
    for compression in (33003, 33005):
        name = f"{compression}.svs"
        imwrite(tmp_path / name, array, photometric="rgb", tile=(32, 32), compression=compression, metadata=None)
    with open_image(tmp_path / "33005.svs") as source:
        assert np.array_equal(source.read(), np.moveaxis(array, -1, 0))
    with pytest.raises(InputError, match="YCbCr in JPEG 2000"):
        open_image(tmp_path / "33003.svs")


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000", "png"])
def test_a_tile_that_claims_to_be_a_huge_picture_is_refused_before_it_is_decoded(
    compression: str, tmp_path: Path
) -> None:
    imwrite(tmp_path / "a.tif", smooth(64, 64)[..., 0], tile=(64, 64), compression=compression)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    head = {"jpeg": b"\x00\x40\x00\x40", "jpeg2000": b"\0\0\0\x40" * 2, "png": b"\0\0\0\x40" * 2}[compression]
    at = data.index(head, 8 if compression != "jpeg" else data.index(b"\xff\xc0"))
    data[at : at + len(head)] = (b"\xf0\x00" if compression == "jpeg" else b"\0\0\xf0\0") * 2
    (tmp_path / "a.tif").write_bytes(data)
    with open_image(tmp_path / "a.tif") as source, pytest.raises(InputError, match="a tile of it claims 61440 x 61440"):
        source.read()


def test_a_plain_tiff_that_is_called_ndpi_is_refused_not_misread(tmp_path: Path) -> None:
    imwrite(tmp_path / "a.ndpi", np.zeros((16, 16), np.uint8))
    with pytest.raises(InputError, match=r"a\.ndpi"), open_image(tmp_path / "a.ndpi") as source:
        source.read()
