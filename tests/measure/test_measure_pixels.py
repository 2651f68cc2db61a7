from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cellmonai.measure.pixels import PixelCounts, count_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

masks = arrays(np.bool_, (4, 5), elements=st.booleans())


def test_pixels_are_counted_by_what_they_are_and_what_they_were_called() -> None:
    true = np.array([[1, 1, 1, 0, 0, 0]], bool)
    predicted = np.array([[1, 1, 0, 1, 0, 0]], bool)
    assert count_pixels(true, predicted) == PixelCounts(tp=2, fp=1, fn=1, tn=2)


def test_measures_follow_from_the_counts() -> None:
    counts = PixelCounts(tp=6, fp=2, fn=4, tn=88)
    assert counts.dice == 12 / 18
    assert counts.iou == 6 / 12
    assert counts.accuracy == 94 / 100
    assert counts.background_floor == 90 / 100


def test_the_floor_is_the_accuracy_of_calling_everything_background() -> None:
    true = np.random.default_rng(3).random((20, 20)) < 0.1
    nothing = np.zeros_like(true)
    guess = np.random.default_rng(4).random((20, 20)) < 0.5
    assert count_pixels(true, guess).background_floor == count_pixels(true, nothing).accuracy


@pytest.mark.parametrize(
    ("fill", "dice", "accuracy", "floor"),
    [pytest.param(0, None, 1.0, 1.0, id="empty"), pytest.param(1, 1.0, 1.0, 0.0, id="full")],
)
def test_empty_and_full_images(fill: int, dice: float | None, accuracy: float, floor: float) -> None:
    counts = count_pixels(np.full((3, 3), fill, bool), np.full((3, 3), fill, bool))
    assert (counts.dice, counts.accuracy, counts.background_floor) == (dice, accuracy, floor)


def test_without_pixels_everything_is_undefined() -> None:
    counts = PixelCounts()
    assert (counts.dice, counts.iou, counts.accuracy, counts.background_floor) == (None,) * 4


@given(masks, masks, masks, masks)
def test_counts_add_over_images_and_swap_with_the_roles(
    a: NDArray[Any], b: NDArray[Any], c: NDArray[Any], d: NDArray[Any]
) -> None:
    together = count_pixels(np.vstack([a, c]), np.vstack([b, d]))
    assert count_pixels(a, b) + count_pixels(c, d) == together
    swapped = count_pixels(b, a)
    one = count_pixels(a, b)
    assert (one.tp, one.fp, one.fn, one.tn) == (swapped.tp, swapped.fn, swapped.fp, swapped.tn)


@pytest.mark.parametrize(
    ("true", "predicted", "words"),
    [
        pytest.param(np.zeros((2, 2), bool), np.zeros((2, 3), bool), "shapes differ", id="shapes"),
        pytest.param(np.zeros((2, 2), bool), np.zeros((2, 2), int), "two bool images", id="labels"),
    ],
)
def test_what_cannot_be_compared_is_refused(true: NDArray[Any], predicted: NDArray[Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        count_pixels(true, predicted)
