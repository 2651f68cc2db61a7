"""Distractors are painted on the image in the colours of cells, within their sizes, and not on the target."""

from __future__ import annotations

import numpy as np
import pytest

from cellmonai.data.transforms.distractors import RandDistractorsd

DARKEST, BRIGHTEST = np.array([101, 61, 6]) / 255, np.array([247, 237, 15]) / 255


def painted(*, ellipses: int, rectangles: int, channels: int = 3, draws: int = 60, side: int = 256) -> list[np.ndarray]:
    transform = RandDistractorsd(prob=1.0, ellipses=ellipses, rectangles=rectangles, side_px=(25.0, 75.0))
    transform.set_random_state(seed=0)
    black = np.zeros((channels, side, side), np.float32)
    return [transform({"image": black, "target": black})["image"] for _ in range(draws)]


def shapes_of(image: np.ndarray) -> dict[tuple[float, ...], np.ndarray]:
    """Where each colour is; every shape has one of its own, which its first channel tells."""
    places = {red: image[0] == red for red in np.unique(image[0]) if red}
    return {tuple(image[:, inside][:, 0].tolist()): inside for inside in places.values()}


def test_numbers_of_shapes_go_from_none_to_the_most_allowed() -> None:
    numbers = [len(shapes_of(image)) for image in painted(ellipses=2, rectangles=2, draws=150)]
    assert set(numbers) == {0, 1, 2, 3, 4}
    assert np.mean(numbers) == pytest.approx(2.0, abs=0.3)


def test_colours_lie_on_the_line_from_dark_to_bright_yellow() -> None:
    colours = np.array([colour for image in painted(ellipses=2, rectangles=2) for colour in shapes_of(image)])
    shares = (colours - DARKEST) @ (BRIGHTEST - DARKEST) / np.sum((BRIGHTEST - DARKEST) ** 2)
    assert colours == pytest.approx(DARKEST + shares[:, None] * (BRIGHTEST - DARKEST), abs=1e-5)
    assert 0 <= shares.min() < 0.1
    assert 0.9 < shares.max() <= 1


def test_other_numbers_of_channels_get_the_grey_of_such_a_colour() -> None:
    for channels in (1, 2):
        greys = [
            colour for image in painted(ellipses=1, rectangles=1, channels=channels) for colour in shapes_of(image)
        ]
        assert all(len(set(grey)) == 1 for grey in greys)
        assert 0.26 < min(greys)[0] < max(greys)[0] < 0.843


@pytest.mark.parametrize(
    ("numbers", "fullness"),
    [
        pytest.param({"ellipses": 1, "rectangles": 0}, (0.74, 0.78, 0.82), id="ellipses fill pi / 4 of their box"),
        pytest.param({"ellipses": 0, "rectangles": 1}, (0.9, 0.97, 1.01), id="rectangles all but their corners"),
    ],
)
def test_shapes_have_their_form_and_size(numbers: dict[str, int], fullness: tuple[float, ...]) -> None:
    boxes = []
    for image in painted(**numbers):
        for inside in shapes_of(image).values():
            rows, cols = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
            if min(rows[0], cols[0]) > 0 and max(rows[-1], cols[-1]) < 255:  # not cut by the edge
                boxes.append((len(rows), len(cols), inside.sum() / (len(rows) * len(cols))))
    heights, widths, full = np.array(boxes).T
    assert 24 <= min(heights.min(), widths.min()) < 35
    assert 65 < max(heights.max(), widths.max()) <= 76
    lowest, rounded, highest = fullness
    assert lowest < full.min() < rounded
    assert full.max() < highest


def test_centres_lie_anywhere_in_the_crop() -> None:
    touched = np.mean([image[0] > 0 for image in painted(ellipses=2, rectangles=2, draws=300, side=128)], axis=0)
    assert touched[0].max() > 0
    assert touched[:, -1].max() > 0
    assert touched[64, 64] > touched[0, 0] > 0
