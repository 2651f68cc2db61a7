"""Opening, closing and holes against SciPy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from painting import Disc, paint
from scipy import ndimage

from cellmonai.core.errors import UsageError
from cellmonai.instances.morphology import close_mask, dilate, erode, fill_holes, open_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=20))
radii = st.integers(0, 6)


def disc(radius_px: int) -> NDArray[np.bool_]:
    row, column = np.ogrid[-radius_px : radius_px + 1, -radius_px : radius_px + 1]
    return np.asarray(row**2 + column**2 <= radius_px**2)


@given(mask=masks, radius_px=radii)
def test_dilation_takes_what_lies_outside_for_background(mask: NDArray[np.bool_], radius_px: int) -> None:
    expected = ndimage.binary_dilation(mask, disc(radius_px), border_value=0)
    np.testing.assert_array_equal(dilate(mask, radius_px), expected)


@given(mask=masks, radius_px=radii)
def test_erosion_takes_what_lies_outside_for_foreground(mask: NDArray[np.bool_], radius_px: int) -> None:
    expected = ndimage.binary_erosion(mask, disc(radius_px), border_value=1)
    np.testing.assert_array_equal(erode(mask, radius_px), expected)


@given(mask=masks, radius_px=radii)
def test_opening_only_removes_and_closing_only_adds(mask: NDArray[np.bool_], radius_px: int) -> None:
    assert not (open_mask(mask, radius_px) & ~mask).any()
    assert not (mask & ~close_mask(mask, radius_px)).any()


@given(mask=masks)
def test_holes_are_filled_as_scipy_does(mask: NDArray[np.bool_]) -> None:
    np.testing.assert_array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask))


def test_opening_removes_specks_and_keeps_cells() -> None:
    cells = paint([Disc(30, 30, 12)], (60, 60)) > 0
    specks = paint([Disc(5, 5, 1), Disc(50, 8, 1)], (60, 60)) > 0
    opened = open_mask(cells | specks, 3)
    assert not opened[specks].any()
    assert opened[paint([Disc(30, 30, 11)], (60, 60)) > 0].all()


def test_a_bay_at_the_image_border_is_no_hole() -> None:
    mask = np.ones((9, 9), bool)
    mask[3:6, 3:6] = mask[0, 7] = False
    expected = np.ones((9, 9), bool)
    expected[0, 7] = False
    np.testing.assert_array_equal(fill_holes(mask), expected)


@pytest.mark.parametrize("radius_px", [-1, 255])
def test_a_radius_out_of_range_is_refused(radius_px: int) -> None:
    with pytest.raises(UsageError, match="expected 0 to 254 px"):
        dilate(np.ones((3, 3), bool), radius_px)
