"""What a network looked at: attention maps by hooks, saliency by finite differences, windows against the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from random_networks import random_network
from torch import nn

from cellmonai.core.errors import MemoryBudgetError, UsageError
from cellmonai.inference.activation import probabilities
from cellmonai.inference.explain import attention_maps, has_gates, saliency
from cellmonai.inference.explained_images import (
    attention_lattice,
    attention_of_image,
    require_gates,
    require_saliency,
    saliency_of_pixel,
)
from cellmonai.inference.predictor import Predictor
from cellmonai.inference.stitch import padded_image
from cellmonai.nets.attention_gate import AttentionGate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.inference.plan import Stitch
    from cellmonai.models.file import Activation

FACTS: dict[str, Any] = {"radius_px": 37, "divisor": 8, "tile_exact": True}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def noise(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


class Gated(nn.Module):
    """One gate at half size that sees its skip twice; the output is the skip times the gate's map."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = AttentionGate(1, 1, 1)
        for part in (self.gate.from_gate, self.gate.from_skip):
            nn.init.constant_(part[0].weight, 0.5)  # type: ignore[arg-type] # a convolution

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        half = nn.functional.avg_pool2d(image, 2)
        passed: torch.Tensor = self.gate(half, half)
        return nn.functional.interpolate(passed, scale_factor=2)


def test_the_map_of_a_gate_is_what_the_skip_is_multiplied_with() -> None:
    net, image = Gated().eval(), noise(1, 8, 12)
    with torch.inference_mode():
        ratio = net(torch.from_numpy(image)[None])[0, 0, ::2, ::2].numpy()
    half = image[0].reshape(4, 2, 6, 2).mean(axis=(1, 3))
    ((scale, attention),) = attention_maps(net, image)
    assert scale == 2
    assert attention == pytest.approx(ratio / half, rel=1e-4)
    assert 0 <= attention.min() < attention.max() <= 1


def test_monais_attention_unet_gives_one_map_per_skip_from_coarse_to_fine() -> None:
    maps = attention_maps(random_network("monai_attention_unet"), noise(1, 64, 80))
    assert [(scale, attention.shape) for scale, attention in maps] == [(4, (16, 20)), (2, (32, 40)), (1, (64, 80))]
    assert all(0 <= attention.min() < attention.max() <= 1 for _, attention in maps)


def test_reading_the_gates_leaves_the_network_as_it_was() -> None:
    net = random_network("monai_attention_unet").train()
    before = [value.clone() for value in net.state_dict().values()]
    attention_maps(net, noise(1, 32, 32))
    assert net.training
    assert all(torch.equal(one, other) for one, other in zip(before, net.state_dict().values(), strict=True))
    assert not any(module._forward_hooks for module in net.modules())


def test_a_network_without_gates_has_no_maps_and_is_refused() -> None:
    net = random_network("basic_unet", width=2)
    assert attention_maps(net, noise(1, 32, 32)) == []
    assert not has_gates(net)
    assert has_gates(random_network("monai_attention_unet"))
    with pytest.raises(UsageError, match="no attention gates; leave attention out"):
        require_gates(Predictor(net, radius_px=107, divisor=16, tile_exact=True))


@pytest.mark.parametrize("stitch", ["exact", "constant", "minimum"])
def test_attention_of_windows_equals_that_of_the_whole_image(stitch: Stitch) -> None:
    net, image = random_network("monai_attention_unet"), noise(1, 150, 203)
    predictor = Predictor(net, **FACTS, window=104, stitch=stitch)
    plan = predictor.plan((1, 150, 203))
    told: list[float] = []
    lattice = attention_lattice(predictor, plan, (1, 150, 203))
    found = attention_of_image(predictor, image, lattice, told.append)
    assert len(told) == len(lattice.windows) >= 18
    for (scale, whole), (_, windows) in zip(attention_maps(net, padded_image(image, (152, 208))), found, strict=True):
        assert windows.shape == (-(-150 // scale), -(-203 // scale))
        assert np.abs(windows - whole[: windows.shape[0], : windows.shape[1]]).max() < 1e-5


def test_attention_in_windows_is_refused_where_it_depends_on_them() -> None:
    net = random_network("monai_attention_unet")
    predictor = Predictor(net, radius_px=37, divisor=8, tile_exact=False, window=104)
    with pytest.raises(UsageError, match="--window 208 for a single window"):
        attention_lattice(predictor, predictor.plan((1, 150, 203)), (1, 150, 203))
    one = Predictor(net, radius_px=37, divisor=8, tile_exact=False, window=208)
    assert len(attention_lattice(one, one.plan((1, 150, 203)), (1, 150, 203)).windows) == 1


def two_maps() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 2, 3, padding=1)).double().eval()


@pytest.mark.parametrize(
    ("activation", "foreground"),
    [
        pytest.param("sigmoid", 0, id="sigmoid, first map"),
        pytest.param("sigmoid", 1, id="sigmoid, second map"),
        pytest.param("categorical", 0, id="categorical"),
    ],
)
def test_saliency_is_what_small_changes_of_each_pixel_do(activation: Activation, foreground: int) -> None:
    net, image, step = two_maps(), noise(2, 7, 6).astype(np.float64), 1e-6

    def probability(changed: NDArray[np.float64]) -> float:
        padded = np.pad(changed, ((0, 0), (0, 1), (0, 2)), mode="edge")
        with torch.inference_mode():
            logits = net(torch.from_numpy(padded)[None])[0].numpy()
        return float(probabilities(logits, activation)[foreground, 6, 5])

    expected = np.zeros(image.shape)
    for place in np.ndindex(*image.shape):
        higher, lower = image.copy(), image.copy()
        higher[place] += step
        lower[place] -= step
        expected[place] = (probability(higher) - probability(lower)) / (2 * step)
    # padding repeats the last row and column, so that a pixel at the corner acts through its copies as well
    found = saliency(net, image, 6, 5, pad=(1, 2), foreground=foreground, activation=activation)  # type: ignore[arg-type] # float64
    assert found == pytest.approx(np.abs(expected).max(axis=0), abs=1e-8)
    assert found.max() > 1e-3


def test_saliency_does_not_vanish_where_the_network_is_certain() -> None:
    net = nn.Conv2d(1, 1, 1)
    nn.init.constant_(net.weight, 1.0)
    nn.init.constant_(net.bias, 50.0)  # type: ignore[arg-type] # it has one
    found = saliency(net, np.zeros((1, 3, 3), np.float32), 1, 1)
    assert found[1, 1] == pytest.approx(np.exp(-50), rel=1e-3)
    assert np.count_nonzero(found) == 1


def test_saliency_leaves_the_network_as_it_was() -> None:
    net = random_network("monai_attention_unet").train()
    saliency(net, noise(1, 32, 32), 3, 4)
    assert net.training
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("pixel", [(75, 100), (0, 0), (149, 202), (40, 201)], ids=str)
def test_the_window_around_a_pixel_holds_all_that_its_probability_depends_on(pixel: tuple[int, int]) -> None:
    net, image = random_network("monai_attention_unet"), noise(1, 150, 203)
    whole = saliency(net, image, *pixel, pad=(2, 5))
    found = saliency_of_pixel(Predictor(net, **FACTS, window=104), image, *pixel, foreground=0)
    assert found.pixel == pixel
    assert max(found.box.shape) <= 2 * 40 + 8
    assert np.abs(found.gradient - whole[found.box.slices]).max() < 1e-5 * whole.max()
    outside = whole.copy()
    outside[found.box.slices] = 0
    assert not outside.any()


def test_saliency_of_a_network_that_sees_everything_takes_the_whole_image_or_is_refused() -> None:
    net, shape = random_network("monai_attention_unet"), (1, 150, 203)
    several = Predictor(net, radius_px=37, divisor=8, tile_exact=False, window=104)
    with pytest.raises(UsageError, match="only in a single window; use --window 208"):
        require_saliency(several, several.plan(shape), shape)
    one = Predictor(net, radius_px=37, divisor=8, tile_exact=False)
    require_saliency(one, one.plan(shape), shape)
    assert saliency_of_pixel(one, noise(*shape), 3, 3, foreground=0).box.shape == (150, 203)


def test_saliency_is_refused_before_the_start_where_memory_does_not_hold_its_window() -> None:
    net, shape = random_network("monai_attention_unet", width=16), (1, 400, 400)
    much, little = (Predictor(net, **FACTS, window=88, memory=memory) for memory in (1 << 30, 10_000_000))
    require_saliency(much, much.plan(shape), shape)
    with pytest.raises(MemoryBudgetError, match=r"saliency needs .* for a window of 88 x 88 px"):
        require_saliency(little, little.plan(shape), shape)
