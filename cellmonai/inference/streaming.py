"""A network over the blocks of an image: pixels are read ahead, results are written behind, memory stays bounded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.inference.activation import probabilities
from cellmonai.inference.beside import read_ahead, write_behind
from cellmonai.inference.stitch import repeated_edge

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from numpy.typing import NDArray

    from cellmonai.inference.blocks import Block, Blocks
    from cellmonai.inference.stitch import AfterWindow, Read
    from cellmonai.inference.windows import Box, Window
    from cellmonai.models.file import Activation

    RunAt = Callable[[NDArray[Any], tuple[int, int]], NDArray[Any]]
    WriteBlock = Callable[[Box, NDArray[np.float32] | None], None]
    """Take the probabilities (K, h, w) of a block, or None where all of it was skipped."""

FLAT_KEPT = 8
"""Results of windows without any structure that are kept: scanners fill what they did not see."""

FLAT_VALUES = 1 << 24
"""Values that these may hold in all."""


@dataclass(slots=True)
class Streamed:
    """What was done, in windows: `run` by the network, `repeated` from a flat one just like it, `skipped` as empty."""

    run: int = 0
    repeated: int = 0
    skipped: int = 0

    def add(self, other: Streamed) -> None:
        """Add what was done elsewhere."""
        self.run += other.run
        self.repeated += other.repeated
        self.skipped += other.skipped


@dataclass(frozen=True, slots=True)
class Streaming:
    """How the blocks of an image are run.

    Parameters
    ----------
    run : a window (1, C, h, w) and the place (row, column) of its first pixel to its logits (1, K, h, w)
    read : a box inside the image to its normalised pixels (C, h, w), float32; called from one thread, in raster order
    write : takes finished blocks, in raster order, from another thread
    activation : how logits become probabilities
    by_place : results depend on the place, so that equal windows are not repeated
    is_background : tells of a window's pixels (C, h, w) that nothing is there; None runs every window
    """

    run: RunAt
    read: Read
    write: WriteBlock
    activation: Activation = "sigmoid"
    is_background: Callable[[NDArray[np.float32]], bool] | None = None
    by_place: bool = False
    _flat: dict[tuple[Any, ...], NDArray[Any]] = field(default_factory=dict)

    def over(self, blocks: Blocks, *, done: Collection[Box] = (), after_window: AfterWindow) -> Streamed:
        """Run every block that is not done yet; `after_window` is told the px that each window settles.

        Raises
        ------
        Whatever reading, running or writing raises; blocks that were written stay written.

        Notes
        -----
        A window whose pixels are all equal, as where a scanner saw nothing, gives what the last equal one gave. That is
        exact: equal pixels give equal results.
        """
        counts = Streamed()
        todo = [block for block in blocks.blocks if block.box not in done]
        places = (window.read.clipped(blocks.shape) for block in todo for window in block.windows)
        with read_ahead(self.read, places) as pixels, write_behind(self.write) as write:
            for block in todo:
                write(block.box, self._block(block, pixels, counts, after_window))
        return counts

    def _block(
        self, block: Block, pixels: Iterator[NDArray[np.float32]], counts: Streamed, after_window: AfterWindow
    ) -> NDArray[np.float32] | None:
        maps: NDArray[np.float32] | None = None
        for window in block.windows:
            core = window.core.clipped((block.box.row1, block.box.col1))
            found = self._window(next(pixels), window, core, counts)
            if found is not None:
                if maps is None:
                    maps = np.zeros((found.shape[0], *block.box.shape), np.float32)
                maps[(slice(None), *core.within(block.box).slices)] = found
            after_window(core.shape[0] * core.shape[1])
        return maps

    def _window(self, pixels: NDArray[np.float32], window: Window, core: Box, counts: Streamed) -> NDArray[Any] | None:
        if self.is_background is not None and self.is_background(pixels):
            counts.skipped += 1
            return None
        rows, columns = core.within(window.read).slices
        key = None if self.by_place else flat_key(pixels, window, core)
        if key is not None and key in self._flat:
            counts.repeated += 1
            return self._flat[key]
        counts.run += 1
        logits = self.run(repeated_edge(pixels, window.pad)[None], (window.read.row0, window.read.col0))[0]
        found = probabilities(logits[:, rows, columns], self.activation)
        if key is not None and len(self._flat) < FLAT_KEPT and found.size * (len(self._flat) + 1) <= FLAT_VALUES:
            self._flat[key] = found
        return found


def flat_values(pixels: NDArray[np.float32]) -> tuple[float, ...] | None:
    """Give the value of each channel of pixels (C, h, w) where all of it is equal, None elsewhere."""
    values = pixels[:, 0, 0]
    if any(bool((channel != value).any()) for channel, value in zip(pixels, values, strict=True)):
        return None
    return tuple(values.tolist())


def flat_key(pixels: NDArray[np.float32], window: Window, core: Box) -> tuple[Any, ...] | None:
    """Give what makes the result of a window without structure; None for others."""
    values = flat_values(pixels)
    if values is None:
        return None
    # where a window meets the image's edge the network sees its padding, so the place of the core counts too
    return (*values, window.read.shape, window.pad, core.within(window.read), _edges(window))


def _edges(window: Window) -> tuple[int, int, int, int]:
    read, core = window.read, window.core
    return core.row0 - read.row0, core.col0 - read.col0, read.row1 - core.row1, read.col1 - core.col1
