"""Draw an audit: pictures for a person to count in, a sheet to fill, and the frozen list of what was drawn."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError, OutputError, UsageError
from cellmonai.core.files import refuse_existing, write_text
from cellmonai.core.progress import Reporter, Silent
from cellmonai.measure.audits.estimates import StratumSample, guaranteed_interval
from cellmonai.report.audit_words import audit_instructions
from cellmonai.report.csv import write_csv
from cellmonai.workflows.auditing.frame import (
    AuditField,
    AuditFrame,
    Unit,
    draw_units,
    frame_digest,
    make_frame,
    require_images,
    sample_sizes,
    usual_tile_px,
)
from cellmonai.workflows.auditing.pictures import draw_pictures, file_image
from cellmonai.workflows.auditing.reading import read_audit
from cellmonai.workflows.auditing.record import AuditRecord, write_record
from cellmonai.workflows.auditing.sheet import read_sheet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = [
    "AuditDraw",
    "AuditField",
    "AuditSettings",
    "draw_audit",
    "file_image",
    "read_audit",
    "refuse_audit_in_the_way",
]

LEAST_BOUND = 10
"""Cells by which a unit may be off, at least: near-empty units would promise too much otherwise."""

BOUND_SHARE = 0.5
"""Of the count of the fullest unit: the computer may lose or invent half of it. The width is in proportion to it."""

_SHEET, _RECORD, _README = "audit.csv", "audit.json", "README.txt"
_PICTURE_NAME = re.compile(r"\d{3,}(_overlay)?\.png")


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """How an audit is drawn.

    Parameters
    ----------
    folder : where it goes, for instance counts/audit
    draws : how many tiles or fields to draw; all where there are fewer
    unit : "tiles" of equal size, or whole "fields"
    tile_px : side of tiles; None takes one that holds about 30 cells
    strata : from 2 on, units with few and many predicted cells are drawn apart
    bound : declared greatest error of a unit in cells; None takes half of the count of the fullest one (in each
        stratum), at least 10
    seed : None takes one from the list of units, so that a draw cannot be repeated until it pleases
    overwrite : replace an audit that nobody has begun to fill
    """

    folder: Path
    draws: int
    unit: Unit = "tiles"
    tile_px: int | None = None
    strata: int = 1
    bound: int | None = None
    seed: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        limits = {"draws": self.draws, "tile_px": self.tile_px, "strata": self.strata, "bound": self.bound}
        for name, value in limits.items():
            if value is not None and value < 1:
                raise UsageError(f"{name} of the audit is {value}, expected 1 or more", cure="give a positive number")
        if self.tile_px is not None and self.unit == "fields":
            raise UsageError("fields have no tile size", cure="draw tiles, or leave the tile size out")


@dataclass(frozen=True, slots=True)
class AuditDraw:
    """What was drawn and written.

    Parameters
    ----------
    folder : with the pictures, audit.csv, audit.json and README.txt
    record : what was frozen
    half_width : of the total in cells, as it will be if the units drawn show no error
    outputs : every file, the sheet first
    """

    folder: Path
    record: AuditRecord
    half_width: float
    outputs: tuple[Path, ...]

    def in_folder(self, folder: Path) -> AuditDraw:
        """Give the draw as it is once its folder has become `folder`."""
        moved = tuple(folder / path.relative_to(self.folder) for path in self.outputs)
        return replace(self, folder=folder, outputs=moved)

    @property
    def ai_total(self) -> int:
        """Cells in all units as the computer counted them."""
        return int(self.record.frame.counts.sum())

    @property
    def sheet(self) -> Path:
        """The table to fill."""
        return self.folder / _SHEET

    @property
    def bound_words(self) -> str:
        """Give the declared bound, or those of the strata, as "20" or "10 to 24"."""
        least, most = min(self.record.bounds), max(self.record.bounds)
        return f"{least:,}" if least == most else f"{least:,} to {most:,} (by its predicted count)"

    @property
    def sentence(self) -> str:
        """Say what was drawn and what can be had from it, in one line."""
        units, drawn, unit = self.record.frame.counts.size, len(self.record.drawn), self.record.unit
        if drawn == units:
            return f"audit: all {units:,} {unit} drawn, counting them gives the total itself"
        share = f" ({100 * self.half_width / self.ai_total:.1f} %)" if self.ai_total else ""
        return (
            f"audit: {drawn:,} of {units:,} {unit} drawn; if they show no error, the total of {self.ai_total:,} is "
            f"known at 95 % to ±{self.half_width:,.0f} cells{share}, given that no {unit.removesuffix('s')} is off by "
            f"more than {self.bound_words}"
        )

    def as_json(self) -> dict[str, Any]:
        """Give the block that the documents of `count` hold."""
        return {
            "sheet": self.sheet.as_posix(),
            "unit": self.record.unit,
            "units": int(self.record.frame.counts.size),
            "drawn": len(self.record.drawn),
            "strata": len(self.record.sizes),
            "strata_asked": self.record.strata_asked,
            "bounds": list(self.record.bounds),
            "seed": self.record.seed,
            "digest": self.record.digest,
            "half_width_without_errors": round(self.half_width, 1),
        }


def draw_audit(fields: Sequence[AuditField], *, settings: AuditSettings, reporter: Reporter | None = None) -> AuditDraw:
    """Draw units of counted planes for a person to count, and write pictures, sheet, record and instructions.

    Parameters
    ----------
    fields : every counted plane; all of them together are what the audited total is about
    settings : how to draw and where to write
    reporter : told of the draw and of progress

    Raises
    ------
    InputError
        Nothing was counted, a plane has no image, or an image cannot be read.
    UsageError
        Too few draws for the strata.
    OutputError
        There is an audit already (and `overwrite` is not set, or somebody has begun to fill it), or no file can be
        written.
    """
    reporter = reporter or Silent()
    require_images(fields)
    folder = settings.folder
    refuse_audit_in_the_way(folder, overwrite=settings.overwrite)
    _clear(folder)
    tile_px = None if settings.unit == "fields" else settings.tile_px or usual_tile_px(fields)
    frame = make_frame(fields, tile_px=tile_px, strata=settings.strata)
    record = _drawn(frame, settings)
    pictures = draw_pictures(fields, record, folder, reporter)
    outputs = (folder / _SHEET, folder / _RECORD, folder / _README, *pictures)
    draw = AuditDraw(folder, record, _half_width_without_errors(record), outputs)
    _write_papers(draw, overwrite=settings.overwrite)
    if len(record.sizes) < settings.strata:
        made = f"{len(record.sizes)} {'stratum' if len(record.sizes) == 1 else 'strata'}"
        reporter.note(
            f"audit: {made} instead of {settings.strata}, as each needs two of the {frame.counts.size:,} units"
        )
    reporter.note(draw.sentence)
    return draw


def _drawn(frame: AuditFrame, settings: AuditSettings) -> AuditRecord:
    seed = settings.seed if settings.seed is not None else int(frame_digest(frame)[:12], 16)
    sizes = sample_sizes(frame, settings.draws)
    fullest = [int(frame.counts[frame.strata == h].max()) for h in range(len(sizes))]
    bounds = [settings.bound or max(LEAST_BOUND, math.ceil(BOUND_SHARE * most)) for most in fullest]
    drawn = draw_units(frame, sizes, seed)
    return AuditRecord(
        frame, settings.unit, seed, settings.seed is not None, sizes, tuple(bounds), tuple(drawn), settings.strata
    )


def _half_width_without_errors(record: AuditRecord) -> float:
    strata = [
        StratumSample(units, size, bound, np.zeros(size))
        for units, size, bound in zip(record.frame.stratum_units, record.sizes, record.bounds, strict=True)
    ]
    low, high = guaranteed_interval(strata) or (0.0, 0.0)
    return (high - low) / 2.0


def refuse_audit_in_the_way(folder: Path, *, overwrite: bool) -> None:
    """Refuse to replace an audit unless told to, and one with counts in it always; for a look before long work too.

    Raises
    ------
    OutputError
        There is an audit and `overwrite` is not set, or its sheet holds counts or cannot be read.
    """
    sheet = folder / _SHEET
    refuse_existing((sheet, folder / _RECORD), overwrite=overwrite)
    if sheet.exists():
        begun = True
        with suppress(InputError):
            begun = any(row.count is not None for row in read_sheet(sheet).rows)
        if begun:
            raise OutputError(
                "somebody has begun to fill this sheet, and its counts would be lost",
                where=str(sheet),
                cure="move the folder away, or draw into another --output",
            )


def _clear(folder: Path) -> None:
    """Remove the pictures of an audit that is replaced, which the new one may not name again."""
    for place in (folder, folder / "overlays"):
        for old in place.glob("*.png"):
            if _PICTURE_NAME.fullmatch(old.name):
                old.unlink(missing_ok=True)
    for name in (_SHEET, _RECORD):  # a sheet without its pictures must not look finished
        (folder / name).unlink(missing_ok=True)


def _write_papers(draw: AuditDraw, *, overwrite: bool) -> None:
    """Write the sheet last but for nothing: when it is there, the audit is complete."""
    record, folder = draw.record, draw.folder
    pictures = [path.name for path in draw.outputs if path.parent == folder and path.suffix == ".png"]
    text = audit_instructions(
        unit=record.unit,
        drawn=len(record.drawn),
        units=int(record.frame.counts.size),
        bound=f"the computer is off by no more than {draw.bound_words} cells in any {record.unit.removesuffix('s')}",
        digest=record.digest,
        pictures=pictures,
    )
    write_text(folder / _README, text, overwrite=True)
    write_record(folder / _RECORD, record, overwrite=overwrite)
    columns: dict[str, list[Any]] = {
        "unit": list(range(1, len(record.drawn) + 1)),
        "picture": pictures,
        "true_count": [None] * len(pictures),
        "note": [None] * len(pictures),
        "audit": [record.mark] * len(pictures),
    }
    write_csv(draw.sheet, columns, overwrite=overwrite)
