"""Facts about images from CSV tables, joined by the first column."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError
from cellmonai.images.guard import reading
from cellmonai.images.pair import nearest_name
from cellmonai.images.spelling import as_spelt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cellmonai.images.pair import Pair

MAX_TABLE_BYTES = 256 * 2**20


def join_tables(pairs: Sequence[Pair], tables: Sequence[Path], root: Path) -> tuple[Pair, ...]:
    """Add the columns of CSV tables to the attributes of the pairs.

    The first column names an image by its stem, its file name, or its path relative to `root`; rows of images that
    are not there are passed over. All values stay text.

    Raises
    ------
    InputError
        A table is missing, unreadable, names an image twice, or names none of the images.
    """
    joined = list(pairs)
    for table in tables:
        path = next((path for path in map(as_spelt, (table, root / table)) if path.is_file()), root / table)
        rows = _rows(path)
        found = [next((rows[key] for key in _keys(pair, root) if key in rows), None) for pair in joined]
        if pairs and not any(row is not None for row in found):
            near = nearest_name(pairs[0].name, list(rows)[:10_000])
            raise InputError(
                f"its first column names none of the {len(pairs)} images{near}",
                where=str(path),
                cure="put the image names into the first column",
            )
        joined = [
            replace(pair, attributes={**pair.attributes, **(row or {})})
            for pair, row in zip(joined, found, strict=True)
        ]
    return tuple(joined)


def _keys(pair: Pair, root: Path) -> list[str]:
    relative = [pair.image.relative_to(root).as_posix()] if pair.image.is_relative_to(root) else []
    return [pair.name, pair.image.name, *relative]


def _rows(path: Path) -> dict[str, dict[str, str]]:
    if not path.is_file():
        raise InputError("no such table", where=str(path), cure="check the path")
    if path.stat().st_size > MAX_TABLE_BYTES:
        raise InputError("the table is larger than 256 MiB", where=str(path), cure="keep only the columns needed")
    rows: dict[str, dict[str, str]] = {}
    with reading(path, "the table"), path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream)
        header = next(reader, [])
        if len(header) < 2:
            raise InputError("the table has no second column", where=str(path), cure="save it with commas as CSV")
        for row in reader:
            if not row:
                continue
            if row[0] in rows:
                raise InputError(f"{row[0]!r} stands in two rows", where=str(path), cure="keep one row per image")
            rows[row[0]] = dict(zip(header[1:], row[1:], strict=False))
    return rows
