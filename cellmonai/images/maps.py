"""Probability maps as OME-Zarr 0.5: one array, channels are the model's outputs, every chunk with a checksum."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.core.files import atomic_folder
from cellmonai.core.many_files import sync_all, write_files
from cellmonai.images.budget import budget_of
from cellmonai.images.guard import reading
from cellmonai.images.map_encoding import BYTE_SCALE, CHUNK, MapsEncoder, MapsType
from cellmonai.images.ome_zarr import chunk_files
from cellmonai.images.ome_zarr_facts import attributes_of, inside
from cellmonai.images.zarr_header import read_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.core.units import PixelSize
    from cellmonai.images.zarr_header import ZarrArray

__all__ = ["CHUNK", "Maps", "MapsType", "StoredMaps", "open_maps", "read_maps", "write_maps"]

_ONE_IS = {"float16": 1.0, "uint8": BYTE_SCALE}
_LARGEST_CHUNK = 64 * 2**20  # bytes; ours have half a megabyte
_LARGEST_SIZE_UM = 1e9


@dataclass(frozen=True, slots=True)
class Maps:
    """What a network gave for one plane.

    Parameters
    ----------
    maps : float32 (C, Y, X); probabilities lie in [0, 1]
    names : of the channels, as "foreground"
    pixel_size_um : (y, x) or None
    """

    maps: NDArray[np.float32]
    names: tuple[str, ...]
    pixel_size_um: PixelSize | None


def write_maps(
    path: Path,
    maps: NDArray[np.floating[Any]],
    *,
    names: Sequence[str],
    pixel_size_um: PixelSize | None,
    dtype: MapsType = "float16",
    overwrite: bool,
) -> None:
    """Write maps (C, Y, X) as an OME-Zarr 0.5 folder.

    Parameters
    ----------
    dtype : "float16" keeps 11 bits of precision; "uint8" stores probabilities in steps of 1/255

    Raises
    ------
    OutputError
        The folder exists and `overwrite` is not set, or cannot be written.
    """
    if maps.ndim != 3 or maps.shape[0] != len(names):
        raise ValueError(f"maps are {maps.shape} with {len(names)} names, expected (C, Y, X) with one name per channel")
    shape = (maps.shape[0], maps.shape[1], maps.shape[2])
    encoder = MapsEncoder(shape, names=names, pixel_size_um=pixel_size_um, dtype=dtype)
    with atomic_folder(path, overwrite=overwrite) as temporary:
        written = write_files(temporary, encoder.metadata)
        for top in range(0, shape[1], CHUNK):
            band = (top, 0, min(top + CHUNK, shape[1]), shape[2])
            written += write_files(temporary, encoder.chunks(band, maps[:, top : band[2]]))
        sync_all(written, below=temporary)


@dataclass(frozen=True, slots=True)
class StoredMaps:
    """Maps on disk: the Zarr array (C, Y, X), the value that stands for 1, names of channels, the pixel size."""

    array: Any
    one_is: float
    names: tuple[str, ...]
    pixel_size_um: PixelSize | None


def read_maps(path: Path, *, memory: int | None = None) -> Maps:
    """Read maps that `write_maps` wrote.

    Raises
    ------
    InputError
        No such folder, not written by cellmonai, a lost or damaged chunk, or a link in it.
    MemoryBudgetError
        The maps are over the memory budget.
    """
    stored = open_maps(path)
    amount = 6 * int(np.prod([int(n) for n in stored.array.shape], dtype=object))
    budget_of(memory).require(amount, "the maps", where=path)
    with reading(path, "the maps"):
        maps = np.asarray(stored.array[...]).astype(np.float32) / np.float32(stored.one_is)
    if not np.isfinite(maps).all():
        raise InputError("the maps are damaged", where=str(path), cure="run `cellmonai infer` again")
    return Maps(maps, stored.names, stored.pixel_size_um)


def open_maps(path: Path) -> StoredMaps:
    """Open maps that `write_maps` wrote, for reading in parts; a lost chunk is found before anything is read.

    Raises
    ------
    InputError
        No such folder, not written by cellmonai, a lost chunk, or a link in it. Reading raises it for a chunk that is
        damaged, or inflates to more than a chunk is.
    """
    if path.is_symlink() or not path.is_dir():
        raise InputError("no such folder of maps", where=str(path), cure="run `cellmonai infer` again")
    from cellmonai.images.zarr_store import open_zarr

    with reading(path, "the maps"):
        facts = attributes_of(path).get("cellmonai")
        header = read_header(inside(path, "0"))
        kind = _ONE_IS.get(header.dtype.name)
        if not isinstance(facts, dict) or len(header.shape) != 3 or kind is None:
            raise InputError("these are no maps of cellmonai", where=str(path), cure="run `cellmonai infer` again")
        if header.chunk_bytes > _LARGEST_CHUNK or header.chunks[0] != 1 or header.files != header.chunks:
            raise InputError("a chunk is larger than the maps", where=str(path), cure="run `cellmonai infer` again")
        stored = {os.path.relpath(file, header.folder).replace(os.sep, "/") for file in chunk_files(header.folder)}
        if len(stored) < header.file_count or not stored >= set(_chunk_names(header)):
            raise InputError("a part of the maps is lost", where=str(path), cure="run `cellmonai infer` again")
        names, size = facts.get("names") or [], facts.get("pixel_size_um")
        if not _are_names(names, header.shape[0]) or facts.get("one_is") != kind or not _is_size(size):
            raise InputError("the maps are damaged", where=str(path), cure="run `cellmonai infer` again")
        array, _ = open_zarr(header)
    return StoredMaps(array, kind, tuple(names), (float(size[0]), float(size[1])) if size else None)


def _chunk_names(header: ZarrArray) -> Iterator[str]:
    counts = [range(-(-n // m)) for n, m in zip(header.shape, header.chunks, strict=True)]
    return ("/".join(["c", *map(str, place)]) for place in product(*counts))


def _are_names(value: Any, count: int) -> TypeGuard[list[str]]:  # noqa: ANN401 - any JSON value
    return isinstance(value, list) and len(value) == count and all(isinstance(name, str) for name in value)


def _is_size(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    if value is None:
        return True
    numbers = isinstance(value, list) and len(value) == 2 and all(type(side) in (int, float) for side in value)
    return numbers and all(0 < side < _LARGEST_SIZE_UM for side in value)
