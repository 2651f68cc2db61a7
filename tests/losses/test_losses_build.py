"""Losses equal their formulas, survive empty fields and weigh errors the way their options say."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from cellmonai.core.errors import RecipeError
from cellmonai.losses.catalogue import loss_names
from cellmonai.losses.build import build_loss


def _logits(probability: float, shape: tuple[int, ...] = (2, 1, 64, 64)) -> torch.Tensor:
    return torch.full(shape, math.log(probability / (1 - probability)), dtype=torch.float64)


@pytest.mark.parametrize("name", loss_names())
def test_a_batch_without_cells_has_a_small_loss_with_a_gradient(name: str) -> None:
    logits = torch.full((2, 1, 64, 64), -10.0, requires_grad=True)
    value = build_loss([(name, 1.0, {})])(logits, torch.zeros_like(logits))
    value.backward()
    assert value.item() < 0.3
    assert logits.grad is not None
    assert logits.grad.abs().sum() > 0.01


@pytest.mark.parametrize("name", loss_names())
def test_a_perfect_prediction_costs_almost_nothing(name: str) -> None:
    target = torch.zeros(1, 1, 32, 32)
    target[..., 8:20, 8:20] = 1
    assert build_loss([(name, 1.0, {})])(40 * (target - 0.5), target).item() < 1e-4


@pytest.mark.parametrize("name", loss_names())
def test_half_precision_logits_give_a_finite_loss_in_float32(name: str) -> None:
    target = torch.ones(1, 1, 1024, 1024)
    value = build_loss([(name, 1.0, {})])(torch.full_like(target, 3.0).half(), target)
    assert value.dtype == torch.float32
    assert torch.isfinite(value)


def test_fn_weight_makes_missed_cells_dearer_and_fp_weight_false_ones() -> None:
    target = torch.zeros(1, 1, 32, 32)
    target[..., :16, :] = 1
    missed, false = torch.full_like(target, -9.0), torch.full_like(target, 9.0)
    misses_matter = build_loss([("tversky", 1.0, {"fn_weight": 0.9, "fp_weight": 0.1})])
    false_matter = build_loss([("tversky", 1.0, {"fn_weight": 0.1, "fp_weight": 0.9})])
    assert misses_matter(false, target) < false_matter(false, target)
    half_missed = torch.where(torch.arange(32) < 16, 9.0, -9.0).expand_as(target) * target - 9 * (1 - target)
    assert misses_matter(half_missed, target) > false_matter(half_missed, target)
    assert misses_matter(missed, target) > 0.9


def test_dice_equals_its_formula_over_the_batch() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(3, 1, 8, 8, generator=generator)
    target = (torch.rand(3, 1, 8, 8, generator=generator) > 0.5).float()
    p = logits.sigmoid()
    expected = 1 - (2 * (p * target).sum() + 1) / (p.sum() + target.sum() + 1)
    assert build_loss([("dice", 1.0, {})])(logits, target).item() == pytest.approx(expected.item(), rel=1e-5)


ORACLE = json.loads((Path(__file__).parents[1] / "data" / "oracles" / "losses.json").read_text())


@pytest.mark.parametrize(
    ("name", "parameters", "key"),
    [
        pytest.param("dice", {}, "dice_smooth1", id="dice"),
        pytest.param("dice", {"smoothing": 1e-6}, "dice_smooth1e-6", id="dice, almost unsmoothed"),
        pytest.param("bce_dice", {}, "bce_dice_0.5", id="cross-entropy and dice"),
        pytest.param("bce_dice", {"dice_share": 0.0}, "bce_mean", id="cross-entropy alone"),
        pytest.param("tversky", {}, "tversky_fp0.3_fn0.7_s1_whole_batch", id="tversky, missed cells dearer"),
        pytest.param(
            "tversky",
            {"fp_weight": 0.7, "fn_weight": 0.3},
            "tversky_fp0.7_fn0.3_s1_whole_batch",
            id="tversky, false cells dearer",
        ),
    ],
)
def test_values_equal_the_reference_systems(name: str, parameters: dict[str, float], key: str) -> None:
    logits, target = (torch.tensor(ORACLE[field], dtype=torch.float32) for field in ("logits", "target"))
    value = build_loss([(name, 1.0, parameters)])(logits, target).item()
    assert value == pytest.approx(ORACLE["values"][key], rel=1e-5)  # float32 against float64


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        pytest.param(torch.full((1, 1, 8, 8), 255.0), "up to 255", id="a mask of 0 and 255"),
        pytest.param(torch.zeros(1, 8, 8), "the target is", id="no channel axis"),
    ],
)
def test_a_target_that_would_train_to_nothing_is_refused(target: torch.Tensor, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        build_loss([("dice", 1.0, {})])(torch.zeros(1, 1, 8, 8), target)


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        pytest.param("dise", {}, "did you mean 'dice'", id="typo"),
        pytest.param("dice", {"gamma": 2.0}, "no parameter 'gamma'", id="parameter of another loss"),
        pytest.param("tversky", {"fn_weight": -1.0}, "expected 0 to 10", id="out of bounds"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, parameters: dict[str, float], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        build_loss([(name, 1.0, parameters)])
