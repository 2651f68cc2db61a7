"""Blocks tile the image in whole chunks, and what is streamed through them equals one pass over the whole image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import random_network

from cellmonai.core.errors import MemoryBudgetError, UsageError
from cellmonai.inference.activation import probabilities
from cellmonai.inference.blocks import Blocks, WindowLimits, make_blocks
from cellmonai.inference.devices import Device
from cellmonai.inference.engine import TorchEngine
from cellmonai.inference.stitch import padded_image
from cellmonai.inference.streaming import Streaming
from cellmonai.inference.windows import Box, halo_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

ENGINE = TorchEngine(random_network("monai_attention_unet").double(), device=Device("cpu", "tests"), precision="f32")
RADIUS, DIVISOR = 37, 8


def _run(window: NDArray[Any], place: tuple[int, int]) -> NDArray[Any]:
    assert place[0] % DIVISOR == place[1] % DIVISOR == 0
    return ENGINE.run(window)


def _limits(most_px: int = 10**9, **wishes: Any) -> WindowLimits:  # noqa: ANN401 - fields of WindowLimits
    return WindowLimits(RADIUS, DIVISOR, most_px, **wishes)


@settings(deadline=None, max_examples=40)
@given(
    shape=st.tuples(st.integers(1, 2500), st.integers(1, 2500)),
    most_px=st.integers(88**2, 3_000_000),
    cut=st.booleans(),
    chunk=st.sampled_from([64, 512]),
)
def test_blocks_are_whole_chunks_and_their_cores_tile_the_padded_image(
    shape: tuple[int, int], most_px: int, *, cut: bool, chunk: int
) -> None:
    blocks = make_blocks(shape, _limits(most_px, cut=cut), chunk=chunk)
    halo = halo_of(RADIUS, DIVISOR)
    assert sum(b.box.shape[0] * b.box.shape[1] for b in blocks.blocks) == shape[0] * shape[1]
    core_px = 0
    for block in blocks.blocks:
        assert block.box.row0 % chunk == block.box.col0 % chunk == 0
        assert block.box.row1 % chunk == 0 or block.box.row1 == shape[0]
        assert block.box.col1 % chunk == 0 or block.box.col1 == shape[1]
        for window in block.windows:
            read, core = window.read, window.core
            core_px += core.shape[0] * core.shape[1]
            assert read.shape[0] * read.shape[1] <= most_px
            assert read.row0 % DIVISOR == read.col0 % DIVISOR == 0
            assert read.row0 == max(core.row0 - halo, 0)
            assert read.col1 == min(core.col1 + halo, blocks.padded[1])
    assert core_px == blocks.padded[0] * blocks.padded[1]


def test_more_memory_means_fewer_pixels_read_twice() -> None:
    read = [make_blocks((4096, 4096), _limits(px)).read_px for px in (300_000, 1_000_000, 5_000_000)]
    assert read == sorted(read, reverse=True)
    assert read[-1] < 1.1 * 4096**2


def test_an_image_that_fits_is_one_window_unless_it_is_to_be_cut() -> None:
    assert make_blocks((400, 300), _limits()).windows == 1
    halves = make_blocks((400, 300), _limits(cut=True))
    assert (halves.windows, len(halves.blocks)) == (2, 1)


def test_the_window_asked_for_is_the_longest_side() -> None:
    blocks = make_blocks((1500, 1500), _limits(longest=256))
    assert max(blocks.largest) <= 256
    assert all(block.box.row0 % 512 == 0 for block in blocks.blocks)
    with pytest.raises(UsageError, match="a window of 80 px is too small for this network; give 88 or more"):
        make_blocks((1500, 1500), _limits(longest=80))


def test_memory_that_holds_no_window_is_refused() -> None:
    sentence = "windows of this network have 88 x 88 px at least, and the memory holds 1,000 px"
    with pytest.raises(MemoryBudgetError, match=sentence):
        make_blocks((1500, 1500), _limits(1000))


def _whole(image: NDArray[np.float64], blocks: Blocks) -> NDArray[np.float64]:
    logits = ENGINE.run(padded_image(image, blocks.padded)[None])[0]
    rows, columns = image.shape[-2:]
    found: NDArray[np.float64] = probabilities(logits[:, :rows, :columns])
    return found


def _streamed(
    image: NDArray[np.float64],
    blocks: Blocks,
    **wishes: Any,  # noqa: ANN401 - of Streaming.over
) -> tuple[NDArray[np.float64], Any]:
    maps = np.full((1, *image.shape[-2:]), np.nan)

    def write(box: Box, found: NDArray[np.float32] | None) -> None:
        maps[(slice(None), *box.slices)] = 0.0 if found is None else found

    def read(box: Box) -> NDArray[np.float64]:
        return image[(slice(None), *box.slices)]

    over = {key: wishes.pop(key) for key in ("done",) if key in wishes}
    streaming = Streaming(_run, read, write, **wishes)
    return maps, streaming.over(blocks, after_window=lambda px: None, **over)


@pytest.mark.parametrize("wishes", [{}, {"longest": 128}, {"most_px": 20_000}, {"cut": True}], ids=str)
def test_streamed_blocks_equal_one_pass_over_the_whole_image(wishes: dict[str, Any]) -> None:
    image = np.random.default_rng(0).random((1, 150, 333))
    blocks = make_blocks((150, 333), _limits(**wishes), chunk=64)
    maps, counts = _streamed(image, blocks)
    assert np.abs(maps - _whole(image, blocks)).max() < 1e-6  # a block is kept in float32
    assert counts.run == blocks.windows


def test_blocks_that_are_done_are_not_run_again() -> None:
    image = np.random.default_rng(0).random((1, 200, 200))
    blocks = make_blocks((200, 200), _limits(20_000), chunk=64)
    done = {blocks.blocks[0].box, blocks.blocks[2].box}
    maps, counts = _streamed(image, blocks, done=done)
    left = [block for block in blocks.blocks if block.box not in done]
    assert counts.run == sum(len(block.windows) for block in left) > 0
    assert all(np.isnan(maps[0][box.slices]).all() for box in done)
    assert all(np.isfinite(maps[0][block.box.slices]).all() for block in left)


def test_flat_windows_are_run_once_and_stay_exact() -> None:
    image = np.zeros((1, 640, 640))
    image[0, :20, :20] = np.random.default_rng(1).random((20, 20))
    blocks = make_blocks((640, 640), _limits(26_000), chunk=64)
    maps, counts = _streamed(image, blocks)
    assert np.abs(maps - _whole(image, blocks)).max() < 1e-6
    assert counts.repeated > counts.run


def test_windows_of_background_are_skipped_and_counted() -> None:
    image = np.random.default_rng(1).random((1, 256, 256)) * 0.01
    image[0, 10:20, 10:20] = 1.0
    blocks = make_blocks((256, 256), _limits(20_000), chunk=64)
    maps, counts = _streamed(image, blocks, is_background=lambda pixels: float(np.ptp(pixels)) < 0.05)
    assert counts.skipped > 0
    assert counts.run + counts.skipped == blocks.windows
    assert not maps[0, 192:, 192:].any()
    assert maps[0, :64, :64].any()


@pytest.mark.parametrize("where", ["read", "write"])
def test_what_fails_beside_the_network_ends_the_run(where: str) -> None:
    blocks = make_blocks((130, 130), _limits(20_000), chunk=64)
    image = np.zeros((1, 130, 130))

    def fail(*_: object) -> Any:  # noqa: ANN401 - never returns
        raise OSError("the disk is gone")

    def read(box: Box) -> NDArray[np.float64]:
        return image[(slice(None), *box.slices)]

    streaming = Streaming(_run, fail if where == "read" else read, fail)
    with pytest.raises(OSError, match="the disk is gone"):
        streaming.over(blocks, after_window=lambda px: None)
