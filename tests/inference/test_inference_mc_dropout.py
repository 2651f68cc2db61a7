"""Monte-Carlo dropout: what is left out follows the image, not the windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from random_networks import randomise
from torch import nn

from cellmonai.core.errors import UsageError
from cellmonai.inference.activation import probabilities
from cellmonai.inference.devices import Device
from cellmonai.inference.mc_dropout import McDropoutEngine, has_dropout
from cellmonai.inference.sampled_dropout import SampledDropout
from cellmonai.inference.windows import make_lattice
from cellmonai.nets.catalogue import build, describe

if TYPE_CHECKING:
    from numpy.typing import NDArray

CPU = Device("cpu", "tests")
WHOLE_MAPS = ("unet", {"width": 2, "dropout": 0.3})
VALUES = ("monai_attention_unet", {"width": 2, "levels": 3, "dropout": 0.3})


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # another number of threads gives other last bits


def network(name: str, parameters: dict[str, Any]) -> nn.Module:
    torch.manual_seed(0)
    net = build(name, parameters, channels=1, outputs=1).double()
    randomise(net)
    head = [module for module in net.modules() if isinstance(module, nn.Conv2d)][-1]
    with torch.inference_mode():
        scale = 1 / float(net.eval()(torch.randn(1, 1, 64, 64).double()).std())
    with torch.no_grad():
        head.weight *= scale
    return net


def engine_of(net: nn.Module, *, samples: int = 3, seed: int = 0) -> McDropoutEngine:
    return McDropoutEngine(net, device=CPU, precision="f32", samples=samples, seed=seed)


def noise(shape: tuple[int, int]) -> NDArray[np.float64]:
    return np.random.default_rng(3).normal(size=(1, *shape))


def test_mean_and_spread_are_those_of_passes_with_dropout_at_work() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Dropout2d(0.25)).double().eval()
    nn.init.ones_(net[0].weight)
    found = probabilities(engine_of(net, samples=4000).run(np.full((1, 1, 4, 4), 1.2))[0])
    # the map is left out in a quarter of all passes, probability 0.5, else it is divided by 0.75
    inside = 1 / (1 + np.exp(-1.2 / 0.75))
    assert found[0] == pytest.approx(0.25 * 0.5 + 0.75 * inside, abs=0.01)
    assert found[1] == pytest.approx(np.sqrt(0.25 * 0.75) * (inside - 0.5), abs=0.01)


@pytest.mark.parametrize(
    ("network_of", "needs_place"),
    [pytest.param(WHOLE_MAPS, False, id="whole maps"), pytest.param(VALUES, True, id="values")],
)
def test_windows_equal_one_pass_over_the_whole_image(
    network_of: tuple[str, dict[str, Any]], *, needs_place: bool
) -> None:
    name, parameters = network_of
    facts = describe(name, parameters)
    engine = engine_of(network(name, parameters))
    assert engine.needs_place is needs_place
    shape = (3 * facts.divisor, 300 // facts.divisor * facts.divisor)
    image = noise(shape)
    whole = probabilities(engine.run(image[None])[0])
    lattice = make_lattice(shape, window=shape[1] - facts.divisor, halo=facts.radius_px, divisor=facts.divisor)
    assert len(lattice.windows) > 1
    unplaced = 0.0
    for window in lattice.windows:
        pixels = np.ascontiguousarray(image[(slice(None), *window.read.slices)])[None]
        core, kept = (slice(None), *window.core.slices), (slice(None), *window.core.within(window.read).slices)
        place = (window.read.row0, window.read.col0)
        placed = probabilities(engine.run(pixels, place=place)[0])[kept]
        assert np.abs(placed - whole[core]).max() < 1e-12
        unplaced = max(unplaced, float(np.abs(probabilities(engine.run(pixels)[0])[kept] - whole[core]).max()))
    assert (unplaced > 1e-3) == needs_place  # values are left out by place, whole maps are not
    assert whole[1].max() > 1e-2


@pytest.mark.parametrize("network_of", [pytest.param(WHOLE_MAPS, id="whole maps"), pytest.param(VALUES, id="values")])
def test_the_seed_alone_decides_what_is_left_out(network_of: tuple[str, dict[str, Any]]) -> None:
    net, window = network(*network_of), noise((32, 32))[None]
    first = engine_of(net).run(window)
    torch.manual_seed(99)
    engine = engine_of(net)
    engine.run(window[..., ::-1].copy(), place=(64, 32))
    assert np.array_equal(engine.run(window), first)
    assert not np.array_equal(engine_of(net, seed=1).run(window), first)


def test_nothing_but_dropout_is_in_training_mode_and_the_network_stays_as_it_was() -> None:
    net = network(*WHOLE_MAPS).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    engine = engine_of(net)
    alone, again = engine.run(noise((32, 32))[None]), engine.run(noise((32, 32))[None])
    assert np.array_equal(alone, again)  # batch norms in training would take the window's statistics and keep them
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert net.training
    assert has_dropout(net)


@pytest.mark.parametrize(
    ("parameters", "samples", "sentence"),
    [
        pytest.param({"dropout": 0.0}, 20, "--mc-dropout: this network was trained without dropout", id="no dropout"),
        pytest.param({"dropout": 0.1}, 1, "--mc-dropout: 1 passes have no spread; give 2 or more", id="one pass"),
    ],
)
def test_what_has_no_spread_is_refused_with_the_cure(parameters: dict[str, float], samples: int, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        engine_of(build("unet", {"width": 2} | parameters, channels=1, outputs=1), samples=samples)
    assert refused.value.sentence.startswith(sentence)


def dropped(
    values: torch.Tensor, *, share: float = 0.3, key: int = 7, place: tuple[int, int] = (0, 0), whole_maps: bool = False
) -> torch.Tensor:
    layer = SampledDropout(share, whole_maps=whole_maps)
    layer.begin(key, place=place, window=(2 * values.shape[-2], 2 * values.shape[-1]))  # a map of half the size
    found: torch.Tensor = layer(values)
    return found


def test_a_share_of_values_is_left_out_and_the_others_are_raised() -> None:
    found = dropped(torch.ones(1, 8, 200, 250))
    assert float((found == 0).float().mean()) == pytest.approx(0.3, abs=0.002)
    assert found.unique().tolist() == [0.0, pytest.approx(1 / 0.7)]


def test_neighbours_in_every_direction_are_left_out_independently() -> None:
    zero = (dropped(torch.ones(1, 32, 128, 128)) == 0).double() - 0.3
    shifts = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1), (0, 1, -1), (2, 0, 0), (0, 2, 0), (0, 0, 2)]
    for shift in shifts:
        moved = torch.roll(zero[0], shift, dims=(0, 1, 2))
        assert abs(float((zero[0] * moved).mean())) / 0.21 < 0.006, shift  # 4 standard errors of 2^19 pairs
    other = (dropped(torch.ones(1, 32, 128, 128), key=8) == 0).double() - 0.3
    assert abs(float((zero * other).mean())) / 0.21 < 0.006


def test_the_same_place_of_an_image_is_left_out_whatever_window_sees_it() -> None:
    whole = dropped(torch.ones(1, 3, 64, 64))
    part = dropped(torch.ones(1, 3, 32, 32), place=(20, 40))  # px of the image, twice those of the map
    assert torch.equal(part, whole[:, :, 10:42, 20:52])
    assert not torch.equal(part, whole[:, :, :32, :32])


def test_whole_maps_are_left_out_together() -> None:
    found = dropped(torch.ones(1, 1000, 2, 3), whole_maps=True)[0].flatten(1)
    assert bool((found == found[:, :1]).all())
    assert float((found[:, 0] == 0).float().mean()) == pytest.approx(0.3, abs=0.05)


def test_tokens_are_left_out_by_their_index() -> None:
    found = dropped(torch.ones(1, 500, 20))
    assert float((found == 0).float().mean()) == pytest.approx(0.3, abs=0.02)


def test_a_share_of_one_leaves_out_everything() -> None:
    assert not dropped(torch.ones(1, 2, 4, 4), share=1.0).any()


def test_the_mixing_is_that_of_the_published_function() -> None:
    def published(number: int) -> int:  # lowbias32 on whole numbers
        number ^= number >> 16
        number = number * 0x7FEB352D % 2**32
        number ^= number >> 15
        number = number * 0x846CA68B % 2**32
        return number ^ number >> 16

    from cellmonai.inference.sampled_dropout import _mixed

    numbers = [0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xDEADBEEF, 0xFFFFFFFF]
    signed = torch.tensor(numbers, dtype=torch.int64).to(torch.int32)
    assert (_mixed(signed).long() % 2**32).tolist() == [published(number) for number in numbers]
