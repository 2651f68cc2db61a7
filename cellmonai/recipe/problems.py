"""Faults that a section finds in its own values, in a form that pydantic carries and `explain` words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError

from cellmonai.core.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

KIND = "recipe_problem"


def problem(key: str, what: str, cure: str = "", *, word: str = "", words: Iterable[str] = ()) -> PydanticCustomError:
    """Give the error to raise in a validator of the section that holds `key`.

    `cure` says what to do; with `word` and `words` it is the nearest known name instead.
    """
    if word:
        cure = did_you_mean(word, words)
    return PydanticCustomError(KIND, "{key}: {what}; {cure}", {"key": key, "what": what, "cure": cure})
