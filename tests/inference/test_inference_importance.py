"""The weights of a window's pixels, against MONAI's."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from monai.data.utils import compute_importance_map

from cellmonai.inference.importance import importance_map


@pytest.mark.parametrize("mode", ["gaussian", "constant"])
@pytest.mark.parametrize("side", [(1, 1), (16, 16), (64, 400), (257, 96), (1248, 1248)], ids=str)
def test_weights_are_monais_but_for_the_last_bit(side: tuple[int, int], mode: Literal["gaussian", "constant"]) -> None:
    weights, monais = importance_map(side, mode), compute_importance_map(side, mode=mode, sigma_scale=0.125).numpy()
    assert weights.dtype == np.float32
    assert weights.shape == side
    # torch and NumPy round exp otherwise, and a product of two has the error of both
    np.testing.assert_allclose(weights, monais, rtol=4 * np.finfo(np.float32).eps, atol=0)


def test_the_middle_counts_most_and_no_pixel_nothing() -> None:
    weights = importance_map((65, 65), "gaussian")
    assert weights[32, 32] == weights.max() == 1
    assert weights.min() == weights[0, 0] == np.float32(1e-3)
    assert np.array_equal(weights, weights[::-1, ::-1])
    assert np.array_equal(weights, weights.T)
