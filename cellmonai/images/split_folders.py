"""Layout "splits": `train/`, `val/` and `test/`, each with images and masks, or folders of images and masks with these.

Also `training`, `valid`, `validation`, `dev` and `testing`. Test images may have no masks; they are never learnt from.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from cellmonai.core.errors import InputError
from cellmonai.images.find import is_folder, listed, sorted_out
from cellmonai.images.pair import Pair, PairList, some_names
from cellmonai.images.pairs import IMAGE_FOLDERS, MASK_FOLDERS, folder_pairs, subfolder
from cellmonai.images.spelling import folded

if TYPE_CHECKING:
    from pathlib import Path

SPLIT = "split"
"""Name of the attribute that says what an image is for: train, validation or test."""

PARTS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test", "testing"),
}
"""What images are for, and the words that say it."""


class _Part(NamedTuple):
    """A part of the data set: the folder it is named by, and its images and masks where they are known."""

    root: Path
    images: Path | None = None
    masks: Path | None = None


def part_named(word: str) -> str | None:
    """Return the part that a word stands for: "validation" for "Val", None for a word that is none."""
    return next((part for part, words in PARTS.items() if folded(word) in words), None)


def split_folders(root: Path, images: Path | None = None, masks: Path | None = None) -> dict[str, _Part]:
    """Return the folders of each part, empty where the data set is not divided in this way.

    Raises
    ------
    InputError
        Two folders of the same part, as val and valid.
    """
    inside = _parts_in(root) if images is None and masks is None else {}
    if "train" in inside:
        return {part: _Part(folder) for part, folder in inside.items()}
    images = images or subfolder(root, IMAGE_FOLDERS, "images")
    masks = masks or subfolder(root, MASK_FOLDERS, "masks")
    if images is None or masks is None or sorted_out(listed(images)).images:
        return {}
    of_images, of_masks = _parts_in(images), _parts_in(masks)
    if not {"train"} <= of_images.keys() & of_masks.keys():
        return {}
    return {part: _Part(folder, folder, of_masks.get(part)) for part, folder in of_images.items()}


def split_folder_pairs(root: Path, images: Path | None, masks: Path | None) -> PairList:
    """Find the pairs of every part; the attribute `split` says which it is.

    Raises
    ------
    InputError
        There is no such folder, or the images of training or validation do not pair with their masks.
    """
    parts = split_folders(root, images, masks)
    if not parts:
        raise InputError(
            "there is no folder train with images and masks", where=str(root), cure="name the folder that holds it"
        )
    pairs: list[Pair] = []
    skipped: list[Path] = []
    notes: list[str] = []
    for part in PARTS:
        if part not in parts:
            continue
        try:
            found = folder_pairs(*parts[part])
        except InputError:
            if part != "test":
                raise
            notes.append(f"{parts[part].root.name} has no pairs of image and mask and is left out")
            continue
        prefix = parts[part].root.name
        pairs += [replace(pair, name=f"{prefix}_{pair.name}", attributes={SPLIT: part}) for pair in found.pairs]
        skipped += found.skipped
    return PairList(tuple(pairs), tuple(skipped), tuple(notes))


def _parts_in(folder: Path) -> dict[str, Path]:
    parts: dict[str, Path] = {}
    for path in listed(folder):
        part = part_named(path.name) if is_folder(path) else None
        if part is not None and part in parts:
            raise InputError(
                f"there are two folders of images for {part}: {some_names([parts[part], path])}",
                where=str(folder),
                cure="keep one of them",
            )
        if part is not None:
            parts[part] = path
    return parts
