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
    length = np.diff(begin, append=rows * columns)
    row, start = np.divmod(begin, max(columns, 1))
    value = labels[row, start].astype(np.int64)
    inside = np.flatnonzero(value)
    order = inside[np.argsort(value[inside], kind="stable")]
    value = value[order]
    is_first = np.diff(value, prepend=0) != 0
    return ObjectRuns(
        label=value[is_first],
        first=np.flatnonzero(is_first),
        owner=np.cumsum(is_first) - 1,
        row=row[order],
        start=start[order],
        stop=(start + length)[order],
    )
