"""A network over whole images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from random_networks import random_network
from torch import nn

from cellmonai.core.errors import MemoryBudgetError
from cellmonai.inference.budget import gradient_costs, window_costs
from cellmonai.inference.devices import Device
from cellmonai.inference.engine import TorchEngine
from cellmonai.inference.predictor import Predictor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.inference.plan import Stitch

FACTS: dict[str, Any] = {"radius_px": 37, "divisor": 8, "tile_exact": True}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def image(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


def test_probabilities_have_the_shape_of_the_image() -> None:
    maps = Predictor(random_network("monai_attention_unet"), **FACTS).predict(image(1, 33, 57))
    assert maps.shape == (1, 33, 57)
    assert maps.dtype == np.float32
    assert 0 <= maps.min() < 0.1
    assert 0.9 < maps.max() <= 1


@pytest.mark.parametrize("side", [1, 7, 16, 17])
def test_images_of_any_size_are_done(side: int) -> None:
    assert Predictor(random_network("monai_attention_unet"), **FACTS).predict(image(1, side, 1)).shape == (1, side, 1)


def test_the_image_is_left_as_it_was() -> None:
    given = image(1, 60, 60)
    before = given.copy()
    Predictor(random_network("monai_attention_unet"), **FACTS).predict(given)
    assert np.array_equal(given, before)


def test_windows_and_their_pixels_are_told() -> None:
    told: list[float] = []
    predictor = Predictor(random_network("monai_attention_unet"), **FACTS, window=104)
    predictor.predict(image(1, 150, 203), after_window=told.append)
    assert len(told) == predictor.plan((1, 150, 203)).windows == 18
    assert sum(told) == 150 * 203


def test_a_finished_network_and_one_in_training_give_the_same_to_the_fifth_place() -> None:
    net, given = random_network("monai_attention_unet"), image(1, 90, 90)
    finished, training = Predictor(net, **FACTS), Predictor.for_training(net, **FACTS)
    assert np.abs(finished.predict(given) - training.predict(given)).max() < 1e-5


def test_a_predictor_for_training_follows_the_network_and_keeps_its_modes() -> None:
    net, given = random_network("monai_attention_unet").train(), image(1, 90, 90)
    frozen = next(module for module in net.modules() if isinstance(module, nn.BatchNorm2d)).eval()
    finished, training = Predictor(net, **FACTS), Predictor.for_training(net, **FACTS)
    before = finished.predict(given), training.predict(given)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05)
    assert np.array_equal(finished.predict(given), before[0])
    assert not np.array_equal(training.predict(given), before[1])
    assert net.training
    assert not frozen.training


def test_predicting_draws_no_random_numbers_and_changes_no_statistics() -> None:
    net = random_network("monai_attention_unet").train()
    statistics = [buffer.clone() for buffer in net.buffers()]
    before = torch.get_rng_state()
    Predictor.for_training(net, **FACTS).predict(image(1, 90, 90))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(statistics, net.buffers(), strict=True))


def test_the_same_image_gives_the_same_bits_twice() -> None:
    predictor, given = Predictor(random_network("monai_attention_unet"), **FACTS, window=104), image(1, 150, 203)
    assert np.array_equal(predictor.predict(given), predictor.predict(given))


def test_several_channels_and_outputs() -> None:
    net = nn.Conv2d(2, 3, 3, padding=1)
    assert Predictor(net, radius_px=1, divisor=1, tile_exact=True).predict(image(2, 20, 30)).shape == (3, 20, 30)


@pytest.mark.parametrize("stitch", ["exact", "gaussian", "constant", "minimum"])
def test_categorical_maps_come_out_of_every_stitch(stitch: Stitch) -> None:
    torch.manual_seed(0)
    net, given = nn.Conv2d(1, 2, 1), image(1, 90, 130)
    inside, border = np.exp(net(torch.from_numpy(given)[None])[0].detach().numpy())
    predictor = Predictor(
        net, radius_px=0, divisor=1, tile_exact=True, activation="categorical", stitch=stitch, window=40
    )
    maps = predictor.predict(given)
    assert predictor.plan((1, 90, 130)).windows > 1
    assert maps[0] == pytest.approx((inside + border) / (1 + inside + border), abs=1e-6)
    assert maps[1] == pytest.approx(border / (1 + inside + border), abs=1e-6)
    training = Predictor.for_training(net, radius_px=0, divisor=1, tile_exact=True, activation="categorical")
    assert training.predict(given) == pytest.approx(maps, abs=1e-6)


def test_the_memory_of_a_gradient_counts_what_is_kept_for_the_way_back() -> None:
    # ten hyperbolic tangents one after the other: each keeps its result until the gradient has passed
    net = nn.Sequential(nn.Conv2d(1, 1, 1), *(nn.Tanh() for _ in range(10)))
    once = window_costs(TorchEngine(net, device=Device("cpu", ""), precision="f32"), channels=1, divisor=16)[0]
    there_and_back = gradient_costs(net, channels=1, divisor=16)
    assert once <= 1.75 * 4 * 4
    assert 1.75 * 4 * 10 <= there_and_back <= 1.75 * 4 * 20


def test_the_memory_of_a_window_is_measured_from_living_tensors() -> None:
    # at its peak a window of 1 channel stands beside its 10 channels, all float32
    engine = TorchEngine(nn.Conv2d(1, 10, 1), device=Device("cpu", ""), precision="f32")
    per_px, outputs = window_costs(engine, channels=1, divisor=16)
    assert outputs == 10
    assert 1.75 * 4 * 10 <= per_px <= 1.75 * 4 * 12


class _NoMemory(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, window: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")


def test_memory_that_runs_out_is_an_error_with_a_cure() -> None:
    engine = TorchEngine(_NoMemory(), device=Device("cpu", ""), precision="f32")
    with pytest.raises(MemoryBudgetError, match="smaller --window"):
        engine.run(np.zeros((1, 1, 8, 8), np.float32))


def test_bf16_gives_nearly_the_same_where_it_can_be_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    net, given = random_network("monai_attention_unet"), image(1, 64, 64)
    exact = Predictor(net, **FACTS).predict(given)
    rounded = Predictor(net, **FACTS, precision="bf16").predict(given)
    assert 0 < np.abs(exact - rounded).max() < 0.5
    assert np.abs(exact - rounded).mean() < 0.02
