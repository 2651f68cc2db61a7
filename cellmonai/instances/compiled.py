"""The compiled kernels as Python functions; each has its twin in NumPy beside the place where it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.instances.regions import COLUMNS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.kernels.library import Kernels


def heights(
    library: Kernels,
    inside: NDArray[np.uint8],
    rows: range,
    depth_of: NDArray[np.uint16],
    out: NDArray[np.uint32],
) -> None:
    """Write the smoothed heights of some rows of a window into `out`, where they are foreground."""
    if library("heights", inside, *inside.shape, rows.start, rows.stop, depth_of, out[0], out.strides[0] // 4):
        raise MemoryError("no memory for the heights of a strip")


def basins(
    library: Kernels, framed: NDArray[np.uint32], margin: int, top: int, seed_distance: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Find the basins of a strip and their table."""
    rows, columns = framed.shape[0] - 2 * margin, framed.shape[1] - 2 * margin
    ids = np.empty((rows, columns), np.int32)
    roots = np.empty(((rows + 1) // 2) * ((columns + 1) // 2) + 2 * columns, np.int32)
    count = library("basin_ids", framed, rows, columns, margin, ids, roots)
    table = np.empty((count, COLUMNS), np.int64)
    library("basin_roots", framed, columns, margin, top, seed_distance, roots, count, table)
    library("region_sums", ids, rows, columns, top, table)
    return ids, table


def edges(
    library: Kernels, framed: NDArray[np.uint32], margin: int, ids: NDArray[np.int32], count: int
) -> NDArray[np.int64]:
    """Give (low, high, saddle) of every touching pair of basins, shape (3, E), in no order."""
    room = 4 * count + 64
    while True:
        found = np.empty((3, room), np.int64)
        needed = library("basin_edges", framed, *ids.shape, margin, ids, room, *found)
        if needed < 0:
            raise MemoryError("no memory for the saddles of a strip")
        if needed <= room:
            return found[:, :needed]
        room = needed


def components(library: Kernels, values: NDArray[np.int32], *, diagonal: bool) -> tuple[NDArray[np.int32], int]:
    """Find the connected regions of equal nonzero value, and tell how many there are."""
    ids = np.empty(values.shape, np.int32)
    count = library("components", values, *values.shape, int(diagonal), ids)
    if count < 0:
        raise MemoryError("no memory for the components of a strip")
    return ids, count


def region_sums(library: Kernels, ids: NDArray[np.int32], top: int, table: NDArray[np.int64]) -> None:
    """Twin of `regions.add_sums`."""
    library("region_sums", ids, *ids.shape, top, table)


def relabel(library: Kernels, ids: NDArray[np.int32], label_of: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give label_of[ids]."""
    labels = np.empty_like(ids)
    library("relabel", ids, ids.size, label_of, labels)
    return labels


def unite(library: Kernels, name: str, count: int, *arguments: Any) -> NDArray[np.intp]:  # noqa: ANN401 - C values
    """Walk the edges by the rule `name`; gives the basin that stands for each basin's cell."""
    root = np.arange(count, dtype=np.int64)
    library(f"unite_{name}", count, *arguments, root)
    return root
