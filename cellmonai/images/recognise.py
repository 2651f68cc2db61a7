"""The layout of a data set told from the names of its folders and files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from cellmonai.images.find import image_stem, is_image_name, listed
from cellmonai.images.layouts import find_pairs
from cellmonai.images.nnunet import case_of
from cellmonai.images.spelling import folder_named
from cellmonai.images.split_folders import SPLIT, split_folders

if TYPE_CHECKING:
    from pathlib import Path

    from cellmonai.images.pair import PairList

_BBBC005_NAME = re.compile(r"_C\d+_F\d+_s\d+_w\d", re.IGNORECASE)
_MOST_NAMES = 1000


@dataclass(frozen=True, slots=True)
class Place:
    """How a data set lies in its folder; `masks` and `tables` are names in it."""

    layout: str
    masks: str | None = None
    tables: tuple[str, ...] = ()

    @property
    def split_by(self) -> str | None:
        """The attribute by which the data set is split already."""
        return SPLIT if self.layout == "splits" else None

    def pairs(self, root: Path) -> PairList:
        """Find the images of this place."""
        masks = root / self.masks if self.masks else None
        return find_pairs(self.layout, root, masks=masks, tables=[root / name for name in self.tables])


def recognise(root: Path, images: Path | None = None, masks: Path | None = None) -> Place:
    """Tell the layout of a data set.

    Parameters
    ----------
    root : its folder
    images, masks : the folders of images and masks, where they are known

    Raises
    ------
    InputError
        A folder cannot be listed.
    """
    folders = [path for path in listed(root) if path.is_dir()] if images is None or masks is None else []
    pictures = images or folder_named(root, "images")
    sample = _names_in(pictures or root)
    if sample and 2 * sum(bool(_BBBC005_NAME.search(path.name)) for path in sample) > len(sample):
        return Place("bbbc005")
    if _is_nnunet(root, images, masks):
        return Place("nnunet")
    if not (pictures and sample) and split_folders(root, images, masks):
        return Place("splits")
    if pictures is None and any(folder_named(path, "images") and folder_named(path, "masks") for path in folders):
        return Place("dsb2018")
    names = {path.name.lower() for path in folders}
    versions = [path.name for path in folders if path.name.lower().startswith(("labels_", "masks_"))]
    if masks is None and pictures and versions and not names & {"masks", "labels", "mask", "label"}:
        # of several versions the corrected one is the better truth
        best = next((name for name in versions if re.search("fixed|correct|clean", name.lower())), versions[0])
        return Place("dsb2018", masks=best)
    return Place("pairs")


def _names_in(folder: Path) -> list[Path]:
    return [path for path in islice(listed(folder), _MOST_NAMES) if is_image_name(path)]


def _is_nnunet(root: Path, images: Path | None, masks: Path | None) -> bool:
    """Tell whether images are named by case and channel, and their labels by the case alone."""
    images = images or folder_named(root, "imagesTr")
    masks = masks or folder_named(root, "labelsTr")
    if images is None or masks is None:
        return False
    sample, labels = _names_in(images), {image_stem(path) for path in _names_in(masks)}
    cases = [case_of(path) for path in sample]
    return None not in cases and bool(labels.intersection(cases)) and not labels & {image_stem(p) for p in sample}
