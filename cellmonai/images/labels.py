"""Masks and label images as they are stored, with the traps that make wrong truths refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError, UsageError
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
class ValueChoice:
    """Which stored values are foreground, where the user says so; without a choice values are taken as stored.

    Parameters
    ----------
    cell_values : these values are cells, and all others background
    threshold : this value and all above are cells; masks may then hold greys and fractions

    Raises
    ------
    UsageError
        Both are given, a value is negative or too large, or the threshold is not a finite number above 0.
    """

    cell_values: tuple[int, ...] = ()
    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.cell_values and self.threshold is not None:
            raise UsageError("cell values and a mask threshold exclude each other", cure="give one of them")
        if self.threshold is not None and not 0 < self.threshold < float("inf"):
            raise UsageError(f"the mask threshold is {self.threshold:g}", cure="give a value above 0, as 128")
        if any(not 0 <= value <= LARGEST_LABEL for value in self.cell_values):
            raise UsageError("a cell value is negative or too large", cure="give whole numbers, as 1 or 1,3")

    @property
    def is_given(self) -> bool:
        """Whether the user chose values."""
        return bool(self.cell_values) or self.threshold is not None

    def inside(self, array: NDArray[Any]) -> NDArray[np.bool_]:
        """Return where an array holds one of the chosen values."""
        if self.threshold is not None:
            above: NDArray[np.bool_] = array >= self.threshold
            return above
        return np.isin(array, self.cell_values)

    @property
    def words(self) -> str:
        """What a pixel of a cell does, for messages."""
        if self.threshold is not None:
            return f"reaches the threshold {self.threshold:g}"
        return f"has the value {' or '.join(map(str, self.cell_values))}"

    def as_json(self) -> dict[str, Any]:
        """Return what run records keep; nothing where nothing was chosen."""
        chosen = {"cell_values": list(self.cell_values), "mask_threshold": self.threshold}
        return {name: value for name, value in chosen.items() if value}


AS_STORED = ValueChoice()


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


def read_mask(path: Path, *, memory: int | None = None, choice: ValueChoice = AS_STORED) -> MaskImage:
    """Read a mask or label image with one plane; `choice` makes it a binary mask of the values named.

    Raises
    ------
    InputError
        It cannot be read, has several planes or channels, is a colour picture or a JPEG, or holds values that are no
        labels (negative, fractions, above 2^31 - 1).
    """
    with open_mask(path, memory=memory, choice=choice) as source:
        if len(source.planes) > 1:
            raise InputError(
                f"the mask has {len(source.planes)} planes",
                where=str(path),
                cure="save each plane in a file of its own",
            )
        return read_mask_plane(source, 0, choice)


def read_masks(path: Path, *, memory: int | None = None, choice: ValueChoice = AS_STORED) -> list[MaskImage]:
    """As `read_mask`, giving every plane of the file."""
    with open_mask(path, memory=memory, choice=choice) as source:
        return [read_mask_plane(source, plane, choice) for plane in range(len(source.planes))]


def open_mask(
    path: Path, *, memory: int | None = None, choice: ValueChoice = AS_STORED, as_stored: bool = False
) -> ImageSource:
    """Open a mask for reading plane by plane with `read_mask_plane`; a JPEG only where it is cut at a threshold.

    `as_stored` leaves an orientation tag alone.
    """
    if family_of(path) == "JPEG" and choice.threshold is None:
        raise InputError(
            "a JPEG blurs the borders of a mask, so that its values are no labels",
            where=str(path),
            cure="export the mask as PNG or TIFF, or cut it: --mask-threshold 128, in a recipe data.mask_threshold",
            code="jpeg_mask",
        )
    return open_indexed(path, memory=memory, as_stored=as_stored)


def read_mask_plane(source: ImageSource, plane: int, choice: ValueChoice = AS_STORED) -> MaskImage:
    """Read one plane of an open mask, checked and with whole numbers."""
    array = read_mask_strip(source, plane, 0, source.shape[1], choice)
    if array.dtype.kind == "i" and source.dtype.kind == "f" and int(array.max()) <= 0xFFFF:
        array = array.astype(np.uint16)
    return MaskImage(array, source.pixel_size_um, source.path, source.planes[plane], source.orientation)


def read_mask_strip(
    source: ImageSource, plane: int, top: int, bottom: int, choice: ValueChoice = AS_STORED
) -> NDArray[Any]:
    """Read rows top to bottom of one plane of an open mask, checked and with whole numbers.

    Returns
    -------
    (bottom - top, X), bool where the file stores single bits or the user chose values, else an integer type: floats
    become int32
    """
    array = _one_channel(source.read((top, 0, bottom, source.shape[2]), plane=plane), source)
    if choice.is_given:
        return choice.inside(array)
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
            cure="save whole numbers, or cut it: --mask-threshold 0.5, in a recipe data.mask_threshold",
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
