"""The header of a NIfTI file, read field by field: every value is checked before anything is believed of it.

https://nifti.nimh.nih.gov/nifti-1/ and /nifti-2/
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.resolution import both, micrometres

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.core.units import PixelSize

HEADER_BYTES = 540
"""Of version 2; version 1 has 348."""

_ORDERS: tuple[Literal["<", ">"], ...] = ("<", ">")
_MOST_AXES = 5
_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_UNITS = {1: "m", 2: "mm", 3: "um"}
_LARGEST_OFFSET = 2**30  # what lies before the pixels are headers of other programs


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
    header, order, least = _raw(content, path)
    magic = bytes(header["magic"])[:3]
    if magic in {b"ni1", b"ni2"}:
        raise InputError(
            "its pixels lie in another file (.img)", where=str(path), cure="save header and pixels in one .nii file"
        )
    if magic not in {b"n+1", b"n+2"}:
        raise _refused(f"magic is {magic!r}", path)
    dtype = _dtype(int(header["datatype"]), int(header["bitpix"]), path).newbyteorder(order)
    pixdim, unit = [float(step) for step in header["pixdim"]], _UNITS.get(int(header["xyzt_units"]) & 7, "")
    return NiftiHeader(
        shape=_shape(tuple(int(size) for size in header["dim"]), path),
        dtype=dtype,
        offset=_offset(float(header["vox_offset"]), least, path),
        scaling=_scaling(float(header["scl_slope"]), float(header["scl_inter"]), path),
        pixel_size_um=both(micrometres(abs(pixdim[2]), unit), micrometres(abs(pixdim[1]), unit)),
        z_step_um=micrometres(abs(pixdim[3]), unit),
    )


def _raw(content: bytes, path: Path) -> tuple[NDArray[Any], Literal["<", ">"], int]:
    """Return the fields as they are stored, their byte order, and the least offset of the pixels.

    nibabel knows the layout; its own checks mend and warn, where these are refused.
    """
    from nibabel.nifti1 import header_dtype as version_1
    from nibabel.nifti2 import header_dtype as version_2

    for dtype, least in ((version_1, 352), (version_2, 544)):
        for order in _ORDERS:
            if content[:4] == struct.pack(f"{order}i", dtype.itemsize) and len(content) >= dtype.itemsize:
                return np.frombuffer(content, dtype.newbyteorder(order), 1)[0], order, least
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


def _refused(what: str, path: Path) -> InputError:
    return InputError(f"the NIfTI header is damaged: {what}", where=str(path), cure="export the image again")
