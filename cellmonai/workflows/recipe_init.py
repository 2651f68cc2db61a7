"""A first recipe for a folder of images: look at the data, choose, explain each choice."""

from __future__ import annotations

import csv
import os
import time
from collections import Counter
from dataclasses import dataclass, replace
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.core.files import refuse_existing, require_writable, write_text
from cellmonai.core.text import printable
from cellmonai.data.truth import TruthReader
from cellmonai.images.channels import is_grey_rgb
from cellmonai.images.labels import AS_STORED, ValueChoice
from cellmonai.images.open import open_image
from cellmonai.images.recognise import recognise
from cellmonai.images.split_folders import SPLIT
from cellmonai.instances.mask_kind import INIT
from cellmonai.recipe.draft import DataFacts, draft_recipe
from cellmonai.workflows.recipe_data import tell_left_out_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellmonai.core.progress import Reporter
    from cellmonai.images.layouts import Pair

_LOOKED_AT = 12  # images; spread over the folder, since neighbours are alike
_LARGEST_LOOK_PX = 2048  # of a side; the middle of larger images is looked at
_GROUP_NAMES = ("donor", "patient", "animal", "plate", "slide", "well", "group", "field")
_MOST_VALUES = 6  # of an attribute worth naming in the recipe
_KINDS = ("blur", "magnification", "time")  # attributes of numbers that are kinds, not measurements
_LARGEST_TABLE = 1 << 26  # bytes


@dataclass(frozen=True, slots=True)
class InitResult:
    """The recipe that was written, and what it was fitted to."""

    data: Path
    output: Path
    facts: DataFacts
    warnings: tuple[dict[str, str | None], ...]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Give the document of `recipe init --json`."""
        facts = self.facts
        return {
            "schema": "cellmonai.recipe.init/1",
            "version": metadata.version("cellmonai"),
            "command": "recipe init",
            "inputs": [printable(str(self.data))],
            "outputs": [printable(str(self.output))],
            "warnings": list(self.warnings),
            "seconds": self.seconds,
            "layout": facts.layout,
            "images": facts.pairs,
            "channels": facts.channels,
            "dtype": facts.dtype,
            "object_diameter_px": facts.diameter_px,
            "objects_median": facts.objects,
            "group_by": facts.groups[0] if facts.groups else None,
        }


def init_recipe(
    data: Path, *, output: Path, overwrite: bool, reporter: Reporter, choice: ValueChoice = AS_STORED
) -> InitResult:
    """Write a commented recipe fitted to the images and masks in `data`.

    Raises
    ------
    InputError
        There is no such folder, no pair of image and mask in it, or an image or mask cannot be read.
    OutputError
        `output` exists and `overwrite` is not set, or cannot be written.
    """
    started = time.monotonic()
    refuse_existing([output], overwrite=overwrite)
    if not data.is_dir():
        what = "is a file, not a folder" if data.exists() else "there is no such folder"
        raise InputError(what, where=str(data), cure="give the folder that holds images/ and masks/")
    if output.parent.exists():  # a folder that is made for the output must not stay behind when the data are at fault
        require_writable(output.parent)
    facts = survey(data, output=output, reporter=reporter, choice=choice)
    write_text(output, draft_recipe(facts), overwrite=overwrite)
    warnings = tuple(warning.as_json() for warning in reporter.warnings)
    return InitResult(data, output, facts, warnings, time.monotonic() - started)


def survey(root: Path, *, output: Path, reporter: Reporter, choice: ValueChoice = AS_STORED) -> DataFacts:
    """Look at a data set: all names, and the pixels of a few images."""
    place = recognise(root)
    found = place.pairs(root)
    pairs = [pair for pair in found if pair.masks]
    if not pairs:
        raise InputError("no image here has a mask", where=str(root), cure="put masks under equal names into masks/")
    if place.layout != "bbbc005":  # there the names say everything
        place = replace(place, tables=tables_about(pairs, root))
        pairs = [pair for pair in place.pairs(root) if pair.masks]
    tell_left_out_of(found, reporter)
    pairs = [pair for pair in pairs if place.split_by is None or pair.attributes[place.split_by] != "test"]
    reporter.note(f"{len(pairs):,} images with masks in {root}, layout {place.layout}")
    looked_at = spread(pairs, _LOOKED_AT)
    truth = TruthReader(choice=choice, ways=INIT)
    truth.decide_kind([pair for pair in looked_at if pair.masks])
    looks: list[Look] = []
    with reporter.stage("looking at images", len(looked_at)) as stage:
        for pair in looked_at:
            looks.append(look_at(pair, truth))
            stage.advance()
    truth.tell(reporter)
    first = looks[0]
    areas = [area for look in looks for area in look.areas_px]
    objects = [len(look.areas_px) for look in looks]
    return DataFacts(
        layout=place.layout,
        root=_root_for(root, output),
        masks=place.masks,
        tables=place.tables,
        pairs=len(pairs),
        sizes=tuple(look.size for look in looks),
        channels=len(first.channels),
        channel_names=first.channels,
        dtype=first.dtype,
        brightest=tuple(look.brightest for look in looks),
        darkest=min(look.darkest for look in looks),
        foreground=tuple(sum(look.areas_px) / (look.size[0] * look.size[1]) for look in looks),
        area_px=float(np.median(areas)) if areas else None,
        objects=float(np.median(objects)),
        groups=_groups(pairs, place.layout),
        attributes=_attributes(pairs),
        value_choice=choice.as_json(),
        only_counts=any(pair.count is not None for pair in pairs),
        split_by=place.split_by,
    )


@dataclass(frozen=True, slots=True)
class Look:
    """What one image with its mask shows; `size` is (Y, X) in px."""

    size: tuple[int, int]
    channels: tuple[str, ...]
    dtype: str
    brightest: float
    darkest: float
    areas_px: tuple[float, ...]


def look_at(pair: Pair, truth: TruthReader) -> Look:
    """Read the middle of an image and its mask."""
    with open_image(pair.image) as image:
        height, width = image.shape[1:]
        rows, cols = (max(0, (size - _LARGEST_LOOK_PX) // 2) for size in (height, width))
        region = (rows, cols, min(height, rows + _LARGEST_LOOK_PX), min(width, cols + _LARGEST_LOOK_PX))
        pixels = image.read(region)
        darkest, brightest = (float(value) for value in np.percentile(pixels, (1.0, 99.8)))
        areas = object_areas_px(pair, truth) if pair.masks else ()
        channels = ("grey",) if is_grey_rgb(pixels) else tuple(image.channels)
        return Look((height, width), channels, str(image.dtype), brightest, darkest, areas)


def object_areas_px(pair: Pair, truth: TruthReader) -> tuple[float, ...]:
    """Give the area of each object of a pair's mask; touching ones of a binary mask are split, or shared out evenly."""
    labels = truth.read(pair)
    if truth.kind == "binary" and pair.count:
        return (float(np.count_nonzero(labels)) / pair.count,) * pair.count
    return tuple(float(area) for area in np.bincount(labels.ravel())[1:] if area)


def spread(pairs: Sequence[Pair], number: int) -> list[Pair]:
    """Choose up to `number` pairs evenly over the list."""
    steps = np.linspace(0, len(pairs) - 1, min(number, len(pairs)))
    return [pairs[int(step)] for step in steps]


def _groups(pairs: Sequence[Pair], layout: str) -> tuple[str, int] | None:
    """Give the coarsest attribute that says what belongs together, where it makes enough groups to split."""
    # a field of BBBC005 was rendered at several blurs, each in another well
    for name in ("field",) if layout == "bbbc005" else _GROUP_NAMES:
        values = {pair.attributes.get(name) for pair in pairs}
        if None not in values and 2 < len(values) < len(pairs):
            return name, len(values)
    return None


def _attributes(pairs: Sequence[Pair]) -> dict[str, dict[str, int]]:
    """Give the attributes by which one could select: those of a few words, and numbers only where known to be kinds."""
    found: dict[str, dict[str, int]] = {}
    for name in sorted({key for pair in pairs for key in pair.attributes}):
        values = Counter(pair.attributes.get(name, "") for pair in pairs)
        words = all(value.isidentifier() and value not in ("True", "False") for value in values)
        if 1 < len(values) <= _MOST_VALUES and (words or name in _KINDS) and name not in (*_GROUP_NAMES, SPLIT):
            found[name] = dict(sorted(values.items()))
    return found


def tables_about(pairs: Sequence[Pair], root: Path) -> tuple[str, ...]:
    """Give the CSV tables in `root` whose first column names the images, each in one row."""
    names = {key for pair in pairs for key in (pair.name, pair.image.name)}
    names |= {pair.image.relative_to(root).as_posix() for pair in pairs if pair.image.is_relative_to(root)}
    found = []
    for path in sorted(root.glob("*.csv")):
        if path.is_file() and path.stat().st_size <= _LARGEST_TABLE:
            with path.open(encoding="utf-8", errors="replace", newline="") as stream:
                first = [row[0] for row in islice(csv.reader(stream), 1, None) if row]
            if names & set(first) and len(set(first)) == len(first):
                found.append(path.name)
    return tuple(found)


def _root_for(root: Path, output: Path) -> str:
    """Give the root as the recipe should say it: relative where the data lie beside or below the recipe."""
    here = Path.cwd()
    absolute, folder = (Path(os.path.normpath(here / path)) for path in (root, output.parent))
    return absolute.relative_to(folder).as_posix() if absolute.is_relative_to(folder) else str(absolute)
