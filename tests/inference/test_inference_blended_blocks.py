"""Blocks of overlapping windows: every pixel once, every window that holds it, within the memory whatever the image."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data.utils import dense_patch_slices

from cellmonai.core.errors import MemoryBudgetError, UsageError
from cellmonai.inference.blended_blocks import (
    LONGEST_BLOCK_PX,
    BlendedBlocks,
    BlockCosts,
    blended_between,
    make_blended_blocks,
    shared,
)
from cellmonai.inference.plan import Rules
from cellmonai.inference.tiling import make_tiling
from cellmonai.inference.windows import padded_shape

if TYPE_CHECKING:
    from cellmonai.inference.plan import Stitch

DIVISOR = 16


def _rules(stitch: Stitch = "gaussian", window: int | None = None, *, cut: bool = False) -> Rules:
    return Rules(
        radius_px=100, divisor=DIVISOR, tile_exact=False, stitch=stitch, window=window, longest_core=1024, cut=cut
    )


def _costs(budget: float = 4e9, window: float = 1000.0) -> BlockCosts:
    return BlockCosts(window=window, block=22.0, kept=4.0, budget=budget)


def _stitches() -> st.SearchStrategy[Stitch]:
    return st.sampled_from(["gaussian", "constant", "minimum"])


@settings(deadline=None, max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    window=st.one_of(st.none(), st.integers(64, 1500)),
    stitch=_stitches(),
    budget=st.floats(3e9, 9e9),
)
def test_blocks_are_whole_chunks_with_all_windows_of_their_pixels(
    shape: tuple[int, int], window: int | None, stitch: Stitch, budget: float
) -> None:
    costs = _costs(budget)
    blocks = make_blended_blocks(shape, _rules(stitch, window), costs)
    assert sum(block.box.shape[0] * block.box.shape[1] for block in blocks.blocks) == shape[0] * shape[1]
    assert costs.of(blocks) <= budget
    every = {window.read for block in blocks.blocks for window in block.windows}
    assert len(every) == blocks.windows
    for block in blocks.blocks:
        box = block.box
        assert box.row0 % 512 == box.col0 % 512 == 0
        assert box.row1 % 512 == 0 or box.row1 == shape[0]
        assert max(box.shape) <= LONGEST_BLOCK_PX
        holding = {
            read
            for read in every
            if read.row0 < box.row1 and read.row1 > box.row0 and read.col0 < box.col1 and read.col1 > box.col0
        }
        assert {window.read for window in block.windows} == holding
    assert (
        blended_between(blocks.cuts, shape, stitch=stitch, side=blocks.grid.side, divisor=DIVISOR).blocks
        == blocks.blocks
    )


@settings(deadline=None, max_examples=60)
@given(shape=st.tuples(st.integers(1, 3000), st.integers(1, 3000)), window=st.integers(64, 900))
def test_windows_lie_where_monai_has_them(shape: tuple[int, int], window: int) -> None:
    blocks = make_blended_blocks(shape, _rules("gaussian", window), _costs())
    padded, side = padded_shape(shape, DIVISOR), blocks.grid.side
    steps = [one if one == length else one * 3 // 4 for one, length in zip(side, padded, strict=True)]
    monais = [(rows.start, columns.start) for rows, columns in dense_patch_slices(padded, side, steps)]
    (one_block,) = _uncut(blocks).blocks
    assert [(window.read.row0, window.read.col0) for window in one_block.windows] == monais


def test_tiles_of_the_minimum_come_in_their_published_order() -> None:
    blocks = _uncut(make_blended_blocks((900, 1100), _rules("minimum"), _costs()))
    assert tuple(window.read for window in blocks.blocks[0].windows) == make_tiling((900, 1100), tile=400).boxes


def _uncut(blocks: BlendedBlocks) -> BlendedBlocks:
    rows, columns = blocks.grid.shape
    grid = blocks.grid
    return blended_between(((0, rows), (0, columns)), grid.shape, stitch=grid.stitch, side=grid.side, divisor=DIVISOR)


def test_memory_is_bounded_whatever_the_size_of_the_image() -> None:
    costs = _costs(2.5e9)
    for side in (5000, 20_000, 60_000):
        blocks = make_blended_blocks((side, side), _rules(), costs)
        assert costs.of(blocks) <= 2.5e9
        assert blocks.largest == (1216, 1216)


def test_little_memory_shortens_windows_until_the_smallest_does_not_fit() -> None:
    shape = (9000, 9000)
    plans = [make_blended_blocks(shape, _rules(), _costs(budget)) for budget in (4e9, 2e9, 1.0e9, 3e8, 6e7)]
    sides = [max(plan.largest) for plan in plans]
    assert sides[0] == sides[1] == 1216  # 1024 px and two halos of 112 px, rounded down to 64 px
    assert sides[1:] == sorted(set(sides), reverse=True)
    with pytest.raises(MemoryBudgetError, match="a window of 64 x 64 px and its share of the maps need"):
        make_blended_blocks(shape, _rules(), _costs(5e6))


def test_a_window_asked_for_is_taken_or_refused() -> None:
    assert make_blended_blocks((9000, 9000), _rules(window=640), _costs(5e8)).largest == (640, 640)
    with pytest.raises(MemoryBudgetError, match="give a smaller --window"):
        make_blended_blocks((9000, 9000), _rules(window=640), _costs(4e8))
    with pytest.raises(UsageError, match="give 64 or more"):
        make_blended_blocks((9000, 9000), _rules(window=50), _costs())


def test_a_single_window_of_all_is_exact_and_more_are_refused() -> None:
    assert make_blended_blocks((500, 700), _rules("exact"), _costs()).windows == 1
    with pytest.raises(UsageError, match="use --stitch gaussian, or --window 9008 for a single window"):
        make_blended_blocks((9000, 700), _rules("exact"), _costs())
    with pytest.raises(MemoryBudgetError, match="use --stitch gaussian"):
        make_blended_blocks((500, 700), _rules("exact"), _costs(1e7))


def test_the_device_has_its_own_memory() -> None:
    costs = BlockCosts(window=40.0, block=22.0, kept=4.0, budget=4e9, most_window_px=512 * 512)
    assert make_blended_blocks((5000, 5000), _rules(), costs).largest == (512, 512)
    with pytest.raises(MemoryBudgetError, match="the device has too little memory"):
        make_blended_blocks((5000, 5000), _rules(window=640), costs)


def test_results_for_the_next_block_are_kept_as_far_as_memory_goes() -> None:
    plenty = make_blended_blocks((9000, 9000), _rules(window=1216), _costs(8e9))
    assert plenty.kept == max(len(shared(*pair)) for pair in pairwise(plenty.blocks)) > 0
    less = _costs(_costs().of(plenty) - 2 * plenty.grid.px * 4)
    assert make_blended_blocks((9000, 9000), _rules(window=1216), less) == replace(plenty, kept=plenty.kept - 2)


def test_few_windows_are_run_twice() -> None:
    blocks = make_blended_blocks((30_000, 30_000), _rules(), _costs())
    carried = sum(len(block.windows) for block in blocks.blocks)
    kept = sum(len(shared(*pair)) for pair in pairwise(blocks.blocks))
    assert carried < 1.65 * blocks.windows  # where every block is computed alone
    assert carried - kept < 1.3 * blocks.windows  # where one follows the other


@pytest.mark.parametrize(
    ("cuts", "side"),
    [
        pytest.param(((0, 600), (0, 512, 700)), (256, 250), id="no multiple of the divisor"),
        pytest.param(((0, 600), (0, 500, 700)), (256, 256), id="half a chunk"),
        pytest.param(((0, 512), (0, 512, 700)), (256, 256), id="too short"),
        pytest.param(((0, 600), (0, 512, 700)), (1024, 256), id="a window larger than the image"),
        pytest.param(((0, 600), (0, 512, 700)), (0, 256), id="no window"),
    ],
)
def test_what_cuts_no_such_image_is_refused(
    cuts: tuple[tuple[int, ...], tuple[int, ...]], side: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match="px"):
        blended_between(cuts, (600, 700), stitch="gaussian", side=side, divisor=DIVISOR)
