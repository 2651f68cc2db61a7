"""Keys are found on the line where they stand, whatever way TOML lets one write them."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from cellmonai.recipe.toml_lines import find_lines, value_at


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        pytest.param("a = 1\nb = 2\n", ("b",), 2, id="plain key"),
        pytest.param("# [x]\n\n[a]\n# b = 1\nb = 2", ("a", "b"), 5, id="comments are not keys"),
        pytest.param("[a.b]\nc = 1", ("a", "b", "c"), 2, id="dotted table"),
        pytest.param("[a.b]\nc = 1", ("a",), 1, id="table that is only named in another"),
        pytest.param("[a]\nb.c.d = 1", ("a", "b", "c", "d"), 2, id="dotted key"),
        pytest.param("[ a . 'b c' ]\n\"d.e\" = 1", ("a", "b c", "d.e"), 2, id="quoted and spaced keys"),
        pytest.param("[a]\nb = { c = 1, d = { e = 2 } }", ("a", "b", "d", "e"), 2, id="inline tables"),
        pytest.param("[[a]]\nb = 1\n[[a]]\nb = 2", ("a", 1, "b"), 4, id="second table of an array"),
        pytest.param("[[a]]\n[[a]]\n[a.b]\nc = 1", ("a", 1, "b", "c"), 4, id="table inside the last of an array"),
        pytest.param("[[a]]\n[[a.b]]\n[[a.b]]\nc = 1", ("a", 0, "b", 1, "c"), 4, id="array inside an array"),
        pytest.param("a = [\n  1,\n  2, # two\n]\nb = 3", ("a", 1), 3, id="entry of a list over several lines"),
        pytest.param("a = [ {b = 1},\n {b = 2} ]\nc = 3", ("a", 1, "b"), 2, id="tables in a list"),
        pytest.param('a = """\n[x]\nb = 1\n"""\nc = 2', ("c",), 5, id="text over several lines"),
        pytest.param("a = '''\n]'''\nc = 2", ("c",), 3, id="literal text over several lines"),
        pytest.param('a = """x""""\nc = 2', ("c",), 2, id="text that ends in a quote"),
        pytest.param('a = "#\\"]"\nc = "=" # b = 3\nd = 1', ("d",), 3, id="marks inside text"),
        pytest.param("a = 1979-05-27 07:32:00\nb = inf\nc = 1", ("c",), 3, id="dates and infinity"),
        pytest.param("a = 1\r\nb = 2\r\n", ("b",), 2, id="line ends of Windows"),
    ],
)
def test_a_key_is_found_on_its_line(text: str, path: tuple[str | int, ...], line: int) -> None:
    tomllib.loads(text)  # else the case itself is wrong
    assert find_lines(text)[path] == line


_KEYS = st.text(min_size=1, max_size=6)
_SCALARS = st.one_of(st.integers(-9, 9), st.booleans(), st.text(max_size=8), st.floats(-1, 1))
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)),
    max_leaves=8,
)


@given(st.dictionaries(_KEYS, _VALUES, max_size=4))
def test_every_key_of_any_document_is_found(document: dict[str, Any]) -> None:
    text = tomli_w.dumps(document)
    parsed = tomllib.loads(text)
    lines = find_lines(text)
    for path in _paths(parsed):
        assert path in lines, (path, text)
    for path, line in lines.items():
        assert value_at(parsed, path)[0], (path, text)
        assert 1 <= line <= text.count("\n") + 1


def _paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict):
        return [p for key, item in value.items() for p in [(*path, key), *_paths(item, (*path, key))]]
    if isinstance(value, list):
        return [p for index, item in enumerate(value) for p in [(*path, index), *_paths(item, (*path, index))]]
    return []
