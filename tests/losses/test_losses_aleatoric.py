"""The loss of a predicted mean and variance: its three forms, what they settle at, and the shapes it refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d

from cellmonai.losses.aleatoric import aleatoric, total_variation
from cellmonai.losses.build import build_loss

ALL = json.loads((Path(__file__).parents[1] / "data" / "oracles" / "losses.json").read_text())
ORACLE = ALL["aleatoric"]


def _tensor(values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _each(**options: object) -> torch.Tensor:
    residual, log_variance = _tensor(ORACLE["residual_y_minus_yhat"]), _tensor(ORACLE["log_var_s"])
    return aleatoric(torch.zeros_like(residual), log_variance, residual, **options)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        pytest.param({}, "nll_with_s_clamped_min_-6_each", id="likelihood, clamped"),
        pytest.param({"floor": -20.0}, "nll_each", id="likelihood"),
        pytest.param({"form": "cellcount"}, "code_bloss_each", id="cellcount's code"),
        pytest.param({"form": "text"}, "text_eq1_each", id="cellcount's text"),
    ],
)
def test_each_form_equals_its_formula(options: dict[str, Any], key: str) -> None:
    assert _each(**options).tolist() == pytest.approx(ORACLE[key], rel=1e-9)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        pytest.param({"floor": -20.0}, "nll_kendall_gal_mean", id="likelihood"),
        pytest.param({"form": "cellcount"}, "code_bloss_mean", id="cellcount's code"),
    ],
)
def test_the_loss_of_a_scale_is_the_mean_over_its_pixels(options: dict[str, Any], key: str) -> None:
    # a target lies in 0 to 1, so the mean makes up for what a residual has beyond
    residual, log_variance = _tensor(ORACLE["residual_y_minus_yhat"]), _tensor(ORACLE["log_var_s"])
    target = residual.clamp(0, 1).view(1, 1, 1, 7)
    scale = torch.stack([target.flatten() - residual, log_variance]).view(1, 2, 1, 7)
    loss = build_loss([("aleatoric", 1.0, {"tv_weight": 0.0, **options})])
    assert loss([scale], target).item() == pytest.approx(ORACLE[key], rel=1e-9)


@pytest.mark.parametrize("form", ["nll", "code", "text"])
def test_each_form_settles_where_its_derivation_says(form: str) -> None:
    true_deviation = 3.0
    quantiles = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    residual = true_deviation * torch.special.ndtri(quantiles)
    name = "cellcount" if form == "code" else form
    deviations = torch.linspace(0.3, 4.0, 371, dtype=torch.float64)
    values = [
        aleatoric(residual.new_zeros(()).expand_as(residual), s.expand_as(residual), residual, form=name).mean()
        for s in 2 * deviations.log()
    ]
    best = deviations[int(torch.stack(values).argmin())].item()
    assert best == pytest.approx(ORACLE["argmin_sigma_for_true_sigma_3"][form], abs=0.02)
    covered = (residual.abs() < 2 * best).double().mean().item()
    assert covered == pytest.approx(ORACLE["coverage_gaussian"][f"{form}_2"], abs=0.005)


def test_the_original_jumps_to_a_variance_of_one_at_minus_six_and_ours_does_not() -> None:
    s, zero, one = (torch.tensor([value]) for value in (-6.0, 0.0, 1.0))
    assert aleatoric(zero, s, one, form="cellcount").item() == 0.5
    assert aleatoric(zero, s, one).item() == pytest.approx(0.5 * math.exp(6) - 3)
    assert aleatoric(zero, s - 1, one).item() == aleatoric(zero, s, one).item()


def test_predictions_are_never_paired_with_the_targets_of_others() -> None:
    example = ALL["broadcast_bug"]
    mean, target, log_variance = (_tensor(example[key]) for key in ("pred", "target", "log_var"))
    with pytest.raises(ValueError, match=r"\(3, 1\), \(3, 1\), \(3,\), expected one shape"):
        aleatoric(mean, log_variance, target)
    paired = aleatoric(mean, log_variance, target[:, None], form="cellcount").mean()
    assert paired.item() == pytest.approx(example["elementwise_bloss"], rel=1e-12)


def test_total_variation_is_a_sum_without_the_last_row_and_column() -> None:
    expected = ORACLE["tv"]
    assert total_variation(_tensor(expected["img"])).item() == pytest.approx(expected["sum"], rel=1e-12)


def _pyramid() -> tuple[list[torch.Tensor], torch.Tensor]:
    random = torch.Generator().manual_seed(4)
    target = (torch.rand(2, 1, 32, 48, generator=random) > 0.5).double()
    sizes = ((2, 3), (4, 6), (8, 12), (16, 24))
    return [torch.rand(2, 2, *size, generator=random, dtype=torch.float64) for size in sizes], target


def test_scales_are_summed_each_against_its_own_average_of_the_target() -> None:
    scales, target = _pyramid()
    expected = sum(
        aleatoric(scale[:, :1], scale[:, 1:], adaptive_avg_pool2d(target, tuple(scale.shape[-2:]))).mean()
        + 1e-6 * total_variation(scale[:, :1])
        for scale in scales
    )
    assert build_loss([("aleatoric", 1.0, {})])(tuple(scales), target).item() == pytest.approx(expected.item())


def test_the_weight_of_total_variation_is_an_option() -> None:
    scales, target = _pyramid()
    with_it, without = (build_loss([("aleatoric", 1.0, {"tv_weight": w})])(scales, target) for w in (0.5, 0.0))
    expected = 0.5 * sum(total_variation(scale[:, :1]) for scale in scales)
    assert (with_it - without).item() == pytest.approx(expected.item())


def test_a_weight_map_is_averaged_down_to_each_scale() -> None:
    scales, target = _pyramid()
    weight = torch.ones(2, 1, 32, 48)
    weight[0], weight[1] = 3, 0
    loss = build_loss([("aleatoric", 1.0, {"tv_weight": 0.0})])
    first = loss([scale[:1] for scale in scales], target[:1])
    assert loss(scales, target, weight).item() == pytest.approx(3 * first.item() / 2)


def test_the_loss_of_finished_maps_is_that_of_one_full_scale() -> None:
    random = torch.Generator().manual_seed(5)
    maps = torch.rand(1, 2, 16, 16, generator=random, dtype=torch.float64) * 0.9 + 0.05
    target = (torch.rand(1, 1, 16, 16, generator=random) > 0.5).double()
    scale = torch.cat([maps[:, :1], 2 * maps[:, 1:].log()], dim=1)
    loss = build_loss([("aleatoric", 1.0, {})])
    assert loss.of_maps(maps, target).item() == pytest.approx(loss([scale], target).item(), rel=1e-12)


@pytest.mark.parametrize(
    ("shape", "target"),
    [
        pytest.param((1, 1, 8, 8), (1, 1, 16, 16), id="no log-variance"),
        pytest.param((1, 2, 8, 8), (1, 2, 16, 16), id="target of two maps"),
        pytest.param((1, 2, 8, 8), (1, 16, 16), id="target without its axis of maps"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shape: tuple[int, ...], target: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(N, 2, Y, X\) and \(N, 1, Y, X\)"):
        build_loss([("aleatoric", 1.0, {})])([torch.zeros(shape)], torch.zeros(target))
