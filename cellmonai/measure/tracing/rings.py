"""Closed rings around sets of pixels, put together from their corners."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.measure.tracing.corners import LEAVES_SIDEWAYS, OBJECT_ABOVE, OBJECT_LEFT, REACHES_DOWN, REACHES_RIGHT
from cellmonai.measure.tracing.ring_walk import walk_rings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.measure.tracing.corners import Corners

Polygon = tuple["NDArray[np.int32]", ...]
"""An outer ring and its holes, int32, shape (n, 2) each, corners x, y."""


@dataclass(frozen=True, slots=True)
class Rings:
    """Simple closed rings, owner after owner, each owner's by its first corner in raster order.

    Parameters
    ----------
    xy : int32, shape (N, 2), corners ring after ring; each ring starts at its first corner in raster order and does
        not repeat it
    first : int64, shape (R + 1,), where each ring starts in `xy`, and N
    owner : int64, shape (R,)
    area_px : int64, shape (R,), of what a ring encloses; negative for holes
    """

    xy: NDArray[np.int32]
    first: NDArray[np.int64]
    owner: NDArray[np.int64]
    area_px: NDArray[np.int64]


def rings_of(corners: Corners) -> Rings:
    """Link all corners of some objects to rings that neither cross nor touch themselves.

    Notes
    -----
    Edges of one grid line with the object on the same side do not overlap, so sorted corners pair up to edges without
    a walk over pixels. First each pixel keeps its own corner where two pixels of an object meet diagonally. A ring
    that then comes to such a point twice belongs to pixels which are connected elsewhere: it is cut there, into an
    outer ring and a hole, or two holes, that touch. The rings of one object so make valid polygons (OGC 06-103r4,
    6.1.11.1): each is simple, and two of them share single points at most.
    """
    corners = corners.take(_rank(corners.owner, corners.y, corners.x, corners.kind))
    following = _following(corners)
    order, first = walk_rings(following)
    touching = _self_contacts(corners, order, first)
    if touching.size:
        following[touching], following[touching + 1] = following[touching + 1], following[touching]
        order, first = walk_rings(following)
    x, y, ends = corners.x[order], corners.y[order], np.append(first, len(order))
    return Rings(
        xy=np.stack([x, y], axis=1).astype(np.int32),
        first=ends,
        owner=corners.owner[order[first]],
        area_px=_areas(x, y, first),
    )


def _following(corners: Corners) -> NDArray[np.int64]:
    """Give for each corner the one that the outline comes to next."""
    sideways = _partners(
        corners.y, OBJECT_ABOVE[corners.kind], corners.x, starts=REACHES_RIGHT[corners.kind], owner=corners.owner
    )
    upright = _partners(
        corners.x, OBJECT_LEFT[corners.kind], corners.y, starts=REACHES_DOWN[corners.kind], owner=corners.owner
    )
    return np.where(LEAVES_SIDEWAYS[corners.kind], sideways, upright)


def _partners(
    line: NDArray[np.int64],
    side: NDArray[np.bool_],
    place: NDArray[np.int64],
    *,
    starts: NDArray[np.bool_],
    owner: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Give the other end of each corner's edge; where one edge ends and the next starts, the end comes first."""
    order = _rank(line, side, place, starts)
    one, other = order[0::2], order[1::2]
    if len(one) != len(other) or (owner[one] != owner[other]).any() or not starts[one].all() or starts[other].any():
        raise ValueError("the corners do not close to rings: part of an object is missing")
    partner = np.empty(len(order), np.int64)
    partner[one], partner[other] = other, one
    return partner


def _rank(*columns: NDArray[Any]) -> NDArray[np.int64]:
    """Sort rows by their columns, the first one first: by one number per row where that fits, as it is quicker."""
    key, values = np.zeros(len(columns[0]), np.int64), 1
    for column in columns:
        least = int(column.min(initial=0))
        span = int(column.max(initial=0)) - least + 1
        values *= span
        if values >= 2**63:
            return np.lexsort(columns[::-1])
        key = key * span + (column - least if column.dtype.kind != "b" else column)
    return np.argsort(key, kind="stable")


def _self_contacts(corners: Corners, order: NDArray[np.int64], first: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the corners i at whose point the ring of i comes by again, as corner i + 1."""
    ring = np.empty(len(order), np.int64)
    ring[order] = np.repeat(np.arange(len(first)), np.diff(first, append=len(order)))
    same = (corners.y[1:] == corners.y[:-1]) & (corners.x[1:] == corners.x[:-1]) & (ring[1:] == ring[:-1])
    return np.flatnonzero(same)


def _areas(x: NDArray[np.int64], y: NDArray[np.int64], first: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the area in each ring: of its horizontal edges, those to the right count down, those to the left up."""
    following = np.arange(1, len(x) + 1)
    if len(first):
        following[np.append(first[1:], len(x)) - 1] = first
    under = (x - x[following]) * y
    return np.add.reduceat(under, first) if len(first) else np.zeros(0, np.int64)


def polygons_of(rings: list[NDArray[np.int32]], is_hole: list[bool]) -> tuple[Polygon, ...]:
    """Put the rings of one object into polygons: each an outer ring and its holes.

    Parameters
    ----------
    rings : int32, shape (n, 2) each, in raster order of their first corners
    is_hole : one per ring
    """
    if not any(is_hole):
        return tuple((ring,) for ring in rings)
    if all(is_hole[1:]):
        return (tuple(rings),)
    home = _outer_ring_of_each(rings, is_hole)
    polygons: dict[int, list[NDArray[np.int32]]] = {}
    for number, ring in enumerate(rings):
        polygons.setdefault(home[number], []).append(ring)
    return tuple(tuple(polygon) for polygon in polygons.values())


def _outer_ring_of_each(rings: list[NDArray[np.int32]], is_hole: list[bool]) -> list[int]:
    """Give for each ring the outer ring that it belongs to, by a sweep from top to bottom.

    The pixel above a hole's first corner belongs to the object; the next vertical edge at its left belongs to the outer
    ring around it, or to another hole in that, which the sweep has met before.
    """
    events: list[tuple[int, int, int, int]] = []  # y, 0 look / 1 edge ends / 2 edge starts, x, ring
    for number, ring in enumerate(rings):
        x, y = ring[:, 0].tolist(), ring[:, 1].tolist()
        if is_hole[number]:
            events.append((y[0], 0, x[0], number))
        for i in range(len(x)):
            if x[i] == x[i - 1]:
                top, bottom = sorted((y[i], y[i - 1]))
                events += [(top, 2, x[i], number), (bottom, 1, x[i], number)]
    home = list(range(len(rings)))
    crossed: list[tuple[int, int]] = []
    for _, what, x_here, number in sorted(events):
        if what == 0:
            home[number] = home[crossed[bisect_right(crossed, (x_here, len(rings))) - 1][1]]
        elif what == 1:
            del crossed[bisect_left(crossed, (x_here, number))]
        else:
            insort(crossed, (x_here, number))
    return home
