"""Capped distances and smoothed heights against SciPy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from painting import Disc, paint
from scipy import ndimage

from cellmonai.images.rows import ArrayRows
from cellmonai.instances.distance import squared_distance
from cellmonai.instances.heights import HEIGHT_PER_PX, SMOOTHING_WEIGHTS, HeightStrip, look_ahead, strip_heights
from cellmonai.instances.windows import strip_windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

pytestmark = pytest.mark.usefixtures("kernels")

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=24))


def height_strips(mask: NDArray[np.bool_], *, strip_rows: int | None = None, margin: int = 1) -> list[HeightStrip]:
    """The heights of all strips of a mask."""
    rows = strip_rows or mask.shape[0]
    windows = strip_windows(ArrayRows(mask), reach=look_ahead(margin), strip_rows=rows)
    return [strip_heights(window, margin=margin) for window in windows]


def heights_of(mask: NDArray[np.bool_], *, strip_rows: int | None = None) -> NDArray[np.uint32]:
    """All strips' heights as one image."""
    return np.concatenate([strip.centre for strip in height_strips(mask, strip_rows=strip_rows)])


@given(mask=masks.filter(lambda mask: not mask.all()))
def test_distances_are_scipys(mask: NDArray[np.bool_]) -> None:
    expected = np.rint(ndimage.distance_transform_edt(mask) ** 2)
    np.testing.assert_array_equal(squared_distance(mask), expected)


def test_distances_beyond_255_px_are_255_px() -> None:
    mask = paint([Disc(310, 310, 305)], (621, 700)) > 0
    expected = np.minimum(np.rint(ndimage.distance_transform_edt(mask) ** 2), 255**2)
    np.testing.assert_array_equal(squared_distance(mask), expected)


def test_a_mask_without_background_lies_at_the_cap() -> None:
    assert np.unique(squared_distance(np.ones((30, 40), bool))) == 255**2


def test_the_smoothing_weights_are_a_gaussian_of_one_pixel_that_sums_to_256() -> None:
    gaussian = np.exp(-0.5 * np.arange(-4, 5) ** 2)
    floored = np.floor(256 * gaussian / gaussian.sum()).astype(int)[4:]
    assert [*SMOOTHING_WEIGHTS[1:], 0] == floored[1:].tolist()
    assert SMOOTHING_WEIGHTS[0] + 2 * sum(SMOOTHING_WEIGHTS[1:]) == 256


@given(mask=masks.filter(lambda mask: not mask.all()))
def test_heights_are_smoothed_distances_in_whole_numbers(mask: NDArray[np.bool_]) -> None:
    kernel = [*SMOOTHING_WEIGHTS[:0:-1], *SMOOTHING_WEIGHTS]
    depth = np.rint(256 * ndimage.distance_transform_edt(mask)).astype(np.int64)
    smooth = ndimage.correlate1d(ndimage.correlate1d(depth, kernel, 0, mode="reflect"), kernel, 1, mode="reflect")
    np.testing.assert_array_equal(heights_of(mask), smooth * mask)


def test_the_highest_height_fits_its_integer() -> None:
    assert np.unique(heights_of(np.ones((9, 9), bool))) == 255 * HEIGHT_PER_PX


@given(mask=masks, strip_rows=st.integers(1, 25), margin=st.integers(1, 6))
def test_strips_carry_their_neighbours_heights(mask: NDArray[np.bool_], strip_rows: int, margin: int) -> None:
    framed = np.pad(heights_of(mask, strip_rows=mask.shape[0]), margin)
    for strip in height_strips(mask, strip_rows=strip_rows, margin=margin):
        np.testing.assert_array_equal(strip.heights, framed[strip.top : strip.top + strip.rows + 2 * margin])


@pytest.mark.parametrize("strip_rows", [16, 300])
def test_strips_look_far_enough_ahead_for_a_blob_wider_than_the_cap(strip_rows: int) -> None:
    mask = np.ones((700, 20), bool)
    mask[[2, 690], 7] = False
    np.testing.assert_array_equal(heights_of(mask, strip_rows=strip_rows), heights_of(mask, strip_rows=700))


def expected_heights(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Heights from SciPy's distance, in whole numbers."""
    kernel = [*SMOOTHING_WEIGHTS[:0:-1], *SMOOTHING_WEIGHTS]
    distance = np.minimum(ndimage.distance_transform_edt(mask), 255) if not mask.all() else np.full(mask.shape, 255.0)
    depth = np.rint(256 * distance).astype(np.int64)
    smooth = ndimage.correlate1d(ndimage.correlate1d(depth, kernel, 0, mode="reflect"), kernel, 1, mode="reflect")
    return smooth * mask


@pytest.mark.parametrize("radius", [5, 19, 22, 60, 240, 300])
def test_heights_of_wide_cells_are_exact(radius: int) -> None:
    side = 2 * radius + 40
    mask = paint([Disc(radius + 3, radius + 9, radius), Disc(8, side - 8, 5)], (side, side)) > 0
    mask[radius, ::7] = False
    np.testing.assert_array_equal(heights_of(mask, strip_rows=64), expected_heights(mask))


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 0.9999])
def test_heights_of_noise_are_exact(share: float) -> None:
    mask = np.random.default_rng(3).random((150, 420)) < share
    np.testing.assert_array_equal(heights_of(mask, strip_rows=40), expected_heights(mask))
