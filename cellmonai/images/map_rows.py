"""One probability map of those that `infer` left, row by row, so that a slide's map need not fit in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.cached_rows import CachedRows
from cellmonai.images.guard import reading
from cellmonai.images.maps import open_maps

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.images.rows import Rows


def map_rows(path: Path, name: str) -> Rows:
    """Give the map `name` of a folder that `write_maps` wrote, as rows of float32 in [0, 1].

    Raises
    ------
    InputError
        No such folder or map, not written by cellmonai, a lost chunk, or a link in it. Rows that are asked for raise it
        where a chunk is damaged.
    """
    stored = open_maps(path)
    if name not in stored.names:
        raise InputError(
            f"holds no {name} map, only {', '.join(stored.names)}", where=str(path), cure="leave --threshold out"
        )
    channel, array = stored.names.index(name), stored.array

    def make(top: int, bottom: int) -> NDArray[np.float32]:
        with reading(path, "the maps"):
            part: NDArray[Any] = np.asarray(array[channel, top:bottom])
        if not np.isfinite(part).all():
            raise InputError("the maps are damaged", where=str(path), cure="run `cellmonai infer` again")
        return part.astype(np.float32) / np.float32(stored.one_is)

    return CachedRows((array.shape[1], array.shape[2]), make, block_rows=array.chunks[1])
