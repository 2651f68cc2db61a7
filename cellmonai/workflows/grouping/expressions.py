"""Regular expressions typed by a user: compiled only when no name can keep them busy for long."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

LONGEST_NAME = 255
"""Letters of a name that an expression is tried on, at most."""

_MOST_REPEATS, _MOST_FREE, _MOST_CHOICES = 8, 2, 2**8
_FEW = 8  # a repeat with fewer choices than these multiplies the time, and not by the length of the name
_TOKEN = re.compile(
    r"(?P<set>\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<other>\(\?(?:P=)?\w+\))|(?P<look>\(\?<?[=!])|(?P<open>\((?:\?(?:P<\w+>|:))?)"
    r"|(?P<close>\))"
    r"|(?P<often>[*+?]|\{[0-9]*,[0-9]*\}|\{[0-9]+\})|(?P<end>\$)|(?P<branch>\|)|(?P<one>.)",
    re.DOTALL,
)
_NO_LETTER = ("\\b", "\\B", "\\A", "^")


class _Item(NamedTuple):
    """One piece of an expression: what it is, the letters that it takes, and how often it may stand."""

    kind: str
    letters: frozenset[str] = frozenset()
    least: int = 1
    most: float = 1

    @property
    def choices(self) -> float:
        return self.most - self.least + 1


def is_quick(expression: re.Pattern[str]) -> bool:
    """Tell whether a search takes a moment at most, whatever the name is.

    Notes
    -----
    Time grows with the product of the choices. A repeat has none where what must follow it is a letter that it does
    not take, as in `[^_]+_`, and else as many as the name has letters, as in `.*_`: two such are the most. Groups are
    repeated only where they hold neither repeat nor choice.
    """
    if expression.flags & re.VERBOSE or re.search(r"\(\?(?:[#(>]|[a-zA-Z-]+:)", expression.pattern):
        return False  # what stands there is not what is searched for
    items = _items(expression)
    repeats = [at for at, item in enumerate(items) if item.choices > 1]
    if any(_holds_choices(items, at) for at, item in enumerate(items) if item.kind == "close" and item.most > 1):
        return False
    free = [at for at in repeats if not _is_settled(items, at)]
    many = [at for at in free if items[at].choices >= _FEW]
    few = math.prod(items[at].choices for at in free if items[at].choices < _FEW)
    branches = sum(item.kind == "branch" for item in items)
    long = sum(items[at].most > 1 for at in repeats)
    return long <= _MOST_REPEATS and len(many) <= _MOST_FREE and few * (branches + 1) ** 2 <= _MOST_CHOICES


def _items(expression: re.Pattern[str]) -> list[_Item]:
    letters = _letters(expression.pattern)
    items: list[_Item] = []
    for match in _TOKEN.finditer(expression.pattern):
        kind, text = str(match.lastgroup), match[0]
        if kind == "often":
            after_repeat = items and items[-1].choices > 1  # `*?` is lazy and `*+` keeps all: as many choices
            if items and not after_repeat:
                least, most = _times(text)
                items[-1] = items[-1]._replace(least=least, most=most)
        elif kind == "look":
            items += [_Item("other"), _Item("open")]
        elif text in _NO_LETTER:
            items.append(_Item("other"))
        elif kind in ("set", "one"):
            items.append(_Item("end") if text == "\\Z" else _Item("letter", _taken(text, letters, expression.flags)))
        else:
            items.append(_Item(kind))
    return items


def _times(text: str) -> tuple[int, float]:
    if text in ("*", "+", "?"):
        return int(text == "+"), 1 if text == "?" else math.inf
    least, comma, most = text.strip("{}").partition(",")
    return int(least or 0), float(most or math.inf) if comma else int(least)


def _letters(text: str) -> str:
    """Give the letters on which sets are compared: usual ones, and those of the expression with their neighbours."""
    own = {chr(code) for letter in text for code in range(max(ord(letter) - 1, 0), min(ord(letter) + 2, 0x110000))}
    own |= {other for letter in text for other in letter.upper() + letter.lower()}
    return "".join(sorted(own | {chr(code) for code in range(0x180)} | set("細\u3000\udcff")))


def _taken(text: str, letters: str, flags: int) -> frozenset[str]:
    try:
        return frozenset(re.findall(f"(?s:{text})" if text.startswith("[") else text, letters, flags))
    except re.error:  # \1 and the like stand for more than a letter
        return frozenset(letters)


def _is_settled(items: list[_Item], at: int) -> bool:
    """Tell whether a repeat can end in one place only, by what follows it."""
    if items[at].kind != "letter":
        return False
    for place in range(at + 1, len(items)):
        item = items[place]
        if item.kind == "end":
            return True
        if item.kind == "letter":
            if item.letters & items[at].letters:
                return False
            if item.least:
                return True
        elif (item.kind == "open" and not _is_plain(items, place)) or item.kind in ("branch", "other") or item.most > 1:
            return False
    return True


def _is_plain(items: list[_Item], opening: int) -> bool:
    """Tell whether a group stands once and holds no branch, so that its parentheses change nothing."""
    inside = 0
    for item in items[opening:]:
        inside += (item.kind == "open") - (item.kind == "close")
        if item.kind == "branch":
            return False
        if not inside:
            return item.choices == 1
    return False


def _holds_choices(items: list[_Item], closing: int) -> bool:
    inside = 0
    for place in range(closing, -1, -1):
        item = items[place]
        inside += (item.kind == "close") - (item.kind == "open")
        if place != closing and (item.kind in ("branch", "other") or item.choices > 1):
            return True
        if not inside:
            return False
    return True
