"""Text from file names and headers made safe to print: such text may hold anything."""

from __future__ import annotations

import unicodedata
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# line and paragraph separators end a line in many terminals; the others reorder or hide text
_UNSAFE_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"}


def printable(text: str) -> str:
    r"""Replace control, bidirectional, unassigned and surrogate characters by `\xNN` or `\uNNNN`.

    Examples
    --------
    >>> printable("a\nb")
    'a\\x0ab'
    """
    return "".join(_escape(c) if unicodedata.category(c) in _UNSAFE_CATEGORIES else c for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Give the word of `words` that is spelt most like `word`, or None when nothing is near."""
    matches = get_close_matches(word, list(words), n=1, cutoff=0.5)
    return matches[0] if matches else None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Give the cure for an unknown name: the nearest one, or the whole list."""
    known = sorted(words)
    match = nearest(word, known)
    return f"did you mean {match!r}?" if match else "use one of " + ", ".join(known)
