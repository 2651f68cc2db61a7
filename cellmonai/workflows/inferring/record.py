"""What `infer` left in a folder: which file is a mask, of which image, with which maps and which operating point."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import InputError, UsageError
from cellmonai.core.files import read_ordinary
from cellmonai.core.staging import refuse_half_placed
from cellmonai.instances.settings import InstanceSettings

if TYPE_CHECKING:
    from cellmonai.core.units import PixelSize

RECORD_NAME = "run.json"
JOURNAL_NAME = ".infer.journal"
"""Of the file that lies in the folder until a run has ended."""

SHARDS = ".shards"
"""Folder in which parts of a run leave their records until all of them are there."""

_SCHEMA = "cellmonai.run.infer/"
_VERSION = "1"
_LARGEST_RECORD_BYTES = 256 * 2**20
_INFERENCE = ("stitch", "invert", "tta", "precision")


@dataclass(frozen=True, slots=True)
class RecordedModel:
    """Which model made masks, and how it was run.

    Parameters
    ----------
    path : the file as `infer` was given it, which may be gone by now
    sha256 : its digest at that time, in hexadecimal; empty where the record does not say
    inference : what decides the result beside the operating point: name and value of `stitch`, `invert`, `tta`,
        `precision`
    """

    path: Path
    sha256: str = ""
    inference: tuple[tuple[str, str | bool], ...] = ()


@dataclass(frozen=True, slots=True)
class InferredMask:
    """One finished mask; `image` is the path as the user of `infer` typed it, which may be gone by now.

    `channels` are the indices of the image's channels that the model saw; empty where the record does not say.
    """

    mask: Path
    image: Path
    plane: str
    maps: Path | None
    pixel_size_um: PixelSize | None
    channels: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class InferRecord:
    """The record of one output folder of `infer`.

    Parameters
    ----------
    failed : the images that have no mask
    made_by : the model, with its digest and how it was run
    finished : whether the run came to its end; a record without an end is of one that did not
    """

    masks: tuple[InferredMask, ...]
    failed: tuple[str, ...]
    operating_point: InstanceSettings
    finished: bool = True
    made_by: RecordedModel | None = None


def read_infer_record(folder: Path) -> InferRecord | None:
    """Read the record of `infer` in `folder`; None where there is none, or one of another program or command.

    Raises
    ------
    InputError
        The record is of `infer`, but of an unknown version, damaged, or names files outside the folder; or parts of a
        run are still missing; or results of any command were being put in place there when it was stopped.
    """
    refuse_half_placed(folder)
    path = folder / RECORD_NAME
    if (folder / SHARDS).is_dir() and not path.exists():
        raise InputError(
            "parts of a run with --shard are still missing", where=str(folder), cure="wait for them or run them again"
        )
    if not path.is_file():
        return None
    try:
        document = json.loads(read_ordinary(path, _LARGEST_RECORD_BYTES))
    except (OSError, ValueError, RecursionError):  # not ours: ours is written whole or not at all
        return None
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, str) or not schema.startswith(_SCHEMA):
        return None
    if schema != _SCHEMA + _VERSION:
        raise InputError(
            f"the record has the format {schema!r}, expected {_SCHEMA + _VERSION!r}",
            where=str(path),
            cure="update cellmonai, or run cellmonai infer again",
        )
    return _read(document, folder, path)


def _read(document: dict[str, Any], folder: Path, path: Path) -> InferRecord:
    try:
        entries = list(document["images"])
        return InferRecord(
            masks=tuple(_mask(entry, folder) for entry in entries if entry["status"] == "done"),
            failed=tuple(str(entry["image"]) for entry in entries if entry["status"] != "done"),
            operating_point=InstanceSettings.from_json(document.get("operating_point") or {}),
            made_by=_made_by(document),
            finished=document.get("ended", "") is not None and document.get("outcome", "done") == "done",
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, UsageError) as error:
        reason = error.what if isinstance(error, UsageError) else f"{type(error).__name__}: {error}"
        raise InputError(
            f"the record of cellmonai infer is damaged ({reason})", where=str(path), cure="run cellmonai infer again"
        ) from error


def _mask(entry: dict[str, Any], folder: Path) -> InferredMask:
    maps = entry.get("maps")
    return InferredMask(
        mask=_inside(entry["mask"], folder),
        image=Path(str(entry["image"])),
        plane=str(entry.get("plane") or ""),
        maps=_inside(maps, folder) if maps else None,
        pixel_size_um=_pixel_size(entry.get("pixel_size_um")),
        channels=_channels(entry.get("channels") or []),
    )


def _model(facts: Any) -> Path | None:  # noqa: ANN401 - any JSON value
    path = facts.get("path") if isinstance(facts, dict) else facts
    return Path(path) if isinstance(path, str) else None


def _made_by(document: dict[str, Any]) -> RecordedModel | None:
    facts, parameters = document.get("model"), document.get("parameters")
    if not isinstance(facts, dict) or (path := _model(facts)) is None:
        return None
    said = {**(parameters if isinstance(parameters, dict) else {}), **document}  # what was done, before what was asked
    inference = [(name, said[name]) for name in _INFERENCE if isinstance(said.get(name), str | bool)]
    return RecordedModel(path, str(facts.get("sha256") or ""), tuple(inference))


def _channels(values: Any) -> tuple[int, ...]:  # noqa: ANN401 - any JSON value
    channels = tuple(int(value) for value in values)
    if any(channel < 0 for channel in channels):
        raise ValueError(f"channels {values!r}")
    return channels


def _inside(name: Any, folder: Path) -> Path:  # noqa: ANN401 - any JSON value
    """Give the file `name` of the folder; a record must not make us read files elsewhere."""
    if not isinstance(name, str) or Path(name).name != name or name in {"", "..", "."}:
        raise ValueError(f"{name!r} is no file of the folder")
    return folder / name


def _pixel_size(value: Any) -> PixelSize | None:  # noqa: ANN401 - any JSON value
    if value is None:
        return None
    y, x = (float(side) for side in value)
    if not (math.isfinite(y) and math.isfinite(x) and y > 0 and x > 0):
        raise ValueError(f"pixel size {value!r}")
    return y, x
