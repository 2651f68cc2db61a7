"""Overlapping windows block by block against MONAI's sliding window over the whole image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
import torch
from monai.inferers import SlidingWindowInferer
from random_networks import random_network
from torch import nn

from cellmonai.inference.activation import probabilities
from cellmonai.inference.blended_blocks import BlendedBlocks, blended_between
from cellmonai.inference.blended_streaming import BlendedStreaming
from cellmonai.inference.devices import Device
from cellmonai.inference.engine import TorchEngine
from cellmonai.inference.minimum import stitch_minimum
from cellmonai.inference.stitch import padded_image, stitch_blended
from cellmonai.inference.tiling import make_tiling
from cellmonai.inference.windows import Box, make_blending, padded_shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.inference.streaming import Streamed

CPU = Device("cpu", "tests")
DIVISOR = 8
Mode = Literal["gaussian", "constant"]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # another number of threads gives other last bits


def _normed(channels: int, outputs: int) -> nn.Module:
    """A network with instance norm: a pixel's result depends on everything its window holds."""
    torch.manual_seed(1)
    layers = [nn.Conv2d(channels, 4, 3, padding=1), nn.InstanceNorm2d(4, affine=True), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(2), nn.Upsample(scale_factor=2), nn.Conv2d(4, outputs, 3, padding=1))


def _engine(net: nn.Module) -> TorchEngine:
    return TorchEngine(net.eval(), device=CPU, precision="f32")


def _noise(shape: tuple[int, int], channels: int = 1) -> NDArray[np.float32]:
    image = np.random.default_rng(3).normal(size=(channels, *shape)).astype(np.float32)
    image[:, shape[0] // 2 :] *= 0.1  # so that windows differ in what instance norm sees
    return image


def _monai(net: nn.Module, image: NDArray[np.float32], window: int, mode: Mode) -> NDArray[np.float32]:
    """What MONAI gives for the whole padded image, with the same windows."""
    size = (image.shape[1], image.shape[2])
    blending = make_blending(size, window=window, divisor=DIVISOR)
    inferer = SlidingWindowInferer(blending.side, sw_batch_size=1, overlap=0.25, mode=mode)
    with torch.inference_mode():
        logits = inferer(torch.from_numpy(padded_image(image, blending.padded))[None], net.eval())
    found: NDArray[np.float32] = probabilities(logits[0, :, : size[0], : size[1]].numpy())
    return found


def _chunks(length: int, every: int) -> tuple[int, ...]:
    return (*range(0, length, 512 * every), length)


def _blocks(
    shape: tuple[int, int], window: int, stitch: str = "gaussian", *, every: int = 1, kept: int = 0
) -> BlendedBlocks:
    side = (window, window)
    if stitch != "minimum":
        side = make_blending(shape, window=window, divisor=DIVISOR).side
    cuts = (_chunks(shape[0], every), _chunks(shape[1], every))
    blocks = blended_between(cuts, shape, stitch=stitch, side=side, divisor=DIVISOR)  # type: ignore[arg-type] # one of them
    return BlendedBlocks(blocks.blocks, blocks.grid, blocks.cuts, kept)


def _streamed(
    engine: TorchEngine,
    image: NDArray[np.float32],
    blocks: BlendedBlocks,
    **wishes: Any,  # noqa: ANN401 - of BlendedStreaming
) -> tuple[NDArray[np.float32], Streamed]:
    outputs = engine.run(np.zeros((1, image.shape[0], 16, 16), np.float32)).shape[1]
    maps = np.full((outputs, *image.shape[1:]), np.nan, np.float32)

    def run(window: NDArray[Any], place: tuple[int, int]) -> NDArray[Any]:
        assert window.shape[-2:] == blocks.grid.side
        return engine.run(window)

    def write(box: Box, found: NDArray[np.float32] | None) -> None:
        maps[(slice(None), *box.slices)] = 0.0 if found is None else found

    over = {key: wishes.pop(key) for key in ("done",) if key in wishes}
    streaming = BlendedStreaming(run, lambda box: image[(slice(None), *box.slices)], write, **wishes)
    return maps, streaming.over(blocks, after_window=wishes.pop("tell", lambda px: None), **over)


@pytest.mark.parametrize("mode", ["gaussian", "constant"])
@pytest.mark.parametrize(
    ("shape", "window"),
    [
        pytest.param((601, 1101), 256, id="odd sides"),
        pytest.param((40, 1300), 128, id="thinner than a window"),
        pytest.param((700, 17), 96, id="narrower than a window"),
        pytest.param((70, 53), 128, id="smaller than a window"),
        pytest.param((1, 1), 128, id="one pixel"),
        pytest.param((513, 512), 200, id="a window that is rounded down"),
    ],
)
def test_blocks_equal_monais_sliding_window_over_the_whole_image(
    shape: tuple[int, int], window: int, mode: Mode
) -> None:
    net, image = _normed(1, 1), _noise(shape)
    maps, _ = _streamed(_engine(net), image, _blocks(shape, window, mode))
    assert np.abs(maps - _monai(net, image, window, mode)).max() < 1e-5


@pytest.mark.parametrize(("channels", "outputs"), [(1, 1), (3, 1), (1, 2), (3, 2)])
def test_any_number_of_channels_and_maps_is_averaged(channels: int, outputs: int) -> None:
    net, image = _normed(channels, outputs), _noise((530, 700), channels)
    maps, _ = _streamed(_engine(net), image, _blocks((530, 700), 160))
    assert maps.shape[0] == outputs
    assert np.abs(maps - _monai(net, image, 160, "gaussian")).max() < 1e-5


@pytest.mark.parametrize("stitch", ["gaussian", "constant", "minimum"])
def test_no_bit_depends_on_how_the_image_is_cut_or_on_what_is_kept(stitch: str) -> None:
    engine, image = _engine(_normed(1, 2)), _noise((1100, 1650))
    one, _ = _streamed(engine, image, _blocks((1100, 1650), 200, stitch, every=8))
    for every, kept in ((1, 0), (2, 0), (1, 100), (2, 3)):
        several, _ = _streamed(engine, image, _blocks((1100, 1650), 200, stitch, every=every, kept=kept))
        assert np.array_equal(several, one)


@pytest.mark.parametrize("mode", ["gaussian", "constant"])
def test_blocks_give_the_bits_of_the_image_in_memory(mode: Mode) -> None:
    engine, image = _engine(_normed(1, 1)), _noise((600, 700))
    blending = make_blending((600, 700), window=200, divisor=DIVISOR)
    whole = stitch_blended(engine.run, image, blending=blending, mode=mode, after_window=lambda px: None)
    assert np.array_equal(_streamed(engine, image, _blocks((600, 700), 200, mode))[0], whole)


@pytest.mark.parametrize("shape", [(600, 1207), (64, 30), (17, 600)], ids=str)
def test_the_lowest_of_tiles_has_the_bits_of_the_image_in_memory(shape: tuple[int, int]) -> None:
    engine, image = _engine(random_network("monai_attention_unet")), _noise(shape)
    whole = stitch_minimum(engine.run, image, tiling=make_tiling(shape, tile=64), after_window=lambda px: None)
    assert np.array_equal(_streamed(engine, image, _blocks(shape, 64, "minimum"))[0], whole)


def test_a_block_alone_is_the_same_block() -> None:
    engine, image = _engine(_normed(1, 1)), _noise((1100, 1200))
    blocks = _blocks((1100, 1200), 200, kept=100)
    every, _ = _streamed(engine, image, blocks)
    for block in blocks.blocks:
        others = {other.box for other in blocks.blocks if other is not block}
        alone, counts = _streamed(engine, image, blocks, done=others)
        assert np.array_equal(alone[(slice(None), *block.box.slices)], every[(slice(None), *block.box.slices)])
        assert np.isfinite(alone).sum() == block.box.shape[0] * block.box.shape[1]
        assert counts.run == len(block.windows)


def test_results_that_are_kept_are_not_run_again() -> None:
    engine, image = _engine(_normed(1, 1)), _noise((500, 2000))
    again, kept = (_streamed(engine, image, _blocks((500, 2000), 200, kept=n))[1].run for n in (0, 100))
    assert kept == _blocks((500, 2000), 200).windows
    assert again > kept


def test_a_single_window_is_its_own_average_to_the_last_bit() -> None:
    engine, image = _engine(_normed(1, 1)), _noise((90, 100))
    maps, _ = _streamed(engine, image, _blocks((90, 100), 128))
    logits = engine.run(padded_image(image, padded_shape((90, 100), DIVISOR))[None])[0][:, :90, :100]
    assert np.array_equal(maps, probabilities(logits))


def test_windows_settle_every_pixel_once() -> None:
    told: list[float] = []
    image, blocks = _noise((600, 1100)), _blocks((600, 1100), 200)
    streaming = BlendedStreaming(
        lambda window, place: window, lambda box: image[(slice(None), *box.slices)], lambda box, maps: None
    )
    streaming.over(blocks, done={blocks.blocks[0].box}, after_window=told.append)
    assert sum(told) == pytest.approx(600 * 1100 - 512 * 512)


def test_windows_left_out_as_background_take_no_part() -> None:
    image = np.zeros((1, 300, 700), np.float32)
    image[0, :, :100] = 2.0
    engine = _engine(nn.Conv2d(1, 1, 1))
    every, _ = _streamed(engine, image, _blocks((300, 700), 200))
    found, counts = _streamed(engine, image, _blocks((300, 700), 200), is_background=lambda pixels: not pixels.any())
    assert counts.skipped > 0
    assert not found[0, :, 250:].any()  # windows begin at columns 0, 144, 288, ...
    assert np.abs(found[0, :, :144] - every[0, :, :144]).max() < 1e-6


def test_windows_without_structure_are_run_once() -> None:
    image = np.zeros((1, 300, 1400), np.float32)
    image[0, :20, :20] = _noise((20, 20))[0]
    engine, blocks = _engine(_normed(1, 1)), _blocks((300, 1400), 200)
    _, counts = _streamed(engine, image, blocks)
    assert counts.repeated > counts.run
    by_place, counts = _streamed(engine, image, blocks, by_place=True)
    assert counts.repeated == 0
    assert np.array_equal(by_place, _streamed(engine, image, blocks)[0])


def test_probabilities_of_windows_are_averaged_where_asked_for() -> None:
    """Of two windows, one certain and one undecided, the pixels between have the mean of what both say."""
    levels = {0: 30.0, 48: 0.0}

    def run(window: NDArray[Any], place: tuple[int, int]) -> NDArray[Any]:
        return np.full((1, 1, *window.shape[-2:]), levels[place[1]], np.float32)

    image, written = np.zeros((1, 64, 112), np.float32), []
    for averaged in ("logits", "probabilities"):
        streaming = BlendedStreaming(
            run,
            lambda box: image[(slice(None), *box.slices)],
            lambda box, maps: written.append(maps),
            by_place=True,
            averaged=averaged,  # type: ignore[arg-type] # one of the two
        )
        streaming.over(_blocks((64, 112), 64, "constant"), after_window=lambda px: None)
    logits, means = written
    assert logits is not None
    assert means is not None
    assert means[0, 0, 56] == pytest.approx(0.75)
    assert logits[0, 0, 56] == pytest.approx(1 / (1 + np.exp(-15)))


@pytest.mark.parametrize("where", ["read", "write"])
def test_what_fails_beside_the_network_ends_the_run(where: str) -> None:
    def fail(*_: object) -> Any:  # noqa: ANN401 - never returns
        raise OSError("the disk is gone")

    def read(box: Box) -> NDArray[np.float32]:
        return np.zeros((1, *box.shape), np.float32)

    streaming = BlendedStreaming(lambda window, place: window, fail if where == "read" else read, fail)
    with pytest.raises(OSError, match="the disk is gone"):
        streaming.over(_blocks((600, 700), 200), after_window=lambda px: None)
