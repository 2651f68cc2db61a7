"""Overlays and heat maps, on painted images."""

from __future__ import annotations

import numpy as np
import pytest

from cellmonai.report.colours import colour_per_label, outline_palette
from cellmonai.report.pictures import heatmap, outlines, overlay, reduction, stretched


def field(side: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Paint two squares that touch, 40 px wide, on a dark, noisy field."""
    labels = np.zeros((side, side), np.int32)
    labels[100:140, 100:140] = 1
    labels[100:140, 140:180] = 2
    image = (labels > 0) * 3000.0 + np.random.default_rng(0).normal(200, 5, labels.shape)
    return image[None].astype(np.uint16), labels


def test_outlines_lie_inside_the_object_and_leave_its_middle_free() -> None:
    _, labels = field()
    line = outlines(labels)
    assert not line[labels == 0].any()
    assert line[100, 110]
    assert not line[120, 120]
    assert line.sum() == 2 * (4 * 40 - 4)


def test_outlines_of_two_pixels_are_twice_as_wide() -> None:
    _, labels = field()
    assert outlines(labels, width_px=2).sum() == 2 * (40 * 40 - 36 * 36)


def test_a_cell_cut_by_the_border_of_the_image_is_open_there() -> None:
    labels = np.zeros((8, 8), np.int32)
    labels[:4, :4] = 1
    assert np.flatnonzero(outlines(labels)[0]).tolist() == [3]


def test_touching_cells_get_different_colours() -> None:
    _, labels = field()
    labels[labels == 2] = 5  # the same as 1 modulo the four colours
    chosen = colour_per_label(labels, 4)
    assert chosen[1] != chosen[5]


def test_the_overlay_shows_the_outline_on_the_stretched_picture() -> None:
    image, labels = field()
    picture = overlay(image, labels)
    assert picture.shape == (600, 600, 3)
    assert picture.dtype == np.uint8
    assert any((picture[100, 110] == colour).all() for colour in outline_palette(bright=False))
    assert picture[120, 120].min() > 200  # the middle of a bright cell
    assert picture[300, 300].max() < 40  # the background


def test_a_mask_is_drawn_in_one_colour() -> None:
    image, labels = field()
    picture = overlay(image, labels > 0)
    assert len(np.unique(picture[outlines(labels > 0)], axis=0)) == 1
    assert picture[120, 139].min() > 200  # no line where the two cells touch: a mask knows of one region


def test_lines_on_a_bright_picture_are_dark() -> None:
    image, labels = field()
    picture = overlay(4000 - image, labels)
    assert any((picture[100, 110] == colour).all() for colour in outline_palette(bright=True))


def test_small_pictures_are_doubled_and_large_ones_reduced() -> None:
    image, labels = field(300)
    assert overlay(image, labels).shape == (600, 600, 3)
    image, labels = field(601)
    assert overlay(image, labels, max_side_px=300).shape[:2] == (402, 402)  # 601 / 3 = 201, doubled
    assert reduction((1, 4096, 4096)) == 1
    assert reduction((1, 10, 4097)) == 2


def test_a_thin_slide_can_be_reduced() -> None:
    assert overlay(np.zeros((1, 3, 9000), np.uint8), np.zeros((3, 9000), np.int32)).shape == (1, 3000, 3)


def test_reducing_in_strips_gives_the_block_means() -> None:
    image = np.arange(2050 * 16, dtype=np.uint16).reshape(1, 2050, 16)
    whole = stretched(image, step=2)
    blocks = image[0].reshape(1025, 2, 8, 2).mean(axis=(1, 3))
    low, high = np.percentile(image, [0.5, 99.8])
    assert np.abs(whole[:, :, 0] - np.clip((blocks - low) / (high - low), 0, 1) * 255).max() <= 0.51


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_any_number_of_channels_gives_a_picture(channels: int) -> None:
    image = np.random.default_rng(1).random((channels, 520, 40), np.float32)
    assert stretched(image).std() > 10


def test_a_colour_photograph_in_bright_field_keeps_its_colours() -> None:
    tissue = np.full((3, 600, 600), 240, np.uint8)
    tissue[:, 100:200, 100:200] = np.array([140, 80, 160], np.uint8)[:, None, None]
    shown = stretched(tissue)
    assert shown[0, 0].tolist() == [255, 255, 255]
    assert shown[150, 150, 2] > shown[150, 150, 0] > shown[150, 150, 1]


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(np.zeros((1, 20, 20), np.uint8), id="black"),
        pytest.param(np.full((1, 20, 20), 7, np.uint16), id="even"),
        pytest.param(np.full((1, 20, 20), np.nan, np.float32), id="not a number"),
        pytest.param(np.ones((1, 1, 1), bool), id="one pixel"),
    ],
)
def test_an_image_without_contrast_gives_a_picture(image: np.ndarray) -> None:
    picture = overlay(np.nan_to_num(image), np.zeros(image.shape[1:], np.int32))
    assert picture.shape[2] == 3


def test_one_bright_pixel_on_an_even_field_is_seen() -> None:
    image = np.zeros((1, 600, 600), np.uint16)
    image[0, 300, 300] = 900
    assert stretched(image)[300, 300].tolist() == [255, 255, 255]


def test_the_heat_map_turns_probability_into_colour_with_a_bar_at_the_right() -> None:
    image, labels = field()
    picture = heatmap(image, (labels > 0).astype(np.float32))
    assert picture.shape[0] == 600
    assert picture.shape[1] > 600
    inside, outside = picture[120, 120].astype(int), picture[300, 300].astype(int)
    assert inside[0] > 200 > inside[2]  # yellow
    assert outside[2] > outside[1]  # violet
    bar = picture[:, 600:]
    assert (bar == [253, 231, 37]).all(axis=2).any()
    assert (bar == [68, 1, 84]).all(axis=2).any()


def test_a_heat_map_one_pixel_high_is_possible() -> None:
    assert heatmap(np.zeros((1, 1, 5), np.uint8), np.zeros((1, 5), np.float32)).shape[0] == 2


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        overlay(np.zeros((1, 4, 4), np.uint8), np.zeros((4, 5), np.int32))
