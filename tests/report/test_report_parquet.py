"""Parquet keeps types, has nulls for what is missing, and says how to get pyarrow."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cellmonai.core.errors import OutputError, UsageError
from cellmonai.report.exports.parquet import write_parquet

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = {
    "image": ["a.tif", None, "=1+1\n\udcff\x07"],
    "label": np.array([1, 2, 3], np.int32),
    "area_um2": np.array([1.5, np.nan, np.inf]),
    "touches_border": np.array([True, False, True]),
    "count_low": [1, None, 3],
    "density": [None, 2.5, float("nan")],
    "nothing": [None, None, None],
    "words": np.array(["a", "b", "c"]),
    "mixed": ["a", 1, np.float64(np.nan)],
}


def test_columns_are_read_back_typed_with_nulls(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_parquet(tmp_path / "a.parquet", COLUMNS, overwrite=False)
    table = parquet.read_table(tmp_path / "a.parquet")
    types = {field.name: str(field.type) for field in table.schema}
    assert types == {
        "image": "string",
        "label": "int32",
        "area_um2": "double",
        "touches_border": "bool",
        "count_low": "int64",
        "density": "double",
        "nothing": "double",
        "words": "string",
        "mixed": "string",
    }
    assert table.to_pydict() == {
        "image": ["a.tif", None, "=1+1\n\\udcff\x07"],
        "label": [1, 2, 3],
        "area_um2": [1.5, None, np.inf],
        "touches_border": [True, False, True],
        "count_low": [1, None, 3],
        "density": [None, 2.5, None],
        "nothing": [None, None, None],
        "words": ["a", "b", "c"],
        "mixed": ["a", "1", None],
    }


def test_tables_without_rows_and_equal_tables_are_written_alike(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_parquet(tmp_path / "none.parquet", {"image": [], "area_px": np.zeros(0)}, overwrite=False)
    assert parquet.read_table(tmp_path / "none.parquet").num_rows == 0
    for name in "ab":
        write_parquet(tmp_path / name, COLUMNS, overwrite=False)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        write_parquet(tmp_path / "a", COLUMNS, overwrite=False)


def test_a_missing_pyarrow_is_named_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=r"pip install 'cellmonai\[parquet\]'"):
        write_parquet(tmp_path / "a.parquet", COLUMNS, overwrite=False)
    assert not list(tmp_path.iterdir())


def test_columns_of_different_lengths_are_a_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected equal lengths"):
        write_parquet(tmp_path / "a.parquet", {"a": [1], "b": [1, 2]}, overwrite=False)
