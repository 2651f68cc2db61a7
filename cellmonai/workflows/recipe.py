"""Recipes judged as a whole: catalogues, data and split together, before anything expensive begins."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import InputError
from cellmonai.core.text import printable
from cellmonai.data.load import channel_index
from cellmonai.data.splits import Split, group_of
from cellmonai.images.open import open_image
from cellmonai.losses import catalogue as losses
from cellmonai.nets import catalogue as networks
from cellmonai.recipe.augmentations import CAUTIONS
from cellmonai.recipe.json_schema import recipe_json_schema
from cellmonai.recipe.load import LoadedRecipe, load_recipe
from cellmonai.recipe.schema import Loss, Network
from cellmonai.recipe.write import digest_of, recipe_document
from cellmonai.workflows.recipe_data import Selected, find_selected, split_selected, tell_selected, with_found_layout
from cellmonai.workflows.recipe_parts import require_fitting_parts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cellmonai.core.progress import Reporter
    from cellmonai.images.layouts import Pair
    from cellmonai.images.source import ImageSource


@dataclass(frozen=True, slots=True)
class ResolvedValue:
    """One value of a recipe, as `recipe check` lists it; `source` is "recipe", "--set" or "default"."""

    key: str
    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class CheckedRecipe:
    """A recipe that `fit` can run, and what it will run on: images and groups by what they are for."""

    loaded: LoadedRecipe
    values: tuple[ResolvedValue, ...]
    selected: Selected
    images: dict[str, int]
    groups: dict[str, int]
    first_image: dict[str, Any]
    warnings: tuple[dict[str, str | None], ...]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Give the document of `recipe check --json`."""
        return {
            "schema": "cellmonai.recipe.check/1",
            "version": metadata.version("cellmonai"),
            "command": "recipe check",
            "inputs": [printable(str(self.loaded.path))],
            "outputs": [],
            "warnings": list(self.warnings),
            "seconds": self.seconds,
            "digest": self.loaded.digest,
            "recipe": recipe_document(self.loaded.recipe),
            "sources": {row.key: row.source for row in self.values},
            "data": {
                "found": len(self.selected.found),
                "without_mask": self.selected.without_mask,
                "images": self.images,
                "groups": self.groups,
                "first": self.first_image,
            },
        }


def open_recipe(path: Path, overrides: Sequence[str] = ()) -> LoadedRecipe:
    """Load a recipe, check its network and loss against their catalogues, and write out what is found.

    That is the parameters of network and loss, and the layout of the data where none is named.

    Raises
    ------
    InputError
        There is no such file, or the layout is looked for and the data are not there.
    RecipeError
        The recipe is wrong; the message names file, line and key.
    """
    loaded = load_recipe(path, overrides)
    recipe = loaded.recipe
    with loaded.located():
        network = networks.resolve(recipe.network.name, recipe.network.parameters)
        divisor = networks.describe(recipe.network.name, network).divisor
        loss = _filled_loss(recipe.loss)
    _require_fitting_patch(loaded, divisor)
    require_fitting_parts(loaded)
    filled = {"network": Network.model_validate({"name": recipe.network.name, **network}), "loss": loss}
    recipe = recipe.model_copy(update=filled)
    return with_found_layout(replace(loaded, recipe=recipe, digest=digest_of(recipe)))


def check_recipe(path: Path, *, overrides: Sequence[str] = (), reporter: Reporter) -> CheckedRecipe:
    """Check everything about a recipe that can be known without training.

    Raises
    ------
    InputError
        The recipe or its data are not there.
    RecipeError
        The recipe is wrong, alone or for these data.
    """
    started = time.monotonic()
    loaded = open_recipe(path, overrides)
    selected = find_selected(loaded)
    tell_selected(loaded, selected, reporter)
    split = split_selected(loaded, selected.pairs)
    first = _look_at(loaded, selected.pairs[0])
    _warn_of_small_parts(split, reporter)
    _warn_of_faulty_steps(loaded, reporter)
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    group_by = loaded.recipe.data.group_by
    return CheckedRecipe(
        loaded=loaded,
        values=resolved_values(loaded),
        selected=selected,
        images={name: len(part) for name, part in parts.items()},
        groups={name: len({group_of(pair, group_by) for pair in part}) for name, part in parts.items()},
        first_image=first,
        warnings=tuple(warning.as_json() for warning in reporter.warnings),
        seconds=time.monotonic() - started,
    )


def resolved_values(loaded: LoadedRecipe) -> tuple[ResolvedValue, ...]:
    """Give every value of a recipe, also those that are not set, in the order of the schema."""
    rows: list[ResolvedValue] = []
    for section, model in loaded.recipe:
        if section == "augment":
            rows += [_augment_row(loaded, index, step) for index, step in enumerate(model)]
            if not model:
                rows.append(ResolvedValue("augment", [], loaded.source_of("augment")))
            continue
        rows += _rows(loaded, section, model)
    return tuple(rows)


def recipe_schema() -> dict[str, Any]:
    """Give the JSON Schema of a recipe, with the networks and losses of the catalogues."""
    return recipe_json_schema(
        networks={row.name: row.parameters for row in networks.NETWORKS},
        losses={row.name: row.parameters for row in losses.LOSSES},
    )


_FEW_IMAGES = 4


def _require_fitting_patch(loaded: LoadedRecipe, divisor: int) -> None:
    patch, name = loaded.recipe.sampling.patch, loaded.recipe.network.name
    least = max(2 * divisor, networks.find_row(name).least_patch_px)
    if patch % divisor or patch < least:
        what = f"{patch} px are no multiple of {divisor} from {least} on, as {name} needs"
        raise loaded.error("sampling.patch", what, f"use {max(least, round(patch / divisor) * divisor)}")


def _filled_loss(loss: Loss) -> Loss:
    """Write out the parameters of a loss, or of every part of a sum."""
    if not loss.parts:
        return Loss.model_validate({"name": loss.name, **losses.resolve(loss.name, loss.parameters)})
    parts = [
        {
            "name": part.name,
            "weight": part.weight,
            **losses.resolve(part.name, part.parameters, section=f"loss.parts.{index}"),
        }
        for index, part in enumerate(loss.parts)
    ]
    return Loss.model_validate({"name": loss.name, "parts": parts})


def _rows(loaded: LoadedRecipe, prefix: str, model: Any) -> list[ResolvedValue]:  # noqa: ANN401 - a section
    rows: list[ResolvedValue] = []
    for name, value in model:
        key = f"{prefix}.{name}"
        if hasattr(value, "model_fields_set"):
            rows += _rows(loaded, key, value)
        elif isinstance(value, tuple) and value and hasattr(value[0], "model_fields_set"):
            rows += [_table_row(loaded, f"{key}.{index}", entry) for index, entry in enumerate(value)]
        else:
            rows.append(ResolvedValue(key, value, loaded.source_of(key)))
    return rows


def _table_row(loaded: LoadedRecipe, key: str, entry: Any) -> ResolvedValue:  # noqa: ANN401 - a phase or part
    return ResolvedValue(key, entry.model_dump(exclude_none=True), loaded.source_of(key))


def _augment_row(loaded: LoadedRecipe, index: int, step: Any) -> ResolvedValue:  # noqa: ANN401 - an augmentation
    key = f"augment.{index}"
    sources = {loaded.source_of(f"{key}.{name}") for name in ("name", *step.parameters)}
    source = next((s for s in ("--set", "recipe") if s in sources), "default")
    return ResolvedValue(key, {"name": step.name, **step.parameters}, source)


def _look_at(loaded: LoadedRecipe, pair: Pair) -> dict[str, Any]:
    """Open the first image, so that axes and channels that do not fit it are told now."""
    data = loaded.recipe.data
    with open_image(pair.image, axes=data.axes) as image:
        if len(image.planes) > 1:
            what = f"holds {len(image.planes)} planes, training takes images of one"
            raise InputError(what, where=str(pair.image), cure="save the planes as files of their own")
        channels = list(image.channels)
        if data.channels is not None:
            channels = [_channel_name(loaded, index, image) for index in range(len(data.channels))]
        pixel_size = image.pixel_size_um or data.pixel_size_um
        return {
            "image": printable(str(pair.image)),
            "shape": list(image.shape),
            "dtype": str(image.dtype),
            "channels": [printable(name) for name in channels],
            "pixel_size_um": list(pixel_size) if pixel_size else None,
        }


def _channel_name(loaded: LoadedRecipe, index: int, image: ImageSource) -> str:
    channel = (loaded.recipe.data.channels or ())[index]
    try:
        return image.channels[channel_index(channel, image)]
    except InputError as error:
        what = f"the first image {error.what}"
        raise loaded.error(f"data.channels.{index}", what, f"it has {', '.join(map(repr, image.channels))}") from error


def _warn_of_small_parts(split: Split, reporter: Reporter) -> None:
    for name, part in (("training", split.train), ("validation", split.validation)):
        if len(part) < _FEW_IMAGES:
            reporter.warn("few_images", f"only {_amount(len(part))} for {name}; results will depend on which")


def _warn_of_faulty_steps(loaded: LoadedRecipe, reporter: Reporter) -> None:
    for name in dict.fromkeys(step.name for step in loaded.recipe.augment if step.name in CAUTIONS):
        reporter.warn("published_fault", f"{name} {CAUTIONS[name]}")


def _amount(images: int) -> str:
    return f"{images} image{'s' * (images != 1)}"
