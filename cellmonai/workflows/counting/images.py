"""Which image belongs to which mask: from the folder that was named, the record of `infer`, or a file beside."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError, UsageError
from cellmonai.images.find import find_images, image_stem, is_image_name
from cellmonai.images.spelling import folded
from cellmonai.workflows.mask_names import bare_stem, masks_in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from cellmonai.core.progress import Reporter
    from cellmonai.workflows.counting.inputs import MaskInput


def with_images(
    masks: list[MaskInput], folder: Path | None, reporter: Reporter, *, recursive: bool = False
) -> list[MaskInput]:
    """Give each mask its image: from the folder that was named, else from the record, else one beside the mask.

    Raises
    ------
    InputError
        The folder holds no image of any mask.
    UsageError
        Two images in it could both belong to one mask.
    """
    if folder is None:
        beside = cache(_images_by_stem)
        return [mask if mask.image else _with_image_beside(mask, beside(mask.path.parent)) for mask in masks]
    files = find_images([folder], recursive=recursive).images
    by_stem = _by_stem(files, folded) | _by_stem(files)
    chosen = [(mask, _image_for(mask, by_stem)) for mask in masks]
    if not any(image for _, image in chosen):
        raise InputError(
            f"none of the {masks_in_words(len(masks))} has an image of its name here",
            where=str(folder),
            cure=f"name images as the masks, for example {masks[0].name}.tif",
        )
    for mask, image in chosen:
        if image is None:
            reporter.warn("image_missing", f"no image of this name in {folder}", mask.name)
    return [replace(mask, image=image, image_is_given=image is not None) for mask, image in chosen]


def _with_image_beside(mask: MaskInput, by_stem: dict[str, list[Path]]) -> MaskInput:
    stem = bare_stem(image_stem(mask.path))
    beside = by_stem.get(stem, []) if stem != image_stem(mask.path) else []
    return replace(mask, image=beside[0]) if len(beside) == 1 else mask


def _images_by_stem(folder: Path) -> dict[str, list[Path]]:
    return _by_stem(path for path in folder.iterdir() if is_image_name(path) and path.is_file())


def _by_stem(files: Iterable[Path], form: Callable[[str], str] = str) -> dict[str, list[Path]]:
    stems: dict[str, list[Path]] = {}
    for file in sorted(files):
        stems.setdefault(form(image_stem(file)), []).append(file)
    return stems


def _image_for(mask: MaskInput, by_stem: dict[str, list[Path]]) -> Path | None:
    stems = (bare_stem(image_stem(mask.path)), image_stem(mask.path))
    for stem in (*stems, *map(folded, stems)):  # equal capitals go first
        candidates = by_stem.get(stem, [])
        beside = [file for file in candidates if file.parent.name == mask.path.parent.name]
        if len(beside) == 1:  # of equal names in several folders, the one in the folder of this name
            return beside[0]
        if len(candidates) > 1:
            raise UsageError(
                f"{candidates[0].name} and {candidates[1].name} could both be the image of {mask.path.name}",
                where="--images",
                cure="keep one of them in the folder",
            )
        if candidates:
            return candidates[0]
    return None
