"""Masks and label images as they are stored, with the traps that make wrong truths refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.channels import RGB_NAMES, is_grey_rgb
from cellmonai.images.find import family_of
from cellmonai.images.open import open_indexed

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.core.units import PixelSize
    from cellmonai.images.source import ImageSource

LARGEST_LABEL = 2**31 - 1


@dataclass(frozen=True, slots=True)
class MaskImage:
    """One plane of a mask or label file.

    Parameters
    ----------
    array : (Y, X), bool where the file stores single bits, else an integer type
    pixel_size_um : (y, x) or None
    path, plane : where it is from; `plane` is "" when the file has only one
    orientation : the orientation tag that was applied
    """

    array: NDArray[Any]
    pixel_size_um: PixelSize | None
    path: Path
    plane: str = ""
    orientation: int = 1

    @property
    def is_binary(self) -> bool:
        """Whether at most one value other than 0 occurs: a mask, or a label image with a single object."""
        if self.array.dtype.kind == "b":
            return True
        largest = self.array.max()
        return bool(((self.array == 0) | (self.array == largest)).all())


def read_mask(path: Path, *, memory: int | None = None) -> MaskImage:
    """Read a mask or label image with one plane.

    Raises
    ------
    InputError
        It cannot be read, has several planes or channels, is a colour picture or a JPEG, or holds values that are no
        labels (negative, fractions, above 2^31 - 1).
    """
    with open_mask(path, memory=memory) as source:
        if len(source.planes) > 1:
            raise InputError(
                f"the mask has {len(source.planes)} planes",
                where=str(path),
                cure="save each plane in a file of its own",
            )
        return read_mask_plane(source, 0)


def read_masks(path: Path, *, memory: int | None = None) -> list[MaskImage]:
    """As `read_mask`, giving every plane of the file."""
    with open_mask(path, memory=memory) as source:
        return [read_mask_plane(source, plane) for plane in range(len(source.planes))]


def open_mask(path: Path, *, memory: int | None = None, as_stored: bool = False) -> ImageSource:
    """Open a mask for reading plane by plane with `read_mask_plane`; `as_stored` leaves an orientation tag alone."""
    if family_of(path) == "JPEG":
        raise InputError(
            "a JPEG blurs the borders of a mask, so that its values are no labels",
            where=str(path),
            cure="export the mask as PNG or TIFF",
            code="jpeg_mask",
        )
    return open_indexed(path, memory=memory, as_stored=as_stored)


def read_mask_plane(source: ImageSource, plane: int) -> MaskImage:
    """Read one plane of an open mask, checked and with whole numbers."""
    array = read_mask_strip(source, plane, 0, source.shape[1])
    if source.dtype.kind == "f" and int(array.max()) <= 0xFFFF:
        array = array.astype(np.uint16)
    return MaskImage(array, source.pixel_size_um, source.path, source.planes[plane], source.orientation)


def read_mask_strip(source: ImageSource, plane: int, top: int, bottom: int) -> NDArray[Any]:
    """Read rows top to bottom of one plane of an open mask, checked and with whole numbers.

    Returns
    -------
    (bottom - top, X), bool where the file stores single bits, else an integer type: floats become int32
    """
    array = _one_channel(source.read((top, 0, bottom, source.shape[2]), plane=plane), source)
    if array.dtype.kind == "f":
        return _whole_numbers(array, source.path)
    if array.dtype.kind == "b":  # a file may hold any byte for True, and kernels take it for the number 1
        truth: NDArray[np.bool_] = array.view(np.uint8) != 0
        return truth
    _check_range(array, source.path)
    return array


def _one_channel(array: NDArray[Any], source: ImageSource) -> NDArray[Any]:
    if array.shape[0] == 1 or is_grey_rgb(array):
        plane: NDArray[Any] = array[0]
        return plane
    is_colour = source.channels == RGB_NAMES
    raise InputError(
        "the mask is a colour picture" if is_colour else f"the mask has {array.shape[0]} channels",
        where=str(source.path),
        cure="export labels as one channel of whole numbers, 0 for background",
        code="colour_mask" if is_colour else "several_channels",
    )


def _whole_numbers(array: NDArray[Any], path: Path) -> NDArray[Any]:
    if (array != np.floor(array)).any():
        raise InputError(
            "the mask holds fractions, as a probability map or a resized mask does",
            where=str(path),
            cure="save whole numbers, 0 for background; a probability map is cut at a threshold first",
            code="fractions",
        )
    _check_range(array, path)
    return array.astype(np.int32)  # one type whatever the values, as strips of a file must fit together


def _check_range(array: NDArray[Any], path: Path) -> None:
    low, high = array.min().item(), array.max().item()  # of Python: the largest label is none of float16
    if low < 0:
        raise InputError(
            f"the mask holds negative values (down to {low})",
            where=str(path),
            cure="use 0 for background",
            code="negative_values",
        )
    if high > LARGEST_LABEL:
        raise InputError(
            f"the mask holds the value {high}",
            where=str(path),
            cure="number its objects from 1",
            code="value_too_large",
        )


def in_raster_order(array: NDArray[Any]) -> NDArray[np.int32]:
    """Renumber labels 1..N without gaps by each label's first pixel in raster order; 0 stays background."""
    values, first, inverse = np.unique(array, return_index=True, return_inverse=True)
    ranks = np.zeros(len(values), np.int32)
    order = np.argsort(first[values != 0], kind="stable")
    numbers = np.empty(len(order), np.int32)
    numbers[order] = np.arange(1, len(order) + 1, dtype=np.int32)
    ranks[values != 0] = numbers
    return ranks[inverse.reshape(array.shape)]
