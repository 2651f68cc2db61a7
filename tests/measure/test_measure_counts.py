from __future__ import annotations

import numpy as np
import pytest

from cellmonai.measure.counts import count_errors


def test_errors_are_predicted_minus_true() -> None:
    errors = count_errors([10, 20, 30], [12, 19, 35])  # +2, -1, +5
    assert errors.images == 3
    assert errors.bias == pytest.approx(2.0)
    assert errors.mae == pytest.approx(8 / 3)
    assert errors.rmse == pytest.approx(np.sqrt(30 / 3))
    assert errors.bias_percent == pytest.approx(100 * 6 / 60)
    assert errors.r2 == pytest.approx(1 - 30 / 200)


def test_limits_of_agreement_are_those_of_bland_and_altman() -> None:
    errors = count_errors([10, 20, 30], [12, 19, 35])
    spread = 1.96 * np.std([2, -1, 5], ddof=1)
    assert errors.limits_of_agreement == pytest.approx((2 - spread, 2 + spread), abs=1e-3)


def test_r2_is_about_the_identity_line_so_that_a_constant_factor_shows() -> None:
    assert count_errors([1, 2, 3], [2, 4, 6]).r2 == pytest.approx(1 - 14 / 2)


def test_perfect_counts() -> None:
    errors = count_errors([0, 3, 7], [0, 3, 7])
    assert (errors.mae, errors.bias_percent, errors.rmse, errors.r2) == (0.0, 0.0, 0.0, 1.0)


def test_errors_of_opposite_sign_cancel_in_the_bias_alone() -> None:
    errors = count_errors([10, 10], [15, 5])
    assert (errors.bias, errors.bias_percent, errors.mae) == (0.0, 0.0, 5.0)


@pytest.mark.parametrize(
    ("true", "predicted", "undefined"),
    [
        pytest.param([], [], {"bias", "bias_percent", "mae", "rmse", "r2", "limits_of_agreement"}, id="no image"),
        pytest.param([0, 0], [0, 2], {"bias_percent", "r2"}, id="no true cell"),
        pytest.param([5], [6], {"r2", "limits_of_agreement"}, id="one image"),
        pytest.param([5, 5], [6, 5], {"r2"}, id="all counts the same"),
    ],
)
def test_what_is_undefined_is_none(true: list[int], predicted: list[int], undefined: set[str]) -> None:
    errors = count_errors(true, predicted)
    names = ("bias", "bias_percent", "mae", "rmse", "r2", "limits_of_agreement")
    assert {name for name in names if getattr(errors, name) is None} == undefined


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 true counts and 1 predicted"):
        count_errors([1, 2], [1])
