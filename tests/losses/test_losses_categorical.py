"""Background, interior and border exclude one another; two maps are read out of their logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cellmonai.inference.activation import probabilities
from cellmonai.losses.build import build_loss
from cellmonai.losses.categorical import class_logits, class_shares, map_logits

BOTH = ("foreground", "border")


def _logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _target(classes: torch.Tensor) -> torch.Tensor:
    """Maps (N, 2, Y, X) of classes (N, Y, X): 0 background, 1 interior, 2 border."""
    return torch.stack([classes > 0, classes == 2], dim=1).double()


def test_with_one_map_it_is_binary_cross_entropy() -> None:
    logits, target = _logits(2, 1, 8, 8), (_logits(2, 1, 8, 8, seed=1) > 0).double()
    categorical, binary = (build_loss([(name, 1.0, {})]) for name in ("cross_entropy", "bce"))
    assert categorical(logits, target).item() == pytest.approx(binary(logits, target).item(), rel=1e-12)
    assert categorical.activation == "sigmoid"


def test_with_foreground_and_border_it_is_cross_entropy_of_three_classes_with_a_background_logit_of_zero() -> None:
    logits = _logits(2, 2, 8, 8)
    classes = torch.randint(0, 3, (2, 8, 8), generator=torch.Generator().manual_seed(2))
    expected = torch.nn.functional.cross_entropy(torch.cat([torch.zeros(2, 1, 8, 8), logits], 1), classes)
    loss = build_loss([("cross_entropy", 1.0, {})], maps=BOTH)
    assert loss(logits, _target(classes)).item() == pytest.approx(expected.item(), rel=1e-12)
    assert loss.activation == "categorical"


def test_a_map_of_amounts_leaves_the_foreground_alone_with_the_background() -> None:
    logits, target = _logits(2, 2, 8, 8), torch.rand(2, 2, 8, 8, dtype=torch.float64)
    losses = [build_loss([(name, 1.0, {})], maps=("foreground", "distance")) for name in ("cross_entropy", "bce")]
    assert losses[0](logits, target).item() == pytest.approx(losses[1](logits, target).item(), rel=1e-12)
    assert losses[0].activation == "sigmoid"


def test_the_read_out_is_what_inference_gives() -> None:
    logits = _logits(1, 2, 8, 8)
    maps = map_logits(logits).sigmoid()[0].numpy()
    np.testing.assert_allclose(maps, probabilities(logits[0].numpy(), "categorical"), rtol=1e-12)
    inside, border = logits[0].exp()
    assert maps[0] == pytest.approx(((inside + border) / (1 + inside + border)).numpy())
    assert maps[1] == pytest.approx((border / (1 + inside + border)).numpy())


def test_the_read_out_stays_finite_with_its_gradient_at_any_logit() -> None:
    ends = torch.tensor([-1e4, -100.0, 0.0, 100.0, 1e4])
    logits = torch.cartesian_prod(ends, ends).T.reshape(1, 2, 5, 5).clone().requires_grad_()
    map_logits(logits).sigmoid().sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_class_logits_are_the_inverse_of_the_read_out() -> None:
    logits = _logits(1, 2, 8, 8)
    torch.testing.assert_close(class_logits(map_logits(logits).sigmoid(), least=1e-12), logits)


def test_a_border_outside_the_foreground_does_not_count() -> None:
    maps = torch.tensor([0.25, 0.75]).view(1, 2, 1, 1)
    assert class_shares(maps).flatten().tolist() == [0.75, 0.0, 0.25]


def test_other_parts_of_a_sum_compare_the_maps_that_are_read_out() -> None:
    logits = _logits(2, 2, 8, 8)
    target = _target(torch.randint(0, 3, (2, 8, 8), generator=torch.Generator().manual_seed(3)))
    total = build_loss([("cross_entropy", 1.0, {}), ("dice", 1.0, {})], maps=BOTH)(logits, target)
    entropy = build_loss([("cross_entropy", 1.0, {})], maps=BOTH)(logits, target)
    dice = build_loss([("dice", 1.0, {})], maps=BOTH)(map_logits(logits), target)
    assert total.item() == pytest.approx((entropy + dice).item(), rel=1e-12)
    together = build_loss([("dice_ce", 1.0, {})], maps=BOTH)(logits, target)
    assert together.item() == pytest.approx(total.item(), rel=1e-12)
