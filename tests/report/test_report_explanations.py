"""Pictures of attention, uncertainty and saliency, on painted images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from cellmonai.report.colours import VIRIDIS
from cellmonai.report.explanations import attention_picture, saliency_picture, uncertainty_picture
from cellmonai.report.panels import Panel, coloured, limits_of, mounted

if TYPE_CHECKING:
    from numpy.typing import NDArray

ORANGE = np.array([255, 120, 0])


def field(height: int, width: int) -> NDArray[np.uint16]:
    return np.random.default_rng(0).integers(100, 3000, (1, height, width)).astype(np.uint16)


def count(picture: NDArray[np.uint8], colour: NDArray[np.generic]) -> int:
    return int((picture == colour).all(axis=2).sum())


def test_values_become_colours_from_violet_to_yellow() -> None:
    found = coloured(np.array([[-5.0, 2.0, 3.0, 4.0, 9.0, np.nan]]), (2.0, 4.0))
    assert found[0, [0, 1]].tolist() == [VIRIDIS[0].tolist()] * 2
    assert found[0, [3, 4]].tolist() == [VIRIDIS[255].tolist()] * 2
    assert found[0, 2].tolist() == VIRIDIS[128].tolist()
    assert limits_of(np.array([np.nan, 3.0, -1.0, np.inf])) == (-1.0, 3.0)
    assert limits_of(np.array([np.nan])) == (0.0, 0.0)


def test_panels_stand_in_rows_of_three_and_wide_ones_below_each_other() -> None:
    def size(panels: int, height: int, width: int) -> tuple[int, ...]:
        return mounted([Panel("one", np.zeros((height, width, 3), np.uint8))] * panels, "words").shape[:2]

    assert size(3, 200, 200)[0] == size(1, 200, 200)[0] < size(4, 200, 200)[0]
    assert size(3, 200, 200)[1] > 600 == size(3, 200, 200)[1] - 4 * 16
    assert size(3, 100, 400)[1] < 500


def test_a_long_caption_takes_as_many_lines_as_it_needs() -> None:
    panel = Panel("one", np.zeros((300, 300, 3), np.uint8))
    assert mounted([panel], "word " * 100).shape[0] > mounted([panel], "word").shape[0] + 100


def test_each_gate_has_a_panel_in_colours_of_its_own_range() -> None:
    coarse, fine = np.full((5, 6), 0.4, np.float32), np.full((20, 24), 0.7, np.float32)
    coarse[2, 3], fine[:, :12] = 0.9, 0.2
    picture = attention_picture(field(40, 48), [(8, coarse), (2, fine)])
    enlarged = (720 // 48) ** 2
    bar = 14 * 40 * (720 // 48) / 256  # each bar holds every colour about as often
    assert count(picture, VIRIDIS[255]) == pytest.approx((8 * 8 + 40 * 24) * enlarged + 2 * bar, rel=0.02)
    assert count(picture, VIRIDIS[0]) == pytest.approx((40 * 48 - 8 * 8 + 40 * 24) * enlarged + 2 * bar, rel=0.02)


def test_a_map_of_one_value_is_drawn() -> None:
    assert attention_picture(field(16, 16), [(1, np.full((16, 16), 0.5, np.float32))]).dtype == np.uint8


@pytest.mark.parametrize("shape", [(1, 1), (3, 2000), (1500, 1700), (17, 31)], ids=str)
def test_images_of_any_size_are_explained(shape: tuple[int, int]) -> None:
    image, values = field(*shape), np.random.default_rng(1).random(shape).astype(np.float32)
    gates = [(s, np.ones((-(-shape[0] // s), -(-shape[1] // s)), np.float32)) for s in (16, 4, 1)]
    pixel = (shape[0] - 1, shape[1] // 2)
    pictures = [
        attention_picture(image, gates, windows=7),
        uncertainty_picture(image, values),
        saliency_picture(image, values.astype(np.float64), (0, 0, *shape), pixel, probability=0.5),
    ]
    for picture in pictures:
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3
        assert max(picture.shape) < 3 * (720 + 110)


def test_uncertainty_is_drawn_in_the_range_that_the_image_has() -> None:
    values = np.full((50, 50), 0.12, np.float32)
    values[10:20, 10:20] = 0.13
    picture = uncertainty_picture(field(50, 50), values)
    enlarged = (720 // 50) ** 2
    assert count(picture, VIRIDIS[255]) == pytest.approx(100 * enlarged, rel=0.01)
    assert count(picture, VIRIDIS[0]) == pytest.approx(2400 * enlarged, rel=0.01)


def test_saliency_shows_the_part_around_the_pixel_where_the_gradient_is() -> None:
    gradient = np.zeros((240, 240))
    gradient[100:110, 100:110] = 0.5
    near = saliency_picture(field(600, 600), gradient, (100, 200, 340, 440), (205, 305), probability=0.9)
    enlarged = (720 // 33) ** 2  # 16 px on either side of the pixel
    assert count(near, VIRIDIS[255]) == pytest.approx(100 * enlarged, rel=0.05)  # less the mark in its middle
    gradient[0, 0] = 300.0  # most of it lies in a corner: all of the box is shown up to there
    far = saliency_picture(field(600, 600), gradient, (100, 200, 340, 440), (205, 305), probability=0.9)
    assert count(far, VIRIDIS[255]) < 100


def test_the_pixel_and_the_part_are_marked() -> None:
    image = np.zeros((1, 600, 600), np.uint8)
    gradient = np.ones((240, 240))
    picture = saliency_picture(image, gradient, (100, 200, 340, 440), (205, 305), probability=0.9)
    assert count(picture, ORANGE) > 4 * 2 * 200  # a frame of 240 px around the part, 2 px wide, and two marks


def test_a_gradient_of_zero_is_drawn_as_such() -> None:
    picture = saliency_picture(field(40, 40), np.zeros((40, 40)), (0, 0, 40, 40), (3, 3), probability=0.0)
    assert count(picture, VIRIDIS[0]) > 30 * 30 * 18**2
