"""The c-ResUnet layer by layer: what it sees, how it starts, what its options change."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation

from cellmonai.nets.attention_gate import AttentionGate
from cellmonai.nets.c_resunet import CResUnet


def make(**options: object) -> CResUnet:
    torch.manual_seed(0)
    return CResUnet(channels=3, outputs=1, **({"width": 4} | options)).eval()  # type: ignore[arg-type] # one of each


@pytest.mark.parametrize("shape", [(8, 8), (9, 15), (37, 53), (64, 33), (1, 3)])
def test_a_size_that_does_not_divide_is_continued_by_its_edge_and_cut_again(shape: tuple[int, int]) -> None:
    net, image = make(), torch.rand(1, 3, *shape)
    rows, columns = (-side % 8 for side in shape)
    with torch.inference_mode():
        by_hand = net(F.pad(image, (0, columns, 0, rows), mode="replicate"))
        assert torch.equal(net(image), by_hand[..., : shape[0], : shape[1]])


def test_with_the_colour_transform_only_one_learnt_grey_is_seen() -> None:
    net = make()
    weights = net.colour_conv.weight[0, :, 0, 0].detach()
    direction = torch.linalg.cross(weights, torch.tensor([1.0, 0.0, 0.0]))  # changes colours, not the learnt grey
    image = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        changed = image + direction[None, :, None, None]
        assert torch.allclose(net(changed), net(image), atol=1e-5)
        plain = make(colour_transform=False)
        assert not torch.allclose(plain(changed), plain(image), atol=1e-2)


def test_batch_norms_have_the_epsilon_and_momentum_of_keras_and_gates_those_of_torch() -> None:
    net = make(attention_gates=True)
    in_gates = {m for g in net.modules() if isinstance(g, AttentionGate) for m in g.modules()}
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(n.eps, n.momentum) for n in norms if n not in in_gates} == {(1e-3, 0.01)}
    assert {(n.eps, n.momentum) for n in norms if n in in_gates} == {(1e-5, 0.1)}


def test_convolutions_start_from_a_truncated_normal_with_variance_two_over_fan_in() -> None:
    weight = make(width=16).bridge2.body.conv1.weight.detach()
    deviation = math.sqrt(2 / (128 * 25))
    assert float(weight.std()) == pytest.approx(deviation, rel=0.01)
    assert float(weight.abs().max()) <= 2 * deviation / 0.8796  # cut at two deviations of the uncut distribution


@pytest.mark.parametrize(
    ("layer", "fans"), [("up1.up", 4 * (128 + 64)), ("head", 16 + 1)], ids=["transposed convolution", "head"]
)
def test_transposed_convolutions_and_the_head_start_glorot_uniform(layer: str, fans: int) -> None:
    weight = make(width=16).get_submodule(layer).weight.detach()
    bound = math.sqrt(6 / fans)
    assert 0.8 * bound < float(weight.abs().max()) <= bound


def test_biases_of_convolutions_start_at_zero() -> None:
    convolutions = [m for m in make().modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    assert len(convolutions) == 24
    assert not any(bool(module.bias.any()) for module in convolutions)


@pytest.mark.parametrize(
    ("activation", "kind"), [("elu", nn.ELU), ("relu", nn.ReLU), ("leaky_relu", nn.LeakyReLU)], ids=lambda v: str(v)
)
def test_every_activation_of_the_body_is_the_chosen_one(activation: str, kind: type[nn.Module]) -> None:
    found = [m for m in make(activation=activation).modules() if isinstance(m, (nn.ELU, nn.ReLU, nn.LeakyReLU))]
    assert len(found) == 16  # one after each batch norm
    assert all(type(module) is kind for module in found)


def test_three_gates_of_half_the_maps_weigh_the_skips() -> None:
    gates = [m for m in make(width=16, attention_gates=True).modules() if isinstance(m, AttentionGate)]
    assert [gate.from_gate[0].weight.shape[:2] for gate in gates] == [(32, 64), (16, 32), (8, 16)]


def test_the_shortcut_on_the_way_up_is_what_was_doubled() -> None:
    block = make().up3
    with torch.no_grad():
        block.body.conv2.weight.zero_()
        low, skip = torch.rand(1, 8, 4, 4), torch.rand(1, 4, 8, 8)
        assert torch.equal(block(low, skip), block.up(low))


def test_a_block_is_added_to_its_input_without_a_norm_or_activation() -> None:
    block = make().bridge2
    with torch.no_grad():
        block.body.conv2.weight.zero_()
        maps = torch.randn(1, 32, 4, 4)
        assert torch.equal(block(maps), maps)


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(ValueError, match="expected elu, relu or leaky_relu"):
        make(activation="gelu")
