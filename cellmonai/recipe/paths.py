"""Where the paths of a recipe lead: made absolute once, so that the folder a command runs in no longer matters."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cellmonai.recipe.schema import Recipe


def anchor_paths(recipe: Recipe, *, folder: Path, root_typed: bool, model_typed: bool = False) -> Recipe:
    """Give the recipe with absolute paths.

    Parameters
    ----------
    folder : folder of the recipe, to which `data.root` in the file is relative
    root_typed : whether `data.root` came from `--set`, which makes it relative to the current folder
    model_typed : the same of `sampling.artefacts.model`

    Notes
    -----
    `images`, `masks` and `tables` lie in the root, so they are relative to it wherever they were written; that way one
    recipe serves a data set at any place by `--set data.root=…` alone. Without a root they are relative to the recipe.
    """
    here = Path.cwd()
    data = recipe.data
    start = here if root_typed else here / folder
    root = _join(start, data.root or Path())
    places = {
        "root": root if data.root is not None else None,
        "images": _join(root, data.images) if data.images is not None else None,
        "masks": _join(root, data.masks) if data.masks is not None else None,
        "tables": tuple(_join(root, table) for table in data.tables),
    }
    update: dict[str, Any] = {"data": data.model_copy(update=places)}
    if (artefacts := recipe.sampling.artefacts) is not None:
        model = _join(here if model_typed else here / folder, artefacts.model)
        moved = artefacts.model_copy(update={"model": model})
        update["sampling"] = recipe.sampling.model_copy(update={"artefacts": moved})
    return recipe.model_copy(update=update)


def _join(start: Path, path: Path) -> Path:
    """Take `.` and `..` out without following links, since the link is what the user named; `~` is the home folder."""
    return Path(os.path.normpath(start / os.path.expanduser(path)))  # noqa: PTH111 - leaves an unknown ~user as it is
