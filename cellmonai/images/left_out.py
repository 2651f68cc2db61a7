"""What lies in a folder of images and is not taken is said: files of other kinds, and folders inside."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError
from cellmonai.images.file_kinds import is_note, is_other_image, kinds_in_words
from cellmonai.images.find import Found, is_image_name, listed, sorted_out
from cellmonai.images.pair import some_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cellmonai.core.progress import Reporter

_MOST_LOOKED_AT = 20_000  # names in folders that are not searched; the first image among them ends the look


def tell_left_out(found: Found, reporter: Reporter, *, where: str = "", how_to_search: str = "") -> None:
    """Say what was left out: images that cannot be read and folders with images as a warning, the rest as a note.

    Tables, notes and our own files beside images are not worth a word.

    Parameters
    ----------
    found : the result of looking for images
    where : what was searched, as typed
    how_to_search : the option that searches folders inside, where the command has one
    """
    place = f"{where}: " if where else ""
    images = [path for path in found.others if is_other_image(path)]
    others = [path for path in found.others if not is_other_image(path) and not is_note(path)]
    if images:
        words = _left_out([*images, *others])
        what = "it" if len(images) == 1 else "them"
        reporter.warn("left_out", f"{place}{words}; export {what} as OME-TIFF to have {what} taken")
    elif others:
        reporter.note(f"{place}{_left_out(others)}")
    if found.unsearched:
        number = len(found.unsearched)
        words = f"{number:,} folder{'s' * (number != 1)} not searched: {some_names(found.unsearched)}"
        words += f" ({how_to_search} takes them)" if how_to_search else ""
        if any(_holds_an_image(folder) for folder in found.unsearched):
            reporter.warn("left_out", f"{place}{words}")
        else:
            reporter.note(f"{place}{words}")


def _left_out(paths: list[Path]) -> str:
    return kinds_in_words(paths).replace(":", " left out:", 1)


def beside(files: Iterable[Path]) -> Found:
    """List the folders that `files` lie in, for what else there is."""
    found = Found([])
    for folder in dict.fromkeys(file.parent for file in files):
        try:
            here = sorted_out(listed(folder))
        except InputError:  # it was listed a moment ago, and what is beside the files is no reason to stop
            continue
        found.others.extend(here.others)
        found.unsearched.extend(here.unsearched)
    return found


def _holds_an_image(folder: Path) -> bool:
    """Tell whether an image, also of a kind that is not read, lies in `folder` or below it."""
    return any(is_image_name(path) or is_other_image(path) for path in islice(_below(folder), _MOST_LOOKED_AT))


def _below(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):  # does not follow links to folders
        folders[:] = [name for name in folders if not name.startswith(".") and not name.lower().endswith(".zarr")]
        yield from (Path(here, name) for name in names if not name.startswith("."))
