"""An image cut into blocks that are done one by one, whatever its size: arithmetic only, no torch.

A *block* is what is written at once and never again: its box is made of whole chunks of the maps on disk, so that no
two blocks share a chunk and each can be journaled, lost and done again alone. Mostly a block is the core of one window;
where windows must be smaller than a chunk, a block holds the cores of several. Windows are exact, as in `windows`:
they read the network's radius around their core, begin at multiples of the divisor, and end where the image ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from cellmonai.core.errors import MemoryBudgetError, UsageError
from cellmonai.inference.windows import Box, Window, halo_of, padded_shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHUNK = 512
"""Side of a chunk of the maps, px; a multiple of every divisor of the catalogue."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block: its box in the image, px, and the windows whose cores tile it; cores may reach into the padding."""

    box: Box
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class Blocks:
    """All blocks of an image in raster order.

    `shape` is its (Y, X), `padded` what the cores tile; `cuts` are the ends of the cores along rows and columns, px.
    """

    blocks: tuple[Block, ...]
    shape: tuple[int, int]
    padded: tuple[int, int]
    cuts: tuple[tuple[int, ...], tuple[int, ...]]

    @property
    def windows(self) -> int:
        """How many windows there are in all blocks."""
        return sum(len(block.windows) for block in self.blocks)

    @property
    def largest(self) -> tuple[int, int]:
        """Rows and columns of the largest window, by area."""
        windows = (window.read.shape for block in self.blocks for window in block.windows)
        return max(windows, key=lambda shape: shape[0] * shape[1])

    @property
    def largest_block_px(self) -> int:
        """Pixels of the largest block."""
        return max(block.box.shape[0] * block.box.shape[1] for block in self.blocks)

    @property
    def read_px(self) -> int:
        """Pixels that the network sees in all, halos counted as often as they are read."""
        windows = (window.read.shape for block in self.blocks for window in block.windows)
        return sum(rows * columns for rows, columns in windows)


@dataclass(frozen=True, slots=True)
class WindowLimits:
    """What a window may be.

    Parameters
    ----------
    radius_px, divisor : facts of the network, px
    most_px : pixels of a window at most, by the memory
    longest : longest side of a window in px, or None
    longest_core : longest side of a core in px that is taken without being asked for
    cut : whether even an image that fits one window is cut in two
    """

    radius_px: int
    divisor: int
    most_px: int
    longest: int | None = None
    longest_core: int = 2048
    cut: bool = False


def make_blocks(shape: tuple[int, int], limits: WindowLimits, *, chunk: int = CHUNK) -> Blocks:
    """Cut an image (Y, X) into blocks whose windows read as little halo as the limits allow.

    Raises
    ------
    MemoryBudgetError
        Not even the smallest window fits the memory.
    UsageError
        The window asked for holds no core.
    ValueError
        The image is empty, or chunks do not begin at multiples of the divisor.
    """
    if min(shape) < 1 or chunk % limits.divisor:
        raise ValueError(f"shape is {shape}, chunk {chunk} px, divisor {limits.divisor} px: nothing to cut")
    padded = padded_shape(shape, limits.divisor)
    halo = halo_of(limits.radius_px, limits.divisor)
    best = min(_candidates(padded, limits, halo, chunk), default=None)
    if best is None:
        raise _too_small(limits, halo)
    _, rows, columns = best
    return blocks_between((rows, columns), shape, radius_px=limits.radius_px, divisor=limits.divisor, chunk=chunk)


def blocks_between(
    cuts: tuple[Sequence[int], Sequence[int]],
    shape: tuple[int, int],
    *,
    radius_px: int,
    divisor: int,
    chunk: int = CHUNK,
) -> Blocks:
    """Cut an image (Y, X) where it was cut before; `cuts` is `Blocks.cuts`.

    Raises
    ------
    ValueError
        These are no cuts of such an image.
    """
    padded, halo = padded_shape(shape, divisor), halo_of(radius_px, divisor)
    for ends, length in zip(cuts, padded, strict=True):
        rising = all(_is_core(start, end, length, divisor, chunk) for start, end in pairwise(ends))
        if not rising or ends[0] != 0 or ends[-1] != length:
            raise ValueError(f"{list(ends)} do not cut {length} px into blocks of whole chunks of {chunk} px")
    blocks = [
        _block(row, column, shape, padded, halo) for row in _spans(cuts[0], chunk) for column in _spans(cuts[1], chunk)
    ]
    return Blocks(tuple(blocks), shape, padded, (tuple(cuts[0]), tuple(cuts[1])))


def _candidates(
    padded: tuple[int, int], limits: WindowLimits, halo: int, chunk: int
) -> Iterator[tuple[int, list[int], list[int]]]:
    """Give pixels read in all, and the cuts of either side, of every grid of windows that keeps within the limits."""
    sides = [list(_side_cuts(length, limits, halo, chunk)) for length in padded]
    if limits.cut and all(len(cuts[0]) == 2 for cuts in sides if cuts):
        longer = 0 if padded[0] >= padded[1] else 1
        sides[longer] = [cuts for cuts in sides[longer] if len(cuts) > 2]
    for rows in sides[0]:
        read_rows, longest_row = _reads(rows, halo)
        for columns in sides[1]:
            read_columns, longest_column = _reads(columns, halo)
            if longest_row * longest_column <= limits.most_px:
                yield read_rows * read_columns, rows, columns
                break  # finer cuts of this side only read more


def _side_cuts(length: int, limits: WindowLimits, halo: int, chunk: int) -> Iterator[list[int]]:
    """Give ever finer cuts of one side into cores, as the places of their ends, px.

    Down to a chunk, cores are whole chunks, evenly many; below that every chunk is cut evenly, at the divisor.
    """
    chunks = -(-length // chunk)
    seen: set[tuple[int, ...]] = set()
    for count in range(1, chunks + 1):
        ends = [min(chunks * i // count * chunk, length) for i in range(count + 1)]
        yield from _within(ends, limits, halo, seen)
    units = chunk // limits.divisor
    if chunks == 1:
        for parts in range(2, length // limits.divisor + 1):
            yield from _within(_even_windows(length, parts, halo, limits.divisor), limits, halo, seen)
        return
    for parts in range(2, units + 1):
        inner = [units * i // parts * limits.divisor for i in range(parts)]
        ends = [*(first + step for first in range(0, length, chunk) for step in inner if first + step < length), length]
        yield from _within(ends, limits, halo, seen)


def _even_windows(length: int, parts: int, halo: int, divisor: int) -> list[int]:
    """Cut one side so that all windows are equally long, give or take a divisor: outer cores are longer by a halo."""
    total, margin = length // divisor, halo // divisor
    read = total + 2 * margin * (parts - 1)
    ends = [min(max(read * i // parts - 2 * margin * (i - 1) - margin, i), total) for i in range(1, parts)]
    return [0, *(end * divisor for end in sorted(set(ends)) if 0 < end < total), length]


def _within(ends: list[int], limits: WindowLimits, halo: int, seen: set[tuple[int, ...]]) -> Iterator[list[int]]:
    longest_core = max(end - start for start, end in pairwise(ends))
    _, longest = _reads(ends, halo)
    fits = longest <= limits.longest if limits.longest is not None else longest_core <= limits.longest_core
    if fits and tuple(ends) not in seen:
        seen.add(tuple(ends))
        yield ends


def _is_core(start: int, end: int, length: int, divisor: int, chunk: int) -> bool:
    """Tell whether a core begins at the divisor and is made of whole chunks, or lies inside a single one."""
    if not start < end or start % divisor:
        return False
    whole = start % chunk == 0 and (end % chunk == 0 or end == length)
    return whole or start // chunk == (end - 1) // chunk


def _reads(ends: Sequence[int], halo: int) -> tuple[int, int]:
    """Give what all windows along one side read, and the longest of them, px."""
    lengths = [min(end + halo, ends[-1]) - max(start - halo, 0) for start, end in pairwise(ends)]
    return sum(lengths), max(lengths)


def _spans(ends: Sequence[int], chunk: int) -> list[list[tuple[int, int]]]:
    """Put cores that lie in one chunk together; each entry is one block's cores along this side."""
    spans: list[list[tuple[int, int]]] = []
    for start, end in pairwise(ends):
        if start % chunk:
            spans[-1].append((start, end))
        else:
            spans.append([(start, end)])
    return spans


def _block(
    rows: list[tuple[int, int]],
    columns: list[tuple[int, int]],
    shape: tuple[int, int],
    padded: tuple[int, int],
    halo: int,
) -> Block:
    windows = tuple(_window(row, column, shape, padded, halo) for row in rows for column in columns)
    box = Box(rows[0][0], columns[0][0], rows[-1][1], columns[-1][1])
    return Block(box.clipped(shape), windows)


def _window(
    row: tuple[int, int], column: tuple[int, int], shape: tuple[int, int], padded: tuple[int, int], halo: int
) -> Window:
    core = Box(row[0], column[0], row[1], column[1])
    read = Box(
        max(core.row0 - halo, 0),
        max(core.col0 - halo, 0),
        min(core.row1 + halo, padded[0]),
        min(core.col1 + halo, padded[1]),
    )
    return Window(read, core, (max(read.row1 - shape[0], 0), max(read.col1 - shape[1], 0)))


def _too_small(limits: WindowLimits, halo: int) -> UsageError | MemoryBudgetError:
    smallest = 2 * halo + limits.divisor
    if limits.longest is not None and limits.longest < smallest:
        what = f"a window of {limits.longest} px is too small for this network"
        return UsageError(what, where="--window", cure=f"give {smallest} or more")
    return MemoryBudgetError(
        f"windows of this network have {smallest} x {smallest} px at least, and the memory holds "
        f"{max(limits.most_px, 0):,} px",
        cure="raise --memory",
    )
