"""Masks of slides carry smaller copies that other programs and our own reader find, each with its own pixel size."""

from __future__ import annotations

from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from tifffile import TiffFile

from cellmonai.images import mask_pyramid
from cellmonai.images.labels import open_mask, read_mask
from cellmonai.images.mask_pyramid import MaskPyramid, halved, level_shapes
from cellmonai.images.open import open_image
from cellmonai.images.rows import ArrayRows
from cellmonai.images.write import write_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONG = np.random.default_rng(0).random((10_001, 90)) > 0.6
WIDE = np.random.default_rng(1).random((771, 10_300)) > 0.4


def halved_slowly(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Each pixel from the part of its 2 x 2 pixels that lies in the mask."""
    return np.array(
        [
            [mask[row : row + 2, column : column + 2].mean() >= 0.5 for column in range(0, mask.shape[1], 2)]
            for row in range(0, mask.shape[0], 2)
        ]
    )


@pytest.mark.parametrize(
    ("shape", "levels"),
    [
        ((10_000, 10_000), []),
        ((10_001, 3), [(5001, 2), (2501, 1), (1251, 1), (626, 1)]),
        ((8_000, 40_000), [(4000, 20000), (2000, 10000), (1000, 5000), (500, 2500), (250, 1250), (125, 625)]),
    ],
    ids=["not above 10,000 px", "tall", "wide"],
)
def test_levels_halve_until_the_first_below_1024_px(shape: tuple[int, int], levels: list[tuple[int, int]]) -> None:
    assert list(level_shapes(shape)) == levels


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)))
def test_a_pixel_of_a_copy_is_set_where_at_least_half_of_its_four_are(mask: NDArray[np.bool_]) -> None:
    assert np.array_equal(halved(mask), halved_slowly(mask))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 17))
def test_levels_do_not_depend_on_how_the_rows_are_asked_for(strips: list[int], width: int) -> None:
    mask = np.random.default_rng(width).random((sum(strips), width)) > 0.5
    ends = np.cumsum(strips).tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mask_pyramid, "LARGEST_PLAIN_SIDE_PX", 1)
        patch.setattr(mask_pyramid, "_SMALLEST_SIDE_PX", 2)
        with MaskPyramid(ArrayRows(mask), Path(gettempdir())) as pyramid:
            for top, bottom in zip([0, *ends], ends, strict=False):
                assert np.array_equal(pyramid.rows(top, bottom), mask[top:bottom])
            expected = mask
            for level in pyramid.levels:
                expected = halved(expected)
                assert np.array_equal(level.rows(0, level.shape[0]), expected)


def test_rows_are_read_once_from_top_to_bottom(tmp_path: Path) -> None:
    with MaskPyramid(ArrayRows(LONG), tmp_path) as pyramid:
        pyramid.rows(0, 7)
        with pytest.raises(ValueError, match="rows begin at 6, expected 7"):
            pyramid.rows(6, 9)


@pytest.mark.parametrize("mask", [LONG, WIDE], ids=["tall", "wide"])
def test_a_large_mask_is_a_bigtiff_pyramid_for_tifffile(mask: NDArray[np.bool_], tmp_path: Path) -> None:
    write_mask(tmp_path / "a.tif", mask, pixel_size_um=(0.5, 0.25), overwrite=False)
    with TiffFile(tmp_path / "a.tif") as tif:
        (series,) = tif.series
        assert tif.is_bigtiff
        assert tif.is_ome
        assert series.is_pyramidal
        assert [level.shape for level in series.levels] == [mask.shape, *level_shapes(mask.shape)]
        expected = mask
        for number, level in enumerate(series.levels):
            assert np.array_equal(level.asarray(), expected * np.uint8(255))
            page = level.keyframe
            assert (page.is_tiled, page.is_reduced) == (True, number > 0)
            assert page.tags["ResolutionUnit"].value == 3
            assert page.resolution == (40_000 / 2**number, 20_000 / 2**number)  # pixels per centimetre, x before y
            expected = halved(expected)


def test_our_reader_gives_the_levels_and_count_reads_the_first(tmp_path: Path) -> None:
    write_mask(tmp_path / "a.tif", WIDE, pixel_size_um=(0.5, 0.25), overwrite=False)
    with open_image(tmp_path / "a.tif") as source:
        assert source.levels == (WIDE.shape, *level_shapes(WIDE.shape))
        assert source.pixel_size_um == (0.5, 0.25)
        assert source.planes == ("",)
        assert np.array_equal(source.read(level=1)[0] > 0, halved(WIDE))
        last = len(source.levels) - 1
        assert source.read(level=last).shape[1:] == source.levels[last]
    with open_mask(tmp_path / "a.tif") as source:
        assert source.shape == (1, *WIDE.shape)
    assert np.array_equal(read_mask(tmp_path / "a.tif").array > 0, WIDE)


def test_an_unknown_pixel_size_stays_unknown_at_every_level(tmp_path: Path) -> None:
    write_mask(tmp_path / "a.tif", LONG, pixel_size_um=None, overwrite=False)
    with TiffFile(tmp_path / "a.tif") as tif:
        assert all(level.keyframe.resolutionunit == 1 for level in tif.series[0].levels)
        assert "PhysicalSize" not in tif.pages.first.description


def test_the_same_mask_gives_the_same_bytes_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_mask(tmp_path / f"{name}.tif", LONG, pixel_size_um=(0.5, 0.5), overwrite=False)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"a.tif", "b.tif"}


def test_a_pyramid_asks_for_each_row_once_and_few_at_a_time(tmp_path: Path) -> None:
    class Counted(ArrayRows):
        most, sum = 0, 0

        def rows(self, top: int, bottom: int) -> NDArray[Any]:
            self.most, self.sum = max(self.most, bottom - top), self.sum + bottom - top
            return super().rows(top, bottom)

    mask = Counted(LONG)
    write_mask(tmp_path / "a.tif", mask, pixel_size_um=None, overwrite=False)
    assert (mask.most, mask.sum) == (256, LONG.shape[0])
