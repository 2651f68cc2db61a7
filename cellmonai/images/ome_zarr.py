"""OME-Zarr 0.4 and 0.5: one folder is one image, of which any region is read chunk by chunk.

A chunk that is not stored reads as the fill value, which is how Zarr leaves out what is empty; a lost chunk looks the
same, so that the number of chunks that are not stored is noted.
"""

from __future__ import annotations

import os
import threading
from functools import cached_property
from math import ceil, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.axes import MOST_PLANES, check_axes, plane_names, shape_of
from cellmonai.images.guard import reading
from cellmonai.images.ome_zarr_facts import read_ome_zarr
from cellmonai.images.segment_cache import KEPT_BYTES, SegmentCache
from cellmonai.images.source import ImageFacts, ImageSource, Region, changed_while_read, default_names, stamp_of
from cellmonai.images.zarr_header import ZarrArray, read_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.images.budget import Budget

MOST_PIXELS = 200_000_000_000
MOST_CHANNELS = 10_000
COUNTED_FILES = 200_000
"""Above this many files in the first level, chunks that are not stored are not counted."""

MOST_STAMPS = 200_000
"""Files of a folder that are watched from its digest on."""

_HEADERS = ("zarr.json", ".zattrs", ".zarray")
_EMPTY_BYTES = 256 * 2**20  # larger images with not one chunk stored are no images
_RUN_BYTES = 4 * 2**20  # neighbouring chunks up to this size are asked for at once, which the library does quicker


def open_ome_zarr(path: Path, budget: Budget, *, axes: str | None) -> ImageSource:
    """Open an OME-Zarr folder; only its metadata are read.

    Raises
    ------
    InputError
        It is not an image of version 0.4 or 0.5, or its metadata are damaged, lead out of it, or claim more than there
        can be.
    MemoryBudgetError
        One chunk of it is over the budget.
    """
    with reading(path, "the OME-Zarr metadata"):
        described = read_ome_zarr(path)
        arrays = [read_header(folder) for folder in described.levels]
        letters = check_axes(axes or described.axes, len(arrays[0].shape), path)
        levels = _levels(arrays, letters)
        first = levels[0]
        shape, planes = _counted(first, letters, path)
        left_out = len(arrays) - len(levels)
        notes = (f"resolutions left out that differ in depth or type: {left_out}",) if left_out else ()
        missing = _about_missing(first, path)
        facts = ImageFacts(
            stored_axes=letters,
            shape=shape,
            channels=described.channels if len(described.channels) == shape[0] else default_names(shape[0]),
            dtype=first.dtype,
            pixel_size_um=described.pixel_size_um,
            levels=tuple(shape_of(array.shape, letters)[1:] for array in levels),
            planes=planes,
            z_step_um=described.z_step_um,
            notes=described.notes + notes + missing,
            warnings=missing,
        )
    for array in levels:
        budget.require(array.chunk_bytes, "one chunk of it", where=path)
    return OmeZarrSource(path, facts, budget, levels, letters)


def _levels(arrays: Sequence[ZarrArray], letters: str) -> list[ZarrArray]:
    """Give the first array and those behind it that are smaller copies of it: planes and channels as many."""
    levels = [arrays[0]]
    for array in arrays[1:]:
        if len(array.shape) != len(letters) or array.dtype != arrays[0].dtype:
            break
        pairs = zip(letters, array.shape, levels[-1].shape, strict=True)
        if not all(n <= m if letter in "YX" else n == m for letter, n, m in pairs):
            break
        levels.append(array)
    return levels


def _counted(array: ZarrArray, letters: str, path: Path) -> tuple[tuple[int, int, int], tuple[str, ...]]:
    """Give (C, Y, X) and the names of the planes, when there are not absurdly many of them."""
    shape = shape_of(array.shape, letters)
    planes = prod(array.shape) // prod(shape)
    for count, most, what in (
        (shape[1] * shape[2], MOST_PIXELS, "pixels in a plane"),
        (planes, MOST_PLANES, "planes"),
        (shape[0], MOST_CHANNELS, "channels"),
    ):
        if count > most:
            raise InputError(
                f"it declares {count:,} {what}, and {most:,} are the most that is read",
                where=str(path),
                cure="the metadata are damaged, export the image again",
            )
    return shape, plane_names(letters, array.shape)


def _about_missing(array: ZarrArray, path: Path) -> tuple[str, ...]:
    """Say how many chunks of the first level are not stored.

    Raises
    ------
    InputError
        None is, and the image claims to be large; or there is a link.
    """
    stored = 0
    for _ in chunk_files(array.folder):
        stored += 1
        if stored > COUNTED_FILES:
            return ()
    missing, kind = array.file_count - stored, "chunks" if array.shard_parts == 1 else "shards"
    decoded = prod(array.shape) * array.dtype.itemsize
    if stored == 0 and decoded > _EMPTY_BYTES:
        raise InputError(
            f"not one of its {array.file_count:,} {kind} is stored",
            where=str(path),
            cure="the image is damaged or empty, export it again",
        )
    fill = array.header["fill_value"]
    if missing <= 0:
        return ()
    return (f"{missing:,} of {array.file_count:,} {kind} are missing and read as {fill}",)


def chunk_files(folder: Path | str) -> Iterator[str]:
    """Give the files in `folder` and its folders that are not headers."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                raise InputError(
                    "there is a link in it, and links are not followed", where=entry.path, cure="copy the files"
                )
            if entry.is_dir():
                yield from chunk_files(entry.path)
            elif not entry.name.startswith((".", "zarr.json")):
                yield entry.path


class OmeZarrSource(ImageSource):
    """An open OME-Zarr image; safe to read from several threads."""

    def __init__(
        self,
        path: Path,
        facts: ImageFacts,
        budget: Budget,
        arrays: Sequence[ZarrArray],
        letters: str,
    ) -> None:
        super().__init__(path, facts, budget)
        from cellmonai.images.zarr_store import open_zarr

        with reading(path, "the Zarr header"):
            opened = [open_zarr(array) for array in arrays]
        self._opened, self._stores = [array for array, _ in opened], [store for _, store in opened]
        folders = [path, *(array.folder for array in arrays)]
        self._stamps = {folder / name: stamp_of(folder / name) for folder in folders for name in _HEADERS}
        self._arrays, self._letters = arrays, letters
        self._y, self._x = letters.index("Y"), letters.index("X")
        largest = max(array.chunk_bytes for array in arrays)
        self._cache = SegmentCache(max(min(budget.amount // 4, KEPT_BYTES), largest))
        self._lock = threading.RLock()

    def block_shape(self, level: int = 0) -> tuple[int, int]:
        """Rows and columns of a chunk."""
        chunks = self._arrays[level].chunks
        return chunks[self._y], chunks[self._x]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 in hexadecimal, over the names and digests of all files in the folder."""
        files = [path for path in self.path.rglob("*") if not path.is_dir()]
        self._stamps = {**{path: stamp_of(path) for path in files[:MOST_STAMPS]}, **self._stamps}
        return super().fingerprint

    def require_unchanged(self) -> None:
        """Refuse what was read when one of the files was written to since; see `ImageSource.require_unchanged`."""
        for store in self._stores:
            store.require_unchanged()
        for path, stamp in self._stamps.items():
            if stamp_of(path) != stamp:
                raise changed_while_read(path)

    def keep_rows_only(self) -> None:
        """Keep the chunks of two rows of chunks, which rows that run on from top to bottom share."""
        array = self._arrays[0]
        sizes = dict(zip(self._letters.replace("S", "C"), array.chunks, strict=True))
        beside = ceil(self.shape[2] / sizes["X"]) * ceil(self.shape[0] / sizes.get("C", 1))
        self._cache.limit = min(self._cache.limit, 2 * beside * array.chunk_bytes)

    def _read(self, box: Region, channels: Sequence[int], level: int, plane: int) -> NDArray[Any]:
        out = np.empty((len(channels), box[2] - box[0], box[3] - box[1]), self.dtype)
        with self._lock:
            for place, channel in enumerate(channels):
                for top, left, part in self._parts(box, level, self._index(channel, plane)):
                    _paste(out[place], part, top - box[0], left - box[1])
        return out

    def _index(self, channel: int, plane: int) -> list[int]:
        """Give the place of a plane and channel along every axis; 0 along rows and columns."""
        others = [i for i, letter in enumerate(self._letters) if letter not in "CSYX"]
        sizes = tuple(self._arrays[0].shape[i] for i in others)
        places = dict(zip(others, np.unravel_index(plane, sizes) if others else (), strict=True))
        return [channel if letter in "CS" else int(places.get(i, 0)) for i, letter in enumerate(self._letters)]

    def _parts(self, box: Region, level: int, index: list[int]) -> Iterator[tuple[int, int, NDArray[Any]]]:
        """Give (row, column, pixels) of every chunk that overlaps the box."""
        height, width = self.block_shape(level)
        inside: list[Any] = [n % m for n, m in zip(index, self._arrays[level].chunks, strict=True)]
        inside[self._y] = inside[self._x] = slice(None)
        for i in range(box[0] // height, ceil(box[2] / height)):
            for j, chunk in self._row_of_chunks(level, index, i, (box[1] // width, ceil(box[3] / width))):
                part = chunk[tuple(inside)]
                yield i * height, j * width, part.T if self._x < self._y else part

    def _row_of_chunks(
        self, level: int, index: list[int], i: int, columns: tuple[int, int]
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Give chunks (number, pixels) side by side; those that are not kept are read, as many at once as is cheap."""
        array = self._arrays[level]
        most = max(1, _RUN_BYTES // array.chunk_bytes)
        key = [n // m for n, m in zip(index, array.chunks, strict=True)]
        key[self._y], j = i, columns[0]
        while j < columns[1]:
            kept = self._cache.get(self._key(level, key, j))
            if kept is not None:
                yield j, kept
                j += 1
                continue
            end = j + 1
            while end < min(columns[1], j + most) and self._cache.get(self._key(level, key, end)) is None:
                end += 1
            yield from self._fetched(level, key, j, end)
            j = end

    def _key(self, level: int, key: list[int], j: int) -> tuple[int, ...]:
        return (level, *key[: self._x], j, *key[self._x + 1 :])

    def _fetched(self, level: int, key: list[int], start: int, end: int) -> list[tuple[int, NDArray[Any]]]:
        """Read the chunks `start` to `end` of a row and keep them."""
        array = self._arrays[level]
        first, behind = list(self._key(level, key, start)[1:]), list(self._key(level, key, end - 1)[1:])
        wanted = tuple(
            slice(a * m, min((b + 1) * m, n))
            for a, b, m, n in zip(first, behind, array.chunks, array.shape, strict=True)
        )
        run = np.asarray(self._opened[level][wanted])
        width, found = array.chunks[self._x], []
        for j in range(start, end):
            cut: list[slice] = [slice(None)] * run.ndim
            cut[self._x] = slice((j - start) * width, (j - start + 1) * width)
            chunk = run[tuple(cut)] if end - start == 1 else run[tuple(cut)].copy()  # a view would keep the whole run
            self._cache.put(self._key(level, key, j), chunk)
            found.append((j, chunk))
        return found


def _paste(target: NDArray[Any], part: NDArray[Any], top: int, left: int) -> None:
    """Copy the overlap of `part`, whose first pixel lies at (top, left) of `target`, into it."""
    bottom, right = min(top + part.shape[0], target.shape[0]), min(left + part.shape[1], target.shape[1])
    target[max(top, 0) : bottom, max(left, 0) : right] = part[max(-top, 0) : bottom - top, max(-left, 0) : right - left]
