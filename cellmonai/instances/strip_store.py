"""Numbered strips of a plane, kept until all of it was seen: in memory while small, else in a nameless file."""

from __future__ import annotations

import tempfile
from threading import Lock
from typing import IO, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

IN_MEMORY_BYTES = 64 * 2**20


class StripStore:
    """Strips of int32 of equal width, written once from top to bottom and read in any order.

    Parameters
    ----------
    columns : width of all strips
    folder : where the file is made that takes them when they no longer fit in memory; the system's folder for
        temporary files when None. The file has no name and is gone with the store, also after a crash.
    in_memory_bytes : what may be kept in memory
    """

    def __init__(self, columns: int, *, folder: Path | None = None, in_memory_bytes: int = IN_MEMORY_BYTES) -> None:
        self.columns = columns
        self.folder = folder
        self.in_memory_bytes = in_memory_bytes
        self._tops: list[int] = [0]
        self._kept: list[NDArray[np.int32]] = []
        self._kept_bytes = 0
        self._file: IO[bytes] | None = None
        self._lock = Lock()

    def __len__(self) -> int:
        """How many strips there are."""
        return len(self._tops) - 1

    def span(self, index: int) -> tuple[int, int]:
        """Rows of a strip in the plane, half-open."""
        return self._tops[index], self._tops[index + 1]

    def add(self, strip: NDArray[np.int32]) -> None:
        """Take the next strip, shape (rows, columns).

        Raises
        ------
        OSError
            No space for the file.
        """
        self._tops.append(self._tops[-1] + strip.shape[0])
        if self._file is None and self._kept_bytes + strip.nbytes <= self.in_memory_bytes:
            self._kept.append(strip)
            self._kept_bytes += strip.nbytes
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115 - open until `close`
            for earlier in self._kept:
                self._file.write(np.ascontiguousarray(earlier).data)
            self._kept.clear()
        self._file.write(np.ascontiguousarray(strip).data)

    def strip(self, index: int) -> NDArray[np.int32]:
        """Give a strip, shape (rows, columns); it is not to be written to."""
        if self._file is None:
            return self._kept[index]
        top, bottom = self.span(index)
        strip = np.empty((bottom - top, self.columns), np.int32)
        with self._lock:
            self._file.seek(top * self.columns * strip.itemsize)
            self._file.readinto(strip)  # type: ignore[attr-defined]
        return strip

    def close(self) -> None:
        """Free memory and file."""
        self._kept.clear()
        if self._file is not None:
            self._file.close()
            self._file = None
