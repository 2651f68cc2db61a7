"""What holds for every reference network with exact windows: sizes, gradients, reach."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from cellmonai.nets.attention_unet import AttentionUNet
from cellmonai.nets.c_resunet import CResUnet
from cellmonai.nets.receptive_field import structural_radius_px
from cellmonai.nets.res_unet import ResUNet
from cellmonai.nets.tiled_cnn import TiledCnn
from cellmonai.nets.unet import UNet
from cellmonai.nets.unet_bilinear import BilinearUNet

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL = partial(CResUnet, channels=2, outputs=1, width=4)
# network, receptive-field radius in px, divisor
EXACT = [
    pytest.param(SMALL, 99, 8, id="c_resunet"),
    pytest.param(partial(SMALL, attention_gates=True), 99, 8, id="c_resunet with gates"),
    pytest.param(partial(SMALL, activation="relu"), 99, 8, id="c_resunet with ReLU"),
    pytest.param(partial(SMALL, activation="leaky_relu"), 99, 8, id="c_resunet with leaky ReLU"),
    pytest.param(partial(SMALL, second_bridge=False), 67, 8, id="c_resunet with one bridge"),
    pytest.param(partial(SMALL, colour_transform=False, second_bridge=False), 67, 8, id="plain resunet"),
    pytest.param(partial(UNet, channels=2, outputs=1, width=4), 107, 16, id="unet"),
    pytest.param(partial(AttentionUNet, channels=2, outputs=1, width=4), 107, 16, id="attention_unet"),
    pytest.param(partial(ResUNet, channels=2, outputs=1, width=4), 107, 16, id="res_unet"),
    *(
        pytest.param(
            partial(BilinearUNet, channels=2, outputs=1, width=4, reading=reading), 122, 16, id=f"bilinear, {reading}"
        )
        for reading in ("full", "conv1x1", "halved")
    ),
    pytest.param(partial(TiledCnn, channels=2, maps=(8, 8, 8)), 51, 8, id="tiled_cnn"),
]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # another number of threads gives other last bits


def with_random_statistics(net: nn.Module) -> nn.Module:
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.3, 1.0)
            nn.init.uniform_(module.bias, 0.0, 0.4)
    return net.eval()


@pytest.mark.parametrize(("make", "radius", "divisor"), EXACT)
def test_influence_reaches_as_far_as_stated(make: Callable[[], nn.Module], radius: int, divisor: int) -> None:
    assert structural_radius_px(make(), channels=2, divisor=divisor, length=288) == radius


@pytest.mark.parametrize(("make", "radius", "divisor"), EXACT)
def test_a_window_with_a_halo_of_the_radius_gives_what_the_whole_image_gives(
    make: Callable[[], nn.Module], radius: int, divisor: int
) -> None:
    torch.manual_seed(0)
    net = with_random_statistics(make()).double()
    image = torch.rand(1, 2, 32, 448, dtype=torch.float64)
    halo = -(-radius // divisor) * divisor
    start, core = 80, 32
    with torch.inference_mode():
        whole = net(image)
        window, shifted = (net(image[..., first : first + core + 2 * halo]) for first in (start, start + 1))

    def difference(window: torch.Tensor, first: int) -> float:
        expected = whole[..., first + halo : first + halo + core]
        return float((window[..., halo : halo + core] - expected).abs().max() / whole.std())

    assert difference(window, start) < 1e-9
    assert difference(shifted, start + 1) > 1e-3  # its pooling cells are others: origins must be multiples


@pytest.mark.parametrize("shape", [(16, 16), (17, 31), (50, 33)], ids=["smallest", "odd", "not divisible"])
@pytest.mark.parametrize(("make", "radius", "divisor"), EXACT)
def test_full_size_logits_come_back_for_any_size(
    make: Callable[[], nn.Module], radius: int, divisor: int, shape: tuple[int, int]
) -> None:
    with torch.inference_mode():
        logits = make().eval()(torch.rand(2, 2, *shape))
    assert logits.shape == (2, 1, *shape)
    assert bool(logits.isfinite().all())


@pytest.mark.parametrize(("make", "radius", "divisor"), EXACT)
def test_every_weight_receives_a_finite_gradient(make: Callable[[], nn.Module], radius: int, divisor: int) -> None:
    torch.manual_seed(0)
    net = make().train()
    net(torch.rand(2, 2, 64, 48)).square().mean().backward()
    gradients = [parameter.grad for parameter in net.parameters()]
    assert all(gradient is not None and bool(gradient.isfinite().all()) for gradient in gradients)
    assert sum(float(gradient.abs().sum()) for gradient in gradients if gradient is not None) > 0
