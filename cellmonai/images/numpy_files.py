"""npy (read where it lies) and npz, without pickles; the header is compared with the file before anything is read."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.array_file import ArrayFileSource, ArrayLayout
from cellmonai.images.axes import arrange, check_axes, plane_names, shape_of, two_axes
from cellmonai.images.guard import reading
from cellmonai.images.source import ArraySource, ImageFacts, ImageSource, default_names

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.images.budget import Budget

_IMAGE_KEYS = ("image", "img", "x")
_MASK_KEYS = ("mask", "masks", "labels", "label", "y")


def open_npy(path: Path, budget: Budget, *, axes: str | None) -> ImageSource:
    """Open an array file; its pixels stay on disk until a region of them is read."""
    with reading(path, "the npy header"):
        with path.open("rb") as stream:
            shape, is_fortran, dtype = _header(stream, path)
            offset = stream.tell()
        _require_plain(shape, dtype, path)
        if path.stat().st_size - offset < _bytes_of(shape, dtype):
            raise InputError("the file is cut short", where=str(path), cure="save the array again")
        nothing = np.broadcast_to(np.zeros((), dtype), shape)  # has the shape, and takes no memory
        facts, stored = facts_of(nothing, path, axes=axes)
    layout = ArrayLayout(facts.stored_axes, stored.shape, dtype, offset, order="F" if is_fortran else "C")
    return ArrayFileSource(path, facts, budget, layout)


def open_npz(path: Path, budget: Budget, *, axes: str | None, of_mask: bool) -> ImageSource:
    """Open the only array of an npz, or the one named for an image (or, with `of_mask`, for a mask)."""
    with reading(path, "the npz archive"), zipfile.ZipFile(path) as archive:
        member = _member(archive, path, of_mask=of_mask)
        budget.require(member.file_size, f"the array {member.filename!r}", where=path)
        budget.require_ratio(member.file_size, member.compress_size, where=path)
        with archive.open(member) as stream:
            shape, _, dtype = _header(stream, path)  # type: ignore[arg-type]
            _require_plain(shape, dtype, path)
            if stream.tell() + _bytes_of(shape, dtype) != member.file_size:
                raise InputError(
                    f"the array {member.filename!r} is not as long as its header says",
                    where=str(path),
                    cure="save the array again",
                )
        with archive.open(member) as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
    return source_of(array, path, budget, axes=axes)


def source_of(
    array: NDArray[Any], path: Path, budget: Budget, *, axes: str | None, more: dict[str, Any] | None = None
) -> ImageSource:
    """Give an array with the axes that were named, or with two axes, as a source; `more` are further facts."""
    facts, array = facts_of(array, path, axes=axes, more=more)
    return ArraySource(path, facts, budget, arrange(array, facts.stored_axes))


def facts_of(
    array: NDArray[Any], path: Path, *, axes: str | None, more: dict[str, Any] | None = None
) -> tuple[ImageFacts, NDArray[Any]]:
    """Give what is known of an array, and the array without the axes that were left out; `more` are further facts."""
    if axes is None:
        array, axes = two_axes(array, path), "YX"
    axes = check_axes(axes, array.ndim, path)
    shape = shape_of(array.shape, axes)
    facts = ImageFacts(
        stored_axes=axes,
        shape=shape,
        channels=default_names(shape[0]),
        dtype=array.dtype.newbyteorder("="),
        levels=(shape[1:],),
        planes=plane_names(axes, array.shape, path),
        **{"pixel_size_um": None, **(more or {})},
    )
    return facts, array


def _header(stream: BinaryIO, path: Path) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, is_fortran, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise InputError(f"npy version {version} is for named fields", where=str(path), cure="save a plain array")
    return shape, is_fortran, dtype


def _require_plain(shape: tuple[int, ...], dtype: np.dtype[Any], path: Path) -> None:
    if dtype.hasobject:
        raise InputError(
            "it holds Python objects (a pickle), which could run programs and is not opened",
            where=str(path),
            cure="save a plain array, or from Cellpose the masks as PNG or TIFF",
            code="pickle",
        )
    if dtype.kind not in "buif":
        kind = "complex numbers" if dtype.kind == "c" else f"values of type {dtype}"
        raise InputError(f"the image holds {kind}", where=str(path), cure="save it as integers or floats")
    if 0 in shape:
        raise InputError(f"the image has no pixels (shape {shape})", where=str(path), cure="save it again")


def _bytes_of(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    count = dtype.itemsize
    for n in shape:  # Python integers: a product of huge sizes must not wrap
        count *= n
    return count


def _member(archive: zipfile.ZipFile, path: Path, *, of_mask: bool) -> zipfile.ZipInfo:
    arrays = {info.filename.removesuffix(".npy"): info for info in archive.infolist() if info.filename.endswith(".npy")}
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    for key in _MASK_KEYS if of_mask else _IMAGE_KEYS:
        if key in arrays:
            return arrays[key]
    names = ", ".join(sorted(arrays)[:6]) or "none"
    wanted = "mask" if of_mask else "image"
    raise InputError(
        f"it holds {len(arrays)} arrays ({names}) and none is called {wanted!r}",
        where=str(path),
        cure=f"save it with the name {wanted!r}",
    )
