"""From a foreground probability, a mask or a label image to objects."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.labels import LARGEST_LABEL
from cellmonai.images.rows import ArrayRows
from cellmonai.instances.basin_graph import Cells, find_cells, find_labels, paint_strip
from cellmonai.instances.clean import FilledRows, Holes, clean_rows
from cellmonai.instances.filters import choose_cells, count_at_border_rules
from cellmonai.instances.holes import HoleFiller
from cellmonai.instances.regions import AREA
from cellmonai.instances.rules import AUTO, LearnedRule, MarkerRule, NoSplit, Rule
from cellmonai.instances.strip_store import IN_MEMORY_BYTES, StripStore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

    from cellmonai.images.rows import Rows
    from cellmonai.instances.settings import InstanceSettings

_LEVELS = 1 << 16  # a power of two: 65,535 would put 0.1, 0.3, 0.5, … on the edge between two steps
_ROWS_AT_A_TIME = 256


def foreground(probability: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]:
    """Take the pixels whose probability reaches the threshold, both rounded to whole 65,536ths.

    Parameters
    ----------
    probability : float32, shape (Y, X), in [0, 1]
    threshold : in [0, 1]

    Returns
    -------
    bool, shape (Y, X); a pixel that rounds to the threshold is foreground, one that is not a number is not

    Notes
    -----
    Engines differ by about 1e-6. After rounding, such a difference matters only half a step below the threshold, 8e-6
    away from it, and no longer at the threshold itself, a value such as 0.5 that maps do hold.
    """
    least = math.floor(threshold * _LEVELS + 0.5)
    inside = np.empty(probability.shape, np.bool_)
    for top in range(0, probability.shape[0], _ROWS_AT_A_TIME):
        rows = slice(top, top + _ROWS_AT_A_TIME)
        # float64 holds a float32 times 65,536 plus a half exactly wherever it matters, so nothing is rounded before
        np.greater_equal(probability[rows].astype(np.float64) * _LEVELS + 0.5, least, out=inside[rows])
    return inside


@dataclass(frozen=True, slots=True)
class Found:
    """Objects, and what the filters removed on the way to them.

    Parameters
    ----------
    labels : int32, shape (Y, X); 0 is background, objects are 1..N, numbered by their first pixel in raster order
    removed : how many objects fell to `min_area`, `max_area` and `border`; each counts once, under the first of them
    notes : what is worth telling, only where it is not 0. Of a mask `holes_filled` and `holes_px`, how many holes were
        filled and how many pixels they have. Of a
        label image `extra_pieces`, how many 8-connected pieces more than ids it held before the filters;
        `labels_in_pieces`, how many of the objects lie in several pieces, and `pieces_of_labels`, how many pieces these
        have together
    """

    labels: NDArray[np.int32]
    removed: Mapping[str, int]
    notes: Mapping[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many objects there are."""
        return int(self.labels.max(initial=0))


class FoundRows:
    """As `Found`, with a label image that is painted row by row when it is asked for; `close` or `with` frees it.

    Attributes
    ----------
    labels : the label image, int32, as `Rows`: this object itself
    shape : its rows and columns
    count : how many objects there are
    removed, notes : as in `Found`
    at_border_rule : the count under each border rule, after the filters by area; that of the settings' rule is `count`
    foreground_px : pixels of all objects before the filters
    """

    def __init__(
        self,
        cells: Cells,
        store: StripStore,
        settings: InstanceSettings,
        *,
        filled: tuple[int, int] = (0, 0),
        pieces: NDArray[np.int64] | None = None,
    ) -> None:
        kept, removed = choose_cells(cells, settings)
        # objects keep their order, so the new numbers are again in order of first pixels and have no gaps
        number = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
        self.shape = cells.shape
        self.count = int(kept.sum())
        self.removed: Mapping[str, int] = removed
        self.notes: Mapping[str, int] = (
            dict(zip(("holes_filled", "holes_px"), filled, strict=True)) if filled[0] else {}
        )
        if pieces is not None:
            self.notes = _notes_of(pieces, kept)
        self.at_border_rule: Mapping[str, int] = count_at_border_rules(cells, settings)
        self.foreground_px = cells.foreground_px
        self._label_of = [number[cell_of] for cell_of in cells.cell_of]
        self._store = store

    @property
    def labels(self) -> Rows:
        """The label image, int32 (Y, X)."""
        return self

    def rows(self, top: int, bottom: int) -> NDArray[np.int32]:
        """Give rows of the label image, int32, shape (bottom - top, X)."""
        labels = np.zeros((max(bottom - top, 0), self.shape[1]), np.int32)
        for index in range(len(self._store)):
            first, last = self._store.span(index)
            low, high = max(first, top), min(last, bottom)
            if low < high:
                ids = self._store.strip(index)[low - first : high - first]
                labels[low - top : high - top] = paint_strip(ids, self._label_of[index])
        return labels

    def close(self) -> None:
        """Free the memory and the temporary file behind the label image."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def find_in_rows(
    mask: Rows,
    settings: InstanceSettings,
    *,
    spill: Path | None = None,
    threads: int = 1,
    heights: Rows | None = None,
    strip_rows: int | None = None,
    in_memory_bytes: int = IN_MEMORY_BYTES,
) -> FoundRows:
    """Find the objects of a mask: opening, closing, holes, splitting, filters, numbering, in this order.

    Parameters
    ----------
    mask : (Y, X), bool or integer, not 0 on foreground; may be larger than memory
    settings : the threshold is not used here, see `foreground`
    spill : folder for a nameless temporary file of 4 bytes a pixel when the plane is large
    threads : strips that are worked on at the same time
    heights : a map in [0, 1], high inside cells and low between them, whose basins are taken instead of the distance's
    strip_rows : rows that are worked on at a time; like `threads` it changes memory and speed, never a label
    in_memory_bytes : label images up to this size are kept in memory

    Notes
    -----
    An empty mask gives no objects. Pixels outside the image are not background: a cell cut by the border keeps its
    height there, and a field full of foreground is one object. Filling holes may read
    the mask again. Memory is bounded by a few strips and by what is
    written down of each basin.
    """

    def new_store() -> StripStore:
        return StripStore(mask.shape[1], folder=spill, in_memory_bytes=in_memory_bytes)

    rule, clean = rule_of(settings), clean_rows(mask, settings)
    if settings.fill_holes == "small":
        filler = HoleFiller(clean, rule, new_store, landscape=heights, strip_rows=strip_rows, threads=threads)
        cells, store = filler.find()
        filled = filler.filled, filler.filled_px
    else:
        store, filled = new_store(), (0, 0)
        if settings.fill_holes == "all":
            holes = Holes(clean, strip_rows=strip_rows)
            filled = len(holes), int(holes.table[:, AREA].sum())
            clean = FilledRows(holes, np.ones(len(holes), np.bool_))
        cells = find_cells(clean, rule, store, landscape=heights, strip_rows=strip_rows, threads=threads)
    return FoundRows(cells, store, settings, filled=filled)


def keep_in_rows(
    labels: Rows,
    settings: InstanceSettings,
    *,
    spill: Path | None = None,
    threads: int = 1,
    strip_rows: int | None = None,
    in_memory_bytes: int = IN_MEMORY_BYTES,
) -> FoundRows:
    """Take a label image's own objects, filter and renumber them; nothing is split or united by shape.

    Parameters
    ----------
    labels : (Y, X), integer below 2³¹, 0 is background; ids may have gaps and any order
    settings : only the filters are used
    spill, threads, strip_rows, in_memory_bytes : as for `find_in_rows`

    Returns
    -------
    the objects, one per id; one that lies in several pieces, as a cell does that another one crosses, is one object,
    and `notes` tells how many such there are

    Raises
    ------
    InputError
        The ids are not whole numbers, or one is negative or above 2³¹ - 1.
    """
    store = StripStore(labels.shape[1], folder=spill, in_memory_bytes=in_memory_bytes)
    found = find_labels(_Ids(labels), store, strip_rows=strip_rows, threads=threads)
    return FoundRows(found.cells, store, settings, pieces=found.pieces)


def find_instances(
    mask: NDArray[np.bool_], settings: InstanceSettings, *, heights: NDArray[np.float32] | None = None
) -> Found:
    """As `find_in_rows`, for a mask and heights in memory: bool and float32, shape (Y, X), True on foreground."""
    if mask.dtype == np.bool_ and mask.view(np.uint8).max(initial=0) > 1:
        mask = mask.view(np.uint8) != 0  # Pillow's True is the byte 255, and kernels take it for the number
    landscape = None if heights is None else ArrayRows(heights)
    return _in_memory(find_in_rows(ArrayRows(mask), settings, heights=landscape, in_memory_bytes=4 * mask.size))


def keep_labels(labels: NDArray[np.integer], settings: InstanceSettings) -> Found:
    """As `keep_in_rows`, for a label image in memory: integer, shape (Y, X)."""
    return _in_memory(keep_in_rows(ArrayRows(labels), settings, in_memory_bytes=4 * labels.size))


def rule_of(settings: InstanceSettings) -> Rule:
    """Give the rule that the settings name."""
    rules: dict[str, Rule] = {
        "auto": AUTO,
        "learned": LearnedRule(),
        "markers": MarkerRule(settings.min_distance_px),
        "none": NoSplit(),
    }
    return rules[settings.split]


def _in_memory(found: FoundRows) -> Found:
    with found:
        return Found(found.rows(0, found.shape[0]), found.removed, found.notes)


def _notes_of(pieces: NDArray[np.int64], kept: NDArray[np.bool_]) -> dict[str, int]:
    """Give the notes on ids in pieces; of those that the filters removed, only `extra_pieces` tells."""
    apart = pieces[kept & (pieces > 1)]
    notes = {
        "extra_pieces": int(pieces.sum()) - pieces.size,
        "labels_in_pieces": apart.size,
        "pieces_of_labels": int(apart.sum()),
    }
    return {name: number for name, number in notes.items() if number}


class _Ids:
    """A label image that is checked while its rows go by."""

    def __init__(self, labels: Rows) -> None:
        self.labels = labels
        self.shape = labels.shape

    def rows(self, top: int, bottom: int) -> NDArray[np.integer]:
        """Give rows of ids.

        Raises
        ------
        InputError
            They are not whole numbers, or one is negative or too large.
        """
        rows = self.labels.rows(top, bottom)
        if not np.issubdtype(rows.dtype, np.integer):
            raise InputError(f"the label image holds {rows.dtype} values, expected whole numbers")
        if rows.size:
            if (low := rows.min()) < 0:
                raise InputError(
                    f"the label image holds the negative id {low}, expected 0 for background and ids above"
                )
            if (high := rows.max()) > LARGEST_LABEL:
                raise InputError(f"the label image holds the id {high}, expected at most {LARGEST_LABEL}")
        return rows
