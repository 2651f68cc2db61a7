"""Probability maps as OME-Zarr 0.5: one array, channels are the model's outputs, every chunk with a checksum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.core.files import atomic_folder
from cellmonai.core.many_files import sync_all, write_files
from cellmonai.images.budget import budget_of
from cellmonai.images.guard import reading
from cellmonai.images.map_encoding import CHUNK, MapsEncoder, MapsType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.core.units import PixelSize

__all__ = ["CHUNK", "Maps", "MapsType", "StoredMaps", "open_maps", "read_maps", "write_maps"]


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
        No such folder, not written by cellmonai, a lost chunk, or a link in it.
    """
    if not path.is_dir():
        raise InputError("no such folder of maps", where=str(path), cure="run `cellmonai infer` again")
    if any(entry.is_symlink() for entry in [path, *path.rglob("*")]):
        raise InputError("there is a link in it, and links are not followed", where=str(path), cure="copy the files")
    from zarr import open_group

    with reading(path, "the maps"):
        group = open_group(path, mode="r", zarr_format=3)
        facts: Any = group.attrs.get("cellmonai")
        array: Any = group["0"]
        if not isinstance(facts, dict) or array.ndim != 3 or array.dtype not in (np.float16, np.uint8):
            raise InputError("these are no maps of cellmonai", where=str(path), cure="run `cellmonai infer` again")
        chunk = int(np.prod([min(n, m) for n, m in zip(array.chunks, array.shape, strict=True)]))
        if chunk != int(np.prod(array.chunks)):
            raise InputError("a chunk is larger than the maps", where=str(path), cure="run `cellmonai infer` again")
        if array.nchunks_initialized != array.nchunks:
            raise InputError("a part of the maps is lost", where=str(path), cure="run `cellmonai infer` again")
        size = facts["pixel_size_um"]
        names = tuple(str(name) for name in facts["names"])
        pixel_size_um = (float(size[0]), float(size[1])) if size else None
        one_is = float(facts["one_is"])
    if len(names) != array.shape[0] or not one_is > 0:
        raise InputError("the maps are damaged", where=str(path), cure="run `cellmonai infer` again")
    return StoredMaps(array, one_is, names, pixel_size_um)
