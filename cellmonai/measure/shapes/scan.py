"""One pass over a label image, strip by strip, that leaves what all columns of the object table are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.images.rows import strips
from cellmonai.measure.shapes.hull import HullBuilder
from cellmonai.measure.shapes.intensity import ValueSums
from cellmonai.measure.shapes.numbering import Numbering
from cellmonai.measure.shapes.tally import AREA, Tally

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.images.rows import Rows
    from cellmonai.measure.shapes.intensity import ChannelRows

_HALO = 2
"""Rows beside a strip that its border pixels depend on."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a pass leaves of N objects, in order of their labels.

    Parameters
    ----------
    label : int64, shape (N,)
    table : int64, shape (N, 13), see `shapes.tally`
    place : intp, shape (N,), what `corners` calls the labels
    corners : of the convex hulls, or None when they were not wanted
    values : float64, shape (C, N), sums of the image's values; C is 0 without an image
    """

    label: NDArray[np.int64]
    table: NDArray[np.int64]
    place: NDArray[np.intp]
    corners: HullBuilder | None
    values: NDArray[np.float64]


def scan_labels(labels: Rows, image: ChannelRows | None, *, strip_rows: int | None, with_hulls: bool) -> Scanned:
    """Read a label image and the image under it once, from top to bottom.

    Parameters
    ----------
    labels : integer, (Y, X), 0 is background
    image : (C, Y, X), or None
    strip_rows : rows read at a time, besides two on both sides; by default about a megapixel. The result is the same

    Raises
    ------
    InputError
        A label is negative.
    """
    numbering, tally, builder = Numbering(), Tally(with_outer=with_hulls), HullBuilder()
    sums = ValueSums(image.shape[0] if image is not None else 0)
    for top, bottom in strips(labels.shape, strip_rows=strip_rows):
        first, last = max(top - _HALO, 0), min(bottom + _HALO, labels.shape[0])
        window = numbering.places(labels.rows(first, last))
        highest = numbering.size - 1
        outer = tally.add(window, top, above=top - first, below=last - bottom, highest=highest)
        if with_hulls:
            builder.add(outer)
        if image is not None:
            sums.add(window[top - first : bottom - first], image.rows(top, bottom), highest=highest)
    name = numbering.labels()
    used = np.flatnonzero(tally.table[: name.size, AREA])
    order = used[np.argsort(name[used], kind="stable")]
    return Scanned(
        label=name[order],
        table=tally.table[order],
        place=order,
        corners=builder if with_hulls else None,
        values=sums.of(order) if order.size else np.zeros((0 if image is None else image.shape[0], 0)),
    )
