"""Layout "dsb2018": the 2018 Data Science Bowl, one PNG per nucleus, or its images beside label maps.

Either `ID/images/ID.png` with `ID/masks/*.png`, or `images/` with `labels…/` under equal names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError
from cellmonai.images.find import image_stem, images_in, listed
from cellmonai.images.pair import Pair, PairList, some_names
from cellmonai.images.spelling import folder_named

if TYPE_CHECKING:
    from pathlib import Path


def dsb2018_pairs(root: Path, images: Path | None, masks: Path | None) -> PairList:
    """Find the pairs of the Data Science Bowl; images without label map are skipped and listed.

    Raises
    ------
    InputError
        Neither form of the layout, an image folder without masks, or several folders of label maps and none named.
    """
    pictures = images or folder_named(root, "images")
    if pictures is None:
        return _one_folder_per_image(root)
    return _label_maps(pictures, masks or _label_folder(root))


def _label_folder(root: Path) -> Path:
    found = [path for path in listed(root) if path.is_dir() and path.name.lower().startswith(("label", "mask"))]
    if len(found) == 1:
        return found[0]
    what = f"there are several folders of label maps: {some_names(found)}" if found else "no folder of label maps"
    raise InputError(what, where=str(root), cure="name the right one as data.masks")


def _label_maps(images: Path, masks: Path) -> PairList:
    maps = {image_stem(path): path for path in images_in(masks)}
    pairs, skipped = [], []
    for image in images_in(images):
        name = image_stem(image)
        if name in maps:
            pairs.append(Pair(name, image, (maps.pop(name),)))
        else:
            skipped.append(image)
    if not pairs:
        raise InputError(
            f"no label map is named as an image of {images.name}", where=str(masks), cure="name the right data.masks"
        )
    return PairList(tuple(pairs), (*skipped, *maps.values()))


def _one_folder_per_image(root: Path) -> PairList:
    folders = [path for path in listed(root) if path.is_dir()]
    samples = [path for path in folders if folder_named(path, "images")]
    if not samples:
        inner = [
            path for path in folders if any(folder_named(child, "images") for child in listed(path) if child.is_dir())
        ]
        hint = (
            f"the samples lie in {some_names(inner)}, name that folder" if inner else "name the folder that holds them"
        )
        raise InputError("no folder here is ID/images with ID/masks", where=str(root), cure=hint)
    return PairList(tuple(_sample(folder) for folder in samples))


def _sample(folder: Path) -> Pair:
    images = images_in(folder_named(folder, "images") or folder / "images")
    if len(images) != 1:
        raise InputError(
            f"{len(images)} images ({some_names(images)}), expected one", where=str(folder), cure="keep one of them"
        )
    objects = folder_named(folder, "masks")
    if objects is None:
        raise InputError("there is an image and no folder of masks", where=str(folder), cure="add the folder masks")
    return Pair(folder.name, images[0], tuple(images_in(objects)), one_per_object=True)
