"""Touching cells split without a flood: basins of the distance landscape, united along their saddles by a rule.

Every foreground pixel points to its greatest neighbour, so each peak of the smoothed distance owns one basin. Two
basins that touch share a saddle. A rule decides, from the highest saddle down, whether both sides are one cell. The
pixels are visited once, in strips of rows; all that is global is the list of basins and edges, and so a cell of any
size needs nothing special, and the label image depends on the mask and the rule alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.instances.basins import Edges, StripBasins, find_strip_basins, highest_saddles, touching_pairs
from cellmonai.instances.components import label_components
from cellmonai.instances.heights import HeightStrip, height_strips
from cellmonai.instances.rules import MarkerRule, NoSplit, Rule, greatest_in_window, unite_basins
from cellmonai.instances.unite import follow_to_roots

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class BasinGraph:
    """The basins of a mask and the saddles between them.

    Parameters
    ----------
    shape : rows and columns of the mask
    peak_height : int64, shape (N,), in 2⁻²⁴ px; basins are in raster order of their peaks
    first_pixel : int64, shape (N,), raster index of each basin's first pixel
    is_seed : bool, shape (N,), whether the peak is the greatest pixel of the seed window, when one was asked for
    edges : touching basins with their saddles
    members : intp, basin of every foreground pixel in raster order
    """

    shape: tuple[int, int]
    peak_height: NDArray[np.int64]
    first_pixel: NDArray[np.int64]
    is_seed: NDArray[np.bool_]
    edges: Edges
    members: NDArray[np.intp]


def split_mask(mask: NDArray[np.bool_], *, rule: Rule, strip_rows: int | None = None) -> NDArray[np.int32]:
    """Split a mask into cells.

    Parameters
    ----------
    mask : bool, shape (Y, X), True on foreground
    rule : when two touching basins are one cell; `NoSplit` takes connected components
    strip_rows : rows that are worked on at a time; changes memory and speed, never a label

    Returns
    -------
    int32, shape (Y, X); 0 is background, cells are 1..N without gaps, numbered by their first pixel in raster order,
    each one 8-connected region; together they cover exactly the foreground
    """
    if isinstance(rule, NoSplit):
        return label_components(mask)
    seed_distance = rule.min_distance_px if isinstance(rule, MarkerRule) else 0
    graph = build_basin_graph(mask, seed_distance_px=seed_distance, strip_rows=strip_rows)
    return paint_cells(mask, graph, unite_basins(graph.peak_height, graph.is_seed, graph.edges, rule))


def build_basin_graph(
    mask: NDArray[np.bool_], *, seed_distance_px: int = 0, strip_rows: int | None = None
) -> BasinGraph:
    """Find all basins of a mask, the saddles between them, and the basin of every foreground pixel."""
    collected = _Collector(mask.shape[1], seed_distance_px)
    for strip in height_strips(mask, margin=max(1, seed_distance_px), strip_rows=strip_rows):
        collected.add(strip)
    return collected.finish((mask.shape[0], mask.shape[1]))


def paint_cells(mask: NDArray[np.bool_], graph: BasinGraph, root: NDArray[np.intp]) -> NDArray[np.int32]:
    """Write the label image of the united basins, numbered by their first raster pixel.

    `root` names, for each basin, the basin that stands for its cell.
    """
    first_pixel = np.full(root.size, np.iinfo(np.int64).max)
    np.minimum.at(first_pixel, root, graph.first_pixel)
    cells = np.unique(root)
    label = np.zeros(root.size, np.int32)
    label[cells[np.argsort(first_pixel[cells])]] = np.arange(1, cells.size + 1)
    labels = np.zeros(graph.shape, np.int32)
    labels[mask] = label[root][graph.members]
    return labels


class _Collector:
    """Gather strips from top to bottom; of the pixels, only the last row is remembered.

    Basins get provisional numbers from 1 on. A basin whose root points into the strip above takes the number that was
    given there. One that leaves below gets a number of its own, and with the next strip a link to what it is part of.
    """

    def __init__(self, columns: int, seed_distance_px: int) -> None:
        self.columns = columns
        self.seed_distance_px = seed_distance_px
        self.count = 0
        self.last_row = np.zeros((1, columns), np.int32)
        self.last_heights = np.zeros((1, columns), np.uint32)
        no_number = np.zeros(0, np.intp)
        self.leaving = (no_number, no_number)  # basins that leave the last strip below, and in which columns
        self.links = [(no_number, no_number)]  # basins that left, and the basins they are part of
        nothing = np.zeros(0, np.int64)
        self.peak_height, self.first_pixel, self.is_seed = [nothing], [nothing], [np.zeros(0, np.bool_)]
        self.edges = [Edges(nothing, nothing, nothing)]
        self.members = [np.zeros(0, np.int32)]

    def add(self, strip: HeightStrip) -> None:
        """Take in the next strip."""
        found = find_strip_basins(strip)
        number = self._number_roots(strip, found)[found.basin]
        image = np.zeros((strip.rows + 1, strip.columns), np.int32)
        image[:1] = self.last_row
        image[1:].reshape(-1)[found.position] = number
        basins, columns = self.leaving
        self.links.append((basins, image[1, columns].astype(np.intp)))
        self._note_leaving(strip, found, image)
        self.edges.append(touching_pairs(image, np.concatenate((self.last_heights, strip.centre))))
        self.members.append(number)
        self.last_row, self.last_heights = image[-1:].copy(), strip.centre[-1:].copy()

    def _number_roots(self, strip: HeightStrip, found: StripBasins) -> NDArray[np.int32]:
        """Give every basin of the strip its number, and note the peak and first pixel of the new ones."""
        is_new = found.exit_to >= 0
        number = (self.count + np.cumsum(is_new)).astype(np.int32)
        number[~is_new] = self.last_row[0, found.exit_to[~is_new] + self.columns]
        row, column = np.divmod(found.position[found.root[is_new]], self.columns)
        self.peak_height.append(strip.centre[row, column].astype(np.int64))
        self.is_seed.append(greatest_in_window(strip, row, column, self.seed_distance_px))
        # a basin's first pixel starts a run of equal basins, and there are far fewer runs than pixels
        starts = np.flatnonzero(np.diff(found.basin, prepend=-1))
        first = np.full(found.root.size, np.iinfo(np.int64).max)
        np.minimum.at(first, found.basin[starts], found.position[starts])
        self.first_pixel.append(first[is_new] + strip.top * self.columns)
        self.count += row.size
        return number

    def _note_leaving(self, strip: HeightStrip, found: StripBasins, image: NDArray[np.int32]) -> None:
        column = found.exit_to - strip.rows * self.columns
        leaves = np.flatnonzero(column >= 0)
        root_position = found.position[found.root[leaves]]
        self.leaving = (image[1:].reshape(-1)[root_position].astype(np.intp), column[leaves])

    def finish(self, shape: tuple[int, int]) -> BasinGraph:
        """Follow the links across strips and renumber the basins from 0 in raster order of their peaks."""
        leads_to = np.arange(self.count + 1)
        for basins, part_of in self.links:
            leads_to[basins] = part_of
        ends = leads_to == np.arange(self.count + 1)
        ends[0] = False  # the background
        number = (np.cumsum(ends) - 1)[follow_to_roots(leads_to)]
        real = ends[1:]
        first_pixel = np.full(int(real.sum()), np.iinfo(np.int64).max)
        np.minimum.at(first_pixel, number[1:], np.concatenate(self.first_pixel))
        columns = [[getattr(edges, name) for edges in self.edges] for name in ("low", "high", "saddle")]
        low, high, saddle = (np.concatenate(column) for column in columns)
        return BasinGraph(
            shape=shape,
            peak_height=np.concatenate(self.peak_height)[real],
            first_pixel=first_pixel,
            is_seed=np.concatenate(self.is_seed)[real],
            edges=highest_saddles(number[low], number[high], saddle),
            members=number[np.concatenate(self.members)],
        )
