"""Windows put together in a box, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cellmonai.inference.canvas import Average, Lowest
from cellmonai.inference.windows import Box

LEFT, RIGHT = Box(0, 0, 1, 3), Box(0, 2, 1, 5)


def _logits(*maps: list[float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(maps, np.float32)[:, None, :]


def _probability(logit: float) -> float:
    return float(1 / (1 + np.exp(-logit)))


def test_logits_are_averaged_by_their_weights() -> None:
    canvas = Average(Box(0, 1, 1, 5), weights=np.array([[1, 2, 1]], np.float32), activation="sigmoid")
    canvas.add(LEFT, _logits([1, 2, 3]))
    canvas.add(RIGHT, _logits([5, 6, 7]))
    found = canvas.maps()
    assert found is not None
    assert found[0, 0] == pytest.approx([_probability(logit) for logit in (2, (3 + 5) / 2, 6, 7)])


def test_probabilities_are_averaged_where_asked_for() -> None:
    weights = np.array([[1, 2, 3]], np.float32)
    canvas = Average(Box(0, 2, 1, 3), weights=weights, activation="sigmoid", averaged="probabilities")
    canvas.add(LEFT, _logits([0, 0, 40]))
    canvas.add(RIGHT, _logits([-40, 0, 0]))
    found = canvas.maps()
    assert found is not None
    assert found[0, 0, 0] == pytest.approx(3 / 4)


def test_the_lowest_foreground_decides_for_all_maps_and_the_first_of_equals_stays() -> None:
    canvas = Lowest(Box(0, 0, 1, 5), activation="sigmoid", foreground=1)
    canvas.add(Box(0, 0, 1, 4), _logits([1, 1, 1, 1], [0, 0, 0, 0]))
    canvas.add(Box(0, 1, 1, 5), _logits([2, 2, 2, 2], [0, -1, 1, 3]))
    found = canvas.maps()
    assert found is not None
    assert found[1, 0] == pytest.approx([_probability(logit) for logit in (0, 0, -1, 0, 3)])
    assert found[0, 0] == pytest.approx([_probability(logit) for logit in (1, 1, 2, 1, 2)])


@pytest.mark.parametrize("kind", ["average", "lowest"])
def test_where_no_window_lies_there_is_nothing(kind: str) -> None:
    def canvas() -> Average | Lowest:
        box = Box(0, 0, 1, 5)
        weights = np.ones((1, 3), np.float32)
        return (
            Average(box, weights=weights, activation="sigmoid")
            if kind == "average"
            else Lowest(box, activation="sigmoid")
        )

    assert canvas().maps() is None
    half = canvas()
    half.add(LEFT, _logits([0, 0, 0]))
    found = half.maps()
    assert found is not None
    assert found[0, 0].tolist() == [0.5, 0.5, 0.5, 0, 0]
