"""NIfTI: its first axis is x and the fastest, so that pictures are stored (X, Y, Z, T, C)."""

from __future__ import annotations

import threading
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.array_file import ArrayFileSource, ArrayLayout, read_region
from cellmonai.images.axes import check_axes, plane_names, shape_of
from cellmonai.images.guard import reading
from cellmonai.images.nifti_header import HEADER_BYTES, NiftiHeader, parse_header
from cellmonai.images.source import ImageFacts, ImageSource, Region, default_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.images.budget import Budget

_AXES = "XYZTC"
_GZIP = b"\x1f\x8b"
_BLOCK = 2**18
_MOST_BEHIND = 512  # bytes after the pixels: some programs fill a block; more means that the header is wrong


def open_nifti(path: Path, budget: Budget, *, axes: str | None) -> ImageSource:
    """Open a NIfTI file; a compressed one is read whole, so that its size must fit the budget.

    Raises
    ------
    InputError
        The header is damaged, or does not fit the length of the file.
    MemoryBudgetError
        It is compressed and over the budget.
    """
    with reading(path, "the NIfTI header"):
        with path.open("rb") as stream:
            start = stream.read(_BLOCK)
        is_compressed = start[:2] == _GZIP
        header = parse_header(zlib.decompressobj(31).decompress(start, HEADER_BYTES) if is_compressed else start, path)
        axes = check_axes(axes or _AXES[: len(header.shape)], len(header.shape), path)
        shape = shape_of(header.shape, axes)
        planes = plane_names(axes, header.shape, path)
    size = path.stat().st_size
    if is_compressed:
        budget.require(header.offset + header.data_bytes, "the compressed image", where=path)
        budget.require_ratio(header.data_bytes, size, where=path)
    else:
        _check_length(size - header.offset - header.data_bytes, path)
    facts = ImageFacts(
        stored_axes=axes,
        shape=shape,
        channels=default_names(shape[0]),
        dtype=np.dtype(np.float32) if header.scaling else header.dtype.newbyteorder("="),
        pixel_size_um=header.pixel_size_um if axes.startswith("XY") else None,
        levels=(shape[1:],),
        planes=planes,
        z_step_um=header.z_step_um if axes.startswith("XYZ") else None,
    )
    layout = ArrayLayout(axes, header.shape, header.dtype, header.offset, order="F")
    if is_compressed:
        return CompressedNifti(path, facts, budget, layout, header)
    if header.scaling is None:
        return ArrayFileSource(path, facts, budget, layout)
    return ScaledNifti(path, facts, budget, layout, header.scaling)


def _check_length(behind: int, path: Path) -> None:
    if behind < 0:
        raise InputError("the file is cut short", where=str(path), cure="export the image again")
    if behind > _MOST_BEHIND:
        raise InputError(
            f"{behind:,} bytes follow the pixels that its header declares",
            where=str(path),
            cure="the header is damaged, export the image again",
        )


class ScaledNifti(ArrayFileSource):
    """An uncompressed file whose values are scaled by its header."""

    def __init__(
        self, path: Path, facts: ImageFacts, budget: Budget, layout: ArrayLayout, scaling: tuple[float, float]
    ) -> None:
        super().__init__(path, facts, budget, layout)
        self._scaling = scaling

    def _read(self, box: Region, channels: Sequence[int], level: int, plane: int) -> NDArray[Any]:
        stored = self._stored(box, channels, plane)
        return _scaled(stored, self._scaling)


class CompressedNifti(ImageSource):
    """A compressed file; the whole of it is inflated at the first read, and its checksum compared."""

    def __init__(self, path: Path, facts: ImageFacts, budget: Budget, layout: ArrayLayout, header: NiftiHeader) -> None:
        super().__init__(path, facts, budget)
        self._layout, self._header = layout, header
        self._content: bytearray | None = None
        self._lock = threading.Lock()

    def _read(self, box: Region, channels: Sequence[int], level: int, plane: int) -> NDArray[Any]:
        with self._lock:
            if self._content is None:
                self._content = self._inflated()
        content = memoryview(self._content)

        def read_at(offset: int, count: int) -> memoryview:
            return content[offset : offset + count]

        stored = np.stack([read_region(self._layout, read_at, box, plane, channel) for channel in channels])
        return _scaled(stored, self._header.scaling) if self._header.scaling else stored.astype(self.dtype)

    def _inflated(self) -> bytearray:
        """Inflate the file to its end, where the checksum of each of its parts is."""
        wanted = self._header.offset + self._header.data_bytes
        content, behind = bytearray(wanted), -wanted
        for block in _inflate(self.path):
            place = behind + wanted
            kept = block[: max(0, wanted - place)]
            content[place : place + len(kept)] = kept
            behind += len(block)
            if behind > _MOST_BEHIND:
                break
        _check_length(behind, self.path)
        return content


def _inflate(path: Path) -> Iterator[bytes]:
    """Give the content of a gzip file in blocks; zlib compares length and checksum at the end of each part."""
    with path.open("rb") as stream:
        unzip, waiting = zlib.decompressobj(31), b""
        while waiting or (waiting := stream.read(_BLOCK)):
            yield unzip.decompress(waiting, 4 * _BLOCK)
            waiting = unzip.unconsumed_tail
            if unzip.eof:
                waiting = (unzip.unused_data or stream.read(_BLOCK)).lstrip(b"\0")  # zeros may fill up a block
                if waiting:
                    unzip = zlib.decompressobj(31)
                else:
                    return
    raise InputError("the file is cut short", where=str(path), cure="export the image again")


def _scaled(stored: NDArray[Any], scaling: tuple[float, float]) -> NDArray[np.float32]:
    slope, inter = scaling
    with np.errstate(over="ignore"):  # becomes infinite, which is refused
        return (stored.astype(np.float64) * slope + inter).astype(np.float32)
