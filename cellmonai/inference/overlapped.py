"""A network on a device of its own over the blocks of an image: the device never waits for this process.

While the device runs one window the next two are read, scaled and brought to it, and the results of those before are
made into probabilities, put together and written. Results are those of `streaming.Streaming`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cellmonai.inference.activation import probabilities
from cellmonai.inference.beside import read_ahead, write_behind
from cellmonai.inference.stitch import repeated_edge
from cellmonai.inference.streaming import FLAT_KEPT, FLAT_VALUES, Streamed, flat_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from numpy.typing import NDArray

    from cellmonai.inference.blocks import Block, Blocks
    from cellmonai.inference.stitch import AfterWindow, Read
    from cellmonai.inference.streaming import WriteBlock
    from cellmonai.inference.windows import Box, Window
    from cellmonai.models.file import Activation

    Wait = Callable[[], NDArray[Any]]
    """Waits for probabilities (K, h, w) of the core of a window, and gives them each time it is called."""

WINDOWS_AHEAD = 2


class Queue(Protocol):
    """A device that takes windows and gives results while others are on their way."""

    def stage(self, window: NDArray[Any]) -> Any:  # noqa: ANN401 - its own affair
        """Begin to bring a window (1, C, h, w) to the device; from any thread."""
        ...

    def begin(self, staged: Any) -> Callable[[], NDArray[Any]]:  # noqa: ANN401 - what `stage` gave
        """Begin to run a staged window; gives what waits for its logits (1, K, h, w), from any thread."""
        ...


@dataclass(frozen=True, slots=True)
class _Ready:
    """A window that was read: staged, or background, or with the key of what makes its result where it is flat."""

    window: Window
    staged: Any = None
    is_background: bool = False
    key: tuple[Any, ...] | None = None


@dataclass(slots=True)
class _Result:
    """Logits that come, and the probabilities of the core once they were asked for."""

    wait: Callable[[], NDArray[Any]] | None
    slices: tuple[slice, slice]
    activation: Activation
    _found: NDArray[Any] | None = None

    def probabilities(self) -> NDArray[Any]:
        if self._found is None:
            assert self.wait is not None
            self._found = probabilities(self.wait()[0][(slice(None), *self.slices)], self.activation)
            self.wait = None  # the logits may go
        return self._found


@dataclass(frozen=True, slots=True)
class OverlappedStreaming:
    """How the blocks of an image are run; see `streaming.Streaming`. `maps` is how many the network gives."""

    queue: Queue
    read: Read
    write: WriteBlock
    activation: Activation = "sigmoid"
    is_background: Callable[[NDArray[np.float32]], bool] | None = None
    maps: int = 1
    _flat: dict[tuple[Any, ...], _Result] = field(default_factory=dict)

    def over(self, blocks: Blocks, *, done: Collection[Box] = (), after_window: AfterWindow) -> Streamed:
        """Run every block that is not done yet; `after_window` is told the px of each window that was begun.

        Raises
        ------
        Whatever reading, running or writing raises; blocks that were written stay written.
        """
        counts = Streamed()
        todo = [block for block in blocks.blocks if block.box not in done]
        windows = ((block, window) for block in todo for window in block.windows)
        ready = partial(self._ready, shape=blocks.shape)
        with read_ahead(ready, windows, ahead=WINDOWS_AHEAD) as coming, write_behind(self._put_together) as write:
            for block in todo:
                parts: list[tuple[Box, _Result]] = []
                for _ in block.windows:
                    each = next(coming)
                    core = _core(block, each.window)
                    result = self._begun(each, core, counts)
                    if result is not None:
                        parts.append((core, result))
                    after_window(core.shape[0] * core.shape[1])
                write(block.box, parts)
        return counts

    def _ready(self, place: tuple[Block, Window], *, shape: tuple[int, int]) -> _Ready:
        block, window = place
        pixels = self.read(window.read.clipped(shape))
        if self.is_background is not None and self.is_background(pixels):
            return _Ready(window, is_background=True)
        key = flat_key(pixels, window, _core(block, window))
        return _Ready(window, self.queue.stage(repeated_edge(pixels, window.pad)[None]), key=key)

    def _begun(self, each: _Ready, core: Box, counts: Streamed) -> _Result | None:
        if each.is_background:
            counts.skipped += 1
            return None
        if each.key is not None and each.key in self._flat:
            counts.repeated += 1
            return self._flat[each.key]
        counts.run += 1
        result = _Result(self.queue.begin(each.staged), core.within(each.window.read).slices, self.activation)
        values = self.maps * core.shape[0] * core.shape[1]
        if each.key is not None and len(self._flat) < FLAT_KEPT and values * (len(self._flat) + 1) <= FLAT_VALUES:
            self._flat[each.key] = result
        return result

    def _put_together(self, box: Box, parts: list[tuple[Box, _Result]]) -> None:
        maps: NDArray[np.float32] | None = None
        for core, result in parts:
            found = result.probabilities()
            if maps is None:
                maps = np.zeros((found.shape[0], *box.shape), np.float32)
            maps[(slice(None), *core.within(box).slices)] = found
        self.write(box, maps)


def _core(block: Block, window: Window) -> Box:
    return window.core.clipped((block.box.row1, block.box.col1))
