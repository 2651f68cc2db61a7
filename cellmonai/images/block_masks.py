"""The mask of a plane as rows, put together from the bits of its blocks on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellmonai.core.errors import OutputError
from cellmonai.images.bits import read_bits
from cellmonai.images.block_files import REDO
from cellmonai.images.map_encoding import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.images.block_records import BlockRecord


class BlockMaskRows:
    """A plane (Y, X) of which only the rows asked for are in memory; `Rows`.

    Parameters
    ----------
    shape : (Y, X)
    folder : of the files of bits
    records : of all blocks; what was skipped has no file and is False
    """

    def __init__(self, shape: tuple[int, int], folder: Path, records: Iterable[BlockRecord]) -> None:
        self.shape = shape
        self._folder = folder
        self._by_row: dict[int, list[BlockRecord]] = {}
        for record in records:
            if record.mask is not None:
                for row in range(record.box[0] // CHUNK, -(-record.box[2] // CHUNK)):
                    self._by_row.setdefault(row, []).append(record)

    def rows(self, top: int, bottom: int) -> NDArray[np.bool_]:
        """Give rows top to bottom, half-open.

        Raises
        ------
        OutputError
            A block cannot be read.
        """
        out = np.zeros((bottom - top, self.shape[1]), np.bool_)
        for row in range(top // CHUNK, -(-bottom // CHUNK)):
            for record in self._by_row.get(row, ()):
                first = max(top, row * CHUNK)
                last = min(bottom, (row + 1) * CHUNK, record.box[2])
                out[first - top : last - top, record.box[1] : record.box[3]] = self._part(record, first, last)
        return out

    def _part(self, record: BlockRecord, top: int, bottom: int) -> NDArray[np.bool_]:
        row0, column0, _, column1 = record.box
        path = self._folder / record.mask_name
        try:
            with path.open("rb") as stream:
                return read_bits(stream, column1 - column0, top - row0, bottom - row0)
        except (OSError, EOFError) as error:
            raise OutputError("a block of the mask cannot be read", where=str(path), cure=REDO) from error
