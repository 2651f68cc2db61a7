"""Smaller copies of a mask, made while its rows pass by and kept as bits on disk: no level need fit in memory."""

from __future__ import annotations

from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from cellmonai.images.bits import packed, read_bits

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.images.rows import Rows

LARGEST_PLAIN_SIDE_PX = 10_000
"""Masks with a longer side get smaller copies, without which viewers read all of a slide to show it whole."""

_SMALLEST_SIDE_PX = 1024  # the last level is the first below it


def level_shapes(shape: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Give (Y, X) of the smaller copies of a plane, each half the one before, rounded up; none for a small plane."""
    shapes: list[tuple[int, int]] = []
    if max(shape) > LARGEST_PLAIN_SIDE_PX:
        while max(shape) >= _SMALLEST_SIDE_PX:
            shape = (shape[0] + 1) // 2, (shape[1] + 1) // 2
            shapes.append(shape)
    return tuple(shapes)


def halved(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Give a mask (h, w) at half the size, rounded up: True where at least half of the 2 x 2 pixels are.

    Pixels at an odd edge stand for their missing neighbours. Ties are True, so that lines one pixel wide stay.
    """
    rows = mask[0::2].astype(np.uint8)
    rows[: mask.shape[0] // 2] += mask[1::2]
    if mask.shape[0] % 2:
        rows[-1] *= 2
    sums = rows[:, 0::2].copy()
    sums[:, : mask.shape[1] // 2] += rows[:, 1::2]
    if mask.shape[1] % 2:
        sums[:, -1] *= 2
    return sums >= 2


class MaskPyramid:
    """A mask whose rows are handed on and halved on the way; `Rows`, to be read once from top to bottom.

    Parameters
    ----------
    plane : rows of bool
    folder : for the files that hold the levels until they are written; they have no names, so that none can be left

    Attributes
    ----------
    levels : rows of each smaller copy, which are there when the plane is read to its end
    """

    def __init__(self, plane: Rows, folder: Path) -> None:
        self.shape = plane.shape
        self._plane, self._next = plane, 0
        self.levels = tuple(_Level(shape, folder) for shape in level_shapes(plane.shape))

    def rows(self, top: int, bottom: int) -> NDArray[Any]:
        """Give rows top to bottom, half-open; they begin where the last ones ended."""
        if top != self._next:
            raise ValueError(f"rows begin at {top}, expected {self._next}, as they are read once")
        self._next = bottom
        rows: NDArray[Any] = self._plane.rows(top, bottom)
        part = rows
        for level in self.levels:
            part = level.add(part, is_last=bottom == self.shape[0])
        return rows

    def close(self) -> None:
        """Free the levels."""
        for level in self.levels:
            level.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Level:
    """One smaller copy, as bits in a file without a name."""

    def __init__(self, shape: tuple[int, int], folder: Path) -> None:
        self.shape = shape
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - closed with the pyramid
        self._odd: NDArray[np.bool_] | None = None

    def add(self, larger: NDArray[np.bool_], *, is_last: bool) -> NDArray[np.bool_]:
        """Halve rows of the level before and give the new ones; an odd row waits for the next, if there is one."""
        if self._odd is not None:
            larger = np.concatenate([self._odd, larger])
        even = larger.shape[0] if is_last else larger.shape[0] // 2 * 2
        self._odd = larger[even:].copy() if even < larger.shape[0] else None
        new = halved(larger[:even])
        self._file.write(packed(new))
        return new

    def rows(self, top: int, bottom: int) -> NDArray[np.bool_]:
        return read_bits(self._file, self.shape[1], top, bottom)

    def close(self) -> None:
        self._file.close()
