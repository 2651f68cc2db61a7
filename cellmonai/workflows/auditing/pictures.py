"""The pictures of an audit: which part of an image is read for a tile, and with what contrast it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.rows import as_rows
from cellmonai.report.audit import TileView, contrast_limits, overlay_picture, plain_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.core.progress import Reporter
    from cellmonai.images.source import Region
    from cellmonai.report.audit import Limits
    from cellmonai.workflows.auditing.frame import AuditField
    from cellmonai.workflows.auditing.record import AuditRecord

_SAMPLE_PX = 512  # contrast is taken from parts of this side, so that slides are not read whole
_SAMPLES_PER_SIDE = 4


def file_image(
    path: Path, *, plane: int = 0, memory: int | None = None, as_stored: bool = False
) -> Callable[[Region], NDArray[Any]]:
    """Give the reader of regions (C, h, w) that `AuditField.image` wants, for a plane of an image file.

    `as_stored` leaves an orientation tag alone, for masks that lie so.
    """

    def read(region: Region) -> NDArray[Any]:
        from cellmonai.images.open import open_image

        with open_image(
            path, memory=memory, as_stored=as_stored
        ) as source:  # not kept open: there may be thousands of files
            return source.read(region, plane=plane)

    return read


def draw_pictures(fields: Sequence[AuditField], record: AuditRecord, folder: Path, reporter: Reporter) -> list[Path]:
    """Write NNN.png and overlays/NNN_overlay.png for each unit drawn, field by field, and give their paths, sorted.

    Raises
    ------
    InputError
        An image cannot be read, or is not as large as its label image.
    OutputError
        A picture cannot be written.
    """
    from cellmonai.images.write import write_png

    written: list[Path] = []
    digits = max(3, len(str(len(record.drawn))))
    numbers = {unit: number for number, unit in enumerate(record.drawn, start=1)}
    last = -1
    limits: Limits = ()
    with reporter.stage("drawing the audit", len(numbers)) as stage:
        for unit in sorted(numbers):  # units of a field follow each other in the frame
            at, *box = (int(number) for number in record.frame.boxes[unit])
            field, number = fields[at], numbers[unit]
            if at != last:
                last, limits = at, _field_limits(field)
            title = f"{record.unit.removesuffix('s')} {number} of {len(numbers)}"
            view, region = _view(field, box, limits, title)
            name = f"{number:0{digits}d}"
            plain, over = folder / f"{name}.png", folder / "overlays" / f"{name}_overlay.png"
            write_png(plain, plain_picture(view), overwrite=True)
            write_png(over, _overlay(field, view, region, box), overwrite=True)
            written += [plain, over]
            stage.advance(note=name)
    return sorted(written)


def _view(field: AuditField, box: Sequence[int], limits: Limits, title: str) -> tuple[TileView, Region]:
    """Read a tile with so much around it that cells on its frame are seen whole."""
    row0, column0, row1, column1 = box
    margin = round(field.diameter_px or 0.15 * max(row1 - row0, column1 - column0)) + 2
    region = (
        max(row0 - margin, 0),
        max(column0 - margin, 0),
        min(row1 + margin, field.shape[0]),
        min(column1 + margin, field.shape[1]),
    )
    frame = (row0 - region[0], column0 - region[1], row1 - region[0], column1 - region[1])
    return TileView(_read(field, region), frame, limits, title), region


def _overlay(field: AuditField, view: TileView, region: Region, box: Sequence[int]) -> NDArray[np.uint8]:
    labels = as_rows(field.labels).rows(region[0], region[2])[:, region[1] : region[3]]
    row, column = field.owners()
    inside = (row >= box[0]) & (column >= box[1]) & (row < box[2]) & (column < box[3])
    owned = np.flatnonzero(inside) + 1
    words = f"the computer counted {owned.size:,} here: those with coloured outlines"
    return overlay_picture(view, labels, owned, words=words)


def _field_limits(field: AuditField) -> Limits:
    """Take the contrast from up to 16 parts spread over the field."""
    starts = []
    for side in field.shape:
        parts = min(_SAMPLES_PER_SIDE, -(-side // _SAMPLE_PX))
        starts.append([round(i * max(side - _SAMPLE_PX, 0) / max(parts - 1, 1)) for i in range(parts)])
    rows, columns = field.shape
    regions = [
        (top, left, min(top + _SAMPLE_PX, rows), min(left + _SAMPLE_PX, columns))
        for top in starts[0]
        for left in starts[1]
    ]
    return contrast_limits([_read(field, region) for region in regions])


def _read(field: AuditField, region: Region) -> NDArray[Any]:
    if field.image is None:  # refused before
        raise ValueError(f"{field.name} has no image")
    image = field.image(region)
    expected = region[2] - region[0], region[3] - region[1]
    if image.ndim != 3 or image.shape[1:] != expected:
        raise InputError(
            f"the image gives {image.shape} for a part of {expected}", where=field.name, cure="name its own image"
        )
    return image
