"""The lattice of windows over an image: plain data and arithmetic.

A *window* is what the network sees, its *core* the part of the result that is kept, the *halo* the difference. The
cores tile the image; every window reads its core and a halo around it, except where the image ends: there the window
ends too, because the network must see the end of the image where the image ends.

Two things make the kept results equal those of one pass over the whole padded image: the halo is at least the
receptive-field radius, and every window begins at a multiple of the divisor (the product of the network's strides),
so that its pooling cells are those of the whole image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Box:
    """A half-open box in px: rows `row0` up to `row1`, columns `col0` up to `col1`, ends not included."""

    row0: int
    col0: int
    row1: int
    col1: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.row1 - self.row0, self.col1 - self.col0

    @property
    def slices(self) -> tuple[slice, slice]:
        """The box as an index into the last two axes of an array."""
        return slice(self.row0, self.row1), slice(self.col0, self.col1)

    def within(self, outer: Box) -> Box:
        """Give the same box in coordinates that begin at `outer`'s first pixel."""
        return Box(self.row0 - outer.row0, self.col0 - outer.col0, self.row1 - outer.row0, self.col1 - outer.col0)

    def clipped(self, shape: tuple[int, int]) -> Box:
        """Give the part of the box that lies in an image of `shape`."""
        return Box(self.row0, self.col0, min(self.row1, shape[0]), min(self.col1, shape[1]))

    def common(self, other: Box) -> Box:
        """Give the part that two overlapping boxes share."""
        return Box(
            max(self.row0, other.row0),
            max(self.col0, other.col0),
            min(self.row1, other.row1),
            min(self.col1, other.col1),
        )


@dataclass(frozen=True, slots=True)
class Window:
    """One window, in coordinates of the padded image.

    `read` is what the network sees, `core` what is kept of it; `pad` says how many rows at the bottom and columns at
    the right of `read` lie beyond the image and are filled by repeating its last row and column.
    """

    read: Box
    core: Box
    pad: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Lattice:
    """All windows of an image, in raster order; `padded` is the shape (Y, X) that the cores tile."""

    windows: tuple[Window, ...]
    shape: tuple[int, int]
    padded: tuple[int, int]

    @property
    def read_px(self) -> int:
        """Pixels that the network sees in all, halos counted as often as they are read."""
        return sum(window.read.shape[0] * window.read.shape[1] for window in self.windows)

    @property
    def largest(self) -> tuple[int, int]:
        """Rows and columns that the largest window of each direction has."""
        return max(w.read.shape[0] for w in self.windows), max(w.read.shape[1] for w in self.windows)


def make_lattice(shape: tuple[int, int], *, window: int, halo: int, divisor: int) -> Lattice:
    """Lay windows over an image.

    Parameters
    ----------
    shape : rows and columns of the image, in px, at least 1
    window : the longest side that a window may have, in px; it is rounded down to a multiple of the divisor
    halo : the receptive-field radius of the network in px; it is rounded up to a multiple of the divisor, at least one
    divisor : what window origins and sides must be multiples of, in px

    Raises
    ------
    ValueError
        The image is empty, or is to be cut by windows so small that they hold no core (see `smallest_window`).

    Notes
    -----
    The image is padded at the bottom and right to a multiple of the divisor, to at least twice the divisor. An image
    that fits one window is one window. The windows of a longer side are of equal length, give or take one divisor, so
    that no thin rest is left: since only inner windows have two halos, the first and the last core are longer by one
    halo than those between.
    """
    if min(shape) < 1 or divisor < 1 or halo < 0:
        raise ValueError(f"shape is {shape}, halo {halo} and divisor {divisor}, expected at least 1, 0 and 1")
    halo = halo_of(halo, divisor)
    padded = padded_shape(shape, divisor)
    if max(padded) > window < smallest_window(halo, divisor):
        raise ValueError(f"window is {window} px, expected at least {smallest_window(halo, divisor)} px")
    rows, columns = (list(_spans(length, window, halo, divisor)) for length in padded)
    windows = tuple(_window(row, column, shape) for row in rows for column in columns)
    return Lattice(windows, shape, padded)


def window_around(shape: tuple[int, int], *, row: int, col: int, halo: int, divisor: int) -> Window:
    """Give the smallest window that knows one pixel as a pass over the whole padded image does.

    Parameters
    ----------
    shape : rows and columns of the image, in px
    row, col : the pixel, inside the image
    halo, divisor : as for `make_lattice`

    Notes
    -----
    The core is the square of side `divisor` that holds the pixel; the window ends where the padded image ends.
    """
    if not (0 <= row < shape[0] and 0 <= col < shape[1]):
        raise ValueError(f"pixel is {(row, col)}, expected one inside {shape}")
    halo = halo_of(halo, divisor)
    rows, columns = (
        (max(first - halo, 0), first, first + divisor, min(first + divisor + halo, length))
        for first, length in zip(
            (row // divisor * divisor, col // divisor * divisor), padded_shape(shape, divisor), strict=True
        )
    )
    return _window(rows, columns, shape)


@dataclass(frozen=True, slots=True)
class Blending:
    """Overlapping windows of one size, where MONAI's sliding window has them.

    `side` is rows and columns of a window, `padded` those of the image that they cover, in px.
    """

    side: tuple[int, int]
    padded: tuple[int, int]

    @property
    def starts(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The first rows and the first columns of the windows, in px."""
        rows, columns = (blended_starts(length, side) for length, side in zip(self.padded, self.side, strict=True))
        return rows, columns

    @property
    def windows(self) -> int:
        """How many there are."""
        rows, columns = self.starts
        return len(rows) * len(columns)

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The windows in raster order."""
        (rows, columns), (height, width) = self.starts, self.side
        return tuple(Box(row, col, row + height, col + width) for row in rows for col in columns)


def blended_starts(length: int, side: int) -> tuple[int, ...]:
    """Give where windows of `side` px begin along `length` px: a quarter is shared, and the last ends at the end."""
    step = max(side * 3 // 4, 1)
    return (*range(0, length - side, step), length - side)


def make_blending(shape: tuple[int, int], *, window: int, divisor: int) -> Blending:
    """Choose windows that overlap by a quarter and stay aligned to the divisor.

    Sides that are cut are multiples of four divisors, so that the step of three quarters is a multiple of the divisor.

    Raises
    ------
    ValueError
        The window is shorter than four divisors.
    """
    if window < 4 * divisor:
        raise ValueError(f"window is {window} px, expected at least {4 * divisor} px")
    padded = padded_shape(shape, divisor)
    longest = window // (4 * divisor) * 4 * divisor
    sides = [length if length <= window else longest for length in padded]
    return Blending((sides[0], sides[1]), padded)


def padded_shape(shape: tuple[int, int], divisor: int) -> tuple[int, int]:
    """Round rows and columns up to multiples of the divisor, to at least twice the divisor."""
    rows, columns = (max(round_up(length, divisor), 2 * divisor) for length in shape)
    return rows, columns


def smallest_window(halo: int, divisor: int) -> int:
    """Give the shortest window that has a core, in px: two halos and one divisor."""
    return 2 * halo_of(halo, divisor) + divisor


def halo_of(radius_px: int, divisor: int) -> int:
    """Round a receptive-field radius up to a multiple of the divisor, at least one, in px."""
    return round_up(max(radius_px, 1), divisor)


def round_up(length: int, divisor: int) -> int:
    """Round a length up to a multiple of the divisor."""
    return -(-length // divisor) * divisor


def _spans(length: int, window: int, halo: int, divisor: int) -> Iterator[tuple[int, int, int, int]]:
    """Cut one side: read start, core start, core end and read end of each window, in px."""
    # in units of the divisor from here on, so that everything stays aligned
    total, longest, margin = length // divisor, window // divisor, halo // divisor
    if total <= longest:
        yield 0, 0, length, length
        return
    # n windows overlap by two halos at each of their n - 1 seams
    count = -(-(total - 2 * margin) // (longest - 2 * margin))
    read_total = total + 2 * margin * (count - 1)
    start = 0
    for index in range(count):
        end = start + read_total * (index + 1) // count - read_total * index // count
        core_start = start + margin if index else 0
        core_end = end - margin if index < count - 1 else total
        yield start * divisor, core_start * divisor, core_end * divisor, end * divisor
        start = end - 2 * margin


def _window(row: tuple[int, int, int, int], column: tuple[int, int, int, int], shape: tuple[int, int]) -> Window:
    read = Box(row[0], column[0], row[3], column[3])
    core = Box(row[1], column[1], row[2], column[2])
    return Window(read, core, (max(read.row1 - shape[0], 0), max(read.col1 - shape[1], 0)))
