"""Folding batch norms changes nothing but the last bits."""

from __future__ import annotations

import pytest
import torch
from random_networks import random_network
from torch import nn

from cellmonai.inference.fold import folded


def norms(net: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())


@pytest.mark.parametrize("name", ["basic_unet", "monai_attention_unet"])
def test_a_folded_network_has_no_batch_norms_and_the_same_logits(name: str) -> None:
    net = random_network(name).double()
    image = torch.randn(1, 1, 64, 64, dtype=torch.float64)
    with torch.inference_mode():
        before, after = net(image), folded(net)(image)
    assert norms(net) > 0
    assert norms(folded(net)) == 0
    assert torch.allclose(before, after, rtol=0, atol=1e-10)


def test_the_network_itself_is_left_as_it_was() -> None:
    net = random_network().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    folded(net)
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


class TwiceUsed(nn.Module):
    """A convolution whose result is read twice, so that its norm must stay."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.conv(image)
        both: torch.Tensor = found + self.norm(found)
        return both


class Backwards(nn.Sequential):
    """A sequence that runs its children in another order."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        for child in reversed(list(self)):
            image = child(image)
        return image


def shared() -> nn.Module:
    conv = nn.Conv2d(1, 1, 3, padding=1)
    return nn.Sequential(conv, nn.BatchNorm2d(1), conv)


@pytest.mark.parametrize(
    "net",
    [
        pytest.param(TwiceUsed(), id="read twice"),
        pytest.param(Backwards(nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1)), id="own order"),
        pytest.param(shared(), id="convolution used twice"),
        pytest.param(nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 1, 1)), id="norm first"),
        pytest.param(nn.Sequential(nn.ConvTranspose2d(2, 2, 2, groups=2), nn.BatchNorm2d(2)), id="grouped transposed"),
    ],
)
def test_a_norm_is_left_where_folding_is_not_certain(net: nn.Module) -> None:
    assert norms(folded(net)) == 1
