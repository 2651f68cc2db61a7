"""The frame of an audit: all units that could be drawn, their predicted counts, their strata, and the draw itself."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cellmonai.core.errors import InputError, UsageError
from cellmonai.measure.audits.size import neyman_allocation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from cellmonai.images.rows import Rows
    from cellmonai.images.source import Region

Unit = Literal["tiles", "fields"]

CELLS_PER_TILE = 30
LARGEST_TILE_PX = 1500
"""What a screen shows without making cells smaller."""

LEAST_TILE_DIAMETERS = 4.0
"""Smaller tiles are mostly border, where a person and the computer differ about who owns a cell."""

_TILE_WITHOUT_CELLS_PX = 256


@dataclass(frozen=True, slots=True)
class AuditField:
    """One counted plane as an audit needs it.

    Parameters
    ----------
    name, plane : of the image, as in the tables; may hold any characters
    shape : rows and columns in px
    labels : label image (Y, X), 0 background, 1 … N; read only where tiles are drawn
    image : gives a region (row0, column0, row1, column1) of the image as (C, h, w); None where no image is known
    owner_x, owner_y : shape (N,), the point of each object, in order of labels, that decides which tile it belongs to:
        its centroid in px, pixel centres at whole numbers, rounded to the nearest pixel here
    diameter_px : of a usual cell, None where unknown
    """

    name: str
    plane: str
    shape: tuple[int, int]
    labels: NDArray[Any] | Rows
    image: Callable[[Region], NDArray[Any]] | None
    owner_x: NDArray[Any]
    owner_y: NDArray[Any]
    diameter_px: float | None = None

    def owners(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give row and column of the pixel that owns each object, int64, shape (N,), inside the plane."""
        points = (np.floor(np.asarray(values, np.float64) + 0.5) for values in (self.owner_y, self.owner_x))
        row, column = (np.clip(p, 0, side - 1).astype(np.int64) for p, side in zip(points, self.shape, strict=True))
        return row, column


@dataclass(frozen=True, slots=True)
class AuditFrame:
    """All units that could be drawn.

    Parameters
    ----------
    fields : (image, plane, rows, columns) of every plane
    boxes : int64, shape (N, 5): number of the field, then row0, column0, row1, column1, half-open
    counts : int64, shape (N,), objects that the computer found in each unit
    strata : int64, shape (N,), 0 for the units with the fewest objects
    """

    fields: tuple[tuple[str, str, int, int], ...]
    boxes: NDArray[np.int64]
    counts: NDArray[np.int64]
    strata: NDArray[np.int64]

    @property
    def stratum_units(self) -> list[int]:
        """How many units each stratum has."""
        return [int(n) for n in np.bincount(self.strata)]


def make_frame(fields: Sequence[AuditField], *, tile_px: int | None, strata: int = 1) -> AuditFrame:
    """Cut every plane into tiles of about `tile_px`, or take it whole where that is None.

    Notes
    -----
    Tiles are half-open rectangles that fill the plane, all of one size but for a pixel. An object belongs to the tile
    that holds its point, so the counts of all tiles add up to the count of the plane, exactly.
    """
    boxes, counts = [], []
    for number, field in enumerate(fields):
        rows, columns = (_edges(side, tile_px or side) for side in field.shape)
        row, column = field.owners()
        place = [np.searchsorted(edges, at, side="right") - 1 for edges, at in ((rows, row), (columns, column))]
        tiles = (rows.size - 1) * (columns.size - 1)
        counts.append(np.bincount(place[0] * (columns.size - 1) + place[1], minlength=tiles))
        top, left = np.meshgrid(rows[:-1], columns[:-1], indexing="ij")
        bottom, right = np.meshgrid(rows[1:], columns[1:], indexing="ij")
        boxes.append(np.stack([np.full(tiles, number), *(a.ravel() for a in (top, left, bottom, right))], axis=1))
    every = np.concatenate(counts).astype(np.int64)
    names = tuple((field.name, field.plane, *field.shape) for field in fields)
    return AuditFrame(names, np.concatenate(boxes).astype(np.int64), every, _strata(every, strata))


def usual_tile_px(fields: Sequence[AuditField]) -> int:
    """Give the side of tiles that hold about 30 cells, which a person counts in half a minute."""
    cells = sum(len(field.owner_x) for field in fields)
    if not cells:
        return _TILE_WITHOUT_CELLS_PX
    pixels = sum(field.shape[0] * field.shape[1] for field in fields)
    side = math.sqrt(CELLS_PER_TILE * pixels / cells)
    diameters = [field.diameter_px for field in fields if field.diameter_px]
    least = LEAST_TILE_DIAMETERS * float(np.median(diameters)) if diameters else 1.0
    return max(1, round(min(max(side, least), LARGEST_TILE_PX)))


def frame_digest(frame: AuditFrame) -> str:
    """Give the SHA-256 of the list of fields, units and predicted counts, in hexadecimal."""
    digest = hashlib.sha256(repr(frame.fields).encode("utf-8", "surrogatepass"))
    for array in (frame.boxes, frame.counts, frame.strata):
        digest.update(np.ascontiguousarray(array, "<i8").tobytes())
    return digest.hexdigest()


def draw_order(seed: int, units: int) -> list[int]:
    """Shuffle the numbers 0 to units - 1: in the order of SHA-256("seed:number").

    Anybody can check it in any language, and no release of any library changes it.
    """
    keys = [hashlib.sha256(f"{seed}:{unit}".encode()).digest() for unit in range(units)]
    return sorted(range(units), key=keys.__getitem__)


def draw_units(frame: AuditFrame, sizes: Sequence[int], seed: int) -> list[int]:
    """Draw without replacement: the first `sizes[h]` units of stratum h in the shuffled order, strata mixed."""
    left = list(sizes)
    drawn = []
    for unit in draw_order(seed, frame.counts.size):
        stratum = int(frame.strata[unit])
        if left[stratum]:
            left[stratum] -= 1
            drawn.append(unit)
    return drawn


def sample_sizes(frame: AuditFrame, draws: int) -> tuple[int, ...]:
    """Share the draws among the strata; errors are taken to grow with the square root of the count."""
    units = frame.stratum_units
    if draws >= sum(units):
        return tuple(units)
    least = sum(min(2, n) for n in units)
    if draws < least:
        raise UsageError(
            f"{draws} unit{'s' * (draws != 1)} cannot be drawn from {len(units)} strata, as each needs two",
            cure=f"draw at least {least}, or ask for fewer strata",
        )
    means = [float(frame.counts[frame.strata == h].mean()) for h in range(len(units))]
    return neyman_allocation(units, [math.sqrt(mean + 1.0) for mean in means], draws)


def require_images(fields: Sequence[AuditField]) -> None:
    """Refuse an audit of what cannot be looked at: the mask alone would only confirm itself.

    Raises
    ------
    InputError
        Nothing was counted, or the image of a plane is not known.
    """
    if not fields:
        raise InputError("nothing was counted, so nothing can be audited", cure="count at least one mask")
    blind = [field.name for field in fields if field.image is None]
    if blind:
        more = f" (nor for {len(blind) - 1} more)" if len(blind) > 1 else ""
        raise InputError(
            f"no image is known for this mask{more}, and an audit counts cells in images",
            where=blind[0],
            cure="name the folder of the images with --images",
        )


def _edges(length: int, side: int) -> NDArray[np.int64]:
    parts = max(1, round(length / side))
    return np.array([i * length // parts for i in range(parts + 1)], np.int64)


def _strata(counts: NDArray[np.int64], wished: int) -> NDArray[np.int64]:
    """Cut the units, sorted by count, into parts of equal sums of √(count + 1); fewer where units are few."""
    number = max(1, min(wished, counts.size // 2))
    order = np.argsort(counts, kind="stable")
    weight = np.cumsum(np.sqrt(counts[order] + 1.0))
    cuts = [int(np.searchsorted(weight, weight[-1] * h / number, side="right")) for h in range(1, number)]
    for h in range(number - 1):  # at least two units each
        cuts[h] = min(max(cuts[h], (cuts[h - 1] if h else 0) + 2), counts.size - 2 * (number - 1 - h))
    strata = np.zeros(counts.size, np.int64)
    for cut in cuts:
        strata[order[cut:]] += 1
    return strata
