"""Strips as high as the image: read in bands where the codec allows it, decoded once where not, else refused."""

from __future__ import annotations

import time
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tifffile import TiffPage, imwrite

from cellmonai.core.errors import InputError, MemoryBudgetError
from cellmonai.images import tiff_segments, tiff_strips
from cellmonai.images.open import open_image

RANDOM = np.random.default_rng(21)


@pytest.fixture
def short_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make strips of a few kB long ones, so that the tests are quick."""
    monkeypatch.setattr(tiff_strips, "LONG_STRIP", 4000)
    for module in (tiff_strips, tiff_segments):
        monkeypatch.setattr(module, "BAND_BYTES", 2000)


@pytest.mark.usefixtures("short_bands")
@pytest.mark.parametrize(
    ("options", "dtype"),
    [
        pytest.param({}, np.uint8, id="8 bit"),
        pytest.param({"predictor": True}, np.uint16, id="16 bit, differences"),
        pytest.param({"predictor": True, "byteorder": ">"}, np.uint16, id="16 bit, differences, big-endian"),
        pytest.param({"byteorder": ">"}, np.int32, id="32 bit, big-endian"),
        pytest.param({"predictor": 3}, np.float32, id="float, differences of bytes"),
        pytest.param({"predictor": 3, "byteorder": ">"}, np.float64, id="double, differences of bytes, big-endian"),
        pytest.param({"photometric": "rgb", "predictor": True}, np.uint8, id="colour"),
        pytest.param({"photometric": "rgb", "planarconfig": "separate"}, np.uint8, id="colour in planes"),
        pytest.param({"rowsperstrip": 67}, np.uint16, id="four long strips"),
    ],
)
def test_a_deflated_strip_is_read_in_bands_in_any_order(options: dict[str, Any], dtype: type, tmp_path: Path) -> None:
    colour, planar = "photometric" in options, "planarconfig" in options
    shape = (3, 201, 90) if planar else (201, 90, 3) if colour else (201, 90)
    array = RANDOM.integers(0, 250, shape).astype(dtype)
    imwrite(tmp_path / "a.tif", array, **{"rowsperstrip": 201, "compression": "zlib", **options})
    whole = array if planar else np.moveaxis(array, -1, 0) if colour else array[np.newaxis]
    with open_image(tmp_path / "a.tif") as source:
        assert source.block_shape()[0] < 67
        for top, bottom in [(0, 30), (30, 60), (130, 201), (10, 140), (200, 201), (66, 68)]:
            assert np.array_equal(source.read((top, 7, bottom, 80)), whole[:, top:bottom, 7:80])
        assert np.array_equal(source.read(), whole)


def test_a_strip_larger_than_the_budget_is_read_from_top_to_bottom_in_one_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = np.repeat(RANDOM.integers(0, 250, (120, 1)), 250_000, axis=1).astype(np.uint8)  # 30 MB
    array[:, ::70] += RANDOM.integers(0, 5, (1, 3572)).astype(np.uint8)
    imwrite(tmp_path / "a.tif", array, rowsperstrip=120, compression="zlib")
    starts = []
    start = tiff_strips.DeflatedStrip._start
    monkeypatch.setattr(tiff_strips.DeflatedStrip, "_start", lambda strip: (starts.append(1), start(strip)))
    with open_image(tmp_path / "a.tif", memory=12 * 2**20) as source:
        tracemalloc.start()
        for top in range(0, 120, 10):
            assert np.array_equal(source.read((top, 0, top + 10, 250_000))[0], array[top : top + 10])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert len(starts) == 1
    assert peak < 16 * 2**20


@pytest.mark.parametrize("compression", ["lzw", "packbits", "zstd", "lzma"])
def test_a_strip_that_can_only_be_decoded_whole_is_decoded_once(
    compression: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = np.tile(RANDOM.integers(0, 250, (1, 3000)).astype(np.uint8), (3000, 1))
    imwrite(tmp_path / "a.tif", array, rowsperstrip=3000, compression=compression)
    asked = []
    real = tiff_segments.PageReader._bytes

    def counted(reader: tiff_segments.PageReader, offset: int, count: int) -> bytes:
        asked.append(offset)
        return real(reader, offset, count)

    monkeypatch.setattr(tiff_segments.PageReader, "_bytes", counted)
    with open_image(tmp_path / "a.tif", memory=30 * 2**20) as source:
        for top in range(0, 3000, 300):
            assert np.array_equal(source.read((top, 5, top + 300, 2000))[0], array[top : top + 300, 5:2000])
    assert len(asked) == 1


@pytest.mark.parametrize("compression", ["lzw", "zstd"])
def test_a_strip_that_must_be_decoded_whole_and_is_over_the_budget_is_refused_with_the_cure(
    compression: str, tmp_path: Path
) -> None:
    imwrite(tmp_path / "a.tif", np.zeros((3000, 3000), np.uint8), rowsperstrip=3000, compression=compression)
    with pytest.raises(MemoryBudgetError, match="one tile or strip of it needs") as refusal:
        open_image(tmp_path / "a.tif", memory=10 * 2**20)
    assert refusal.value.exit_code == 8
    assert "tiled TIFF" in refusal.value.cure


@pytest.mark.usefixtures("short_bands")
@pytest.mark.parametrize("how", ["cut short", "garbage", "wrong checksum"])
def test_a_damaged_long_strip_is_refused_where_it_breaks(how: str, tmp_path: Path) -> None:
    array = RANDOM.integers(0, 250, (200, 90)).astype(np.uint8)
    imwrite(tmp_path / "a.tif", array, rowsperstrip=200, compression="zlib")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    page = _page(tmp_path / "a.tif")
    offset, count = page.dataoffsets[0], page.databytecounts[0]
    middle = offset + count // 2
    content = zlib.compress(array[:100].tobytes()) if how == "cut short" else bytes(data[offset:middle])
    data[offset : offset + count] = content + RANDOM.bytes(count - len(content))
    if how == "wrong checksum":
        wrong = zlib.compress(array.tobytes(), 9)
        data[offset : offset + count] = (wrong[:-1] + bytes([wrong[-1] ^ 1])).ljust(count, b"\0")[:count]
    (tmp_path / "a.tif").write_bytes(data)
    with open_image(tmp_path / "a.tif") as source:
        assert np.array_equal(source.read((0, 0, 50, 90))[0], array[:50])
        with pytest.raises(InputError, match="cannot read the pixels"):
            source.read((150, 0, 200, 90))


def _page(path: Path) -> TiffPage:
    from tifffile import TiffFile

    with TiffFile(path) as tif:
        return tif.pages.first


def test_windows_side_by_side_share_the_bands_of_a_long_strip(tmp_path: Path) -> None:
    array = np.tile(RANDOM.integers(0, 250, (50, 4000)).astype(np.uint8), (80, 1))  # 16 MB
    imwrite(tmp_path / "a.tif", array, rowsperstrip=4000, compression="zlib")
    with open_image(tmp_path / "a.tif") as source:
        assert source.block_shape()[0] < 512
        begun = time.process_time()
        for top in range(0, 4000, 500):
            for left in range(0, 4000, 500):
                region = (top, left, top + 500, left + 500)
                assert np.array_equal(source.read(region)[0], array[top : top + 500, left : left + 500])
        assert time.process_time() - begun < 3  # one pass takes 0.1 s, one for each window 64 times as long
