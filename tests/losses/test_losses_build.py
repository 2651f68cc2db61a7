"""Losses are sums of named parts that survive empty fields, weigh pixels and compare at the output's size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.losses import DiceCELoss, DiceFocalLoss

from cellmonai.core.errors import InputError, RecipeError
from cellmonai.losses.build import Part, build_loss
from cellmonai.losses.catalogue import LOSSES, LossRow
from cellmonai.losses.categorical import map_logits

OF_MAPS = [row for row in LOSSES if row.takes == "logits"]
of_maps = pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in OF_MAPS])
every = pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in LOSSES])


def _loss(name: str, parameters: dict[str, Any] | None = None, **options: object) -> torch.nn.Module:
    return build_loss([(name, 1.0, parameters or {})], **options)


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _squares(*shape: int) -> torch.Tensor:
    target = torch.zeros(shape, dtype=torch.float64)
    target[..., 2:5, 3:7] = 1
    return target


def _constant_output(row: LossRow, *, logit: float) -> torch.Tensor | list[torch.Tensor]:
    """What a network gives for two pictures of 64 x 64 px that it takes for all background, or all cell."""
    if row.takes == "logits":
        return torch.full((2, 1, 64, 64), logit, requires_grad=True)
    mean_and_log_variance = torch.tensor([float(logit > 0), -6.0 if abs(logit) < 20 else -1e4])
    scale = mean_and_log_variance.view(1, 2, 1, 1)
    return [scale.expand(2, 2, side, side).clone().requires_grad_() for side in (4, 8, 16, 32)]


@every
def test_a_batch_without_cells_costs_what_the_catalogue_says(row: LossRow) -> None:
    output = _constant_output(row, logit=-10.0)
    output = output.double() if isinstance(output, torch.Tensor) else output
    value = _loss(row.name)(output, torch.zeros(2, 1, 64, 64))
    assert value.item() == pytest.approx(row.on_empty, rel=5e-3)


@every
@pytest.mark.parametrize("weighed", [False, True], ids=["plain", "with a weight map"])
@pytest.mark.parametrize("logit", [-1e4, -10.0, 10.0, 1e4], ids=["certain, right", "right", "wrong", "certain, wrong"])
def test_a_batch_without_cells_has_a_finite_loss_and_gradient(row: LossRow, logit: float, *, weighed: bool) -> None:
    output = _constant_output(row, logit=logit)
    value = _loss(row.name)(output, torch.zeros(2, 1, 64, 64), torch.full((2, 1, 64, 64), 1.5) if weighed else None)
    value.backward()
    assert torch.isfinite(value)
    for leaf in [output] if isinstance(output, torch.Tensor) else output:
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all()


@pytest.mark.parametrize("name", ["dice", "tversky", "bce_dice", "dice_focal"])
def test_overlap_keeps_a_gradient_where_there_is_no_cell(name: str) -> None:
    logits = torch.full((2, 1, 64, 64), -10.0, requires_grad=True)
    _loss(name)(logits, torch.zeros_like(logits)).backward()
    assert logits.grad is not None
    assert logits.grad.abs().sum() > 0.01


@of_maps
def test_a_perfect_prediction_costs_almost_nothing(row: LossRow) -> None:
    target = _squares(2, 1, 16, 16)
    assert _loss(row.name)(40 * (target - 0.5), target).item() < 1e-4


@of_maps
def test_half_precision_logits_give_a_finite_loss_in_float32(row: LossRow) -> None:
    target = torch.ones(1, 1, 512, 512)
    value = _loss(row.name)(torch.full_like(target, 3.0).half(), target)
    assert value.dtype == torch.float32
    assert torch.isfinite(value)


def test_fn_weight_makes_missed_cells_dearer_and_fp_weight_false_ones() -> None:
    target = torch.zeros(1, 1, 32, 32)
    target[..., :16, :] = 1
    everything = torch.full_like(target, 9.0)
    half_missed = torch.where(torch.arange(32) < 16, 9.0, -9.0).expand_as(target) * target - 9 * (1 - target)
    misses_matter = _loss("tversky", {"fn_weight": 0.9, "fp_weight": 0.1})
    false_matter = _loss("tversky", {"fn_weight": 0.1, "fp_weight": 0.9})
    assert misses_matter(everything, target) < false_matter(everything, target)
    assert misses_matter(half_missed, target) > false_matter(half_missed, target)


@pytest.mark.parametrize(
    ("ours", "monai"),
    [
        pytest.param(("dice_ce", {}), DiceCELoss(sigmoid=True, batch=True, smooth_nr=1, smooth_dr=1), id="dice_ce"),
        pytest.param(
            ("dice_ce", {"dice_weight": 0.3, "ce_weight": 2.0, "reduction": "image"}),
            DiceCELoss(sigmoid=True, smooth_nr=1, smooth_dr=1, lambda_dice=0.3, lambda_ce=2.0),
            id="dice_ce, weighed, per image",
        ),
        pytest.param(
            ("dice_focal", {"dice_share": 0.25, "gamma": 1.5}),
            DiceFocalLoss(
                sigmoid=True, batch=True, smooth_nr=1, smooth_dr=1, gamma=1.5, lambda_dice=0.25, lambda_focal=0.75
            ),
            id="dice_focal",
        ),
    ],
)
def test_sums_equal_the_sums_of_monai(ours: tuple[str, dict[str, Any]], monai: torch.nn.Module) -> None:
    logits, target = _random(3, 1, 8, 9), _squares(3, 1, 8, 9)
    assert _loss(*ours)(logits, target).item() == pytest.approx(monai(logits, target).item(), rel=1e-6)


def test_parts_are_summed_with_their_weights() -> None:
    logits, target = _random(2, 1, 8, 8), _squares(2, 1, 8, 8)
    total = build_loss([("dice", 0.5, {}), ("tversky", 2.0, {"fn_weight": 0.9})])(logits, target)
    parts = 0.5 * _loss("dice")(logits, target) + 2.0 * _loss("tversky", {"fn_weight": 0.9})(logits, target)
    assert total.item() == pytest.approx(parts.item(), rel=1e-12)


# weight maps


@of_maps
def test_a_weight_of_one_changes_nothing(row: LossRow) -> None:
    logits, target = _random(2, 2, 8, 8), _squares(2, 2, 8, 8)
    loss = _loss(row.name, maps=("foreground", "border"))
    weighed = loss(logits, target, torch.ones(2, 1, 8, 8))
    assert weighed.item() == pytest.approx(loss(logits, target).item(), rel=1e-12)


@pytest.mark.parametrize("name", ["dice", "jaccard", "tversky"])
@pytest.mark.parametrize("reduction", ["batch", "image"])
def test_overlap_counts_a_pixel_of_weight_two_as_two_pixels(name: str, reduction: str) -> None:
    logits, target = _random(2, 1, 8, 8), _squares(2, 1, 8, 8)
    weight = torch.ones(2, 1, 8, 8)
    weight[..., :3] = 2
    loss = _loss(name, {"reduction": reduction})
    doubled = loss(*(torch.cat([array[..., :3], array], dim=-1) for array in (logits, target)))
    assert loss(logits, target, weight).item() == pytest.approx(doubled.item(), rel=1e-12)


@pytest.mark.parametrize("name", ["bce", "weighted_bce", "cross_entropy", "focal"])
def test_pixelwise_losses_are_means_over_all_pixels_not_over_weights(name: str) -> None:
    logits, target = _random(2, 1, 8, 8), _squares(2, 1, 8, 8)
    weight = torch.ones(2, 1, 8, 8)
    weight[..., :4] = 3
    loss = _loss(name)
    halves = [loss(logits[..., half], target[..., half]) for half in (slice(4), slice(4, 8))]
    assert loss(logits, target, weight).item() == pytest.approx((3 * halves[0] + halves[1]).item() / 2, rel=1e-12)


# sizes and maps


@of_maps
def test_target_and_weight_are_averaged_over_the_blocks_of_a_coarser_output(row: LossRow) -> None:
    target, weight = _squares(2, 1, 16, 24), _random(2, 1, 16, 24, seed=1).abs()
    logits = _random(2, 1, 2, 3, seed=2)
    blocks = [array.unfold(2, 8, 8).unfold(3, 8, 8).mean((-1, -2)) for array in (target, weight)]
    loss = _loss(row.name)
    assert loss(logits, target, weight).item() == pytest.approx(loss(logits, *blocks).item(), rel=1e-9)


def test_maps_that_hold_amounts_cost_their_squared_error() -> None:
    logits, target = _random(2, 2, 8, 8), _squares(2, 2, 8, 8)
    target[:, 1] *= 0.6
    loss = _loss("dice", maps=("foreground", "distance"))
    error = (logits[:, 1].sigmoid() - target[:, 1]).square().mean()
    expected = _loss("dice")(logits[:, :1], target[:, :1]) + error
    assert loss(logits, target).item() == pytest.approx(expected.item(), rel=1e-12)
    half = _loss("dice", maps=("foreground", "distance"), map_weight=0.5)
    assert half(logits, target).item() == pytest.approx((expected - 0.5 * error).item(), rel=1e-12)


@pytest.mark.parametrize("name", ["bce", "dice", "tversky", "focal", "dice_focal"])
def test_several_classes_are_averaged(name: str) -> None:
    logits, target = _random(2, 2, 8, 8), _squares(2, 2, 8, 8)
    target[:, 1] = 1 - target[:, 1]
    single = [_loss(name)(logits[:, k : k + 1], target[:, k : k + 1]) for k in (0, 1)]
    both = _loss(name, maps=("foreground", "border"))(logits, target)
    assert both.item() == pytest.approx(sum(single).item() / 2, rel=1e-12)


@of_maps
@pytest.mark.parametrize(
    "maps",
    [("foreground",), ("foreground", "border"), ("foreground", "centre")],
    ids=lambda maps: "+".join(maps),
)
def test_the_loss_of_finished_maps_is_that_of_their_logits(row: LossRow, maps: tuple[str, ...]) -> None:
    output, target = _random(1, len(maps), 8, 8), _squares(1, len(maps), 8, 8) * 0.75
    weight = _random(1, 1, 8, 8, seed=3).abs()
    loss = _loss(row.name, maps=maps)
    finished = (map_logits(output) if loss.activation == "categorical" else output).sigmoid()
    value = loss.of_maps(finished, target, weight).item()
    assert value == pytest.approx(loss(output, target, weight).item(), rel=1e-9)


@of_maps
@pytest.mark.parametrize("maps", [("foreground",), ("foreground", "border")], ids=lambda maps: "+".join(maps))
def test_maps_rounded_to_certainty_have_a_finite_loss(row: LossRow, maps: tuple[str, ...]) -> None:
    target = _squares(1, len(maps), 8, 8).float()
    assert torch.isfinite(_loss(row.name, maps=maps).of_maps(1 - target, target))


# refusals


@pytest.mark.parametrize(
    ("output", "target", "sentence"),
    [
        pytest.param((1, 1, 8, 8), torch.full((1, 1, 8, 8), 255.0), "up to 255", id="a mask of 0 and 255"),
        pytest.param((1, 1, 8, 8), torch.zeros(1, 8, 8), "the target is", id="no channel axis"),
        pytest.param((1, 1, 8, 8), torch.zeros(1, 2, 8, 8), "the target is", id="a map too many"),
        pytest.param((2, 1, 8, 8), torch.zeros(1, 1, 8, 8), "the target or weight is", id="an image too many"),
        pytest.param((1, 1, 16, 8), torch.zeros(1, 1, 8, 8), "the target or weight is", id="output larger"),
    ],
)
def test_a_target_that_would_train_to_nothing_is_refused(
    output: tuple[int, ...], target: torch.Tensor, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        _loss("dice")(torch.zeros(output), target)


@pytest.mark.parametrize(
    ("parts", "maps", "sentence"),
    [
        pytest.param([("dise", 1.0, {})], ("foreground",), "did you mean 'dice'", id="typo"),
        pytest.param([("dice", 1.0, {"gamma": 2.0})], ("foreground",), "no parameter 'gamma'", id="parameter"),
        pytest.param([("tversky", 1.0, {"fn_weight": -1.0})], ("foreground",), "expected 0 to 10", id="out of bounds"),
        pytest.param(
            [("weighted_bce", 1.0, {"class_weights": "ratio", "positive_weight": 3.0})],
            ("foreground",),
            "positive_weight has no effect with class_weights = 'ratio'",
            id="a weight that would not be used",
        ),
        pytest.param(
            [("weighted_bce", 1.0, {"factor": 0.33})], ("foreground",), "factor has no effect", id="a factor likewise"
        ),
        pytest.param(
            [("aleatoric", 1.0, {"form": "text", "floor": -9.0})], ("foreground",), "floor has no effect", id="floor"
        ),
        pytest.param([("aleatoric", 1.0, {}), ("bce", 1.0, {})], ("foreground",), "'bce' takes maps", id="mixed"),
        pytest.param(
            [("aleatoric", 1.0, {})], ("foreground", "border"), "learns one map", id="a pyramid with two maps"
        ),
    ],
)
def test_what_does_not_fit_is_refused(parts: list[Part], maps: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        build_loss(parts, maps=maps)


def test_class_weights_from_shares_need_a_share_that_holds_both_classes() -> None:
    with pytest.raises(ValueError, match="needs the share of cell pixels"):
        _loss("weighted_bce", {"class_weights": "shares"})
    with pytest.raises(InputError, match="nothing but background"):
        _loss("weighted_bce", {"class_weights": "ratio"}, foreground_share=0.0)
