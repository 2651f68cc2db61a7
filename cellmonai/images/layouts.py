"""Images and their truth: the ways in which data sets lay them out on disk.

Layouts: "pairs" (pairs.py), "splits" (split_folders.py), "nnunet" (nnunet.py), "dsb2018" (dsb2018.py), "bbbc005"
(bbbc005.py), "ctc" (ctc.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError, UsageError
from cellmonai.core.text import did_you_mean
from cellmonai.images.bbbc005 import bbbc005_pairs
from cellmonai.images.ctc import ctc_pairs
from cellmonai.images.dsb2018 import dsb2018_pairs
from cellmonai.images.labels import AS_STORED, in_raster_order, read_mask
from cellmonai.images.mask_values import values_of
from cellmonai.images.nnunet import nnunet_pairs
from cellmonai.images.open import open_image
from cellmonai.images.orientation import mask_lies, turned
from cellmonai.images.pair import Pair, PairList
from cellmonai.images.pairs import folder_pairs
from cellmonai.images.rows import ArrayRows
from cellmonai.images.spelling import as_spelt
from cellmonai.images.split_folders import split_folder_pairs
from cellmonai.images.tables import join_tables

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.images.labels import ValueChoice

FINDERS = {
    "pairs": folder_pairs,
    "splits": split_folder_pairs,
    "nnunet": nnunet_pairs,
    "dsb2018": dsb2018_pairs,
    "bbbc005": bbbc005_pairs,
    "ctc": ctc_pairs,
}
LAYOUTS = tuple(FINDERS)

__all__ = ["LAYOUTS", "Pair", "PairList", "PairMask", "check_pair", "find_pairs", "read_pair_mask"]


@dataclass(frozen=True, slots=True)
class PairMask:
    """The mask of one image.

    Parameters
    ----------
    array : (Y, X), bool or an integer type: as stored, or the label image that masks of single objects make
    is_unsure : whether only the image has an orientation tag, and the mask may lie as it is shown or as it is stored
    """

    array: NDArray[Any]
    is_unsure: bool = False


def find_pairs(
    layout: str,
    root: Path,
    *,
    images: Path | None = None,
    masks: Path | None = None,
    tables: Sequence[Path] = (),
) -> PairList:
    """Find the images of a data set and the truth of each; nothing is decoded.

    Parameters
    ----------
    layout : one of `LAYOUTS`
    root : the folder of the data set
    images, masks : folders that hold them where they are not the usual ones; relative ones may lie in `root`
    tables : CSV files whose first column names images; their other columns become attributes

    Raises
    ------
    InputError
        A folder or table is missing, an image has no mask, or a mask fits two images.
    UsageError
        An unknown layout.
    """
    if layout not in FINDERS:
        raise UsageError(f"{layout!r} is no known layout", cure=did_you_mean(layout, LAYOUTS))
    root = as_spelt(root)
    if not root.is_dir():
        raise InputError("no such folder", where=str(root), cure="check the path of the data set")
    found = FINDERS[layout](root, folder_given(root, images), folder_given(root, masks))
    return replace(found, pairs=join_tables(found.pairs, tables, root))


def folder_given(root: Path, given: Path | None) -> Path | None:
    """Return the folder as named, or of that name in `root`, as it is spelt on disk.

    Raises
    ------
    InputError
        There is none.
    """
    if given is None:
        return None
    for path in map(as_spelt, (given, root / given)):
        if path.is_dir():
            return path
    raise InputError("no such folder", where=str(given), cure=f"name one in {root} or give the whole path")


def read_pair_mask(pair: Pair, choice: ValueChoice = AS_STORED) -> PairMask:
    """Read the mask of a pair as it is stored, or the label image that its masks of single objects make.

    Masks of single objects are painted from the largest to the smallest, so that small ones are not hidden; labels
    are numbered by their first pixel in raster order.

    Parameters
    ----------
    pair : an image with one mask, or with one mask per object
    choice : values that the user named as foreground

    Raises
    ------
    InputError
        A mask cannot be read, has another size than the image, or the pair has none.
    """
    if not pair.masks:
        raise InputError("the image has no mask, only a count", where=str(pair.image), cure="leave it out or draw one")
    with open_image(pair.image) as image:
        size, orientation = image.shape[1:], image.orientation
    first = read_mask(pair.masks[0], choice=choice)
    lies = mask_lies(orientation, size, first.array.shape, mask_orientation=first.orientation)
    turn = orientation if lies == "stored" else 1
    array = _as_shown(first.array, turn)
    check_pair(size, array.shape, where=str(pair.masks[0]))
    if pair.one_per_object:
        array = _painted(pair, size, turn, choice)
    return PairMask(array, lies == "unsure")


def _as_shown(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn a mask that lies as its image is stored."""
    return np.ascontiguousarray(turned(array, orientation))


def check_pair(image_shape: Sequence[int], mask_shape: Sequence[int], *, where: str) -> None:
    """Refuse a mask whose size is not its image's; the last two of each shape are Y and X.

    Raises
    ------
    InputError
        The sizes differ.
    """
    image, mask = tuple(image_shape[-2:]), tuple(mask_shape[-2:])
    if image != mask:
        raise InputError(
            f"the mask is {mask[1]} x {mask[0]} px and its image {image[1]} x {image[0]} px",
            where=where,
            cure="give the mask that belongs to the image, at the same size",
        )


def _painted(pair: Pair, size: tuple[int, int], orientation: int, choice: ValueChoice) -> NDArray[np.int32]:
    objects = []
    for path in pair.masks:
        array = read_mask(path, choice=choice).array
        if values_of(ArrayRows(array)).is_blurred:
            raise InputError(
                "the mask is blurred, as JPEG, resizing or antialiasing leaves it",
                where=str(path),
                cure="export it as PNG or TIFF where it was made, or cut it with data.mask_threshold",
                code="blurred_mask",
            )
        inside = _as_shown(array, orientation) != 0
        check_pair(size, inside.shape, where=str(path))
        flat = np.flatnonzero(inside)
        if flat.size:
            objects.append((-flat.size, path.name, flat))
    labels = np.zeros(size, np.int32)
    for number, (_, _, flat) in enumerate(sorted(objects, key=lambda entry: entry[:2]), start=1):
        labels.ravel()[flat] = number
    return in_raster_order(labels)
