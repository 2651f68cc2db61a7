"""An image whose overlapping windows are put together block by block, whatever its size: arithmetic only, no torch.

The windows lie where they would over the whole image: all of one size, in a grid that the blocks do not change. A
block is a box of whole chunks of the maps, as in `blocks`, and carries every window that holds one of its pixels.
Windows across the border of two blocks are carried by both, so that every block can be computed alone; where one block
follows the other, results of the windows that both carry may be kept.

Which windows there are decides the results; how the image is cut into blocks changes no bit of them. The window is
therefore chosen first, as large as `plan` has it where the memory allows, and the blocks take the memory that is left.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from cellmonai.core.errors import MemoryBudgetError
from cellmonai.core.units import readable_bytes
from cellmonai.inference.blocks import CHUNK, Block, Blocks
from cellmonai.inference.plan import longest_window, require_windows
from cellmonai.inference.tiling import tile_starts
from cellmonai.inference.windows import Box, Window, blended_starts, make_blending, padded_shape, round_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cellmonai.inference.plan import Rules, Stitch

LONGEST_BLOCK_PX = 4096
"""Longest side of a block: a killed run loses one at most, and longer ones hardly run fewer windows twice."""

_ROOMY = 3
"""Sides of a window that a block should have: with less memory the windows are shortened before the blocks."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the overlapping windows of an image lie, in px.

    `side` is rows and columns of a window; `starts` are their first rows and first columns, rising. Windows reach
    beyond the bottom or right of an image (Y, X) of `shape` where it is smaller than a window or no multiple of the
    network's divisor.
    """

    stitch: Stitch
    side: tuple[int, int]
    starts: tuple[tuple[int, ...], tuple[int, ...]]
    shape: tuple[int, int]

    @property
    def windows(self) -> int:
        """How many there are."""
        return len(self.starts[0]) * len(self.starts[1])

    @property
    def px(self) -> int:
        """Pixels of a window."""
        return self.side[0] * self.side[1]

    def over(self, box: Box) -> tuple[Window, ...]:
        """Give the windows that hold pixels of a box, in the order in which they are put together.

        That is row by row for averages, and column by column for the minimum, as its published system has it.
        """
        rows = self.starts[0][_overlapping(self.starts[0], self.side[0], box.row0, box.row1)]
        columns = self.starts[1][_overlapping(self.starts[1], self.side[1], box.col0, box.col1)]
        if self.stitch == "minimum":
            return tuple(self._window(row, col) for col in columns for row in rows)
        return tuple(self._window(row, col) for row in rows for col in columns)

    def _window(self, row: int, col: int) -> Window:
        read = Box(row, col, row + self.side[0], col + self.side[1])
        return Window(read, read, (max(read.row1 - self.shape[0], 0), max(read.col1 - self.shape[1], 0)))


@dataclass(frozen=True, slots=True)
class BlendedBlocks:
    """All blocks of an image in raster order.

    `cuts` are the ends of the blocks along rows and columns, px; `kept` is how many results of windows may be held for
    the block that follows.
    """

    blocks: tuple[Block, ...]
    grid: Grid
    cuts: tuple[tuple[int, ...], tuple[int, ...]]
    kept: int = 0

    @property
    def windows(self) -> int:
        """How many windows the image has; those across borders of blocks count once."""
        return self.grid.windows

    @property
    def largest(self) -> tuple[int, int]:
        """Rows and columns of a window."""
        return self.grid.side

    @property
    def largest_block_px(self) -> int:
        """Pixels of the largest block."""
        return max(block.box.shape[0] * block.box.shape[1] for block in self.blocks)


AnyBlocks = Blocks | BlendedBlocks
"""How a plane is cut: with windows that equal one pass over it, or with windows that overlap."""


@dataclass(frozen=True, slots=True)
class BlockCosts:
    """What windows and blocks take, and what there is, in bytes.

    `window` is for a px of the window that runs, `block` for a px of the block that is put together, `kept` for a px of
    a result that is kept; `budget` is for all of them, and `most_window_px` what the device's own memory allows.
    """

    window: float
    block: float
    kept: float
    budget: float
    most_window_px: float = float("inf")

    def of(self, blocks: BlendedBlocks) -> int:
        """Give what an image takes at most, bytes."""
        windows = blocks.grid.px * (self.window + blocks.kept * self.kept)
        return round(windows + blocks.largest_block_px * self.block)


def make_blended_blocks(shape: tuple[int, int], rules: Rules, costs: BlockCosts) -> BlendedBlocks:
    """Choose the windows of an image (Y, X), and cut it into blocks that run few of them twice.

    Raises
    ------
    MemoryBudgetError
        Not even the smallest window and block fit.
    UsageError
        The window asked for is too small, or `exact` was asked for and takes more than one.
    """
    grids = [_grid(shape, window, rules) for window in _windows(shape, rules)]
    for roomy in (True, False):
        for grid in dict.fromkeys(grids):
            cuts = _cuts(grid, costs, roomy=roomy)
            if cuts is not None:
                return _with_kept(_blocks(grid, cuts), costs)
    raise _too_large(grids[-1], costs, rules)


def blended_between(
    cuts: tuple[Sequence[int], Sequence[int]],
    shape: tuple[int, int],
    *,
    stitch: Stitch,
    side: tuple[int, int],
    divisor: int,
) -> BlendedBlocks:
    """Cut an image (Y, X) where it was cut before, with the windows that it had; `cuts` is `BlendedBlocks.cuts`.

    Raises
    ------
    ValueError
        These are no cuts or no windows of such an image.
    """
    for ends, length in zip(cuts, shape, strict=True):
        whole = all(start < end and start % CHUNK == 0 for start, end in pairwise(ends))
        if not whole or ends[0] != 0 or ends[-1] != length:
            raise ValueError(f"{list(ends)} do not cut {length} px into whole chunks of {CHUNK} px")
    padded = padded_shape(shape, divisor)
    fits = stitch == "minimum" or all(one <= length for one, length in zip(side, padded, strict=True))
    if min(side) < 1 or side[0] % divisor or side[1] % divisor or not fits:
        raise ValueError(f"windows of {side} px do not fit an image of {shape} px")
    return _blocks(_grid_of(shape, side, stitch, divisor), (tuple(cuts[0]), tuple(cuts[1])))


def shared(block: Block, following: Block) -> tuple[Box, ...]:
    """Give the windows that a block and the one that follows it both carry."""
    wanted = {window.read for window in following.windows}
    return tuple(window.read for window in block.windows if window.read in wanted)


def _windows(shape: tuple[int, int], rules: Rules) -> Iterator[int]:
    """Give the longest sides that windows may have, the longest first.

    Only what `auto` chose gives way to the memory: a wish is kept, tiles of the minimum have the published side, and
    `exact` is a single window here.
    """
    longest = longest_window(shape, rules)
    if rules.window is not None or rules.stitch in {"minimum", "exact"}:
        yield longest
        return
    yield from range(longest, min(longest, rules.smallest) - 1, -rules.divisor)


def _grid(shape: tuple[int, int], window: int, rules: Rules) -> Grid:
    require_windows(shape, window, rules)
    if rules.stitch == "minimum":
        side = (window // rules.divisor * rules.divisor,) * 2
    else:
        padded = padded_shape(shape, rules.divisor)
        one = max(padded) <= window
        side = padded if one else make_blending(shape, window=window, divisor=rules.divisor).side
    return _grid_of(shape, side, rules.stitch, rules.divisor)


def _grid_of(shape: tuple[int, int], side: tuple[int, int], stitch: Stitch, divisor: int) -> Grid:
    if stitch == "minimum":
        return Grid(stitch, side, tile_starts(shape, tile=side[0]), shape)
    rows, columns = (
        blended_starts(length, one) for length, one in zip(padded_shape(shape, divisor), side, strict=True)
    )
    return Grid(stitch, side, (rows, columns), shape)


def _cuts(grid: Grid, costs: BlockCosts, *, roomy: bool) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Give the cuts of which the fewest windows are run twice, None where nothing fits the memory."""
    left = costs.budget - grid.px * costs.window
    wanted = _roomy_px(grid) if roomy else min(CHUNK, grid.shape[0]) * min(CHUNK, grid.shape[1])
    if grid.px > costs.most_window_px or left < wanted * costs.block:
        return None
    rows, columns = (
        [(_carried(ends, starts, side), max(end - start for start, end in pairwise(ends)), ends) for ends in candidates]
        for candidates, starts, side in zip(map(_side_cuts, grid.shape), grid.starts, grid.side, strict=True)
    )
    fitting = (
        (down * across, tall * wide, row, column)
        for down, tall, row in rows
        for across, wide, column in columns
        if tall * wide * costs.block <= left
    )
    _, _, row, column = min(fitting)
    return row, column


def _roomy_px(grid: Grid) -> int:
    rows, columns = (
        min(round_up(_ROOMY * side, CHUNK), LONGEST_BLOCK_PX, length)
        for side, length in zip(grid.side, grid.shape, strict=True)
    )
    return rows * columns


def _side_cuts(length: int) -> Iterator[tuple[int, ...]]:
    """Give ever finer cuts of one side into whole chunks, evenly many."""
    chunks = -(-length // CHUNK)
    for count in range(-(-chunks // (LONGEST_BLOCK_PX // CHUNK)), chunks + 1):
        yield tuple(min(chunks * i // count * CHUNK, length) for i in range(count + 1))


def _carried(ends: Sequence[int], starts: Sequence[int], side: int) -> int:
    """Count the windows along one side, each as often as blocks carry it."""
    slices = (_overlapping(starts, side, start, end) for start, end in pairwise(ends))
    return sum(one.stop - one.start for one in slices)


def _overlapping(starts: Sequence[int], side: int, start: int, end: int) -> slice:
    """Give which windows hold pixels from `start` up to `end`."""
    return slice(bisect_right(starts, start - side), bisect_left(starts, end))


def _blocks(grid: Grid, cuts: tuple[tuple[int, ...], tuple[int, ...]]) -> BlendedBlocks:
    boxes = (Box(row0, col0, row1, col1) for row0, row1 in pairwise(cuts[0]) for col0, col1 in pairwise(cuts[1]))
    return BlendedBlocks(tuple(Block(box, grid.over(box)) for box in boxes), grid, cuts)


def _with_kept(blocks: BlendedBlocks, costs: BlockCosts) -> BlendedBlocks:
    """Keep as many results for the block that follows as it can use and the memory holds."""
    useful = max((len(shared(*pair)) for pair in pairwise(blocks.blocks)), default=0)
    left = costs.budget - costs.of(blocks)
    return replace(blocks, kept=min(useful, int(left / (blocks.grid.px * costs.kept))))


def _too_large(grid: Grid, costs: BlockCosts, rules: Rules) -> MemoryBudgetError:
    what = f"a window of {grid.side[1]} x {grid.side[0]} px"
    smaller = "use --stitch gaussian" if rules.stitch == "exact" else "give a smaller --window"
    if grid.px > costs.most_window_px:
        return MemoryBudgetError(f"the device has too little memory for {what}", cure=smaller)
    block_px = min(CHUNK, grid.shape[0]) * min(CHUNK, grid.shape[1])
    least = round(grid.px * costs.window + block_px * costs.block)
    is_least = rules.window is None and rules.stitch in {"gaussian", "constant"}
    return MemoryBudgetError(
        f"{what} and its share of the maps need {readable_bytes(least)}, and "
        f"{readable_bytes(max(round(costs.budget), 0))} are left of the memory budget",
        cure="raise --memory" if is_least else f"raise --memory or {smaller}",
    )
