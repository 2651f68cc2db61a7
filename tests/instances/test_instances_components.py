"""Connected components against scikit-image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.measure import label as skimage_label

from cellmonai.instances.components import label_components

if TYPE_CHECKING:
    from numpy.typing import NDArray

label_images = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=24), elements=st.integers(0, 3))


@pytest.mark.parametrize("connectivity", [4, 8])
@given(image=label_images)
def test_components_are_scikit_images(image: NDArray[np.uint8], connectivity: int) -> None:
    expected = skimage_label(image, connectivity=1 if connectivity == 4 else 2)
    np.testing.assert_array_equal(label_components(image, connectivity=4 if connectivity == 4 else 8), expected)


def test_a_checkerboard_is_one_component_across_corners_and_many_without() -> None:
    board = np.indices((20, 21)).sum(axis=0) % 2 == 0
    assert label_components(board, connectivity=8).max() == 1
    assert label_components(board, connectivity=4).max() == 210


def test_a_long_spiral_is_one_component() -> None:
    image = np.zeros((101, 101), bool)
    top, left, bottom, right = 0, 0, 100, 100
    while top < bottom:
        image[top, max(left - 2, 0) : right + 1] = image[top : bottom + 1, right] = True
        image[bottom, left : right + 1] = image[top + 2 : bottom + 1, left] = True
        top, left, bottom, right = top + 2, left + 2, bottom - 2, right - 2
    assert label_components(image, connectivity=4).max() == skimage_label(image, connectivity=1).max() == 1


def test_an_empty_image_has_none() -> None:
    assert label_components(np.zeros((5, 7), bool)).max() == 0
