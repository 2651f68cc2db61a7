"""The header of one Zarr array, version 2 or 3, checked before a library is let at it.

What passed is written down again as a version 3 header, and only that reaches the library: no codec is run that is not
named here (some of those that exist unpickle Python objects), and no key leads out of the array's folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.zarr_inflate import INFLATABLE
from cellmonai.images.zarr_json import read_json, refused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAX_SHARD_PARTS = 2**22
"""Chunks in one shard; their places in it, 16 bytes each, are read anew with every chunk."""

INFLATE = "cellmonai.inflate"
"""Name of our codec in the headers that are handed on; see zarr_store.py."""

_TYPES = {"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
_TYPES |= {"float16", "float32", "float64"}
_OLD_TYPES = {"b1": "bool", "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64", "u1": "uint8", "u2": "uint16"}
_OLD_TYPES |= {"u4": "uint32", "u8": "uint64", "f2": "float16", "f4": "float32", "f8": "float64"}


@dataclass(frozen=True, slots=True)
class ZarrArray:
    """One array as its header tells.

    Parameters
    ----------
    folder : where its chunks lie
    shape : of the array, slowest axis first
    chunks : shape of the least that can be decoded
    files : shape of what one file holds: a chunk, or a shard of many
    dtype : in native byte order
    header : a version 3 header with known codecs only
    """

    folder: Path
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    files: tuple[int, ...]
    dtype: np.dtype[Any]
    header: dict[str, Any]

    @property
    def chunk_bytes(self) -> int:
        """Bytes of one decoded chunk."""
        return prod(self.chunks) * self.dtype.itemsize

    @property
    def most_stored_bytes(self) -> int:
        """Bytes that a chunk may take in a file: no compression in use makes data much longer."""
        return _with_slack(self.chunk_bytes)

    @property
    def most_file_bytes(self) -> int:
        """Bytes that one file may have."""
        return self.shard_parts * (self.most_stored_bytes + 16) + 4096

    @property
    def shard_parts(self) -> int:
        """Chunks in one file."""
        return prod(self.files) // prod(self.chunks)

    @property
    def file_count(self) -> int:
        """Files that the array has when every chunk is stored."""
        return prod(ceil(n / m) for n, m in zip(self.shape, self.files, strict=True))


def _with_slack(count: int) -> int:
    return count + count // 64 + 4096


def read_header(folder: Path) -> ZarrArray:
    """Read and check the header of the array in `folder`.

    Raises
    ------
    InputError
        No header, damaged, or of a kind that is not read: values that are no numbers, an unknown compression.
    """
    new, old = folder / "zarr.json", folder / ".zarray"
    if new.exists():
        document, path = read_json(new), new
        if document.get("node_type") != "array" or document.get("zarr_format") != 3:
            raise refused("is not of an array", path)
    else:
        document, path = _as_version_3(read_json(old), old), old
    return _checked(document, folder, path)


def _unread_values(kind: object, path: Path) -> InputError:
    return refused(f"names values of type {str(kind)[:40]!r}, and whole numbers and floats are read", path)


def _as_version_3(document: dict[str, Any], path: Path) -> dict[str, Any]:
    """Say in version 3 what a version 2 header says."""
    if document.get("zarr_format") != 2 or document.get("filters"):
        raise refused("is of an unknown version, or names filters, which are not read", path)
    kind = document.get("dtype")
    if not isinstance(kind, str) or kind[:1] not in "<>|" or kind[1:] not in _OLD_TYPES:
        raise _unread_values(kind, path)
    codecs: list[dict[str, Any]] = []
    shape = document.get("shape")
    if document.get("order") == "F" and isinstance(shape, list):
        codecs.append({"name": "transpose", "configuration": {"order": list(range(len(shape)))[::-1]}})
    codecs.append({"name": "bytes", "configuration": {"endian": "big" if kind[0] == ">" else "little"}})
    compressor = document.get("compressor")
    if compressor is not None:
        codecs.append({"name": compressor.get("id") if isinstance(compressor, dict) else compressor})
    separator = document.get("dimension_separator", ".")
    return {
        "shape": shape,
        "data_type": _OLD_TYPES[kind[1:]],
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": document.get("chunks")}},
        "chunk_key_encoding": {"name": "v2", "configuration": {"separator": separator}},
        "fill_value": document.get("fill_value") or 0,
        "codecs": codecs,
    }


def _checked(document: dict[str, Any], folder: Path, path: Path) -> ZarrArray:
    shape = _sizes(document.get("shape"), "shape", path)
    if str(document.get("data_type")) not in _TYPES:
        raise _unread_values(document.get("data_type"), path)
    grid = _named(document.get("chunk_grid"), "chunk_grid", path)
    if grid["name"] != "regular" or document.get("storage_transformers"):
        raise refused("describes chunks of different sizes or places, which are not read", path)
    files = _sizes(grid["configuration"].get("chunk_shape"), "chunk_shape", path, like=shape)
    dtype = np.dtype(document["data_type"])
    chunks, codecs = _chain(document.get("codecs"), files, dtype, path)
    fill = document.get("fill_value", 0)
    if not isinstance(fill, int | float | str):
        raise refused("has a fill value that is no number", path)
    header = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(files)}},
        "chunk_key_encoding": _key_encoding(document.get("chunk_key_encoding"), path),
        "fill_value": bool(fill) if dtype.kind == "b" else fill,
        "codecs": codecs,
        "attributes": {},
    }
    return ZarrArray(folder, shape, chunks, files, dtype, header)


def _sizes(value: object, key: str, path: Path, *, like: Sequence[int] = ()) -> tuple[int, ...]:
    """Give a list of whole numbers from 1, as many as in `like`."""
    whole = isinstance(value, list) and all(type(n) is int and 0 < n < 2**40 for n in value)
    if not whole or not isinstance(value, list) or not value or (like and len(value) != len(like)):
        raise refused(f"has a {key} of {str(value)[:60]}", path)
    return tuple(value)


def _named(value: object, key: str, path: Path) -> dict[str, Any]:
    """Give {"name", "configuration"}, which version 3 uses for grids, keys and codecs; a bare name is one as well."""
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise refused(f"has no {key}", path)
    configuration = value.get("configuration", {})
    if not isinstance(configuration, dict):
        raise refused(f"has a damaged {key}", path)
    return {"name": value["name"], "configuration": configuration}


def _key_encoding(value: object, path: Path) -> dict[str, Any]:
    encoding = _named(value, "chunk_key_encoding", path)
    default = {"default": "/", "v2": "."}.get(encoding["name"])
    separator = encoding["configuration"].get("separator", default)
    if default is None or separator not in ("/", "."):
        raise refused("has unknown names of chunks", path)
    return {"name": encoding["name"], "configuration": {"separator": separator}}


def _chain(
    value: object, files: tuple[int, ...], dtype: np.dtype[Any], path: Path
) -> tuple[tuple[int, ...], list[dict[str, Any]]]:
    """Check a chain of codecs; give the shape of what is decoded at a time, and the chain with our own decoder."""
    if not isinstance(value, list) or not 0 < len(value) <= 8:
        raise refused("has no list of codecs", path)
    steps = [_named(step, "codec", path) for step in value]
    chain: list[dict[str, Any]] = []
    chunks = files
    if steps and steps[0]["name"] == "transpose":
        order = steps[0]["configuration"].get("order")
        if not isinstance(order, list) or sorted(map(str, order)) != sorted(map(str, range(len(files)))):
            raise refused("has a damaged transpose codec", path)
        chain.append(steps.pop(0))
    for at, step in enumerate(steps):
        name, known = step["name"].removeprefix("numcodecs."), step["configuration"]
        if at == 0 and name == "sharding_indexed" and len(value) == 1:
            chunks, sharding = _sharding(known, files, dtype, path)
            chain.append(sharding)
        elif at == 0 and name == "bytes":
            endian = "big" if known.get("endian") == "big" else "little"
            chain.append({"name": "bytes", "configuration": {"endian": endian}})
        elif at > 0 and name == "crc32c":
            chain.append({"name": "crc32c"})
        elif at > 0 and name in INFLATABLE:
            most = _with_slack(prod(chunks) * dtype.itemsize)
            chain.append({"name": INFLATE, "configuration": {"kind": name, "most": most}})
        else:
            raise InputError(
                f"its chunks are stored with {str(name)[:40]!r}, which is not read",
                where=str(path),
                cure=f"write the image again with one of {', '.join(INFLATABLE)}",
            )
    return chunks, chain


def _sharding(
    known: dict[str, Any], files: tuple[int, ...], dtype: np.dtype[Any], path: Path
) -> tuple[tuple[int, ...], dict[str, Any]]:
    chunks = _sizes(known.get("chunk_shape"), "chunk_shape", path, like=files)
    if any(n % m for n, m in zip(files, chunks, strict=True)) or prod(files) // prod(chunks) > MAX_SHARD_PARTS:
        raise refused("has shards that its chunks do not fill", path)
    inner, codecs = _chain(known.get("codecs"), chunks, dtype, path)
    index = [_named(step, "index codec", path)["name"] for step in known.get("index_codecs") or ["bytes"]]
    if inner != chunks or index not in (["bytes"], ["bytes", "crc32c"]):
        raise refused("has shards in shards, or an unknown index of them", path)
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    place = "start" if known.get("index_location") == "start" else "end"
    configuration = {
        "chunk_shape": list(chunks),
        "codecs": codecs,
        "index_codecs": [little, *({"name": name} for name in index[1:])],
        "index_location": place,
    }
    return chunks, {"name": "sharding_indexed", "configuration": configuration}
