"""Losses equal what the reference systems' formulas give, value by value."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from cellmonai.losses.build import build_loss
from cellmonai.losses.sums import MapLoss

ORACLE = json.loads((Path(__file__).parents[1] / "data" / "oracles" / "losses.json").read_text())
MARKED_SHARE = 4_726_957 / (4_726_957 + 233_833_043)  # of the pixels that the tiled CNN was trained on

KERAS = {"clip": 1e-7}
TEXT = {"positive_weight": 1.5, "negative_weight": 0.5}
SHARES = {"class_weights": "shares", "factor": 0.33}
SEED_003 = {"fp_weight": 0.3, "fn_weight": 0.7}

Parts = list[tuple[str, float, dict[str, Any]]]

PARTS: dict[str, Parts] = {
    "bce_mean": [("bce", 1.0, KERAS)],
    "wbce_1_1.5": [("weighted_bce", 1.0, KERAS)],
    "wbce_0.5_1.5": [("weighted_bce", 1.0, TEXT | KERAS)],
    "wbce_map_1_1.5": [("weighted_bce", 1.0, KERAS)],
    "wbce_seed004": [("weighted_bce", 1.0, SHARES | KERAS)],
    "dice_smooth1": [("dice", 1.0, {})],
    "dice_smooth1e-6": [("dice", 1.0, {"smoothing": 1e-6})],
    "bce_dice_0.5": [("bce", 0.5, KERAS), ("dice", 0.5, {})],
    "focal_a0.25_g2": [("focal", 1.0, {})],
    "tversky_fp0.3_fn0.7_s1_whole_batch": [("tversky", 1.0, SEED_003)],
    "tversky_fp0.7_fn0.3_s1_whole_batch": [("tversky", 1.0, {"fp_weight": 0.7, "fn_weight": 0.3})],
    "tversky_fp0.3_fn0.7_s1e-5_whole_batch": [("tversky", 1.0, SEED_003 | {"smoothing": 1e-5})],
    "tversky_fp0.3_fn0.7_s1e-5_mean_of_images": [("tversky", 1.0, {"smoothing": 1e-5, "reduction": "image"})],
    "dice_s1e-5_mean_of_images": [("dice", 1.0, {"smoothing": 1e-5, "reduction": "image"})],
    "dice_s1_mean_of_images": [("dice", 1.0, {"reduction": "image"})],
    "jaccard_no_smooth": [("jaccard", 1.0, {"smoothing": 1e-12})],
    "monai_Tversky_default_smooth": [("tversky", 1.0, {"smoothing": 1e-5, "reduction": "image"})],
    "monai_Dice_default_smooth": [("dice", 1.0, {"smoothing": 1e-5, "reduction": "image"})],
    "TverskyLoss(sigmoid,alpha=.3,beta=.7,batch=False)": [("tversky", 1.0, {"smoothing": 1e-5, "reduction": "image"})],
    "TverskyLoss(sigmoid,alpha=.3,beta=.7,batch=True,smooth=1)": [("tversky", 1.0, {})],
    "DiceLoss(sigmoid)": [("dice", 1.0, {"smoothing": 1e-5, "reduction": "image"})],
    "DiceLoss(sigmoid,batch=True,smooth=1)": [("dice", 1.0, {})],
    "FocalLoss(gamma=2,alpha=.25)": [("focal", 1.0, {})],
}
COEFFICIENT = "dice_coef_metric_soft_smooth1"  # 1 - the Dice loss
CERTAIN = 800.0  # a logit whose sigmoid is exactly 1 in float64, and that of its negative exactly 0
LOGITS = {"p_exact_0": -CERTAIN, "logit_-10": -10.0, "logit_-5": -5.0, "logit_0": 0.0, "p_exact_1": CERTAIN}


def _tensor(values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _built(key: str) -> MapLoss:
    loss = build_loss(PARTS[key], foreground_share=MARKED_SHARE)
    assert isinstance(loss, MapLoss)
    return loss


def _ids(*fields: str) -> list[Any]:
    table = ORACLE
    for field in fields:
        table = table[field]
    return [pytest.param(key, value, id=key) for key, value in table.items() if key != COEFFICIENT]


@pytest.mark.parametrize(("key", "expected"), _ids("values"))
def test_values_on_two_small_pictures(key: str, expected: float) -> None:
    logits, target, weight = (_tensor(ORACLE[field]) for field in ("logits", "target", "weight_map"))
    value = _built(key)(logits, target, weight if "map" in key else None)
    assert value.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("key", "expected"), _ids("values"))
def test_values_in_float32(key: str, expected: float) -> None:
    logits, target, weight = (_tensor(ORACLE[field]).float() for field in ("logits", "target", "weight_map"))
    value = _built(key)(logits, target, weight if "map" in key else None)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("key", "expected"), _ids("mixed_batch", "values"))
def test_values_where_one_picture_of_two_has_a_cell(key: str, expected: float) -> None:
    batch = ORACLE["mixed_batch"]
    value = _built(key)(torch.logit(_tensor(batch["p"])), _tensor(batch["target"]))
    assert value.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("key", "expected"), _ids("monai_1.6.1"))
def test_values_of_monai(key: str, expected: float) -> None:
    value = _built(key)(_tensor(ORACLE["logits"]), _tensor(ORACLE["target"]))
    # MONAI's focal class works in float32 whatever it is given
    assert value.item() == pytest.approx(expected, rel=2e-8 if key.startswith("Focal") else 1e-9)


@pytest.mark.parametrize("prediction", LOGITS)
@pytest.mark.parametrize("key", [key for key in ORACLE["all_background_target_2x1x64x64"]["logit_0"] if key in PARTS])
def test_values_where_there_is_no_cell(key: str, prediction: str) -> None:
    expected = ORACLE["all_background_target_2x1x64x64"][prediction][key]
    logit, relative = LOGITS[prediction], 1e-9
    if expected is None:
        expected = 0.0  # 0/0 in the unsmoothed original
    if key.startswith("focal") and prediction == "p_exact_1":
        logit, relative = math.log((1 - 1e-7) / 1e-7), 1e-6  # the reference clips the logarithm, not the power
    if key.startswith("focal") and prediction == "logit_-10":
        relative = 1e-8  # 7e-14 is a difference of numbers near 10
    logits = torch.full((2, 1, 64, 64), logit, dtype=torch.float64)
    value = _built(key)(logits, torch.zeros_like(logits)).item()
    # the reference clips at 1 - 1e-7, which float64 rounds by 5e-17
    assert value == pytest.approx(expected, rel=relative, abs=1e-12 if prediction == "p_exact_1" else 1e-15)


@pytest.mark.parametrize("prediction", LOGITS)
def test_the_dice_coefficient_is_one_minus_the_loss(prediction: str) -> None:
    logits = torch.full((2, 1, 64, 64), LOGITS[prediction], dtype=torch.float64)
    value = _built("dice_smooth1")(logits, torch.zeros_like(logits)).item()
    assert 1 - value == pytest.approx(ORACLE["all_background_target_2x1x64x64"][prediction][COEFFICIENT], rel=1e-9)
