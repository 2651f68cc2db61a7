"""Running statistics are those of the steps so far, however few they were."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cellmonai.training.batch_norms import WarmingBatchNorms


def _after(steps: int, *, momentum: float, warming: bool) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(1, momentum=momentum).train()
    warmth = WarmingBatchNorms(nn.Sequential(norm))
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        if warming:
            warmth.before_step()
        norm(5.0 + 0.1 * torch.randn(4, 1, 32, 32, generator=generator))
    return norm


@pytest.mark.parametrize("steps", [1, 5, 60])
def test_few_steps_are_enough(steps: int) -> None:
    warm, cold = (_after(steps, momentum=0.01, warming=warming) for warming in (True, False))
    assert warm.running_mean is not None
    assert warm.running_var is not None
    assert warm.running_mean.item() == pytest.approx(5.0, abs=0.02)
    assert warm.running_var.item() == pytest.approx(0.01, rel=0.1)
    assert cold.running_var is not None
    assert cold.running_var.item() > 0.5


def test_after_as_many_steps_as_the_momentum_says_it_is_the_networks_own() -> None:
    assert _after(9, momentum=0.1, warming=True).momentum == pytest.approx(1 / 9)
    assert _after(11, momentum=0.1, warming=True).momentum == 0.1
    assert _after(150, momentum=0.01, warming=True).momentum == 0.01
