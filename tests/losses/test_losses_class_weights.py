"""Class weights follow the shares of cell and background pixels in training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cellmonai.core.errors import InputError
from cellmonai.losses.build import build_loss
from cellmonai.losses.class_weights import foreground_share, ratio_as_weights, shares_as_weights

ORACLE = json.loads((Path(__file__).parents[1] / "data" / "oracles" / "tiling_classweights.json").read_text())
CASES = {
    "filtered_tiles": (4_726_957, 233_833_043),
    "marked1_unmarked1": (1, 1),
    "marked10_unmarked90": (10, 90),
    "marked5_unmarked995": (5, 995),
}


@pytest.mark.parametrize("case", CASES)
def test_shares_weigh_as_the_tiled_network_was_trained(case: str) -> None:
    marked, unmarked = CASES[case]
    expected = ORACLE["class_weights"][case]
    plain, reduced = (shares_as_weights(marked / (marked + unmarked), factor=factor) for factor in (1.0, 0.33))
    assert [plain.negative, plain.positive] == pytest.approx(expected["weights"], rel=1e-12)
    assert [reduced.negative, reduced.positive] == pytest.approx(expected["loss_weights"], rel=1e-12)


def test_the_pixels_of_all_pictures_of_the_tiled_network_weigh_as_published() -> None:
    expected = ORACLE["class_weights"]["all_pixels"]
    weights = shares_as_weights(expected["marked_fraction"])
    assert [weights.negative, weights.positive] == pytest.approx(expected["weights"], rel=1e-12)


def test_a_ratio_makes_cells_and_background_count_the_same_in_all() -> None:
    weights = ratio_as_weights(0.065)
    assert 0.065 * weights.positive == pytest.approx(0.935 * weights.negative)
    assert weights.negative == 1.0
    assert ratio_as_weights(0.065, factor=0.5).positive == pytest.approx(weights.positive / 2)


@pytest.mark.parametrize(
    ("share", "only"), [pytest.param(0.0, "background", id="no cell"), pytest.param(1.0, "cells", id="no background")]
)
def test_images_of_one_class_cannot_be_weighed(share: float, only: str) -> None:
    for weigh in (shares_as_weights, ratio_as_weights):
        with pytest.raises(InputError, match=f"nothing but {only}"):
            weigh(share)


def test_the_share_pools_the_pixels_of_images_of_any_size() -> None:
    small, large = np.zeros((2, 5), np.int32), np.zeros((9, 10), np.int32)
    small[0, :], large[0, :3] = 4, 1
    assert foreground_share([small, large]) == 8 / 100
    with pytest.raises(ValueError, match="no training pixels"):
        foreground_share([])


@pytest.mark.parametrize("class_weights", ["shares", "ratio"])
def test_the_loss_takes_its_weights_from_the_share(class_weights: str) -> None:
    weigh = {"shares": shares_as_weights, "ratio": ratio_as_weights}[class_weights]
    term = build_loss([("weighted_bce", 1.0, {"class_weights": class_weights})], foreground_share=0.2).terms[0]
    assert (term.positive, term.negative) == weigh(0.2)
