"""The data section of a recipe: its layout where none is named, the images it means, and how they are split."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import InputError
from cellmonai.data.splits import Split, select_pairs, split_as_told, split_pairs
from cellmonai.images.layouts import find_pairs, folder_given
from cellmonai.images.left_out import beside, tell_left_out
from cellmonai.images.pair import some_names
from cellmonai.images.recognise import recognise
from cellmonai.images.spelling import as_spelt
from cellmonai.images.split_folders import SPLIT
from cellmonai.recipe.write import digest_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cellmonai.core.progress import Reporter
    from cellmonai.images.pair import Pair, PairList
    from cellmonai.recipe.load import LoadedRecipe


@dataclass(frozen=True, slots=True)
class Selected:
    """The images that a recipe's data section means.

    `found` are all of the data set, `pairs` those that `data.select` keeps and that have a mask to learn from;
    `without_mask` counts what the selection keeps and has none.
    """

    found: PairList
    pairs: tuple[Pair, ...]
    without_mask: int


def with_found_layout(loaded: LoadedRecipe) -> LoadedRecipe:
    """Return the recipe with the layout that its folders have, where it names none.

    Raises
    ------
    InputError
        A folder is not there or cannot be listed.
    """
    data = loaded.recipe.data
    root = _root(loaded)
    if data.layout is not None or root is None:
        return loaded
    root = as_spelt(root)
    if not root.is_dir():
        raise InputError("no such folder", where=str(root), cure="check the path of the data set")
    images, masks = (folder_given(root, folder) for folder in (data.images, data.masks))
    place = recognise(root, images, masks)
    update: dict[str, Any] = {"layout": place.layout}
    if masks is None and place.masks is not None:
        update["masks"] = root / place.masks
    shares = ("by", "train", "validation")
    if place.split_by is not None and all(loaded.source_of(f"data.split.{key}") == "default" for key in shares):
        update["split"] = data.split.model_copy(update={"by": place.split_by})
    recipe = loaded.recipe.model_copy(update={"data": data.model_copy(update=update)})
    return replace(loaded, recipe=recipe, digest=digest_of(recipe))


def find_selected(loaded: LoadedRecipe) -> Selected:
    """Find the images of a recipe's data section.

    Raises
    ------
    InputError
        The data are not there, or not in this layout.
    RecipeError
        No folder is given, or `data.select` names what no image has, or keeps nothing.
    """
    loaded = with_found_layout(loaded)
    data, root = loaded.recipe.data, _root(loaded)
    if root is None or data.layout is None:
        raise loaded.error("data.root", "no data folder is given", "add --set data.root=FOLDER")
    found = find_pairs(data.layout, root, images=data.images, masks=data.masks, tables=data.tables)
    wanted = {key: _as_texts(value) for key, value in data.select.items()}
    with loaded.located():
        selected = select_pairs(found.pairs, wanted)
    pairs = tuple(pair for pair in selected if pair.masks)
    if not pairs:
        raise InputError("none of the images has a mask", where=str(root), cure="name their folder as data.masks")
    return Selected(found, pairs, len(selected) - len(pairs))


def split_selected(loaded: LoadedRecipe, pairs: Sequence[Pair]) -> Split:
    """Split pairs into train, validation and test as the recipe says.

    Raises
    ------
    InputError
        There are too few groups.
    RecipeError
        `data.group_by` or `data.split.by` does not fit the images.
    """
    data = loaded.recipe.data
    shares = data.split
    by_shares = partial(
        split_pairs, group_by=data.group_by, train=shares.train, validation=shares.validation, seed=shares.seed
    )
    with loaded.located():
        if shares.by is not None:
            return split_as_told(pairs, shares.by, group_by=data.group_by, by_shares=by_shares)
        test = tuple(pair for pair in pairs if data.layout == "splits" and pair.attributes.get(SPLIT) == "test")
        drawn = by_shares([pair for pair in pairs if pair not in test])
        return replace(drawn, test=(*drawn.test, *test))


def tell_selected(loaded: LoadedRecipe, selected: Selected, reporter: Reporter) -> None:
    """Say which layout was found, and what of the folders is left out."""
    if loaded.source_of("data.layout") == "default":
        data = loaded.recipe.data
        by = f", split by the attribute {data.split.by!r}" if data.split.by else ""
        reporter.note(f"layout {data.layout!r}, found by looking at {_root(loaded)}{by}")
    tell_left_out_of(selected.found, reporter)


def tell_left_out_of(found: PairList, reporter: Reporter) -> None:
    """Say what of a data set is left out: files without a partner, files of other kinds, folders inside."""
    for note in found.notes:
        reporter.note(note)
    if found.skipped:
        number = len(found.skipped)
        noun = "file without a partner is" if number == 1 else "files without a partner are"
        reporter.note(f"{number:,} {noun} left out: {some_names(found.skipped)}")
    pairs = found.pairs
    tell_left_out(beside(file for pair in pairs for file in (pair.image, *pair.masks[:1])), reporter)


def _root(loaded: LoadedRecipe) -> Path | None:
    data = loaded.recipe.data
    return data.root if data.root is not None or data.images is None else data.images.parent


def _as_texts(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - a TOML value or several
    return tuple(_as_text(item) for item in value) if isinstance(value, tuple) else (_as_text(value),)


def _as_text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
