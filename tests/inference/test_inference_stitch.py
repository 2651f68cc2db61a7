"""Windows against one pass over the whole padded image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
import torch
from random_networks import random_network
from torch import nn

from cellmonai.inference.devices import Device
from cellmonai.inference.engine import TorchEngine
from cellmonai.inference.stitch import padded_image, stitch_blended, stitch_exact
from cellmonai.inference.windows import Box, Lattice, make_blending, make_lattice, padded_shape
from cellmonai.nets.catalogue import describe

if TYPE_CHECKING:
    from numpy.typing import NDArray

CPU = Device("cpu", "tests")
BASIC = describe("basic_unet", {})
ATTENTION = describe("monai_attention_unet", {})
ROUNDING = 1e-12  # in float64; some processors sum a convolution in another order for another width


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # another number of threads gives other last bits


def engine_of(net: nn.Module) -> TorchEngine:
    return TorchEngine(net, device=CPU, precision="f32")


def noise(shape: tuple[int, int], *, channels: int = 1, dtype: type = np.float64) -> NDArray[np.floating]:
    return np.random.default_rng(3).normal(size=(channels, *shape)).astype(dtype)


def stitched(engine: TorchEngine, image: NDArray[np.floating], lattice: Lattice) -> NDArray[np.floating]:
    maps = np.full((1, *image.shape[1:]), np.nan, image.dtype)

    def write(box: Box, probabilities: NDArray[np.floating]) -> None:
        maps[(slice(None), *box.slices)] = probabilities

    stitch_exact(
        engine.run,
        lambda box: image[(slice(None), *box.slices)],
        write,
        lattice=lattice,
        after_window=lambda px: None,
    )
    return maps


def whole(engine: TorchEngine, image: NDArray[np.floating], divisor: int) -> NDArray[np.floating]:
    size = (image.shape[1], image.shape[2])
    padded = padded_image(image, padded_shape(size, divisor))
    logits = engine.run(padded[None])[0]
    maps: NDArray[np.floating] = (1 / (1 + np.exp(-logits)))[:, : size[0], : size[1]]
    return maps


@pytest.mark.parametrize(
    ("window", "shape"),
    [
        pytest.param(256, (40, 601), id="256 px windows, odd sides"),
        pytest.param(384, (401, 33), id="384 px windows, odd sides"),
        pytest.param(512, (40, 1025), id="512 px windows, odd sides"),
        pytest.param(256, (272, 299), id="windows in both directions"),
    ],
)
def test_exact_windows_of_a_basic_unet_equal_the_whole_image_but_for_rounding(
    window: int, shape: tuple[int, int]
) -> None:
    engine, image = engine_of(random_network(width=2).double()), noise(shape)
    lattice = make_lattice(shape, window=window, halo=BASIC.radius_px, divisor=BASIC.divisor)
    assert len(lattice.windows) > 1
    assert np.abs(stitched(engine, image, lattice) - whole(engine, image, BASIC.divisor)).max() < ROUNDING


@pytest.mark.parametrize("window", [104, 152])
def test_exact_windows_of_an_attention_unet_equal_the_whole_image_but_for_rounding(window: int) -> None:
    engine, image = engine_of(random_network("monai_attention_unet", width=2).double()), noise((97, 301))
    lattice = make_lattice((97, 301), window=window, halo=ATTENTION.radius_px, divisor=ATTENTION.divisor)
    assert len(lattice.windows) > 1
    assert np.abs(stitched(engine, image, lattice) - whole(engine, image, ATTENTION.divisor)).max() < ROUNDING


@pytest.mark.parametrize("window", [256, 384, 512])
def test_folded_windows_in_f32_equal_the_whole_image_to_the_fifth_place(window: int) -> None:
    net = random_network(width=4)
    image = noise((35, 777), dtype=np.float32)
    lattice = make_lattice((35, 777), window=window, halo=BASIC.radius_px, divisor=BASIC.divisor)
    fast = stitched(TorchEngine.prepared(net, device=CPU, precision="f32"), image, lattice)
    assert np.abs(fast - whole(engine_of(net), image, BASIC.divisor)).max() < 1e-5


def test_windows_off_the_divisor_by_one_pixel_give_another_result() -> None:
    engine, image = engine_of(random_network(width=2).double()), noise((32, 600))
    lattice = make_lattice((32, 600), window=256, halo=BASIC.radius_px, divisor=BASIC.divisor)
    first, *others = lattice.windows
    shifted = [first, *(replace(w, read=replace(w.read, col0=w.read.col0 - 1)) for w in others)]
    moved = replace(lattice, windows=tuple(shifted))
    assert np.abs(stitched(engine, image, moved) - whole(engine, image, BASIC.divisor)).max() > 1e-1


def test_a_halo_shorter_than_the_radius_gives_another_result() -> None:
    # positive weights without activations: no influence can hide
    net = nn.Sequential(nn.Conv2d(1, 1, 33, padding=16), nn.Conv2d(1, 1, 33, padding=16)).double().eval()
    image = noise((40, 200))
    for halo, equal in ((32, True), (31, False)):
        lattice = make_lattice((40, 200), window=112, halo=halo, divisor=1)
        with torch.no_grad():
            difference = np.abs(stitched(engine_of(net), image, lattice) - whole(engine_of(net), image, 1)).max()
        assert (difference < 1e-14) == equal


def test_a_border_padded_further_than_the_image_gives_another_result() -> None:
    engine, image = engine_of(random_network(width=2).double()), noise((32, 600))
    wider = make_lattice((32, 632), window=256, halo=BASIC.radius_px, divisor=BASIC.divisor)
    windows = tuple(replace(w, pad=(0, max(w.read.col1 - 600, 0))) for w in wider.windows)
    beyond = replace(wider, windows=windows, shape=(32, 600))
    assert np.abs(stitched(engine, image, beyond) - whole(engine, image, BASIC.divisor)).max() > 1e6 * ROUNDING


def test_the_last_row_and_column_are_repeated_beyond_the_image() -> None:
    padded = padded_image(np.array([[[1, 2], [3, 4]]]), (3, 4))
    assert padded.tolist() == [[[1, 2, 2, 2], [3, 4, 4, 4], [3, 4, 4, 4]]]


@pytest.mark.parametrize("mode", ["gaussian", "constant"])
def test_blended_windows_of_a_pointwise_network_equal_the_whole_image(mode: Literal["gaussian", "constant"]) -> None:
    net = nn.Conv2d(1, 1, 1).eval()
    image = noise((130, 300), dtype=np.float32)
    blending = make_blending((130, 300), window=128, divisor=16)
    told: list[float] = []
    maps = stitch_blended(
        engine_of(net).run,
        image,
        blending=blending,
        mode=mode,
        after_window=told.append,
    )
    assert np.abs(maps - whole(engine_of(net), image, 16)).max() < 1e-6
    assert len(told) == blending.windows
    assert sum(told) == pytest.approx(130 * 300)


def test_blended_windows_stay_aligned_to_the_divisor() -> None:
    blending = make_blending((1000, 100), window=250, divisor=16)
    assert blending.side == (192, 112)
    assert blending.windows == 7  # 1008 px in steps of 144 px
