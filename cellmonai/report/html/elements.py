"""HTML elements as Python calls: every word is escaped, and nothing counts as HTML that `element` did not make.

A template engine would take longer to load and to read its template than the whole page takes to be written.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, TypeAlias

from cellmonai.core.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    Content: TypeAlias = "str | Iterable[Content] | None"

_WITHOUT_CONTENT = frozenset({"img", "input", "meta"})


class Html(str):
    """A text that is HTML already; who makes one by hand vouches for it."""

    __slots__ = ()


NOTHING = Html("")
NEWLINE = Html("\n")


def element(tag: str, /, *content: Content, **attributes: str | int | bool | None) -> Html:
    """Give `<tag attributes>content</tag>`.

    Parameters
    ----------
    tag : name of the element
    content : words, which are escaped and made printable, elements, and lists of both; None leaves nothing
    attributes : values, which are escaped and made printable; True gives the name alone, None and False nothing. `_` at
        the end of a name is left out and elsewhere stands for `-`

    Examples
    --------
    >>> element("p", "a < b ", element("b", "c"), class_="soft", data_n=3, hidden=True, id=None)
    '<p class="soft" data-n="3" hidden>a &lt; b <b>c</b></p>'
    """
    opening = f"<{tag}{''.join(_attribute(name, value) for name, value in attributes.items())}>"
    return Html(opening if tag in _WITHOUT_CONTENT else f"{opening}{together(*content)}</{tag}>")


def together(*content: Content) -> Html:
    """Give words, elements, and lists of both as one piece of HTML."""
    return Html("".join([_as_html(part) for part in content]))


def _as_html(part: Content) -> str:
    if type(part) is Html:
        return part
    if isinstance(part, str):
        return escape(part if part.isprintable() else printable(part))
    return "" if part is None else "".join([_as_html(item) for item in part])


def _attribute(name: str, value: str | int | bool | None) -> str:  # noqa: FBT001 - True gives a name without value
    if value is None or value is False:
        return ""
    written = name.removesuffix("_").replace("_", "-")
    return f" {written}" if value is True else f' {written}="{_as_html(str(value))}"'
