"""The header of a NIfTI file, read field by field: every value is checked before anything is believed of it.

https://nifti.nimh.nih.gov/nifti-1/ and /nifti-2/
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.resolution import both, micrometres

if TYPE_CHECKING:
    from pathlib import Path

    from cellmonai.core.units import PixelSize

HEADER_BYTES = 540
"""Of version 2; version 1 has 348."""

_ORDERS: tuple[Literal["<", ">"], ...] = ("<", ">")
_MOST_AXES = 5
_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_UNITS = {1: "m", 2: "mm", 3: "um"}
_LARGEST_OFFSET = 2**30  # what lies before the pixels are headers of other programs


class _Fields(NamedTuple):
    """Offset and type of each field that is read."""

    dim: tuple[int, str]
    datatype: tuple[int, str]
    bitpix: tuple[int, str]
    pixdim: tuple[int, str]
    vox_offset: tuple[int, str]
    slope: tuple[int, str]
    inter: tuple[int, str]
    units: tuple[int, str]
    magic: int


_VERSIONS = {
    348: _Fields((40, "8h"), (70, "h"), (72, "h"), (76, "8f"), (108, "f"), (112, "f"), (116, "f"), (123, "B"), 344),
    540: _Fields((16, "8q"), (12, "h"), (14, "h"), (104, "8d"), (168, "q"), (176, "d"), (184, "d"), (500, "i"), 4),
}


@dataclass(frozen=True, slots=True)
class NiftiHeader:
    """What a header says.

    Parameters
    ----------
    shape : of the stored array, the fastest axis first
    dtype : as stored
    offset : of the first value, bytes
    scaling : slope and intercept, None where values stand as they are
    pixel_size_um : (y, x) or None
    z_step_um : from one depth to the next, or None
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    scaling: tuple[float, float] | None
    pixel_size_um: PixelSize | None
    z_step_um: float | None

    @property
    def data_bytes(self) -> int:
        """Bytes of all values."""
        return prod(self.shape) * self.dtype.itemsize


def parse_header(content: bytes, path: Path) -> NiftiHeader:
    """Read the first bytes of an uncompressed NIfTI file.

    Raises
    ------
    InputError
        A field is missing, contradicts another, or is out of range; the sentence names it.
    """
    order, fields = _version(content, path)

    def values(field: tuple[int, str]) -> tuple[Any, ...]:
        return struct.unpack_from(order + field[1], content, field[0])

    magic = content[fields.magic : fields.magic + 3]
    if magic in {b"ni1", b"ni2"}:
        raise InputError(
            "its pixels lie in another file (.img)", where=str(path), cure="save header and pixels in one .nii file"
        )
    if magic not in {b"n+1", b"n+2"}:
        raise _refused(f"magic is {magic!r}", path)
    dtype = _dtype(values(fields.datatype)[0], values(fields.bitpix)[0], path).newbyteorder(order)
    shape = _shape(values(fields.dim), path)
    return NiftiHeader(
        shape=shape,
        dtype=dtype,
        offset=_offset(values(fields.vox_offset)[0], 352 if magic == b"n+1" else 544, path),
        scaling=_scaling(values(fields.slope)[0], values(fields.inter)[0], path),
        pixel_size_um=_pixel_size(values(fields.pixdim), int(values(fields.units)[0])),
        z_step_um=micrometres(abs(values(fields.pixdim)[3]), _UNITS.get(int(values(fields.units)[0]) & 7, "")),
    )


def _version(content: bytes, path: Path) -> tuple[Literal["<", ">"], _Fields]:
    for size, fields in _VERSIONS.items():
        for order in _ORDERS:
            if content[:4] == struct.pack(f"{order}i", size) and len(content) >= size:
                return order, fields
    raise _refused("sizeof_hdr is neither 348 nor 540, or the header is cut short", path)


def _dtype(code: int, bits: int, path: Path) -> np.dtype[Any]:
    if code not in _TYPES:
        kinds = {128: "colours", 2304: "colours", 32: "complex numbers", 1792: "complex numbers"}
        raise InputError(
            f"it holds {kinds.get(code, f'values of the unread type {code}')}",
            where=str(path),
            cure="save a picture or a stack of whole numbers or floats",
        )
    dtype = np.dtype(_TYPES[code])
    if bits != 8 * dtype.itemsize:
        raise _refused(f"bitpix is {bits} where its type has {8 * dtype.itemsize}", path)
    return dtype


def _shape(dim: tuple[int, ...], path: Path) -> tuple[int, ...]:
    count = dim[0]
    if not 1 <= count <= 7:
        raise _refused(f"dim[0] is {count}, expected 1 to 7 axes", path)
    sizes = dim[1 : count + 1]
    if min(sizes) < 1:
        raise _refused(f"dim has the size {min(sizes)}", path)
    while len(sizes) > _MOST_AXES and sizes[-1] == 1:
        sizes = sizes[:-1]
    if not 2 <= len(sizes) <= _MOST_AXES:
        raise InputError(f"it has {len(sizes)} axes", where=str(path), cure="save a picture or a stack")
    return tuple(sizes)


def _offset(value: float, least: int, path: Path) -> int:
    if not (math.isfinite(value) and value == int(value) and least <= value <= _LARGEST_OFFSET):
        raise _refused(f"vox_offset is {value:g}, expected {least} or more", path)
    return int(value)


def _scaling(slope: float, inter: float, path: Path) -> tuple[float, float] | None:
    """Give slope and intercept; a slope of 0 means none, and NaN in both is what some programs write for that."""
    if slope == 0 or (math.isnan(slope) and (math.isnan(inter) or inter == 0)):
        return None
    for name, value in (("scl_slope", slope), ("scl_inter", inter)):
        if not math.isfinite(value):
            raise _refused(f"{name} is {value:g}", path)
    return None if (slope, inter) == (1.0, 0.0) else (slope, inter)


def _pixel_size(pixdim: tuple[float, ...], units: int) -> PixelSize | None:
    unit = _UNITS.get(units & 7, "")
    return both(micrometres(abs(pixdim[2]), unit), micrometres(abs(pixdim[1]), unit))


def _refused(what: str, path: Path) -> InputError:
    return InputError(f"the NIfTI header is damaged: {what}", where=str(path), cure="export the image again")
