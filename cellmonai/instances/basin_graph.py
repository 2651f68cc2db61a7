"""Touching cells split without a flood: basins of the distance landscape, united along their saddles by a rule.

Every foreground pixel points to its greatest neighbour, so each peak of the smoothed distance owns one basin. Two
basins that touch share a saddle. A rule decides, from the highest saddle down, whether both sides are one cell. The
pixels are visited once, in strips of rows; all that is global is the list of basins and edges, and so a cell of any
size needs nothing special, and the label image depends on the mask and the rule alone: not on the strips, the threads,
or on which twin of the kernels ran.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.images.rows import ArrayRows
from cellmonai.instances import compiled
from cellmonai.instances.basins import Edges, StripRegions, strip_basins
from cellmonai.instances.components import label_components
from cellmonai.instances.heights import look_ahead, strip_heights, strip_map_heights
from cellmonai.instances.join import BasinJoiner, ComponentJoiner, RegionGraph
from cellmonai.instances.ordered import ordered_map
from cellmonai.instances.regions import AREA, COLUMNS, FIRST_PIXEL, add_rows, add_sums
from cellmonai.instances.rules import LearnedRule, MarkerRule, NoSplit, PersistenceRule, Rule, unite_basins
from cellmonai.instances.strip_store import StripStore
from cellmonai.instances.windows import StripWindow, strip_windows
from cellmonai.kernels.library import library

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cellmonai.images.rows import Rows

STRIP_PIXELS = {"c": 1 << 20, "numpy": 1 << 19}
"""Pixels of a strip. Larger ones repeat less of their neighbours' rows, smaller ones stay in the processor's cache."""
LEAST_STRIP_ROWS = {"c": 128, "numpy": 128}


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a plane before any filter, in order of their first pixels.

    Parameters
    ----------
    shape : rows and columns of the plane
    table : int64, shape (N, COLUMNS), see `regions`
    cell_of : for each strip of the store, the cell of each number in it, int32; number 1 comes first
    cell_of_region : the cell of each region of the graph, int32
    foreground_px : pixels of all cells
    """

    shape: tuple[int, int]
    table: NDArray[np.int64]
    cell_of: list[NDArray[np.int32]]
    cell_of_region: NDArray[np.int32]
    foreground_px: int


def find_cells(
    mask: Rows,
    rule: Rule,
    store: StripStore,
    *,
    landscape: Rows | None = None,
    strip_rows: int | None = None,
    threads: int = 1,
) -> Cells:
    """Split a mask into cells.

    Parameters
    ----------
    mask : (Y, X), zero on background; each row is asked for once, from top to bottom
    rule : when two touching basins are one cell; `NoSplit` takes connected components
    store : takes the numbered strips
    landscape : a map in [0, 1], float (Y, X), high inside cells and low between them, instead of the distance
    strip_rows : rows that are worked on at a time; changes memory and speed, never a label
    threads : strips that are worked on at the same time; changes speed, never a label

    Returns
    -------
    cells that together cover exactly the foreground, each one 8-connected region
    """
    if isinstance(rule, NoSplit):
        return find_pieces(mask, store, strip_rows=strip_rows, threads=threads)
    graph = build_basin_graph(mask, store, rule, landscape=landscape, strip_rows=strip_rows, threads=threads)
    return unite_cells(graph, rule)


def unite_cells(graph: RegionGraph, rule: PersistenceRule | MarkerRule | LearnedRule) -> Cells:
    """Unite the basins of a graph to cells; a graph made for `MarkerRule` knows its seeds."""
    return _in_order(graph, unite_basins(graph.table, graph.edges, rule, columns=graph.shape[1]))


def build_basin_graph(
    mask: Rows,
    store: StripStore,
    rule: Rule,
    *,
    landscape: Rows | None = None,
    strip_rows: int | None = None,
    threads: int = 1,
) -> RegionGraph:
    """Find all basins of a mask and the saddles between them; parameters as for `find_cells`."""
    seed_distance = rule.min_distance_px if isinstance(rule, MarkerRule) else 0
    margin = max(1, seed_distance)
    joiner = BasinJoiner(mask.shape[1])

    def work(part: tuple[StripWindow, StripWindow | None]) -> StripRegions:
        window, map_window = part
        if map_window is None:
            heights = strip_heights(window, margin=margin)
        else:
            heights = strip_map_heights(window, map_window, margin=margin)
        return strip_basins(heights, seed_distance_px=seed_distance)

    rows = strip_rows or rows_of_strips(mask.shape[1])
    for strip in ordered_map(work, _windows(mask, landscape, margin, rows), threads=threads):
        joiner.add(strip)
        store.add(strip.ids)
    return joiner.finish()


def find_pieces(
    mask: Rows, store: StripStore, *, diagonal: bool = True, strip_rows: int | None = None, threads: int = 1
) -> Cells:
    """Take the connected regions of what is not 0.

    Parameters
    ----------
    mask : (Y, X), bool or integer
    store : takes the numbered strips
    diagonal : join pixels across a corner
    strip_rows, threads : as for `find_cells`
    """
    graph, _ = _pieces(mask, store, binary=True, diagonal=diagonal, strip_rows=strip_rows, threads=threads)
    return _in_order(graph, np.arange(graph.table.shape[0]))


@dataclass(frozen=True, slots=True)
class LabelledCells:
    """The cells of a label image before any filter.

    Parameters
    ----------
    cells : one per id
    ids : of each cell, int64, shape (N,)
    pieces : in how many 8-connected pieces each cell lies, int64, shape (N,)
    """

    cells: Cells
    ids: NDArray[np.int64]
    pieces: NDArray[np.int64]


def find_labels(
    ids: Rows, store: StripStore | None, *, strip_rows: int | None = None, threads: int = 1
) -> LabelledCells:
    """Take all pixels of one id as one cell, also where they lie apart.

    Parameters
    ----------
    ids : (Y, X), integer below 2³¹, 0 is background
    store : takes the numbered strips, where they are needed
    strip_rows, threads : as for `find_cells`
    """
    graph, id_of = _pieces(ids, store, binary=False, diagonal=True, strip_rows=strip_rows, threads=threads)
    _, first, which = np.unique(id_of, return_index=True, return_inverse=True)
    root = first[which]  # pieces are in raster order, so the first one of an id has its first pixel
    pieces = np.bincount(root, minlength=root.size)
    return LabelledCells(_in_order(graph, root), id_of[pieces > 0], pieces[pieces > 0])


def _pieces(
    values: Rows, store: StripStore | None, *, binary: bool, diagonal: bool, strip_rows: int | None, threads: int
) -> tuple[RegionGraph, NDArray[np.int64]]:
    """Find the connected regions of equal nonzero value, and the value of each; `binary` takes all values for one."""
    joiner = ComponentJoiner(values.shape[1], diagonal=diagonal)
    value_of_number: list[NDArray[np.int64]] = []

    def work(window: StripWindow) -> tuple[StripRegions, NDArray[np.int64]]:
        pixels = np.ascontiguousarray(window.strip != 0 if binary else window.strip, np.int32)
        strip = strip_components(pixels, window.top, diagonal=diagonal)
        first = strip.table[:, FIRST_PIXEL] - window.top * window.columns
        return strip, pixels.reshape(-1)[first].astype(np.int64)

    rows = strip_rows or rows_of_strips(values.shape[1])
    for strip, numbers in ordered_map(work, strip_windows(values, reach=0, strip_rows=rows), threads=threads):
        joiner.add(strip)
        if store is not None:
            store.add(strip.ids)
        value_of_number.append(numbers)
    graph = joiner.finish()
    value_of = np.zeros(graph.table.shape[0], np.int64)
    for regions, numbers in zip(graph.region_of, value_of_number, strict=True):
        value_of[regions] = numbers
    return graph, value_of


def strip_components(values: NDArray[np.int32], top: int, *, diagonal: bool) -> StripRegions:
    """Find the components of a strip, int32 (rows, X), and sum them up."""
    ids = label_components(values, connectivity=8 if diagonal else 4)
    table = np.zeros((int(ids.max(initial=0)), COLUMNS), np.int64)
    kernels = library()
    if kernels is not None:
        compiled.region_sums(kernels, ids, top, table)
    else:
        add_sums(ids, top, table)
    nothing = np.zeros(0, np.int64)
    return StripRegions(top, ids, table, Edges(nothing, nothing, nothing), (values[0].copy(), values[-1].copy()))


def split_mask(mask: NDArray[np.bool_], *, rule: Rule, strip_rows: int | None = None) -> NDArray[np.int32]:
    """Split a mask that lies in memory.

    Parameters
    ----------
    mask : bool, shape (Y, X), True on foreground
    rule, strip_rows : as for `find_cells`

    Returns
    -------
    int32, shape (Y, X); 0 is background, cells are 1..N without gaps, numbered by their first pixel in raster order,
    each one 8-connected region; together they cover exactly the foreground
    """
    store = StripStore(mask.shape[1], in_memory_bytes=4 * mask.size)
    cells = find_cells(ArrayRows(mask), rule, store, strip_rows=strip_rows)
    labels = np.zeros(mask.shape, np.int32)
    for index, cell_of in enumerate(cells.cell_of):
        top, bottom = store.span(index)
        labels[top:bottom] = paint_strip(store.strip(index), cell_of + 1)
    return labels


def paint_strip(ids: NDArray[np.int32], label_of: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give the labels of a numbered strip; `label_of` begins with that of number 1, and 0 stays 0."""
    table = np.concatenate((np.zeros(1, np.int32), label_of))
    kernels = library()
    if kernels is not None:
        return compiled.relabel(kernels, ids, table)
    return table[ids]


def _windows(
    mask: Rows, landscape: Rows | None, margin: int, strip_rows: int
) -> Iterator[tuple[StripWindow, StripWindow | None]]:
    if landscape is None:
        for window in strip_windows(mask, reach=look_ahead(margin), strip_rows=strip_rows):
            yield window, None
        return
    both = (strip_windows(source, reach=margin, strip_rows=strip_rows) for source in (mask, landscape))
    yield from zip(*both, strict=True)


def rows_of_strips(columns: int) -> int:
    """Give how many rows are worked on at a time where nothing else is asked for."""
    which = "numpy" if library() is None else "c"
    return max(LEAST_STRIP_ROWS[which], STRIP_PIXELS[which] // max(columns, 1))


def _in_order(graph: RegionGraph, root: NDArray[np.intp]) -> Cells:
    """Add up the basins of each cell, and put the cells in order of their first pixels."""
    roots = np.flatnonzero(root == np.arange(root.size))
    cells = graph.table[roots]
    rank = np.zeros(root.size, np.intp)
    rank[roots] = np.arange(roots.size)
    parts = np.flatnonzero(root != np.arange(root.size))
    add_rows(cells, rank[root[parts]], graph.table[parts])
    order = np.argsort(cells[:, FIRST_PIXEL])
    place = np.empty(roots.size, np.int32)
    place[order] = np.arange(roots.size, dtype=np.int32)
    cell = place[rank[root]]
    cells = cells[order]
    return Cells(
        shape=graph.shape,
        table=cells,
        cell_of=[cell[regions] for regions in graph.region_of],
        cell_of_region=cell,
        foreground_px=int(cells[:, AREA].sum()),
    )
