"""Overlay and heat map of a plane of any size: all that is drawn from is made small first, a band at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.images.map_rows import map_rows
from cellmonai.inference.windows import Box
from cellmonai.report.pictures import block_mean, heatmap, overlay, reduction

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.images.rows import Rows
    from cellmonai.workflows.inferring.jobs import ImageJob
    from cellmonai.workflows.inferring.plane_reader import PlaneReader

_BAND_PX = 1 << 22


def draw_small(kind: str, plane: PlaneReader, job: ImageJob, mask: Rows, maps: Path) -> NDArray[np.uint8]:
    """Draw the `overlay` or `heatmap` of a plane, uint8 (h, w, 3), from its pixels and what was written of it."""
    step = reduction(job.shape)
    image = _reduced(lambda top, bottom: plane.read(Box(top, 0, bottom, job.shape[2])), job.shape, step)
    if kind == "overlay":
        return overlay(image, _centres(mask, step))
    probability = map_rows(maps, "foreground")
    shape = (1, *job.shape[1:])
    return heatmap(image, _reduced(lambda top, bottom: probability.rows(top, bottom)[None], shape, step)[0])


def _reduced(rows: Callable[[int, int], NDArray[Any]], shape: tuple[int, int, int], step: int) -> NDArray[Any]:
    """Average squares of `step` px of rows (C, h, X); at full size the pixels stay as they are."""
    _, height, width = shape
    band = max(1, _BAND_PX // (width * step)) * step
    parts = []
    for top in range(0, height, band):
        part = rows(top, min(top + band, height))
        parts.append(part if step == 1 else np.stack([block_mean(channel, step) for channel in part]))
    return np.concatenate(parts, axis=1)


def _centres(mask: Rows, step: int) -> NDArray[np.bool_]:
    """Take the pixel in the middle of every square of `step` px of a mask."""
    height, width = mask.shape
    columns = np.minimum(np.arange(0, width, step) + step // 2, width - 1)
    rows = np.minimum(np.arange(0, height, step) + step // 2, height - 1)
    if step == 1:
        return mask.rows(0, height)
    return np.concatenate([mask.rows(int(row), int(row) + 1)[:, columns] for row in rows])
