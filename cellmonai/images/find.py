"""Which files an input names: a file, a folder or a pattern."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError
from cellmonai.core.text import printable
from cellmonai.images.file_kinds import is_other_image, kinds_in_words
from cellmonai.images.ome_zarr_facts import is_maps_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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


@dataclass(frozen=True, slots=True)
class Found:
    """What inputs name.

    Parameters
    ----------
    images : in natural order, each once
    others : files of other kinds that lie among them
    unsearched : folders that lie among them and were not searched
    """

    images: list[Path]
    others: list[Path] = field(default_factory=list)
    unsearched: list[Path] = field(default_factory=list)

    def add(self, more: Found) -> None:
        """Add what was found elsewhere."""
        self.images.extend(more.images)
        self.others.extend(more.others)
        self.unsearched.extend(more.unsearched)


def find_images(
    inputs: Sequence[Path], *, recursive: bool = False, avoid: Callable[[Path], bool] | None = None
) -> Found:
    """Find the images that `inputs` name, and what of the inputs is left out.

    A folder means the images directly in it, without hidden and temporary ones; an OME-Zarr folder is one image. Links
    to nothing and special files in it are kept, so that opening refuses them by name instead of their being left out in
    silence; the maps of `cellmonai infer`, which lie beside its masks, are left out.

    Parameters
    ----------
    inputs : files, folders and patterns
    recursive : search the folders inside folders too; links to folders are followed, and no folder is searched twice
    avoid : tells of a folder inside another one that it is no part of the input, as the folder of the results

    Raises
    ------
    InputError
        An input does not exist or holds no image; the sentence says what it holds.
    """
    found = [_found_in(given, recursive=recursive, avoid=avoid) for given in inputs]
    images = in_natural_order(list(dict.fromkeys(path for one in found for path in one.images)))
    if not images:
        raise InputError("no image was named", cure="name a file, a folder or a pattern as 'images/*.tif'")
    others = dict.fromkeys(path for one in found for path in one.others if path not in inputs)
    folders = dict.fromkeys(path for one in found for path in one.unsearched if path not in inputs)
    return Found(_each_once(images), list(others), list(folders))


def _each_once(paths: Sequence[Path]) -> list[Path]:
    """Drop other spellings of a path, such as `a.tif` and `./b/../a.tif`."""
    folders = {folder: os.path.realpath(folder) for folder in {path.parent for path in paths}}
    once: dict[tuple[str, str], Path] = {}
    for path in paths:
        once.setdefault((folders[path.parent], path.name), path)
    return list(once.values())


def _found_in(given: Path, *, recursive: bool, avoid: Callable[[Path], bool] | None) -> Found:
    if is_zarr_folder(given):
        return Found([given])
    if is_folder(given):
        return _required(given, _search([given], recursive=recursive, avoid=avoid), how_to_search="--recursive")
    if os.path.lexists(given):
        return Found([given])
    if glob.has_magic(str(given)):
        return _fitting(given, recursive=recursive, avoid=avoid)
    raise InputError("no such file or folder", where=str(given), cure="check the path")


def _fitting(pattern: Path, *, recursive: bool, avoid: Callable[[Path], bool] | None) -> Found:
    """Find the images that fit a pattern; folders that fit are searched where nothing else fits, as a shell would."""
    if "**" in pattern.parts:
        raise InputError(
            "patterns with ** are not understood", where=str(pattern), cure="name the folder and add --recursive"
        )
    fitting = [Path(text) for text in glob.glob(str(pattern))]  # noqa: PTH207 - Path.glob takes no absolute pattern
    found = sorted_out(fitting)
    if found.unsearched and (recursive or not found.images):
        below = _search(found.unsearched, recursive=recursive, avoid=avoid)
        found.unsearched.clear()
        found.add(below)
    if not found.images:
        what = f"no image fits this pattern ({_contents(found)})" if fitting else "no image fits this pattern"
        raise InputError(what, where=str(pattern), cure="check the folder and the suffix")
    return found


def images_in(folder: Path) -> list[Path]:
    """Return the images directly in `folder`, in natural order.

    Raises
    ------
    InputError
        The folder cannot be listed or holds no image.
    """
    return in_natural_order(_required(folder, sorted_out(listed(folder))).images)


def _required(folder: Path, found: Found, *, how_to_search: str = "") -> Found:
    if found.images:
        return found
    cures = ["export these as OME-TIFF"] if any(map(is_other_image, found.others)) else []
    cures += [f"add {how_to_search}"] if how_to_search and found.unsearched else []
    cures.append(f"name a folder that holds {', '.join(IMAGE_SUFFIXES)} files")
    raise InputError(f"the folder holds no image ({_contents(found)})", where=str(folder), cure=", or ".join(cures))


def searched(
    folders: Sequence[Path], *, recursive: bool = False, avoid: Callable[[Path], bool] | None = None
) -> Iterator[tuple[Path, Found]]:
    """Give each folder with what lies in it, and where asked for those inside them; none twice, whatever links say.

    Raises
    ------
    InputError
        A folder cannot be listed.
    """
    seen: set[str] = set()
    waiting = list(folders)
    while waiting:
        folder = waiting.pop(0)
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        here = sorted_out(listed(folder))
        here.unsearched[:] = [path for path in here.unsearched if avoid is None or not avoid(path)]
        if recursive:  # links come last, so that an image is named by the folder it lies in
            waiting.extend(sorted(in_natural_order(here.unsearched), key=os.path.islink))
            here.unsearched.clear()
        yield folder, here


def _search(folders: Sequence[Path], *, recursive: bool, avoid: Callable[[Path], bool] | None) -> Found:
    found = Found([])
    for _, here in searched(folders, recursive=recursive, avoid=avoid):
        found.add(here)
    return found


def same_folder(folder: Path | None) -> Callable[[Path], bool]:
    """Return a test for `folder`, which knows it by links and other spellings too."""
    real = os.path.realpath(folder) if folder is not None else None
    return lambda path: os.path.realpath(path) == real


def sorted_out(paths: Sequence[Path]) -> Found:
    """Tell images, other files and folders apart; what is hidden, temporary or of our maps is none of them."""
    found = Found([])
    for path in paths:
        if path.name.startswith(".") or ".tmp" in path.suffixes:
            continue
        if not is_folder(path):
            (found.images if is_image_name(path) else found.others).append(path)
        elif not is_zarr_folder(path):
            found.unsearched.append(path)
        elif not is_maps_folder(path):
            found.images.append(path)
    return found


def listed(folder: Path) -> list[Path]:
    """Return what lies in `folder` without hidden entries, sorted.

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


def is_folder(path: Path) -> bool:
    """Tell whether `path` is a folder or a link to one; False for names that no file system takes."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises for names that are too long


def is_zarr_folder(path: Path) -> bool:
    """Tell whether `path` is a folder of Zarr, by its name or by the headers in it."""
    return is_folder(path) and (
        path.suffix.lower() == ".zarr" or any((path / name).is_file() for name in (".zattrs", ".zgroup", "zarr.json"))
    )


def is_image_name(path: Path) -> bool:
    """Tell whether the name is that of an image, and not of a hidden or temporary file."""
    return family_of(path) is not None and not path.name.startswith(".") and ".tmp" not in path.suffixes


def _contents(found: Found) -> str:
    parts = [kinds_in_words(found.others)] if found.others else []
    if found.unsearched:
        names = ", ".join(printable(path.name) for path in found.unsearched[:3])
        number = len(found.unsearched)
        parts.append(f"folders that are not searched: {names}{f' and {number - 3} more' if number > 3 else ''}")
    return "it holds " + " and ".join(parts) if parts else "it is empty"
