"""Whole-number sums per label, added up strip by strip: the same numbers however the image is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellmonai.measure.shapes.label_kernels import label_kernels
from cellmonai.measure.shapes.perimeter import KINDS, border_kinds
from cellmonai.measure.shapes.runs import object_runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.measure.shapes.runs import ObjectRuns

AREA, X, Y, XX, YY, XY, TOP, LEFT, BOTTOM, RIGHT, STRAIGHT, DIAGONAL, CORNER = range(13)
COLUMNS = 13
"""Area; sums of x, y, x², y² and xy; half-open box; border pixels of three kinds. Columns of a tally's `table`."""

_SUMS = slice(AREA, XY + 1)


class Tally:
    """Sums, boxes and border pixels of the labels of a streamed image.

    Attributes
    ----------
    table : int64, shape (labels, 13), a row per label, zeros where a label has not been met. Sums wrap at 2⁶⁴, so that
        only differences to a corner of the object's box are numbers.

    Parameters
    ----------
    with_outer : note the leftmost and rightmost pixel of every label and row too
    """

    def __init__(self, *, with_outer: bool) -> None:
        self.table = np.zeros((1024, COLUMNS), np.int64)
        self._place = np.zeros(1024, np.int32)
        self._with_outer = with_outer
        self._compiled = label_kernels()

    def add(self, window: NDArray[np.int32], top: int, *, above: int, below: int, highest: int) -> NDArray[np.int32]:
        """Add a strip.

        Parameters
        ----------
        window : int32, shape (above + rows + below, X), the strip and up to two rows on both sides, fewer only where
            the image ends
        top : row of the image at which the strip begins
        highest : no label of the strip is larger

        Returns
        -------
        int32, shape (K, 4): label, row, leftmost and rightmost column, rows rising for each label; (0, 4) when these
        are not wanted
        """
        self._make_room(highest + 1)
        if self._compiled is None:
            strip = window[above : window.shape[0] - below]
            runs = object_runs(strip)
            _add_runs(self.table, runs, top)
            _add_kinds(self.table, window, above=above, below=below)
            return _outer_pixels(runs, top) if self._with_outer else np.zeros((0, 4), np.int32)
        # a run per pixel at worst; memory that is not written is not taken
        room = (window.shape[0] - above - below) * window.shape[1] if self._with_outer else 0
        outer = np.empty((room, 4), np.int32)
        noted = self._compiled.label_strip(
            window, above, below, top, self.table, outer if self._with_outer else None, self._place
        )
        return outer[:noted]

    def _make_room(self, labels: int) -> None:
        have = len(self.table)
        if labels > have:
            more = max(labels, 2 * have) - have
            self.table = np.concatenate([self.table, np.zeros((more, COLUMNS), np.int64)])
            self._place = np.zeros(have + more, np.int32)


def _add_runs(table: NDArray[np.int64], runs: ObjectRuns, top: int) -> None:
    """Add runs in closed form; the twin of `add_run` in kernels/labels.c."""
    if runs.label.size == 0:
        return
    row, start, count = runs.row + top, runs.start, runs.stop - runs.start
    steps = count * (count - 1) // 2
    x = count * start + steps
    xx = start * (x + steps) + steps * (2 * count - 1) // 3
    y = row * count
    sums = np.stack([runs.total(part) for part in (count, x, y, xx, row * y, row * x)], 1)
    box = np.stack(
        [
            np.minimum.reduceat(row, runs.first),
            np.minimum.reduceat(start, runs.first),
            np.maximum.reduceat(row, runs.first) + 1,
            np.maximum.reduceat(runs.stop, runs.first),
        ],
        1,
    )
    before = table[runs.label]
    known = before[:, AREA] != 0
    box[known, :2] = np.minimum(box[known, :2], before[known, TOP : LEFT + 1])
    box[known, 2:] = np.maximum(box[known, 2:], before[known, BOTTOM : RIGHT + 1])
    table[runs.label, _SUMS] = before[:, _SUMS] + sums
    table[runs.label, TOP : RIGHT + 1] = box


def _add_kinds(table: NDArray[np.int64], window: NDArray[np.int32], *, above: int, below: int) -> None:
    found = list(border_kinds(window, above=above, below=below))
    owner, kind = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if owner.size:
        lowest = int(owner.min())
        counts = np.bincount(
            (owner - lowest) * (KINDS + 1) + kind, minlength=(int(owner.max()) - lowest + 1) * (KINDS + 1)
        )
        counts = counts.reshape(-1, KINDS + 1)
        table[lowest : lowest + len(counts), STRAIGHT:] += counts[:, 1:]


def _outer_pixels(runs: ObjectRuns, top: int) -> NDArray[np.int32]:
    """Give the leftmost and rightmost pixels from runs that are sorted by label, row and column."""
    new = (np.diff(runs.owner, prepend=-1) != 0) | (np.diff(runs.row, prepend=-1) != 0)
    begin = np.flatnonzero(new)
    end = np.append(begin[1:], runs.row.size) - 1 if begin.size else begin
    outer = np.stack([runs.label[runs.owner[begin]], runs.row[begin] + top, runs.start[begin], runs.stop[end] - 1], 1)
    return outer.astype(np.int32)
