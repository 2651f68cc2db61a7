"""Filters on finished labels: by area and by the image border. What they remove, they count."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cellmonai.instances.settings import InstanceSettings

_PIXELS_AT_A_TIME = 1 << 20  # table look-ups and counts copy their input to whole words; bounds these copies


@dataclass(frozen=True, slots=True)
class Found:
    """Objects, and what the filters removed on the way to them.

    Parameters
    ----------
    labels : int32, shape (Y, X); 0 is background, objects are 1..N, numbered by their first pixel in raster order
    removed : how many objects fell to `min_area`, `max_area` and `border`; each counts once, under the first of them
    notes : other counts worth telling: `extra_pieces`, how many objects more than ids a label image held
    """

    labels: NDArray[np.int32]
    removed: Mapping[str, int]
    notes: Mapping[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many objects there are."""
        return int(self.labels.max(initial=0))


def filter_objects(labels: NDArray[np.int32], settings: InstanceSettings, *, notes: Mapping[str, int]) -> Found:
    """Remove objects by area and border, then close the gaps in the numbering.

    Parameters
    ----------
    labels : int32, shape (Y, X), objects 1..N without gaps in order of their first pixels; it is overwritten
    settings : `min_area_px`, `max_area_px` and `border` are used
    notes : passed on to the result

    Notes
    -----
    Objects keep their order, so the new numbers are again in order of first pixels. Numbering comes last: a removed
    object leaves no gap.
    """
    area = areas_px(labels)
    too_small = area < settings.min_area_px
    too_large = np.zeros_like(too_small) if settings.max_area_px is None else area > settings.max_area_px
    at_border = on_border(labels, area.size - 1) if settings.border == "exclude" else np.zeros_like(too_small)
    for background in (too_small, too_large, at_border):
        background[0] = False
    too_large &= ~too_small
    at_border &= ~(too_small | too_large)
    removed = {"min_area": int(too_small.sum()), "max_area": int(too_large.sum()), "border": int(at_border.sum())}
    if any(removed.values()):
        kept = ~(too_small | too_large | at_border)
        kept[0] = False
        number = np.where(kept, np.cumsum(kept, dtype=np.int32), np.int32(0))
        for part in _parts(labels):
            part[...] = number[part]
    return Found(labels, removed, dict(notes))


def areas_px(labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """Count the pixels of every label; int64, shape (N + 1,), the background's first."""
    total = np.zeros(int(labels.max(initial=0)) + 1, np.int64)
    for part in _parts(labels):
        total += np.bincount(part.ravel(), minlength=total.size)
    return total


def on_border(labels: NDArray[np.int32], count: int) -> NDArray[np.bool_]:
    """Tell which labels own a pixel of the image's first or last row or column; bool, shape (count + 1,)."""
    touches = np.zeros(count + 1, np.bool_)
    for line in (labels[:1], labels[-1:], labels[:, :1], labels[:, -1:]):
        touches[line.ravel()] = True
    return touches


def _parts(labels: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    rows = max(1, _PIXELS_AT_A_TIME // max(labels.shape[1], 1))
    return [labels[top : top + rows] for top in range(0, labels.shape[0], rows)]
