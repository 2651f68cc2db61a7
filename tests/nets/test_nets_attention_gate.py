"""The attention gate weighs a skip by a map that can be looked at."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cellmonai.nets.attention_gate import AttentionGate


def gate_with_random_statistics() -> AttentionGate:
    torch.manual_seed(0)
    gate = AttentionGate(6, 4, 3).double().eval()
    for module in gate.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.weight, module.bias):
                assert tensor is not None
                nn.init.normal_(tensor)
            assert module.running_var is not None
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return gate


def test_the_result_is_the_skip_times_a_map_that_a_hook_can_read() -> None:
    gate, seen = gate_with_random_statistics(), []

    def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append(output)

    gate.attention.register_forward_hook(keep)
    features, skip = torch.randn(2, 6, 5, 7, dtype=torch.float64), torch.randn(2, 4, 5, 7, dtype=torch.float64)
    with torch.inference_mode():
        weighed = gate(features, skip)
    (weights,) = seen
    assert weights.shape == (2, 1, 5, 7)
    assert 0 < float(weights.min()) < float(weights.max()) < 1
    assert torch.equal(weighed, skip * weights)


def test_the_map_follows_the_equation_of_the_additive_gate() -> None:
    gate = gate_with_random_statistics()
    features, skip = torch.randn(1, 6, 3, 3, dtype=torch.float64), torch.randn(1, 4, 3, 3, dtype=torch.float64)

    def at_every_pixel(part: nn.Sequential, maps: Tensor) -> Tensor:
        conv, norm = (module for module in part if isinstance(module, (nn.Conv2d, nn.BatchNorm2d)))
        summed = torch.einsum("oi,nihw->nohw", conv.weight[:, :, 0, 0], maps)
        mean, var, weight, bias = (
            v[None, :, None, None] for v in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
        )
        return (summed - mean) / torch.sqrt(var + 1e-5) * weight + bias

    with torch.no_grad():
        added = at_every_pixel(gate.from_gate, features) + at_every_pixel(gate.from_skip, skip)
        weights = 1 / (1 + torch.exp(-at_every_pixel(gate.attention, added.clamp(min=0))))
        assert torch.allclose(gate(features, skip), skip * weights, atol=1e-12)
