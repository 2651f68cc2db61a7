"""`infer --from run.json`: settings and images of a run, taken from its record and checked as if they were typed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import InputError, UsageError
from cellmonai.core.files import read_ordinary, sha256_of
from cellmonai.workflows.inferring.int8 import require_same_calibration
from cellmonai.workflows.inferring.settings import InferSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCHEMA = "cellmonai.run.infer/1"
_LARGEST_RECORD_BYTES = 256 * 2**20
_TEXTS = ("stitch", "device", "precision", "engine", "tta", "maps_dtype")
_AS_THEY_ARE = (
    "sliding_window",
    "memory",
    "threshold",
    "mc_dropout",
    "level",
    "um_per_px",
    "invert",
    "skip_background",
    "method",
)


def repeated_run(record: Path, images: Sequence[Path], typed: InferSettings) -> tuple[list[Path], InferSettings]:
    """Give images and settings of a run that is to be repeated.

    Parameters
    ----------
    record : run.json in the folder that a run wrote
    images, typed : what was given beside it: where the results go, whether they replace others, and who works

    Raises
    ------
    InputError
        It is no record of `infer`, or damaged; or the model is gone, or another one by now, or in 8-bit integers and
        calibrated anew.
    UsageError
        Images or other settings are given too.
    """
    output, overwrite = typed.output, typed.overwrite
    here = {"output": output, "overwrite": overwrite, "workers": typed.workers, "scheduler": typed.scheduler}
    if images or typed != InferSettings(**here):  # type: ignore[arg-type] # the values of these very fields
        raise UsageError(
            "the record says images and settings",
            where="--from",
            cure="give --output, --overwrite, --workers and --scheduler alone beside it",
        )
    document = _read(record)
    try:
        inputs = [Path(str(name)) for name in document["inputs"]]
        settings = _with_same_model(_settings(document["parameters"], here), document.get("model"))
        if settings.precision == "int8":
            require_same_calibration(document["model"], document["calibration"], record)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(
            f"is a damaged record ({type(error).__name__}: {error})", where=str(record), cure="give another run.json"
        ) from error
    return inputs, settings


def _read(record: Path) -> dict[str, Any]:
    try:
        document = json.loads(read_ordinary(record, _LARGEST_RECORD_BYTES))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(record), cure="check the path") from error
    except (ValueError, RecursionError) as error:
        raise InputError("is no JSON", where=str(record), cure="give the run.json of a run") from error
    if not isinstance(document, dict) or document.get("schema") != _SCHEMA:
        raise InputError("is no record of cellmonai infer", where=str(record), cure="give the run.json of a run")
    return document


def _settings(said: dict[str, Any], here: dict[str, Any]) -> InferSettings:
    window = said["window"]
    return InferSettings(
        model=None if said["model"] is None else Path(str(said["model"])),
        **here,
        recursive=bool(said.get("recursive", False)),
        shard=None if said.get("shard") is None else (int(said["shard"][0]), int(said["shard"][1])),
        window=None if window == "auto" else int(window),
        channels=tuple(str(name) for name in said["channels"]),
        planes=tuple(str(name) for name in said["planes"]),
        pictures=tuple(str(kind) for kind in said["pictures"]),
        at=None if said["at"] is None else (int(said["at"][0]), int(said["at"][1])),
        parameters=dict(said["set"]),
        **{name: str(said[name]) for name in _TEXTS},  # type: ignore[arg-type] # the settings check their words
        **{name: said[name] for name in _AS_THEY_ARE},
    )


def _with_same_model(settings: InferSettings, model: Any) -> InferSettings:  # noqa: ANN401 - any JSON value
    """Name the model's own file, which a later run under `runs/` must not replace, and check that it is the same."""
    if model is None:
        return settings
    path = Path(str(model["path"]))
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise InputError("the model of that run is gone", where=str(path), cure="put it back") from error
    if digest != model["sha256"]:
        raise InputError("the model was changed since that run", where=str(path), cure="put the same file there")
    return replace(settings, model=path)
