"""From logits to probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from cellmonai.inference.activation import probabilities


def planes(*logits: float) -> np.ndarray:
    return np.array(logits, np.float32).reshape(-1, 1, 1)


def test_the_sigmoid_takes_every_map_for_itself() -> None:
    found = probabilities(planes(0, np.log(3), -np.log(3)))
    assert found.ravel() == pytest.approx([0.5, 0.75, 0.25])


def test_categorical_maps_share_one_with_the_background() -> None:
    # background, inside and border as 1 : 2 : 5
    found = probabilities(planes(np.log(2), np.log(5)), "categorical")
    assert found.ravel() == pytest.approx([7 / 8, 5 / 8])


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        pytest.param((0.0, 0.0), (2 / 3, 1 / 3), id="all equal"),
        pytest.param((200.0, 100.0), (1, 0), id="surely inside"),
        pytest.param((100.0, 200.0), (1, 1), id="surely border"),
        pytest.param((-200.0, -300.0), (0, 0), id="surely background"),
        pytest.param((3e38, 3e38), (1, 0.5), id="as large as numbers get"),
        pytest.param((-3e38, 3e38), (1, 1), id="as far apart as numbers get"),
    ],
)
def test_categorical_probabilities_are_safe_for_any_logits(
    logits: tuple[float, float], expected: tuple[float, float]
) -> None:
    found = probabilities(planes(*logits), "categorical")
    assert found.ravel() == pytest.approx(expected, abs=1e-6)
    assert found.dtype == np.float32


def test_a_border_is_never_more_probable_than_the_foreground() -> None:
    logits = np.random.default_rng(0).normal(0, 30, (2, 100, 100)).astype(np.float32)
    before = logits.copy()
    foreground, border = probabilities(logits, "categorical")
    assert (border <= foreground).all()
    assert (foreground <= 1).all()
    assert np.array_equal(logits, before)


def test_sigmoids_of_huge_logits_are_0_and_1_without_a_warning() -> None:
    assert probabilities(planes(-1e30, 1e30)).ravel().tolist() == [0, 1]


def test_categorical_needs_two_maps() -> None:
    with pytest.raises(ValueError, match="inside and border"):
        probabilities(planes(1, 2, 3), "categorical")
