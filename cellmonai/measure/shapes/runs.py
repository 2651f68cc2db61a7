"""Label images as horizontal runs: a few runs per object row instead of its pixels, sorted by object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ObjectRuns:
    """The runs of all objects, object after object, each in raster order.

    Parameters
    ----------
    label : int64, shape (N,), labels that occur, rising, without background
    first : intp, shape (N,), place of each object's first run in the arrays below, as `np.add.reduceat` wants it
    owner : intp, shape (R,), which of the N objects a run belongs to
    row, start, stop : int64, shape (R,); columns start to stop, half-open
    """

    label: NDArray[np.int64]
    first: NDArray[np.intp]
    owner: NDArray[np.intp]
    row: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]

    def total(self, per_run: NDArray[np.int64]) -> NDArray[np.int64]:
        """Add a number per run over each object; int64, shape (N,), exact."""
        return np.add.reduceat(per_run, self.first) if self.first.size else np.zeros(0, np.int64)


def object_runs(labels: NDArray[np.integer]) -> ObjectRuns:
    """Cut a label image, integer, shape (Y, X), 0 is background, into the runs of its objects."""
    rows, columns = labels.shape
    starts_here = np.ones(labels.shape, np.bool_)  # the first pixel of a row always starts a run
    np.not_equal(labels[:, 1:], labels[:, :-1], out=starts_here[:, 1:])
    begin = np.flatnonzero(starts_here)
    value = labels.ravel()[begin]
    inside = np.flatnonzero(value != 0)
    inside = inside[by_label(value[inside])]
    value = value[inside].astype(np.int64)
    length = np.append(begin, rows * columns)[inside + 1] - begin[inside]
    row, start = np.divmod(begin[inside], max(columns, 1))
    is_first = np.diff(value, prepend=0) != 0
    return ObjectRuns(
        label=value[is_first],
        first=np.flatnonzero(is_first),
        owner=np.cumsum(is_first) - 1,
        row=row,
        start=start,
        stop=start + length,
    )


def by_label(labels: NDArray[np.integer]) -> NDArray[np.intp]:
    """Give the order that sorts labels, shape (K,), and keeps equal ones as they are."""
    lowest = labels.min(initial=0) if labels.size == 0 else labels.min()
    near = labels - lowest
    # 16-bit numbers are sorted by counting, and the labels of a strip seldom differ by more
    return np.argsort(near.astype(np.uint16) if near.max(initial=0) < 1 << 16 else near, kind="stable")
