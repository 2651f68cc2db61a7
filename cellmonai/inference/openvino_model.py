"""Converted networks as the cache holds them: found, checked byte by byte, and kept; no torch.

An entry is a folder with OpenVINO's graph and weights and a card. Nothing of it is believed: whatever is damaged, of
another model, another OpenVINO or another format counts as not there, and the network is converted again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from cellmonai.core.cache import open_cache, readable_caches, temporary_cache
from cellmonai.core.errors import OutputError
from cellmonai.core.files import atomic_folder
from cellmonai.inference.openvino_library import load_openvino, version
from cellmonai.inference.openvino_memory import OpenVinoMemory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Numbers = Literal["f32", "int8"]
"""What the weights of an entry are; `bf16` is computed from those in `f32`."""

FORMAT = 2
"""Grows with every change of how networks are converted, and of the card."""

CACHE_BYTES = 4 << 30
"""What all entries may take together; those not used for the longest time go first."""

_GRAPH, _WEIGHTS, _CARD = "model.xml", "model.bin", "card.json"
_CARD_BYTES_MAX = 1 << 20
_LITTER_SECONDS = 24 * 3600.0  # no conversion takes a day, so a folder that old was left by a process that was killed


@dataclass(frozen=True, slots=True)
class ConvertedCard:
    """What a converted network says of itself.

    Parameters
    ----------
    model_sha256 : of the model file it was made from
    numbers : `f32`, or `int8` where convolutions compute in 8-bit integers
    channels, outputs : of a window and of its logits
    divisor : what the sides of windows are multiples of, in px
    least_px : the shortest side that its graph takes; for shorter ones the engine repeats the edge, as the network does
    memory : what it takes in these numbers; bf16 takes less
    calibration : how int8 was calibrated and what it changed, None in f32
    openvino : version that made it, the only one that reads it
    """

    model_sha256: str
    numbers: Numbers
    channels: int
    outputs: int
    divisor: int
    least_px: int
    memory: OpenVinoMemory
    calibration: Mapping[str, Any] | None = None
    openvino: str = field(default_factory=version)


@dataclass(frozen=True, slots=True)
class ConvertedModel:
    """A converted network, whose bytes are those that were checked; `folder` is where they were read."""

    card: ConvertedCard
    graph: bytes = field(repr=False)
    weights: bytes = field(repr=False)
    folder: Path


def find_converted(
    model_sha256: str, *, channels: int, outputs: int, divisor: int, precision: str = "f32"
) -> ConvertedModel | None:
    """Give the conversion of a model file that this version of OpenVINO made; None where there is none to be trusted.

    Parameters
    ----------
    model_sha256 : digest of the model file, in hexadecimal
    channels, outputs, divisor : as the model's card has them
    precision : `f32`, `bf16` or `int8`

    Raises
    ------
    UsageError
        OpenVINO is not installed.
    """
    numbers: Numbers = "int8" if precision == "int8" else "f32"
    for cache in readable_caches():
        found = read_entry(_entry(cache, model_sha256, numbers))
        expected = (model_sha256, numbers, channels, outputs, divisor, version())
        if found is not None and expected == _identity(found.card):
            with suppress(OSError):  # the cache may be read-only
                os.utime(found.folder)  # so that the longest unused can be told
            return found
    return None


def read_entry(folder: Path) -> ConvertedModel | None:
    """Read an entry of the cache and check every byte of it; None where it is missing or damaged."""
    try:
        with (folder / _CARD).open("rb") as stream:
            document = json.loads(stream.read(_CARD_BYTES_MAX))
        graph, weights = (folder / _GRAPH).read_bytes(), (folder / _WEIGHTS).read_bytes()
        said = document.pop("sha256")
        if document["format"] != FORMAT or said != _digest_of(document):
            return None
        if document["files"] != {_GRAPH: _sha256(graph), _WEIGHTS: _sha256(weights)}:
            return None
        card = document["card"]
        return ConvertedModel(
            ConvertedCard(**card | {"memory": OpenVinoMemory(**card["memory"])}), graph, weights, folder
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def serialised(model: Any, folder: Path) -> tuple[bytes, bytes]:  # noqa: ANN401 - openvino.Model
    """Write a model into a folder as model.xml and model.bin, and give what they hold.

    Raises
    ------
    OutputError
        The folder cannot be written, or is full.
    """
    path = folder / _GRAPH
    try:
        # half-precision weights, the default, would give other results than torch
        load_openvino().save_model(model, path, compress_to_fp16=False)
        return path.read_bytes(), (folder / _WEIGHTS).read_bytes()
    except (OSError, RuntimeError) as error:
        raise OutputError(
            f"a converted network cannot be written ({error})",
            where=str(folder),
            cure="let the variable TMPDIR name a folder with space",
        ) from error


def keep_converted(card: ConvertedCard, graph: bytes, weights: bytes) -> Path:
    """Write a converted network into the cache and give its folder, whole or not at all.

    Where the cache cannot be written, or is full, the folder is one that lives as long as this process.

    Raises
    ------
    OutputError
        The folder for temporary files cannot be written either.
    """
    cache = open_cache()
    try:
        folder = _write(cache.folder, card, graph, weights)
    except OutputError as error:
        if cache.why_temporary:
            raise
        return _write(temporary_cache(error.what).folder, card, graph, weights)
    _remove_old(folder.parent, keep=folder)
    return folder


def _write(cache: Path, card: ConvertedCard, graph: bytes, weights: bytes) -> Path:
    target = _entry(cache, card.model_sha256, card.numbers)
    there = read_entry(target)
    if there is not None and (there.weights, there.card.calibration) == (weights, card.calibration):
        return target  # replaced, it would be missing for a moment, in which another process may look for it
    files = {_GRAPH: _sha256(graph), _WEIGHTS: _sha256(weights)}
    document = {"format": FORMAT, "card": asdict(card), "files": files}
    text = json.dumps(document | {"sha256": _digest_of(document)}, indent=2, allow_nan=False)
    try:
        with atomic_folder(target, overwrite=True) as folder:
            (folder / _GRAPH).write_bytes(graph)
            (folder / _WEIGHTS).write_bytes(weights)
            (folder / _CARD).write_text(text + "\n", encoding="utf-8")
    except OutputError:
        if read_entry(target) is None:  # else another process has just written the same
            raise
    return target


def _remove_old(entries: Path, *, keep: Path) -> None:
    """Remove what killed processes left, and the entries not used for the longest time where all take too much."""
    with suppress(OSError):
        folders = sorted((path.stat().st_mtime, path) for path in entries.iterdir() if path.is_dir() and path != keep)
        room = CACHE_BYTES - _size(keep)
        for used, folder in reversed(folders):
            litter = folder.name.startswith(".")
            room -= 0 if litter else _size(folder)
            if room < 0 or (litter and time.time() - used > _LITTER_SECONDS):
                shutil.rmtree(folder, ignore_errors=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _entry(cache: Path, model_sha256: str, numbers: Numbers) -> Path:
    key = "\n".join([model_sha256, version(), str(FORMAT), numbers])
    return cache / "openvino" / _sha256(key.encode())


def _identity(card: ConvertedCard) -> tuple[object, ...]:
    return card.model_sha256, card.numbers, card.channels, card.outputs, card.divisor, card.openvino


def _digest_of(document: Mapping[str, Any]) -> str:
    return _sha256(json.dumps(document, sort_keys=True, allow_nan=False).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
