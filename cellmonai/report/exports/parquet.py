"""Tables as Parquet, typed, for pandas, polars, R and DuckDB; needs pyarrow, which is an extra."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import UsageError
from cellmonai.core.files import atomic_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import NDArray


def require_parquet() -> ModuleType:
    """Give pyarrow, or say how to get it: to be asked before any work is done.

    Raises
    ------
    UsageError
        pyarrow is not installed.
    """
    try:
        arrow = import_module("pyarrow")
        import_module("pyarrow.parquet")
    except ImportError as error:
        raise UsageError(
            "Parquet needs pyarrow, which is not installed", cure="pip install 'cellmonai[parquet]'"
        ) from error
    return arrow


def write_parquet(path: Path, columns: Mapping[str, Sequence[Any] | NDArray[Any]], *, overwrite: bool) -> None:
    """Write columns of equal length as Parquet, atomically.

    Parameters
    ----------
    path : the file
    columns : name -> values: numbers, bools or texts; None and NaN become null
    overwrite : replace a file that exists

    Raises
    ------
    UsageError
        pyarrow is not installed.
    OutputError
        The file exists or cannot be written.
    ValueError
        The columns differ in length.

    Notes
    -----
    Whole numbers stay whole, also where some are missing. The same columns and the same release of pyarrow give the
    same bytes. What UTF-8 cannot hold, lone surrogates of file names, is escaped with a backslash.
    """
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise ValueError(f"columns have {sorted(lengths)} rows, expected equal lengths")
    arrow = require_parquet()
    table = arrow.table({_text(name): _column(values, arrow) for name, values in columns.items()})
    with atomic_file(path, overwrite=overwrite) as temporary:
        arrow.parquet.write_table(table, temporary, compression="zstd")


def _column(values: Sequence[Any] | NDArray[Any], arrow: ModuleType) -> Any:  # noqa: ANN401 - pyarrow is not typed
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        return arrow.array(values, from_pandas=True)
    plain = [value.item() if isinstance(value, np.generic) else value for value in values]
    if any(isinstance(value, str) for value in plain):
        return arrow.array([_cell(value) for value in plain], arrow.string())
    if all(value is None for value in plain):
        return arrow.nulls(len(plain), arrow.string() if not plain else arrow.float64())
    return arrow.array(plain, from_pandas=True)


def _cell(value: object) -> str | None:
    is_missing = value is None or (isinstance(value, float) and np.isnan(value))
    return None if is_missing else _text(str(value))


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
