"""`--set section.key=value`: a value typed at the command line takes the place of one in the recipe."""

from __future__ import annotations

import re
import tomllib
import types
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from cellmonai.core.errors import RecipeError
from cellmonai.recipe.augmentations import DEFAULT_AUGMENT
from cellmonai.recipe.explain import section_model, shown

if TYPE_CHECKING:
    from cellmonai.recipe.toml_lines import KeyPath

_KEY_PART = re.compile(r"""\s*(?:"((?:\\.|[^"\\])*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*(\.|=)""")
LONG_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}""")
"""A dotted key of more parts than any in a recipe."""

_MOST_PARTS = 64
_DIGITS = 9  # of the number of an entry of a list
_SHOWN = 200  # letters of a key in a sentence
_HOW_TO_QUOTE = 'write text in lists as \'["a", "b"]\' and numbers as 0.5'
_LOOKS_LIKE_TOML = ("[", "{", '"', "'")


@dataclass(frozen=True, slots=True)
class Override:
    """One `--set`: the key as a path, and its value, or None to take the key out of the recipe."""

    path: KeyPath
    value: Any
    typed: str

    @property
    def key(self) -> str:
        """The key as typed, such as `training.epochs`."""
        return dotted(self.path)


def parse_override(typed: str) -> Override:
    """Read `section.key=value`.

    The value is TOML; what is no TOML (a bare word, a path) is text. Keys that hold text take the value as it stands,
    so that a folder may be called 2024. Nothing after the `=` takes the key out, which brings its default back.

    Raises
    ------
    RecipeError
        There is no key or no `=`, or a list, table or quoted text that is no TOML.
    """
    path, text = _split(typed)
    if not text.strip():
        return Override(path, None, typed)
    if _holds_text(path) and not text.startswith(("'", '"')):
        return Override(path, text, typed)
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith(_LOOKS_LIKE_TOML):
            raise _fault(dotted(path), f"{shown(text)} is no TOML value", _HOW_TO_QUOTE) from error
        return Override(path, text, typed)
    if list(document) != ["value"]:
        return Override(path, text, typed)
    return Override(path, document["value"], typed)


def apply_override(document: dict[str, Any], override: Override) -> None:
    """Put the value of `override` into a parsed recipe, in place.

    Raises
    ------
    RecipeError
        The path leads through something that is not a section, or to an entry of a list that is not there.
    """
    *parents, last = override.path
    if parents[:1] == ["augment"] and "augment" not in document:
        document["augment"] = [dict(row) for row in DEFAULT_AUGMENT]
    here: Any = document
    for depth, part in enumerate(parents):
        here = _step(here, part, override, depth)
    if isinstance(here, list):
        _entry(here, last, override)
        here[int(last)] = override.value
    elif not isinstance(here, dict):
        raise _not_a_section(override, len(parents))
    elif override.value is None:
        here.pop(str(last), None)
    else:
        here[str(last)] = override.value


def dotted(path: KeyPath) -> str:
    """Give a path as text, such as `augment.0.prob`."""
    return ".".join(str(part) for part in path)


def numbered(path: KeyPath) -> KeyPath:
    """Give entries of lists as numbers, as pydantic and the line finder do."""
    return tuple(
        int(part) if isinstance(part, str) and part.isdecimal() and len(part) < _DIGITS else part for part in path
    )


def _split(typed: str) -> tuple[KeyPath, str]:
    path: KeyPath = ()
    place = 0
    while match := _KEY_PART.match(typed, place):
        path = (*path, next(group for group in match.groups()[:3] if group is not None))
        place = match.end()
        if match.group(4) == "=":
            return numbered(path), typed[place:]
        if len(path) > _MOST_PARTS:
            raise _fault(typed, "the key has too many parts", "such as --set training.epochs=5")
    raise _fault(typed, "expected section.key=value", "such as --set training.epochs=5")


def _step(here: Any, part: str | int, override: Override, depth: int) -> Any:  # noqa: ANN401 - TOML values
    if isinstance(here, list):
        return _entry(here, part, override)
    if not isinstance(here, dict):
        raise _not_a_section(override, depth)
    return here.setdefault(str(part), {})


def _entry(entries: list[Any], part: str | int, override: Override) -> Any:  # noqa: ANN401 - TOML values
    if not isinstance(part, int) or part >= len(entries):
        cure = f"use a number from 0 to {len(entries) - 1}" if entries else "give the whole list"
        raise _fault(override.key, f"the list has no entry {part}", cure)
    return entries[part]


def _not_a_section(override: Override, depth: int) -> RecipeError:
    return _fault(
        override.key, f"{dotted(override.path[:depth])} is a value, not a section", "leave the rest of the key out"
    )


def _fault(key: str, what: str, cure: str) -> RecipeError:
    short = key if len(key) <= _SHOWN else f"{key[:_SHOWN]}…"
    return RecipeError(what, where=f"--set {short}", cure=cure)


def _holds_text(path: KeyPath) -> bool:
    """Tell whether the schema takes only text at `path`."""
    *parents, key = (str(part) for part in path)
    model = section_model(tuple(parents))
    field = model.model_fields.get(key) if model is not None else None
    return field is not None and _is_text(field.annotation)


def _is_text(kind: Any) -> bool:  # noqa: ANN401 - a type form
    if kind in (str, Path, type(None)):
        return True
    if get_origin(kind) is Annotated:
        return _is_text(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return all(isinstance(word, str) for word in get_args(kind))
    if get_origin(kind) in (Union, types.UnionType):
        return all(_is_text(part) for part in get_args(kind))
    return False
