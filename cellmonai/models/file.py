"""The model file: safetensors with one JSON card, read here without torch and without trust.

Everything needed to run the model is in it and nothing that could be executed.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import DivergedError, InputError
from cellmonai.core.files import atomic_file
from cellmonai.models.card import FORMAT, Activation, ModelCard, card_of, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = [
    "FORMAT",
    "WITHOUT_DIGEST",
    "Activation",
    "ModelCard",
    "has_digest",
    "read_card",
    "read_tensors",
    "write_model",
]

WITHOUT_DIGEST = "the model has no digest, as those of earlier versions, so that damage to it may not be noticed"
"""To be told of a file that `has_digest` is false for."""

_KEY, _DIGEST_KEY = "cellmonai", "cellmonai_digest"
_DIGEST = re.compile(rb'"cellmonai_digest":"([0-9a-f]{64})"')  # quotes inside of texts have a backslash before them
_NO_DIGEST = "0" * 64
_HEADER_BYTES_MAX = 1 << 20
_TENSORS_MAX = 10_000
_BLOCK = 1 << 20
_CURE = "train or copy the model again"


def write_model(path: Path, card: ModelCard, tensors: Mapping[str, NDArray[Any]], *, overwrite: bool = False) -> None:
    """Write a model file, atomically; the same card and tensors give the same bytes.

    Raises
    ------
    InputError
        The card would be refused when it is read.
    DivergedError
        A tensor holds NaN or infinity.
    OutputError
        The file exists or cannot be written.
    """
    document = json.loads(json.dumps(card.as_json(), allow_nan=False, sort_keys=True))
    try:
        card_of({name: value for name, value in document.items() if name != "format"})
    except ValueError as error:
        raise InputError(f"the model would have a card with {error}", where=str(path)) from error
    for name, array in tensors.items():
        if problem := _problem_of(name, array):
            raise DivergedError(problem, where=str(path), cure="lower the learning rate")
    from safetensors.numpy import save

    data = save(dict(tensors))
    length = int.from_bytes(data[:8], "little")
    metadata = {_KEY: json.dumps(document, sort_keys=True), _DIGEST_KEY: _NO_DIGEST}
    header = json.dumps({"__metadata__": metadata, **json.loads(data[8 : 8 + length])}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    content = len(header).to_bytes(8, "little") + header + data[8 + length :]
    place = _DIGEST.search(content)
    assert place is not None, "it was just written"
    digest = hashlib.sha256(content).hexdigest().encode()
    with atomic_file(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(content[: place.start(1)] + digest + content[place.end(1) :])


def has_digest(path: Path) -> bool:
    """Tell whether a model file holds a digest of itself; those of earlier versions do not."""
    return _DIGEST_KEY in _metadata(_read_header(path)[0], path)


def read_card(path: Path) -> ModelCard:
    """Read the card of a model file, after comparing the whole file with its digest.

    Raises
    ------
    InputError
        Missing, cut in half, changed since it was written, not a model of cellmonai, written by a newer one, or with a
        card that does not fit; the sentence names the field.
    """
    header, start = _read_header(path)
    _require_digest(start, _blocks(path, len(start)), path)
    return _card_in(_metadata(header, path), path)


def read_tensors(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read all tensors, after the same checks as `read_card`.

    Raises
    ------
    InputError
        As `read_card`, or a tensor is of an unknown type or holds NaN or infinity.
    """
    header, start = _read_header(path)
    content = start + b"".join(_blocks(path, len(start)))
    _require_digest(start, iter([content[len(start) :]]), path)
    _card_in(_metadata(header, path), path)
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(f"is damaged ({error})", where=str(path), cure=_CURE) from error
    for name, array in tensors.items():
        if problem := _problem_of(name, array):
            raise InputError(problem, where=str(path), cure=_CURE)
    return tensors


def _problem_of(name: str, array: NDArray[Any]) -> str:
    """Say what is wrong with the numbers of a tensor; empty where nothing is."""
    if array.dtype.kind not in "fiub":
        return f"the tensor {name[:100]} holds values of type {array.dtype}"
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(array.size - np.count_nonzero(np.isfinite(array)))
        return f"the tensor {name[:100]} holds {bad:,} values that are NaN or infinite"
    if name.endswith("running_var") and array.size and array.min() < 0:
        return f"the tensor {name[:100]} holds a negative variance"
    return ""


def _card_in(metadata: Mapping[str, Any], path: Path) -> ModelCard:
    try:
        document = json.loads(metadata[_KEY])
        version = document.pop("format")
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(
            "is no model of cellmonai", where=str(path), cure="give a model.safetensors of a run"
        ) from error
    if type(version) is not int or version != FORMAT:
        raise InputError(
            f"has model format {shown(version)}, this cellmonai reads format {FORMAT}",
            where=str(path),
            cure="update cellmonai",
        )
    try:
        return card_of(document)
    except ValueError as error:
        raise InputError(f"has a card with {error}", where=str(path), cure=_CURE) from error


def _metadata(header: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Give the metadata; a name that was not written here may be that of a digest with a changed letter."""
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or _KEY not in metadata:
        raise InputError("is no model of cellmonai", where=str(path), cure="give a model.safetensors of a run")
    if unknown := sorted(set(metadata) - {_KEY, _DIGEST_KEY, "format"}):
        raise InputError(f"is damaged, its metadata hold {unknown[0][:60]!r}", where=str(path), cure=_CURE)
    return metadata


def _require_digest(start: bytes, rest: Iterator[bytes], path: Path) -> None:
    """Compare the file with the digest in its header `start`, which was computed with zeros in its own place."""
    found = list(_DIGEST.finditer(start))
    if not found:
        if b'"' + _DIGEST_KEY.encode() + b'"' in start:
            raise InputError("is damaged, its digest cannot be read", where=str(path), cure=_CURE)
        return  # written before there were digests
    place = found[0]
    digest = hashlib.sha256(start[: place.start(1)] + _NO_DIGEST.encode() + start[place.end(1) :])
    for block in rest:
        digest.update(block)
    if len(found) > 1 or digest.hexdigest().encode() != place[1]:
        raise InputError(
            "is damaged or was changed: it is not what its digest was made of", where=str(path), cure=_CURE
        )


def _blocks(path: Path, offset: int) -> Iterator[bytes]:
    """Give what lies behind the header."""
    with path.open("rb") as stream:
        stream.seek(offset)
        while block := stream.read(_BLOCK):
            yield block


def _read_header(path: Path) -> tuple[dict[str, Any], bytes]:
    """Read the JSON header, and the bytes up to its end; its size, and the size it gives the file, are checked."""
    size = _size_of(path)
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
            length = int.from_bytes(start, "little")
            if not 2 <= length <= min(_HEADER_BYTES_MAX, size - 8):
                raise InputError("is no model file or is cut off", where=str(path), cure=_CURE)
            start += stream.read(length)
        header = json.loads(start[8:])
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot be read ({reason})", where=str(path), cure="check the path of the model") from error
    except (ValueError, RecursionError) as error:
        raise InputError("is no model file", where=str(path), cure=_CURE) from error
    try:
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        promised = 8 + length + max(ends, default=0)
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        raise InputError("is no model file", where=str(path), cure=_CURE) from error
    if len(ends) > _TENSORS_MAX or type(promised) is not int or promised != size:
        raise InputError(f"holds {size:,} bytes, which is not what its header promises", where=str(path), cure=_CURE)
    return dict(header), start


def _size_of(path: Path) -> int:
    """Give the size of an ordinary file; a pipe would be waited for, and a device read without end."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such file"
        raise InputError(f"cannot be read ({reason})", where=str(path), cure="check the path of the model") from error
    if not stat.S_ISREG(status.st_mode):
        raise InputError("is no ordinary file", where=str(path), cure="give a model.safetensors of a run")
    return status.st_size
