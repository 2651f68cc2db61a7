"""What an audit freezes before anybody counts: the list of units, the seed, the draw, the bounds, and a digest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.core.files import read_ordinary, write_text
from cellmonai.workflows.auditing.frame import AuditFrame, draw_units

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SCHEMA = "cellmonai.audit-draw/1"
_MOST_BYTES = 1 << 28  # millions of units
_LARGEST = 1 << 31  # of a side in px, a bound, or a count
_COLUMNS = ("field", "row0", "column0", "row1", "column1", "stratum", "ai_count")


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """A frozen draw.

    Parameters
    ----------
    frame : all units
    unit : "tiles" or "fields"
    seed, seed_given : what shuffles the units; given by the user, or else made of the digest of the frame
    sizes : how many units of each stratum were drawn
    bounds : declared greatest absolute error of a unit, for each stratum
    drawn : units in the order of the pictures
    strata_asked : how many strata were asked for; there are fewer where units are few
    """

    frame: AuditFrame
    unit: str
    seed: int
    seed_given: bool
    sizes: tuple[int, ...]
    bounds: tuple[int, ...]
    drawn: tuple[int, ...]
    strata_asked: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Give the frozen document, without its digest."""
        frame = self.frame
        units = np.column_stack([frame.boxes, frame.strata, frame.counts])
        return {
            "schema": SCHEMA,
            "unit": self.unit,
            "seed": self.seed,
            "seed_given": self.seed_given,
            "draw": "units in order of sha256('seed:number'); of stratum h the first sizes[h]",
            **({"strata_asked": self.strata_asked} if self.strata_asked is not None else {}),
            "sizes": list(self.sizes),
            "bounds": list(self.bounds),
            "drawn": list(self.drawn),
            "fields": [list(field) for field in frame.fields],
            "columns": list(_COLUMNS),
            "units": units.tolist(),
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the frozen document, in hexadecimal."""
        return _digest(self.as_json())

    @property
    def mark(self) -> str:
        """What every row of the sheet carries, so that sheet and draw cannot be mixed up."""
        return sheet_mark(self.digest)


def sheet_mark(digest: str) -> str:
    """Give the short form of a digest; the word in front keeps spreadsheets from reading it as a number."""
    return f"audit-{digest[:12]}"


def write_record(path: Path, record: AuditRecord, *, overwrite: bool) -> None:
    """Write the frozen draw as JSON, one unit a line."""
    document = record.as_json()
    document["digest"] = _digest(document)
    parts = []
    for key, value in document.items():
        lines = key in ("fields", "units") and value
        text = "[\n  " + ",\n  ".join(json.dumps(row) for row in value) + "\n ]" if lines else json.dumps(value)
        parts.append(f" {json.dumps(key)}: {text}")
    write_text(path, "{\n" + ",\n".join(parts) + "\n}\n", overwrite=overwrite)


def read_record(path: Path) -> AuditRecord:
    """Read a frozen draw, and check that it is what was frozen.

    Raises
    ------
    InputError
        The file is missing, damaged, was changed since the draw, or its units are not those that its seed draws.
    """
    document = _loaded(path)
    said = document.pop("digest", None)
    if document.get("schema") != SCHEMA or not isinstance(said, str):
        raise _not_a_draw(path)
    try:
        is_same = _digest(document) == said
    except (ValueError, RecursionError) as error:
        raise _not_a_draw(path) from error
    if not is_same:
        raise InputError(
            "the list of units was changed after the draw, so the counts prove nothing",
            where=str(path),
            cure="put back the audit.json that was drawn, or draw and count a new audit",
        )
    try:
        record = _parsed(document)
        is_drawn = draw_units(record.frame, record.sizes, record.seed) == list(record.drawn)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise _not_a_draw(path) from error
    if not is_drawn:
        raise InputError("the units are not those that the seed draws", where=str(path), cure="draw a new audit")
    return record


def _parsed(document: dict[str, Any]) -> AuditRecord:
    units = np.array(document["units"], np.int64)
    names = tuple((str(name), str(plane), int(rows), int(columns)) for name, plane, rows, columns in document["fields"])
    _check_units(units, np.array([field[2:] for field in names], np.int64))
    frame = AuditFrame(names, units[:, :5], units[:, 6], units[:, 5])
    sizes, bounds = (tuple(int(number) for number in document[key]) for key in ("sizes", "bounds"))
    fits = len(sizes) == len(bounds) == len(frame.stratum_units) and min(sizes) >= 1 and min(bounds) >= 1
    fits = fits and max(bounds) <= _LARGEST
    if not fits or any(size > n for size, n in zip(sizes, frame.stratum_units, strict=True)):
        raise ValueError(f"sizes {sizes} and bounds {bounds} do not fit {frame.stratum_units}")
    drawn = tuple(int(unit) for unit in document["drawn"])
    unit, given = str(document["unit"]), bool(document["seed_given"])
    asked = int(document["strata_asked"]) if "strata_asked" in document else None
    return AuditRecord(frame, unit, int(document["seed"]), given, sizes, bounds, drawn, asked)


def _check_units(units: NDArray[np.int64], sides: NDArray[np.int64]) -> None:
    """Refuse numbers that no draw writes, before any array is made as large as they say."""
    if units.ndim != 2 or units.shape[1] != len(_COLUMNS) or not len(units) or (units < 0).any():
        raise ValueError(f"units are {units.shape}")
    field, row0, column0, row1, column1, stratum, count = units.T
    if field.max() >= len(sides) or stratum.max() >= len(units) or max(sides.max(), count.max()) > _LARGEST:
        raise ValueError("a field, a stratum, a side or a count is beyond what there can be")
    inside = (row0 < row1) & (row1 <= sides[field, 0]) & (column0 < column1) & (column1 <= sides[field, 1])
    if not inside.all():
        raise ValueError("a box is empty or not inside of its field")


def _loaded(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(read_ordinary(path, _MOST_BYTES))
    except FileNotFoundError as error:
        raise InputError(
            "the list of units that belongs to the sheet is missing",
            where=str(path),
            cure="keep audit.csv and audit.json in one folder, as they were drawn",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise _not_a_draw(path) from error
    if not isinstance(document, dict):
        raise _not_a_draw(path)
    return document


def _digest(document: dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _not_a_draw(path: Path) -> InputError:
    return InputError("it is not what count --audit writes", where=str(path), cure="draw a new audit")
