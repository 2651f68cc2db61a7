"""Images and their truth: the ways in which data sets lay them out on disk.

Layouts: "pairs" (pairs.py), "splits" (split_folders.py), "nnunet" (nnunet.py), "dsb2018" (dsb2018.py), "bbbc005"
(bbbc005.py), "ctc" (ctc.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from cellmonai.core.errors import InputError, UsageError
from cellmonai.core.text import did_you_mean
from cellmonai.images.bbbc005 import bbbc005_pairs
from cellmonai.images.ctc import ctc_pairs
from cellmonai.images.dsb2018 import dsb2018_pairs
from cellmonai.images.labels import in_raster_order, read_mask
from cellmonai.images.nnunet import nnunet_pairs
from cellmonai.images.open import open_image
from cellmonai.images.pair import Pair, PairList
from cellmonai.images.pairs import folder_pairs
from cellmonai.images.spelling import as_spelt
from cellmonai.images.split_folders import split_folder_pairs
from cellmonai.images.tables import join_tables

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

FINDERS = {
    "pairs": folder_pairs,
    "splits": split_folder_pairs,
    "nnunet": nnunet_pairs,
    "dsb2018": dsb2018_pairs,
    "bbbc005": bbbc005_pairs,
    "ctc": ctc_pairs,
}
LAYOUTS = tuple(FINDERS)

__all__ = ["LAYOUTS", "Pair", "PairList", "PairMask", "check_pair", "find_pairs", "read_pair_labels"]


@dataclass(frozen=True, slots=True)
class PairMask:
    """The truth of one image.

    Parameters
    ----------
    labels : int32 label image (Y, X), or bool foreground (Y, X)
    kind : which of the two; a file with a single value beside 0 counts as binary
    """

    labels: NDArray[np.int32] | NDArray[np.bool_]
    kind: Literal["labels", "binary"]


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


def read_pair_labels(pair: Pair) -> PairMask:
    """Read the truth of a pair: its label image, its binary mask, or one mask per object.

    Masks of single objects are painted from the largest to the smallest, so that small ones are not hidden; labels
    are numbered by their first pixel in raster order.

    Raises
    ------
    InputError
        A mask cannot be read, has another size than the image, or the pair has none.
    """
    if not pair.masks:
        raise InputError("the image has no mask, only a count", where=str(pair.image), cure="leave it out or draw one")
    with open_image(pair.image) as image:
        size = image.shape[1:]
    first = read_mask(pair.masks[0])
    check_pair(size, first.array.shape, where=str(pair.masks[0]))
    if pair.one_per_object:
        return PairMask(_painted(pair, size), "labels")
    if first.is_binary:
        return PairMask(first.array != 0, "binary")
    return PairMask(in_raster_order(first.array), "labels")


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


def _painted(pair: Pair, size: tuple[int, int]) -> NDArray[np.int32]:
    objects = []
    for path in pair.masks:
        inside = read_mask(path).array != 0
        check_pair(size, inside.shape, where=str(path))
        flat = np.flatnonzero(inside)
        if flat.size:
            objects.append((-flat.size, path.name, flat))
    labels = np.zeros(size, np.int32)
    for number, (_, _, flat) in enumerate(sorted(objects, key=lambda entry: entry[:2]), start=1):
        labels.ravel()[flat] = number
    return in_raster_order(labels)
