"""Overlapping windows over the blocks of an image: averaged or the lowest kept, with bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cellmonai.inference.beside import read_ahead, write_behind
from cellmonai.inference.blended_blocks import shared
from cellmonai.inference.canvas import Average, Lowest
from cellmonai.inference.importance import importance_map
from cellmonai.inference.stitch import repeated_edge
from cellmonai.inference.streaming import FLAT_KEPT, FLAT_VALUES, Streamed, flat_values

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from cellmonai.inference.blended_blocks import BlendedBlocks, Grid
    from cellmonai.inference.blocks import Block
    from cellmonai.inference.canvas import Averaged, Canvas
    from cellmonai.inference.stitch import AfterWindow, Read
    from cellmonai.inference.streaming import RunAt, WriteBlock
    from cellmonai.inference.windows import Box, Window
    from cellmonai.models.file import Activation


@dataclass(frozen=True, slots=True)
class _Step:
    """A block, the windows that are run for it, and those whose results the next one uses."""

    block: Block
    fresh: tuple[Window, ...]
    keep: frozenset[Box]


@dataclass(frozen=True, slots=True)
class BlendedStreaming:
    """How the blocks of an image are run.

    Parameters
    ----------
    run, read, write, activation : as for `streaming.Streaming`
    is_background : tells of a window's pixels (C, h, w) that nothing is there, so that it takes no part; None runs all
    by_place : results depend on the place, so that equal windows are not repeated
    averaged : what of the windows is averaged
    foreground : which map the lowest is sought in
    """

    run: RunAt
    read: Read
    write: WriteBlock
    activation: Activation = "sigmoid"
    is_background: Callable[[NDArray[np.float32]], bool] | None = None
    by_place: bool = False
    averaged: Averaged = "logits"
    foreground: int = 0
    _flat: dict[tuple[Any, ...], NDArray[Any]] = field(default_factory=dict)

    def over(self, blocks: BlendedBlocks, *, done: Collection[Box] = (), after_window: AfterWindow) -> Streamed:
        """Run every block that is not done yet; `after_window` is told the px that each window settles.

        Raises
        ------
        Whatever reading, running or writing raises; blocks that were written stay written.

        Notes
        -----
        A pixel's result depends on its windows alone: neither on the blocks, nor on their order, nor on which are done.
        """
        counts = Streamed()
        steps = list(_steps([block for block in blocks.blocks if block.box not in done], blocks.kept))
        places = (window.read.clipped(blocks.grid.shape) for step in steps for window in step.fresh)
        kept: dict[Box, NDArray[Any] | None] = {}
        with read_ahead(self.read, places) as pixels, write_behind(self.write) as write:
            for step in steps:
                canvas = self._canvas(step.block.box, blocks.grid)
                kept = self._put_together(canvas, step, pixels, kept, counts, after_window)
                write(step.block.box, canvas.maps())
        return counts

    def _canvas(self, box: Box, grid: Grid) -> Canvas:
        if grid.stitch == "minimum":
            return Lowest(box, activation=self.activation, foreground=self.foreground)
        # a single window is its own average, to the last bit where its weights are 1
        mode = "gaussian" if grid.stitch == "gaussian" and grid.windows > 1 else "constant"
        weights = importance_map(grid.side, mode)  # type: ignore[arg-type] # one of the two
        return Average(box, weights=weights, activation=self.activation, averaged=self.averaged)

    def _put_together(
        self,
        canvas: Canvas,
        step: _Step,
        pixels: Iterator[NDArray[np.float32]],
        kept: dict[Box, NDArray[Any] | None],
        counts: Streamed,
        after_window: AfterWindow,
    ) -> dict[Box, NDArray[Any] | None]:
        """Put the windows of a block into its canvas; gives the results that are kept for the next."""
        keeping: dict[Box, NDArray[Any] | None] = {}
        box, (rows, columns) = step.block.box, step.block.box.shape
        for window in step.block.windows:
            logits = kept[window.read] if window.read in kept else self._logits(next(pixels), window, box, counts)
            if window.read in step.keep:
                keeping[window.read] = logits
            if logits is not None:
                canvas.add(window.read, logits)
            after_window(rows * columns / len(step.block.windows))
        return keeping

    def _logits(self, pixels: NDArray[np.float32], window: Window, box: Box, counts: Streamed) -> NDArray[Any] | None:
        # of the blocks that carry a window one tells of it, so that what was saved does not depend on the cuts
        is_home = box.row0 <= window.read.row0 < box.row1 and box.col0 <= window.read.col0 < box.col1
        if self.is_background is not None and self.is_background(pixels):
            counts.skipped += is_home
            return None
        values = None if self.by_place else flat_values(pixels)
        key = None if values is None else (*values, window.read.shape)
        if key is not None and key in self._flat:
            counts.repeated += is_home
            return self._flat[key]
        counts.run += 1
        place = window.read.row0, window.read.col0
        logits: NDArray[Any] = self.run(repeated_edge(pixels, window.pad)[None], place)[0]
        if key is not None and len(self._flat) < FLAT_KEPT and logits.size * (len(self._flat) + 1) <= FLAT_VALUES:
            self._flat[key] = logits
        return logits


def _steps(todo: list[Block], most_kept: int) -> Iterator[_Step]:
    kept: frozenset[Box] = frozenset()
    for block, following in zip(todo, [*todo[1:], None], strict=True):
        fresh = tuple(window for window in block.windows if window.read not in kept)
        kept = frozenset(() if following is None else shared(block, following)[:most_kept])
        yield _Step(block, fresh, kept)
