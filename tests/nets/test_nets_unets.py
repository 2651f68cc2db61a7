"""The U-shaped networks: what they join in which order, sizes that are odd, and dropout of whole maps."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from cellmonai.nets.attention_unet import AttentionUNet
from cellmonai.nets.blocks import DoubleConv, pad_to_match
from cellmonai.nets.res_unet import ResUNet
from cellmonai.nets.unet import UNet
from cellmonai.nets.unet_bilinear import BilinearUNet

if TYPE_CHECKING:
    from collections.abc import Callable

UNETS = [
    pytest.param(UNet, id="unet"),
    pytest.param(AttentionUNet, id="attention_unet"),
    pytest.param(ResUNet, id="res_unet"),
    pytest.param(partial(BilinearUNet, reading="full"), id="unet_bilinear"),
]


def inputs_and_outputs(net: nn.Module, *names: str) -> dict[str, tuple[Tensor, Tensor]]:
    """What the children `names` got and gave in one pass."""
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def keep(name: str, _module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen[name] = (inputs[0], output)

    for name in names:
        net.get_submodule(name).register_forward_hook(partial(keep, name))
    with torch.inference_mode():
        net.eval()(torch.rand(1, 1, 32, 32))
    return seen


@pytest.mark.parametrize(
    ("make", "decoder", "skip_first"),
    [
        pytest.param(UNet, "decode_full", True, id="unet: skip, raised"),
        pytest.param(ResUNet, "decode_full", False, id="res_unet: raised, skip"),
        pytest.param(BilinearUNet, "decode_full.refine", True, id="unet_bilinear: skip, raised"),
    ],
)
def test_the_skip_is_joined_where_the_original_has_it(
    make: Callable[..., nn.Module],
    decoder: str,
    skip_first: bool,  # noqa: FBT001 - a case, named by its id
) -> None:
    seen = inputs_and_outputs(make(channels=1, outputs=1, width=4), "encode_full", decoder)
    joined, skip = seen[decoder][0], seen["encode_full"][1]
    assert torch.equal(joined[:, :4] if skip_first else joined[:, 4:], skip)


def test_the_attention_unet_joins_the_raised_maps_with_the_weighed_skip() -> None:
    net = AttentionUNet(channels=1, outputs=1, width=4)
    names = (
        "encode_full",
        "decode_full.enlarge",
        "decode_full.gate",
        "decode_full.gate.attention",
        "decode_full.refine",
    )
    seen = inputs_and_outputs(net, *names)
    (raised, weighed), joined = (seen[name][1] for name in names[1:3]), seen["decode_full.refine"][0]
    assert torch.equal(joined, torch.cat([raised, weighed], dim=1))
    assert torch.equal(weighed, seen["encode_full"][1] * seen["decode_full.gate.attention"][1])
    assert torch.equal(seen["decode_full.gate"][0], raised)  # the gate is what was enlarged, not the coarse maps


def test_an_odd_size_is_padded_with_zeros_at_the_bottom_and_right() -> None:
    padded = pad_to_match(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 3, 3))
    assert padded[0, 0].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("make", UNETS)
def test_dropout_changes_training_and_not_evaluation(make: Callable[..., nn.Module]) -> None:
    net = make(channels=1, outputs=1, width=4, dropout=0.5)
    image = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        assert not torch.equal(net.train()(image), net(image))
        assert torch.equal(net.eval()(image), net(image))


def test_dropout_leaves_out_whole_maps() -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        maps = DoubleConv(1, 64, dropout=0.5).train()(torch.rand(1, 1, 16, 16))
    empty = (maps == 0).all(dim=(2, 3))[0]
    assert 20 < int(empty.sum()) < 44  # 32 of 64 expected, standard deviation 4


@pytest.mark.parametrize("make", UNETS)
def test_a_share_of_zero_drops_nothing(make: Callable[..., nn.Module]) -> None:
    net, image = make(channels=1, outputs=1, width=4, dropout=0.0).train(), torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(net(image), net(image))


def test_bilinear_enlarging_keeps_the_centres_of_pixels() -> None:
    enlarge = BilinearUNet(channels=1, outputs=1, width=4).decode_full.enlarge
    ramp = torch.arange(4.0).reshape(1, 1, 1, 4).expand(1, 1, 2, 4)
    assert enlarge(ramp)[0, 0, 0].tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]


def test_an_unknown_reading_is_refused() -> None:
    with pytest.raises(ValueError, match="expected full, conv1x1 or halved"):
        BilinearUNet(channels=1, outputs=1, reading="half")  # type: ignore[arg-type] # the mistake is the point
