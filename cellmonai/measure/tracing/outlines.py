"""Outlines of objects along pixel edges: what they enclose is exactly the object's pixels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.images.rows import as_rows, strips
from cellmonai.measure.tracing.corners import Corners, corners_in, joined
from cellmonai.measure.tracing.rings import polygons_of, rings_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cellmonai.images.rows import Rows
    from cellmonai.measure.objects import ObjectTable
    from cellmonai.measure.tracing.rings import Polygon, Rings

HELD_IN_MEMORY_BYTES = 1 << 25
"""Outlines that wait for an object before them in the table go to a file without a name beyond this."""


@dataclass(frozen=True, slots=True)
class Outline:
    """The outline of one object.

    Parameters
    ----------
    label : the object's label
    polygons : one per 4-connected part; each is its outer ring and then its holes, int32, shape (n, 2), corners x, y on
        the pixel grid, where (0, 0) is the upper left corner of the upper left pixel. A ring starts at its uppermost,
        then leftmost corner and does not repeat it. The shoelace formula gives outer rings a positive area (clockwise
        as an image is looked at, counter-clockwise with y upwards) and holes a negative one.
    """

    label: int
    polygons: tuple[Polygon, ...]


def object_outlines(
    labels: NDArray[Any] | Rows, table: ObjectTable, *, strip_rows: int | None = None
) -> Iterator[Outline]:
    """Trace the outlines of the objects of a table, in its order.

    Parameters
    ----------
    labels : whole numbers, shape (Y, X), 0 is background; an array, or rows, which are read once from top to bottom
    table : measured on these labels; objects that it leaves out are passed over
    strip_rows : how many rows are read at a time; the outlines do not depend on it

    Yields
    ------
    one outline per row of the table. Corners lie only where the outline turns; rings neither cross nor touch
    themselves; parts that meet only diagonally are polygons of their own, which share a point. So all polygons are
    valid in the sense of OGC 06-103r4, and their area, outer rings less holes, is the object's pixel count.

    Raises
    ------
    ValueError
        The table was not measured on these labels.

    Notes
    -----
    In memory are a strip of labels and the corners of objects that end in it or reach below it, some 100 bytes a
    corner; outlines that are done but wait for an object before them in the table, up to 32 MiB, the others on disk.
    """
    rows = as_rows(labels)
    if rows.shape != table.image_shape:
        raise ValueError(f"the labels have shape {rows.shape}, the table is of {table.image_shape}")
    unfinished = _Unfinished(table)
    queue = _Queue()
    above = outside = np.zeros((1, rows.shape[1]), np.uint8)
    for top, end in strips(rows.shape, strip_rows=strip_rows):
        strip = rows.rows(top, end)
        parts = [above, strip] if end < rows.shape[0] else [above, strip, outside]
        ended = unfinished.ended(corners_in(np.concatenate(parts), first_line=top), end)
        for number, polygons in queue.in_order(_checked(rings_of(ended), table)):
            yield Outline(int(table["label"][number]), polygons)
        above = strip[-1:].copy()
    if queue.next < len(table):
        raise ValueError(f"label {table['label'][queue.next]} of the table is not in the label image")


class _Unfinished:
    """Corners of objects of which a part may still come; the owner of a corner is the object's row in the table."""

    def __init__(self, table: ObjectTable) -> None:
        self._rows = table.image_shape[0]
        self._order = np.argsort(table["label"], kind="stable")
        self._labels = table["label"][self._order].astype(np.int64)
        self._bottom = (table["bbox_top_px"] + table["bbox_height_px"]).astype(np.int64)
        self._crossing: dict[int, list[Corners]] = {}

    def ended(self, found: Corners, end: int) -> Corners:
        """Take the corners found in a strip, and give all of the objects that end above the row `end`."""
        fresh = self._numbered(found)
        last = end == self._rows  # the grid line `end` itself comes with the next strip, except after the last row
        is_over = (self._bottom[fresh.owner] < end) | last
        over = [fresh.take(is_over)]
        for number in [n for n in self._crossing if self._bottom[n] < end or last]:
            over += self._crossing.pop(number)
        self._keep(fresh.take(~is_over))
        return joined(over)

    def _numbered(self, corners: Corners) -> Corners:
        """Replace labels by rows of the table; corners of objects that are not in it are left out."""
        place = np.searchsorted(self._labels, corners.owner)
        known = np.flatnonzero(np.append(self._labels, -1)[place] == corners.owner)
        corners = corners.take(known)
        return Corners(self._order[place[known]], corners.y, corners.x, corners.kind)

    def _keep(self, corners: Corners) -> None:
        corners = corners.take(np.argsort(corners.owner, kind="stable"))
        for start, stop in _groups(corners.owner):
            self._crossing.setdefault(int(corners.owner[start]), []).append(corners.take(slice(start, stop)))


def _checked(rings: Rings, table: ObjectTable) -> Rings:
    """Pass rings on when they enclose as many pixels as the table says."""
    starts = np.flatnonzero(np.diff(rings.owner, prepend=-1))
    area = np.add.reduceat(rings.area_px, starts) if starts.size else np.zeros(0, np.int64)
    wrong = np.flatnonzero(area != table["area_px"][rings.owner[starts]])
    if wrong.size:
        label = table["label"][rings.owner[starts[wrong[0]]]]
        raise ValueError(f"label {label} has {area[wrong[0]]} px: the table was measured on other labels")
    return rings


def _groups(owner: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Give where each run of equal owners starts and stops."""
    starts = np.flatnonzero(np.diff(owner, prepend=-1)).tolist()
    return [*pairwise([*starts, len(owner)])] if starts else []


class _Queue:
    """Lets outlines pass in the order of the table; those that come too early are kept."""

    def __init__(self) -> None:
        self.next = 0
        self._places: dict[int, tuple[int, list[int], list[bool]]] = {}
        self._file: SpooledTemporaryFile[bytes] | None = None

    def in_order(self, rings: Rings) -> Iterator[tuple[int, tuple[Polygon, ...]]]:
        """Take finished objects and give those whose turn it is, by row in the table."""
        first, is_hole = rings.first.tolist(), (rings.area_px < 0).tolist()
        for start, stop in _groups(rings.owner):
            number = int(rings.owner[start])
            if number != self.next:
                sizes = [first[i + 1] - first[i] for i in range(start, stop)]
                self._hold(number, rings.xy[first[start] : first[stop]], sizes, is_hole[start:stop])
                continue
            yield (
                number,
                polygons_of([rings.xy[first[i] : first[i + 1]] for i in range(start, stop)], is_hole[start:stop]),
            )
            self.next += 1
            while self.next in self._places:
                yield self.next, self._held(self.next)
                self.next += 1

    def _hold(self, number: int, xy: NDArray[np.int32], sizes: list[int], is_hole: list[bool]) -> None:
        if self._file is None:
            self._file = SpooledTemporaryFile(max_size=HELD_IN_MEMORY_BYTES)  # noqa: SIM115 - closed when empty
        self._places[number] = (self._file.seek(0, 2), sizes, is_hole)
        self._file.write(np.ascontiguousarray(xy).data)

    def _held(self, number: int) -> tuple[Polygon, ...]:
        assert self._file is not None
        offset, sizes, is_hole = self._places.pop(number)
        self._file.seek(offset)
        xy = np.frombuffer(self._file.read(8 * sum(sizes)), np.int32).reshape(-1, 2)
        if not self._places:
            self._file.close()
            self._file = None
        return polygons_of(np.split(xy, np.cumsum(sizes)[:-1]), is_hole)
