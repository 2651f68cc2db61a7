"""Which files an input names: a file, a folder or a pattern."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError
from cellmonai.core.text import printable
from cellmonai.images.ome_zarr_facts import is_maps_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

FAMILIES = (
    ("TIFF", (".tif", ".tiff", ".btf", ".tf8", ".svs", ".ndpi", ".qptiff")),
    ("OME-Zarr", (".zarr",)),
    ("PNG", (".png",)),
    ("JPEG", (".jpg", ".jpeg")),
    ("BMP", (".bmp",)),
    ("npy", (".npy",)),
    ("npz", (".npz",)),
    ("NIfTI", (".nii", ".nii.gz")),
)
"""Families of formats and the suffixes that name them."""

IMAGE_SUFFIXES = tuple(suffix for _, suffixes in FAMILIES for suffix in suffixes)

_DOUBLE = (".ome.tif", ".ome.tiff", ".ome.btf", ".ome.tf8", ".ome.zarr", ".nii.gz")


def family_of(path: Path) -> str | None:
    """Give the family of formats that the suffix names, or None."""
    name = path.name.lower()
    return next((family for family, suffixes in FAMILIES if name.endswith(suffixes)), None)


def image_stem(path: Path) -> str:
    """Give the name without its image suffix.

    Examples
    --------
    >>> image_stem(Path("plate/a.1.ome.tif"))
    'a.1'
    """
    name = path.name
    for suffix in (*_DOUBLE, *IMAGE_SUFFIXES):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return path.stem


def in_natural_order(paths: Sequence[Path]) -> list[Path]:
    """Sort paths by folder and name, with runs of digits by value: `a2` before `a10`."""
    return sorted(paths, key=lambda path: [_natural(part) for part in path.parts])


def _natural(text: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"([0-9]+)", text)
    return [(1, int(part), part) if part[:1].isdecimal() and part.isascii() else (0, 0, part) for part in parts]


def find_images(inputs: Sequence[Path]) -> list[Path]:
    """Give the images that `inputs` name, in natural order, each once.

    A folder means the images directly in it, without hidden and temporary ones; an OME-Zarr folder is one image. Links
    and special files in it are kept, so that opening refuses them by name instead of their being left out in silence;
    the maps of `cellmonai infer`, which lie beside its masks, are left out.

    Raises
    ------
    InputError
        An input does not exist or holds no image; the sentence says what it holds.
    """
    found: dict[Path, None] = {}
    for given in inputs:
        for path in _images_of(given):
            found[path] = None
    if not found:
        raise InputError("no image was named", cure="name a file, a folder or a pattern as 'images/*.tif'")
    return in_natural_order(list(found))


def _images_of(given: Path) -> list[Path]:
    if is_zarr_folder(given):
        return [given]
    if given.is_dir():
        return images_in(given)
    if os.path.lexists(given):
        return [given]
    if glob.has_magic(str(given)):
        matches = [Path(text) for text in glob.glob(str(given))]  # noqa: PTH207 - Path.glob takes no absolute pattern
        images = [path for path in matches if is_image(path)]
        if images:
            return images
        raise InputError("no image fits this pattern", where=str(given), cure="check the folder and the suffix")
    raise InputError("no such file or folder", where=str(given), cure="check the path")


def images_in(folder: Path) -> list[Path]:
    """Give the images directly in `folder`, in natural order.

    Raises
    ------
    InputError
        The folder cannot be listed or holds no image.
    """
    entries = listed(folder)
    images = [path for path in entries if is_image(path)]
    if not images:
        raise InputError(
            f"the folder holds no image ({_contents(entries)})",
            where=str(folder),
            cure=f"name a folder that holds {', '.join(IMAGE_SUFFIXES)} files",
        )
    return in_natural_order(images)


def listed(folder: Path) -> list[Path]:
    """Give what lies in `folder` without hidden entries, sorted.

    Raises
    ------
    InputError
        The folder does not exist or cannot be listed.
    """
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputError(
            f"the folder cannot be listed ({error.strerror})", where=str(folder), cure="check the path and permissions"
        ) from error


def is_zarr_folder(path: Path) -> bool:
    """Tell whether `path` is a folder of Zarr, by its name or by the headers in it."""
    return path.is_dir() and (
        path.suffix.lower() == ".zarr" or any((path / name).is_file() for name in (".zattrs", ".zgroup", "zarr.json"))
    )


def is_image(path: Path) -> bool:
    """Tell whether a folder is to be listed with this file, or this OME-Zarr folder, among its images."""
    if not is_image_name(path):
        return False
    return not path.is_dir() or (is_zarr_folder(path) and not is_maps_folder(path))


def is_image_name(path: Path) -> bool:
    """Tell whether the name is that of an image, and not of a hidden or temporary file."""
    return family_of(path) is not None and not path.name.startswith(".") and ".tmp" not in path.suffixes


def _contents(entries: list[Path]) -> str:
    if not entries:
        return "it is empty"
    folders = [path.name for path in entries if path.is_dir()]
    names = ", ".join(printable(path.name) for path in entries[:3])
    rest = f" and {len(entries) - 3} more" if len(entries) > 3 else ""
    hint = "; its folders are not searched" if folders else ""
    return f"it holds {names}{rest}{hint}"
