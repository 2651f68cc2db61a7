"""The counted planes as an audit needs them: with their label images and images on disk, read where tiles are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import UsageError
from cellmonai.images.open import open_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.core.progress import Reporter
    from cellmonai.workflows.auditing.draw import AuditDraw
    from cellmonai.workflows.counting.plan import CountPlan
    from cellmonai.workflows.counting.plane import CountedPlane
    from cellmonai.workflows.counting.settings import CountSettings

AUDIT_FOLDER = "audit"
AUDIT_COLUMNS = ("centroid_x_px", "centroid_y_px")
"""Columns of the cells that are kept for the draw."""


class FileRows:
    """Rows of a label image on disk, which is open only while it is read: there may be thousands of them."""

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        self.shape = shape
        self._path = path

    def rows(self, top: int, bottom: int) -> NDArray[Any]:
        """Give rows top to bottom, half-open."""
        with open_image(self._path) as source:
            rows: NDArray[Any] = source.read((top, 0, bottom, self.shape[1]))[0]
        return rows


def refuse_impossible_audit(shapes: Sequence[tuple[int, int]], settings: CountSettings) -> None:
    """Refuse, before anything is counted, an audit that could not be drawn whatever the count will be.

    Parameters
    ----------
    shapes : of every plane, (Y, X)
    settings : the audit, and the tile size where it was given

    Raises
    ------
    UsageError
        Fewer draws than two for each stratum.

    Notes
    -----
    Without a tile size the number of tiles follows from the count; the largest tiles give the fewest of them.
    """
    if settings.audit is None:
        return
    from cellmonai.workflows.auditing.frame import LARGEST_TILE_PX

    side = settings.audit_tile or LARGEST_TILE_PX
    tiles = sum(max(1, round(rows / side)) * max(1, round(columns / side)) for rows, columns in shapes)
    units = len(shapes) if settings.audit_unit == "fields" else tiles
    strata = max(1, min(settings.audit_strata, units // 2))
    if settings.audit < min(units, 2 * strata):
        groups = "1 stratum" if strata == 1 else f"{strata} strata"
        what = f"{settings.audit} cannot be drawn from {groups}, as each needs two"
        cure = f"draw at least {2 * strata}" + ", or ask for fewer strata" * (strata > 1)
        raise UsageError(what, where="--audit", cure=cure)


def drawn_audit(planes: Sequence[CountedPlane], plan: CountPlan, reporter: Reporter) -> AuditDraw | None:
    """Draw what a person shall count by hand, None where no audit was asked for; its paths are those of the end.

    Raises
    ------
    InputError, UsageError, OutputError
        As `auditing.draw.draw_audit`.
    """
    settings = plan.settings
    if settings.audit is None:
        return None
    from cellmonai.workflows.auditing.draw import AuditField, AuditSettings, draw_audit, file_image

    fields = [
        AuditField(
            name=plane.count.image,
            plane=plane.count.plane,
            shape=plane.job.shape,
            labels=FileRows(_written(plane.count.outputs[0], plan), plane.job.shape),
            image=file_image(
                plane.job.mask.image,
                plane=plane.job.image_plane or 0,
                memory=settings.memory,
                as_stored=plane.job.image_as_stored,
            )
            if plane.job.mask.image is not None and plane.job.image_plane is not None
            else None,
            owner_x=plane.cells["centroid_x_px"],
            owner_y=plane.cells["centroid_y_px"],
            diameter_px=float(np.sqrt(np.median(plane.areas_px) * (4 / np.pi))) if plane.areas_px.size else None,
        )
        for plane in planes
    ]
    how = AuditSettings(
        folder=settings.output / AUDIT_FOLDER,
        draws=settings.audit,
        unit=settings.audit_unit,
        tile_px=settings.audit_tile,
        strata=settings.audit_strata,
        bound=settings.audit_bound,
        seed=settings.audit_seed,
        overwrite=settings.overwrite,
    )
    draw = draw_audit(fields, settings=how, reporter=reporter)
    return draw.in_folder(plan.final / AUDIT_FOLDER)


def _written(name: str, plan: CountPlan) -> Path:
    """Give where a label image lies, which may have its name already where a run was killed as it ended."""
    path = plan.settings.output / name
    return path if path.exists() else plan.final / name
