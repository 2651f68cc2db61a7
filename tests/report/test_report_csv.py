"""CSV that no spreadsheet misreads."""

from __future__ import annotations

import csv
import io
import re
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cellmonai.core.errors import OutputError
from cellmonai.report.csv import safe_cell, write_csv

if TYPE_CHECKING:
    from pathlib import Path


FULL_WIDTH = [chr(ord(sign) + 0xFEE0) for sign in "=+-@"]


def written(folder: Path, columns: dict, **options) -> str:  # noqa: ANN003
    write_csv(folder / "t.csv", columns, **options)
    return (folder / "t.csv").read_bytes().decode("utf-8")


def test_numbers_stay_numbers_with_fixed_decimals(tmp_path: Path) -> None:
    text = written(tmp_path, {"n": np.array([1, -2]), "a": np.array([0.25, -1.0])}, decimals={"a": 2})
    assert text == "n,a\n1,0.25\n-2,-1.00\n"


def test_a_number_that_rounds_to_zero_has_no_minus(tmp_path: Path) -> None:
    assert written(tmp_path, {"a": np.array([-0.0001, -0.0])}) == "a\n0.000\n0.000\n"


def test_what_is_unknown_is_an_empty_cell(tmp_path: Path) -> None:
    columns = {"a": [None, 1.5], "b": np.array([np.nan, 2.0]), "c": [3, None], "d": [float("inf"), 0.0]}
    assert written(tmp_path, columns, decimals={"a": 1, "b": 1, "d": 0}) == "a,b,c,d\n,,3,\n1.5,2.0,,0\n"


def test_truth_is_a_word_that_pandas_and_r_understand(tmp_path: Path) -> None:
    assert written(tmp_path, {"edge": np.array([True, False]), "odd": [None, True]}) == "edge,odd\ntrue,\nfalse,true\n"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", *FULL_WIDTH])
def test_a_name_that_a_spreadsheet_would_run_is_disarmed(tmp_path: Path, name: str) -> None:
    assert written(tmp_path, {"image": [name]}).removeprefix("image\n").lstrip('"').startswith("'" + name[0])


@pytest.mark.parametrize(
    "name", ["a,b", 'say "x"', "two\nlines", "[red]x[/]", "<script>", " spaces ", "µm é 細胞", "%d %s"]
)
def test_any_other_name_survives_reading_back(tmp_path: Path, name: str) -> None:
    written(tmp_path, {"image": [name], "count": [3]})
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as stream:
        assert list(csv.reader(stream)) == [["image", "count"], [name, "3"]]


@pytest.mark.parametrize("between", [";", "\t", "\n", "\r", '\n"', ';""'])
@pytest.mark.parametrize("sign", ["=", "+", "-", "@", *FULL_WIDTH])
def test_no_part_of_a_name_is_a_formula_where_another_separator_cuts_it(
    tmp_path: Path, between: str, sign: str
) -> None:
    text = written(tmp_path, {"image": [f"a{between}{sign}1+1"]})
    for part in re.split(r"[;\t\r\n]", text):
        assert not part.strip('"').startswith(sign)
    assert text.splitlines()[1].startswith('"a')


def test_different_names_stay_different() -> None:
    names = ["".join(signs) for length in range(6) for signs in product("'=;\t\"a", repeat=length)]
    cells = list(csv.reader(io.StringIO("".join(safe_cell(name) + ",\n" for name in names), newline="")))
    assert len({tuple(cell) for cell in cells}) == len(cells) == len(names)
    assert [safe_cell(name) for name in ("=a", "'=a", "''=a", "'a")] == ["'=a", "''=a", "'''=a", "'a"]


@pytest.mark.parametrize("name", ["a;b", "a\tb", "a;1-2", "2+3", "x\n1=1"])
def test_harmless_separators_are_quoted_and_nothing_is_added(tmp_path: Path, name: str) -> None:
    text = written(tmp_path, {"image": [name]}).removeprefix("image\n")
    assert text == (f'"{name}"\n' if re.search(r"[;\t\n]", name) else f"{name}\n")


def test_a_name_that_is_no_text_is_escaped_instead_of_crashing(tmp_path: Path) -> None:
    assert written(tmp_path, {"image": ["bad\udcff"]}) == "image\nbad\\udcff\n"


def test_rows_are_the_same_across_the_border_of_a_chunk(tmp_path: Path) -> None:
    lines = written(tmp_path, {"n": np.arange(40_000), "a": np.arange(40_000) / 8}).splitlines()
    assert len(lines) == 40_001
    assert lines[16_385] == "16384,2048.000"


def test_a_table_without_rows_has_its_head(tmp_path: Path) -> None:
    assert written(tmp_path, {"image": [], "n": np.zeros(0, int)}) == "image,n\n"


def test_columns_of_different_length_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="equal lengths"):
        write_csv(tmp_path / "t.csv", {"a": [1], "b": [1, 2]})
    assert not list(tmp_path.iterdir())


def test_a_table_that_exists_is_replaced_only_when_asked(tmp_path: Path) -> None:
    written(tmp_path, {"a": [1]})
    with pytest.raises(OutputError):
        write_csv(tmp_path / "t.csv", {"a": [2]})
    assert written(tmp_path, {"a": [2]}, overwrite=True) == "a\n2\n"
