"""Outlines of cells: ellipses with a few ripples, drawn many at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Float = NDArray[np.float32]

    from cellmonai.simulate.settings import FieldSettings

_RIPPLE = np.array([0.05, 0.045, 0.025, 0.015], np.float32)
"""Standard deviation of the harmonics 2 (beans and eggs), 3, 4 and 5 (dents), as shares of the radius."""


@dataclass(frozen=True, slots=True)
class Outlines:
    """The outlines of N cells in polar form around their centres; every array is float32 with N rows.

    `shift_px` is the part of a centre (row, column) that is left when the centre is rounded to a pixel. A square of
    `half` pixels on every side of the central one holds any of the cells, and a rim of one pixel around it.
    """

    radius_px: _Float
    elongation: _Float
    direction: _Float
    amplitude: _Float
    phase: _Float
    shift_px: _Float
    half: int

    def distance_px(self, cells: NDArray[np.int64], down: _Float, across: _Float) -> _Float:
        """Distance from centre to outline in the direction (`down`, `across`), the sine and cosine of its angle.

        `cells` holds indices and has as many axes as the directions, or broadcasts to them.
        """
        stretch, direction = self.elongation[cells], self.direction[cells]
        along = across * np.cos(direction) + down * np.sin(direction)
        # polar form of an ellipse with half-axes r * sqrt(stretch) and r / sqrt(stretch), as large as a circle
        oval = self.radius_px[cells] / np.sqrt(stretch + along**2 * (1 / stretch - stretch))
        ripple = np.ones_like(oval)
        cosine, sine = across, down  # of multiples of the angle, by the addition theorem: fast for many pixels
        for k in range(len(_RIPPLE)):
            cosine, sine = cosine * across - sine * down, sine * across + cosine * down
            amplitude, phase = self.amplitude[cells, k], self.phase[cells, k]
            ripple += amplitude * np.cos(phase) * cosine - amplitude * np.sin(phase) * sine
        return np.asarray(oval * ripple)


def draw_outlines(settings: FieldSettings, random: np.random.Generator) -> Outlines:
    """Draw the outlines of all cells of a field."""
    n, k = settings.cells, len(_RIPPLE)
    radius_px = random.uniform(*settings.radius_px, n).astype(np.float32)
    elongation = (1.0 + (settings.elongation - 1.0) * random.beta(1.6, 2.4, n)).astype(np.float32)
    amplitude = _RIPPLE * np.clip(random.standard_normal((n, k), np.float32), -2, 2)
    longest = radius_px * np.sqrt(elongation) * (1 + np.abs(amplitude).sum(axis=1))
    return Outlines(
        radius_px=radius_px,
        elongation=elongation,
        direction=random.uniform(0, np.pi, n).astype(np.float32),
        amplitude=amplitude,
        phase=random.uniform(0, 2 * np.pi, (n, k)).astype(np.float32),
        shift_px=random.uniform(-0.5, 0.5, (n, 2)).astype(np.float32),
        half=int(np.ceil(longest.max(initial=0.0))) + 1,
    )


def rasterise(outlines: Outlines, cells: slice) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Draw cells on pixels, each in its own box of side `2 * half + 1`.

    Returns
    -------
    inside : bool (n, side, side), each one 8-connected region around the central pixel
    ring : float32 (n, side, side), distance to the centre relative to the outline: 0 centre, 1 outline, more outside
    """
    steps = np.arange(-outlines.half, outlines.half + 1, dtype=np.float32)
    numbers = np.arange(cells.start, cells.stop)[:, None, None]
    rows = steps[:, None] - outlines.shift_px[numbers, 0]
    columns = steps - outlines.shift_px[numbers, 1]
    distance = np.maximum(np.sqrt(rows**2 + columns**2), np.float32(1e-6))
    ring = distance / outlines.distance_px(numbers, rows / distance, columns / distance)
    inside = ring < 1.0
    middle = np.zeros(inside.shape[1:], bool)
    middle[outlines.half, outlines.half] = True
    inside |= middle  # the centre belongs to the cell however small it is
    return grow_within(np.broadcast_to(middle, inside.shape), inside), ring


def grow_within(start: NDArray[np.bool_], inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Give what is 8-connected to `start` within `inside`; the last two axes are the image's."""
    reached = start & inside
    while True:
        grown = widen(reached) & inside
        if np.array_equal(grown, reached):
            return reached
        reached = grown


def widen(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Add to each region the pixels that touch it by a side or a corner; the last two axes are the image's."""
    tall = inside.copy()
    tall[..., 1:, :] |= inside[..., :-1, :]
    tall[..., :-1, :] |= inside[..., 1:, :]
    wide = tall.copy()
    wide[..., 1:] |= tall[..., :-1]
    wide[..., :-1] |= tall[..., 1:]
    return wide


def is_one_region(inside: NDArray[np.bool_]) -> bool:
    """Tell whether a (Y, X) set of pixels is exactly one 8-connected region."""
    if not inside.any():
        return False
    first = np.zeros(inside.shape, bool)
    first.flat[int(inside.argmax())] = True
    return bool(np.array_equal(grow_within(first, inside), inside))
