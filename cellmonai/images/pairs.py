"""Layout "pairs": `images/` beside `masks/` with equal stems, or `x.tif` beside `x_masks.tif`."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError
from cellmonai.images.find import image_stem, images_in, listed
from cellmonai.images.pair import Pair, PairList, nearest_name, some_names
from cellmonai.images.spelling import folded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

IMAGE_FOLDERS = ("images", "image", "imgs", "raw")
MASK_FOLDERS = ("masks", "mask", "labels", "label", "gt", "annotations", "ground_truth")
MASK_SUFFIXES = ("_cp_masks", "_masks", "_mask", "_labels", "_label", "_seg", "_gt")
IMAGE_ENDINGS = ("_image", "_img")


def folder_pairs(root: Path, images: Path | None, masks: Path | None) -> PairList:
    """Find pairs in two folders, or in one folder by the ends of the names.

    Raises
    ------
    InputError
        No folder of images or masks, an image without mask, two masks for one image, or only Cellpose pickles.
    """
    images = images or subfolder(root, IMAGE_FOLDERS, "images")
    masks = masks or subfolder(root, MASK_FOLDERS, "masks")
    if images is None and masks is None:
        return _by_suffix(root, root)
    if images is None or masks is None:
        return _by_suffix(images or root, masks or images or root)
    return _matched(_without_pickles(images_in(images)), _without_pickles(images_in(masks)), masks)


def subfolder(root: Path, names: Sequence[str], what: str) -> Path | None:
    """Return the folder in `root` that has one of these names, whatever its capitals; None where there is none.

    Raises
    ------
    InputError
        There are several.
    """
    found = [path for path in listed(root) if path.is_dir() and path.name.lower() in names]
    if len(found) > 1:
        raise InputError(
            f"there are several folders of {what}: {some_names(found)}",
            where=str(root),
            cure=f"name the right one as data.{what}",
        )
    return found[0] if found else None


def _by_suffix(images: Path, masks: Path) -> PairList:
    """Pair files by the end of the mask's name, in one folder or two."""
    entries = images_in(images)
    if images == masks:
        pictures = [path for path in entries if mask_stem(path) is None and not is_pickle(path)]
        truths = [path for path in entries if mask_stem(path) is not None and not is_pickle(path)]
    else:
        pictures, truths = entries, images_in(masks)
    if not pictures:
        raise InputError(f"every image is named as a mask ({some_names(truths)})", where=str(images), cure=_CURE)
    if not truths:
        _refuse_pickles(entries)
        raise InputError(f"there are images ({some_names(pictures)}) and no masks", where=str(images), cure=_CURE)
    return _matched(pictures, truths, masks)


_CURE = "put them into images/ and masks/ under equal names, or name them x.tif and x_masks.tif"


def is_pickle(path: Path) -> bool:
    """Tell whether a file is what the Cellpose window saves beside an image."""
    return path.name.lower().endswith("_seg.npy")


def _without_pickles(paths: list[Path]) -> list[Path]:
    plain = [path for path in paths if not is_pickle(path)]
    if not plain:
        _refuse_pickles(paths)
    return plain


def _refuse_pickles(paths: Sequence[Path]) -> None:
    for path in paths:
        if is_pickle(path):
            raise InputError(
                "Cellpose's _seg.npy is a pickle, which could run programs and is not opened",
                where=str(path),
                cure="in Cellpose use File > Save masks as PNG/tif",
            )


def mask_stem(path: Path) -> str | None:
    """Give the stem of the image that a mask's name ends on, or None for a name that is not a mask's."""
    stem = image_stem(path)
    for suffix in MASK_SUFFIXES:
        if stem.lower().endswith(suffix) and len(stem) > len(suffix):
            return stem[: -len(suffix)]
    return None


def _matched(images: Sequence[Path], masks: Sequence[Path], folder: Path) -> PairList:
    by_stem: dict[str, Path] = {}
    for mask in masks:
        for stem in {image_stem(mask), mask_stem(mask) or image_stem(mask)}:
            if stem in by_stem:
                raise InputError(
                    f"{by_stem[stem].name} and {mask.name} are masks of the same image",
                    where=str(folder),
                    cure="remove one of them",
                )
            by_stem[stem] = mask
    partners = _partners(images, by_stem)
    pairs = [Pair(image_stem(image), image, (partners[image],)) for image in images if image in partners]
    missing = [image for image in images if image not in partners]
    if missing:
        _refuse_pickles([path.with_name(f"{image_stem(path)}_seg.npy") for path in missing if _has_pickle(path)])
        near = nearest_name(missing[0].name, [mask.name for mask in masks])
        raise InputError(
            f"no mask for {some_names(missing)} ({len(images)} images, {len(masks)} masks{near})",
            where=str(folder),
            cure="add the masks, or move images without mask to another folder",
        )
    _require_unique(pairs)
    used = {pair.masks[0] for pair in pairs}
    return PairList(tuple(pairs), tuple(mask for mask in masks if mask not in used))


def _partners(images: Sequence[Path], by_stem: Mapping[str, Path]) -> dict[Path, Path]:
    """Return the mask of each image by equal names; where there is none, by names that differ in capitals alone."""
    partners = {image: by_stem[stem] for image in images for stem in _image_stems(image)[::-1] if stem in by_stem}
    taken = set(partners.values())
    masks, others = defaultdict(set), Counter(folded(image_stem(image)) for image in images)
    for stem, mask in by_stem.items():
        masks[folded(stem)].add(mask)
    for image in images:
        for name in map(folded, _image_stems(image)):
            alike = masks.get(name, set())
            if image not in partners and len(alike) == 1 and not alike & taken and others[name] <= 1:
                partners[image] = next(iter(alike))
    return partners


def _has_pickle(image: Path) -> bool:
    return image.with_name(f"{image_stem(image)}_seg.npy").exists()


def _image_stems(image: Path) -> list[str]:
    stem = image_stem(image)
    return [stem, *(stem[: -len(end)] for end in IMAGE_ENDINGS if stem.lower().endswith(end))]


def _require_unique(pairs: Sequence[Pair]) -> None:
    seen: dict[str, Path] = {}
    for pair in pairs:
        if pair.name in seen:
            raise InputError(
                f"{seen[pair.name].name} and {pair.image.name} have the same name",
                where=str(pair.image.parent),
                cure="rename one of them",
            )
        seen[pair.name] = pair.image
