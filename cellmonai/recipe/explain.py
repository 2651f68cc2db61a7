"""What pydantic found wrong, said as one sentence about one key."""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from pydantic import BaseModel

from cellmonai.core.text import did_you_mean, nearest
from cellmonai.recipe.problems import KIND
from cellmonai.recipe.schema import Recipe, Strict
from cellmonai.recipe.toml_lines import value_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from cellmonai.recipe.toml_lines import KeyPath

_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "path_type": "a path as text",
    "tuple_type": "a list [ … ]",
    "dict_type": "a table",
    "model_type": "a section or table",
    "finite_number": "a finite number",
}
_MISFIT = {*_KINDS, "literal_error"}  # the value is of another kind; else it is of the kind, but out of bounds
_LONGEST_VALUE = 60


@dataclass(frozen=True, slots=True)
class Fault:
    """One wrong key: its place in the document, what is wrong, and the cure."""

    path: KeyPath
    what: str
    cure: str


def faults_of(error: ValidationError, document: Mapping[str, Any]) -> list[Fault]:
    """Give every fault once, in the order of the schema.

    A key that may be several kinds of thing (a number or "auto") fails once per kind in pydantic; here it is one fault.
    """
    by_path: dict[KeyPath, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        by_path.setdefault(_real_path(detail, document), []).append(detail)
    return [_fault(path, details) for path, details in by_path.items()]


def _real_path(detail: ErrorDetails, document: Any) -> KeyPath:  # noqa: ANN401 - a TOML value
    """Leave out of pydantic's path what names a kind and not a key, such as `int`."""
    location = detail["loc"]
    path: KeyPath = ()
    for index, part in enumerate(location):
        there, _ = value_at(document, (*path, part))
        if there or (detail["type"] == "missing" and index == len(location) - 1):
            path = (*path, part)
    if detail["type"] == KIND and detail["ctx"]["key"] != path[-1:]:
        path = (*path, detail["ctx"]["key"])
    return path


def _fault(path: KeyPath, details: Sequence[ErrorDetails]) -> Fault:
    misfits = [detail for detail in details if detail["type"] in _MISFIT]
    if len(misfits) < len(details):  # one kind fits: its own complaint is the one to hear
        detail = next(detail for detail in details if detail["type"] not in _MISFIT)
        return _single_fault(path, detail)
    if len(details) == 1 and details[0]["type"] == "literal_error":
        return _wrong_word(path, details[0])
    expected = list(dict.fromkeys(_kind(detail) for detail in misfits))
    return Fault(path, f"expected {' or '.join(expected)}, found {shown(details[0]['input'])}", "")


def _kind(detail: ErrorDetails) -> str:
    return detail["ctx"]["expected"] if detail["type"] == "literal_error" else _KINDS[detail["type"]]


def _wrong_word(path: KeyPath, detail: ErrorDetails) -> Fault:
    words = [word.strip().strip("'") for word in detail["ctx"]["expected"].replace(" or ", ",").split(",")]
    found = detail["input"]
    cure = did_you_mean(found, words) if isinstance(found, str) and nearest(found, words) else ""
    return Fault(path, f"expected {detail['ctx']['expected']}, found {shown(found)}", cure)


def _single_fault(path: KeyPath, detail: ErrorDetails) -> Fault:
    match detail["type"]:
        case "extra_forbidden":
            return Fault(path, "unknown key", nearest_key(path))
        case "missing":
            if isinstance(path[-1], int):
                return Fault(path[:-1], "expected two numbers (y, x)", "")
            return Fault(path, "is missing", _how_to_add(path))
        case kind if kind == KIND:
            return Fault(path, detail["ctx"]["what"], detail["ctx"]["cure"])
    return Fault(path, f"expected {_bound(detail)}, found {shown(detail['input'])}", "")


def _bound(detail: ErrorDetails) -> str:
    context: dict[str, Any] = detail.get("ctx", {})
    match detail["type"]:
        case "greater_than":
            return f"a number above {context['gt']:g}"
        case "greater_than_equal":
            return f"{context['ge']:g} or more"
        case "less_than":
            return f"a number below {context['lt']:g}"
        case "less_than_equal":
            return f"{context['le']:.7g} or less"
        case "too_short" | "string_too_short":
            return "at least one"
        case "too_long":
            return f"{context['max_length']} at most"
        case "string_pattern_mismatch":
            return "capital letters such as YXC"
    return detail["msg"].removeprefix("Input should be ")


def nearest_key(path: KeyPath) -> str:
    """Give the cure for an unknown key: the nearest key of its section, or the section that has it."""
    *parents, key = (part for part in path if isinstance(part, str))
    known = _keys_below(tuple(parents))
    for section in _sections():
        if key in _keys_below(section):
            return f"did you mean {'.'.join((*section, key))}?"
    near = nearest(key, known)
    return f"did you mean {'.'.join((*parents, near))}?" if near else did_you_mean(key, known)


def shown(value: object) -> str:
    """Give a value as a person wrote it, cut short when long."""
    match value:
        case bool():
            text = str(value).lower()
        case str():
            text = repr(value)
        case dict():
            text = "a table"
        case list() | tuple():
            text = "[" + ", ".join(shown(item) for item in value) + "]"
        case _:
            text = str(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _how_to_add(path: KeyPath) -> str:
    if path == ("data",):
        return 'add a section [data] with root = "FOLDER"'
    return f"add {path[-1]} = … to [{'.'.join(str(part) for part in path[:-1])}]"


def _sections() -> list[tuple[str, ...]]:
    """Give every section that has keys of its own, sections in sections after those around them."""
    sections = [(name,) for name in Recipe.model_fields if section_model((name,)) is not None]
    inner = [(*outer, name) for outer in sections for name in _keys_below(outer)]
    return [(), *sections, *(path for path in inner if section_model(path) is not None)]


def _keys_below(path: tuple[str, ...]) -> list[str]:
    model = section_model(path)
    return list(model.model_fields) if model is not None else []


def section_model(path: tuple[str, ...]) -> type[BaseModel] | None:
    """Give the model of the section at `path`, or None where no section is."""
    model: type[BaseModel] = Recipe
    for name in path:
        field = model.model_fields.get(name)
        inner = _model_in(field.annotation) if field is not None else None
        if inner is None:
            return None
        model = inner
    return model


def _model_in(kind: Any) -> type[BaseModel] | None:  # noqa: ANN401 - a type form
    """Give the model of a section, also of one that may be left out or that is a list of tables with fixed keys."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    if get_origin(kind) in (Union, types.UnionType):
        return next((model for part in get_args(kind) if (model := _model_in(part)) is not None), None)
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        return item if isinstance(item, type) and issubclass(item, Strict) else None
    return None
