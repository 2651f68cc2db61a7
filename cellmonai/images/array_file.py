"""An array that lies in a file without compression: regions of it are read where they lie.

It is read, not mapped into memory: a file that another program cuts short would end this one with a signal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.source import ImageFacts, ImageSource, Region

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.images.budget import Budget

    ReadAt = Callable[[int, int], bytes | memoryview]
    """Gives so many bytes from an offset."""

_RUN_BYTES = 4 * 2**20  # lines that lie close together are read at once, up to this size
_WORTH = 4  # times the bytes that are wanted may be read to save a call


@dataclass(frozen=True, slots=True)
class ArrayLayout:
    """Where the pixels of an array lie.

    Parameters
    ----------
    axes : one letter per axis, as in `axes.check_axes`
    shape : of the stored array
    dtype : as stored
    offset : of the first value, bytes
    order : "C" where the last axis is the fastest, "F" where the first is
    """

    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    order: Literal["C", "F"] = "C"

    def strides(self) -> dict[str, int]:
        """Give the step along each axis, bytes."""
        steps, step = {}, self.dtype.itemsize
        pairs = list(zip(self.axes.replace("S", "C"), self.shape, strict=True))
        for letter, size in pairs if self.order == "F" else reversed(pairs):
            steps[letter] = step
            step *= size
        return steps

    def start(self, plane: int, channel: int) -> int:
        """Give the offset of the first pixel of a plane and channel; planes in the order of `axes.plane_names`."""
        steps, start = self.strides(), self.offset
        others = [(letter, n) for letter, n in zip(self.axes, self.shape, strict=True) if letter not in "CSYX"]
        if others:
            places = np.unravel_index(plane, tuple(n for _, n in others))
            start += sum(int(place) * steps[letter] for place, (letter, _) in zip(places, others, strict=True))
        return start + channel * steps.get("C", 0)


def read_region(layout: ArrayLayout, read_at: ReadAt, box: Region, plane: int, channel: int) -> NDArray[Any]:
    """Read a region of one channel, (h, w) in the stored type."""
    steps, start = layout.strides(), layout.start(plane, channel)
    row0, column0, row1, column1 = box
    start += row0 * steps["Y"] + column0 * steps["X"]
    if steps["Y"] >= steps["X"]:
        return _lines(layout.dtype, read_at, start, (row1 - row0, steps["Y"]), (column1 - column0, steps["X"]))
    return _lines(layout.dtype, read_at, start, (column1 - column0, steps["X"]), (row1 - row0, steps["Y"])).T


def _lines(
    dtype: np.dtype[Any], read_at: ReadAt, start: int, lines: tuple[int, int], values: tuple[int, int]
) -> NDArray[Any]:
    """Read `lines` (number, step in bytes) of `values` (number, step in bytes) each."""
    (count, step), (length, stride) = lines, values
    span = (length - 1) * stride + dtype.itemsize
    at_once = max(1, _RUN_BYTES // step) if step <= _WORTH * length * dtype.itemsize else 1
    out = np.empty((count, length), dtype)
    for first in range(0, count, at_once):
        rows = min(at_once, count - first)
        content = read_at(start + first * step, (rows - 1) * step + span)
        out[first : first + rows] = np.ndarray((rows, length), dtype, content, strides=(step, stride))
    return out


class ArrayFileSource(ImageSource):
    """An image whose pixels lie in a file as they are."""

    def __init__(self, path: Path, facts: ImageFacts, budget: Budget, layout: ArrayLayout) -> None:
        super().__init__(path, facts, budget)
        self._layout = layout

    def _read(self, box: Region, channels: Sequence[int], level: int, plane: int) -> NDArray[Any]:
        return self._stored(box, channels, plane).astype(self.dtype, copy=False)

    def _stored(self, box: Region, channels: Sequence[int], plane: int) -> NDArray[Any]:
        """Read a region in the stored type."""
        out = np.empty((len(channels), box[2] - box[0], box[3] - box[1]), self._layout.dtype)
        with self.path.open("rb", buffering=0) as stream:

            def read_at(offset: int, count: int) -> bytes:
                stream.seek(offset)
                content = stream.read(count)
                if len(content) != count:
                    raise InputError("the file is cut short", where=str(self.path), cure="save the image again")
                return content

            for place, channel in enumerate(channels):
                out[place] = read_region(self._layout, read_at, box, plane, channel)
        return out
