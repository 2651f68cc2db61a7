"""A recipe from its file: read, overridden, checked, its paths anchored; every fault with file, line and key."""

from __future__ import annotations

import errno
import re
import tomllib
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from cellmonai.core.errors import InputError, RecipeError
from cellmonai.core.files import read_ordinary
from cellmonai.recipe.explain import faults_of
from cellmonai.recipe.overrides import LONG_KEY, Override, apply_override, dotted, numbered, parse_override
from cellmonai.recipe.paths import anchor_paths
from cellmonai.recipe.schema import Recipe
from cellmonai.recipe.toml_lines import KeyPath, find_lines, value_at
from cellmonai.recipe.write import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from cellmonai.recipe.explain import Fault

Source = Literal["recipe", "--set", "default"]

_MOST_KEYS = 5_000
_LARGEST_RECIPE = 1 << 20  # bytes; a recipe has a few thousand, so that anything larger is another file


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the values of a recipe were written: a file with its lines, and `--set` words."""

    name: str
    lines: Mapping[KeyPath, int]
    overrides: tuple[Override, ...] = ()

    def source_of(self, path: KeyPath) -> Source:
        """Tell who gave the value at `path`; the last `--set` of it or of a section around it decides."""
        for override in reversed(self.overrides):
            if path[: len(override.path)] == override.path:
                there, value = value_at(override.value, path[len(override.path) :])
                return "--set" if there and value is not None else "default"
        return "recipe" if path in self.lines else "default"

    def place_of(self, path: KeyPath) -> str:
        """Give `recipe.toml:14 training.epochs` or `--set training.epochs`."""
        if any(path[: len(o.path)] == o.path for o in self.overrides):
            return f"--set {dotted(path)}"
        if path not in self.lines and self._overridden_below(path):
            return f"--set {dotted(path)}"
        line = self.line_of(path)
        return f"{self.name}:{line} {dotted(path)}" if line else f"{self.name} {dotted(path)}"

    def line_of(self, path: KeyPath) -> int:
        """Give the line of the key or of the section around it; 0 when neither is in the file."""
        parents = (path[:depth] for depth in range(len(path), 0, -1))
        return next((self.lines[parent] for parent in parents if parent in self.lines), 0)

    def _overridden_below(self, path: KeyPath) -> bool:
        return any(o.path[: len(path)] == path for o in self.overrides)


@dataclass(frozen=True, slots=True)
class LoadedRecipe:
    """A checked recipe, with where each value came from.

    `digest` is the SHA-256 of its content (see `write.digest_of`): the same recipe has the same on every machine.
    """

    recipe: Recipe
    path: Path
    digest: str
    origin: Origin

    def error(self, key: str, what: str, cure: str = "") -> RecipeError:
        """Give the error for a value that only another stage can judge; `key` such as `network.name`."""
        return RecipeError(what, where=self.origin.place_of(_path_of(key)), cure=cure)

    @contextmanager
    def located(self) -> Iterator[None]:
        """Add file and line to a RecipeError that another stage raises with a key of the recipe as its place."""
        try:
            yield
        except RecipeError as error:
            if error.where.split(".")[0] not in Recipe.model_fields:
                raise
            raise self.error(error.where, error.what, error.cure) from error

    def source_of(self, key: str) -> Source:
        """Tell whether the recipe, `--set` or the default gave the value of `key`."""
        return self.origin.source_of(_path_of(key))


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> LoadedRecipe:
    """Read and check a recipe.

    Parameters
    ----------
    path : the TOML file
    overrides : `section.key=value` each, as given to `--set`; later ones win

    Raises
    ------
    InputError
        There is no such file, or it cannot be read.
    RecipeError
        It is not TOML, or a key or value is wrong.
    """
    parsed = tuple(parse_override(typed) for typed in overrides)
    text = _read_text(path)
    try:
        return _loaded(text, path, parsed)
    except RecursionError:
        raise RecipeError("is nested too deeply", where=str(path), cure="write it as plain sections") from None


def _loaded(text: str, path: Path, parsed: tuple[Override, ...]) -> LoadedRecipe:
    document = _parse(text, path)
    lines = find_lines(text)
    if (
        sum(isinstance(key[-1], str) for key in lines) > _MOST_KEYS
    ):  # each that is wrong is compared with the right ones
        raise RecipeError("it has more keys than a recipe", where=str(path), cure="give another TOML file")
    origin = Origin(str(path), lines, parsed)
    for override in parsed:
        apply_override(document, override)
    recipe = anchor_paths(
        _validate(document, origin),
        folder=path.parent,
        root_typed=_is_typed(origin, "data", "root"),
        model_typed=_is_typed(origin, "sampling", "artefacts", "model"),
    )
    _require_storable(recipe, origin)
    return LoadedRecipe(recipe, path, digest_of(recipe), origin)


def _path_of(key: str) -> KeyPath:
    return numbered(tuple(key.split(".")))


def _read_text(path: Path) -> str:
    where = str(path)
    if path.is_dir():
        raise InputError(
            "is a folder, not a recipe", where=where, cure=f"cellmonai recipe init {path} writes one for it"
        )
    try:
        content = read_ordinary(path, _LARGEST_RECIPE)
    except FileNotFoundError:
        raise InputError("there is no such recipe", where=where, cure="cellmonai recipe init DATA writes one") from None
    except ValueError:  # a NUL in the name
        raise InputError("there is no such recipe", where=where, cure="check the path") from None
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise RecipeError("is too large for a recipe", where=where, cure="give a TOML file") from error
        raise InputError(f"cannot be read ({error.strerror})", where=where, cure="give a TOML file") from error
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")  # some editors begin UTF-8 with a mark
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RecipeError("is not UTF-8 text", where=f"{where}:{line}", cure="save it as UTF-8") from error


def _parse(text: str, path: Path) -> dict[str, Any]:
    if match := LONG_KEY.search(text):  # the time to read one grows with the square of its parts
        line = text.count("\n", 0, match.start()) + 1
        raise RecipeError("the key has too many parts", where=f"{path}:{line}", cure="give a TOML file")
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise _syntax_error(error, text, path) from error


def _syntax_error(error: ValueError, text: str, path: Path) -> RecipeError:
    message, line = str(error), text.rstrip().count("\n") + 1
    if match := re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message):
        line = int(match.group(1) or line)
        message = message[: match.start()]
    what = f"is not TOML: {message[:1].lower()}{message[1:]}"
    return RecipeError(what, where=f"{path}:{line}", cure='text stands in quotes, as in name = "basic_unet"')


def _validate(document: dict[str, Any], origin: Origin) -> Recipe:
    try:
        return Recipe.model_validate(deepcopy(document))
    except ValidationError as error:
        faults = faults_of(error, document)
        raise _first_of(faults, origin) from error


def _require_storable(recipe: Recipe, origin: Origin) -> None:
    """Refuse paths whose bytes are no text, as TOML could not hold them and the run could not be repeated."""
    for key in ("root", "images", "masks"):
        try:
            str(getattr(recipe.data, key)).encode("utf-8")
        except UnicodeEncodeError:
            place = origin.place_of(("data", key))
            raise RecipeError("the path is not UTF-8", where=place, cure="rename the folder") from None


def _is_typed(origin: Origin, *path: str) -> bool:
    return origin.source_of(path) == "--set"


def _first_of(faults: Sequence[Fault], origin: Origin) -> RecipeError:
    """Give the fault that stands first in the file, and how many more there are."""
    fault, *others = sorted(faults, key=lambda fault: origin.line_of(fault.path))
    more = f" (and {len(others)} more)" if others else ""
    if fault.cure:
        return RecipeError(fault.what, where=origin.place_of(fault.path), cure=fault.cure + more)
    return RecipeError(fault.what + more, where=origin.place_of(fault.path))
