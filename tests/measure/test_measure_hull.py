"""Convex hulls and Feret diameters against scikit-image and against brute force."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from painting import Disc, paint
from skimage.measure import regionprops
from skimage.morphology import convex_hull_image

from cellmonai.measure.objects import measure_objects
from cellmonai.measure.shapes import hull

if TYPE_CHECKING:
    from numpy.typing import NDArray

MASKS = arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.integers(0, 1))


def hull_pixels(labels: NDArray[np.int32]) -> NDArray[np.int64]:
    table = measure_objects(labels, pixel_size_um=None)
    return np.rint(table["area_px"] / table["solidity"]).astype(np.int64)


@given(labels=MASKS.filter(np.any))
def test_hulls_of_any_pixels_hold_as_many_pixels_as_scikit_images(labels: NDArray[np.int32]) -> None:
    assert hull_pixels(labels).tolist() == [int(convex_hull_image(labels).sum())]


@given(labels=MASKS.filter(np.any))
def test_the_largest_diameter_of_any_pixels_equals_scikit_images(labels: NDArray[np.int32]) -> None:
    # of one object in one piece, as regionprops sees it
    table = measure_objects(labels, pixel_size_um=None)
    assert table["feret_max_px"][0] == pytest.approx(regionprops(labels)[0].feret_diameter_max, rel=1e-12)


@given(labels=MASKS.filter(np.any))
def test_the_smallest_diameter_of_any_pixels_is_the_smallest_over_all_directions(labels: NDArray[np.int32]) -> None:
    row, column = np.nonzero(convex_hull_image(labels))
    angle = np.linspace(0, np.pi, 5000)[:, None]
    across = row * np.sin(angle) + column * np.cos(angle)
    # half a pixel up, down, left and right of its centre
    width = np.ptp(across, 1) + np.maximum(np.abs(np.sin(angle)), np.abs(np.cos(angle)))[:, 0]
    narrowest = measure_objects(labels, pixel_size_um=None)["feret_min_px"][0]
    assert narrowest <= width.min() + 1e-9
    assert narrowest == pytest.approx(width.min(), abs=0.01)


def test_a_typed_object_has_the_numbers_one_can_count() -> None:
    table = measure_objects(np.array([[1, 0, 0], [1, 0, 0], [1, 1, 1]], np.int32), pixel_size_um=None)
    assert table["solidity"][0] == 5 / 6  # the hull adds the middle pixel
    assert table["feret_max_px"][0] == np.sqrt(3**2 + 2**2)
    assert table["feret_min_px"][0] == np.sqrt(4.5)  # across the diagonal


def test_a_disc_is_as_wide_everywhere_and_solid() -> None:
    table = measure_objects(paint([Disc(60, 60, 50)], (121, 121)), pixel_size_um=None)
    assert table["solidity"][0] > 0.98
    assert table["feret_max_px"][0] == pytest.approx(100.5, abs=1.5)
    assert table["feret_min_px"][0] == pytest.approx(100.5, abs=1.5)


def test_the_largest_diameter_does_not_depend_on_the_direction_and_the_smallest_is_never_larger() -> None:
    labels = paint([Disc(30, 30, 12), Disc(40, 44, 9)], (70, 70))
    turned = [measure_objects(np.rot90(labels, k).copy(), pixel_size_um=None) for k in range(4)]
    for name in ("feret_max_px", "feret_min_px", "solidity"):
        assert {tuple(np.sort(table[name])) for table in turned} == {tuple(np.sort(turned[0][name]))}
    assert (turned[0]["feret_min_px"] <= turned[0]["feret_max_px"]).all()


@pytest.mark.usefixtures("twin")
def test_a_staircase_that_falls_corner_by_corner_is_finished_object_by_object(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.zeros((400, 300), np.int32)
    for row in range(399):  # bulges, until the last row takes all corners away one after the other
        labels[row, 299 - int(200 * np.sin(row / 399)) :] = 1
    labels[399] = 1
    whole = hull_pixels(labels)
    monkeypatch.setattr(hull, "_ROUNDS", 1)
    assert hull_pixels(labels).tolist() == whole.tolist() == [int(convex_hull_image(labels).sum())]
