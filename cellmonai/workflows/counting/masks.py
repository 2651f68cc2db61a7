"""Masks that are open for counting: small ones kept in memory, as each is read twice, large ones row by row."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, overload

from cellmonai.images.labels import AS_STORED, ValueChoice, open_mask, read_mask_plane
from cellmonai.images.mask_rows import mask_rows
from cellmonai.images.rows import ArrayRows
from cellmonai.images.source import changed_while_read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.core.units import PixelSize
    from cellmonai.images.rows import Rows
    from cellmonai.images.source import ImageSource, Stamp

SMALL_BYTES = 16 * 2**20
"""Masks that decode to more are read in strips."""

_MOST_KEPT_BYTES = 128 * 2**20


def _nothing() -> None:
    """Nobody asks for a stop, and what lies in memory does not change."""


@dataclass(frozen=True, slots=True)
class OpenMask:
    """A mask or label file, open while the block of `MaskReader.open` runs.

    Parameters
    ----------
    planes : one name per plane, ("",) when there is only one
    rows : of each plane
    shape : of every plane, (Y, X)
    pixel_size_um : (y, x), None where the file does not say
    z_step_um : from one depth to the next, None where the file does not say
    notes : what reading left out or chose, in words
    warnings : what may be wrong with its pixels
    require_unchanged : raises InputError when the file was written to since it was opened
    orientation : the orientation tag that was applied
    """

    planes: tuple[str, ...]
    rows: Sequence[Rows]
    shape: tuple[int, int]
    pixel_size_um: PixelSize | None
    z_step_um: float | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    require_unchanged: Callable[[], None] = _nothing
    orientation: int = 1


class _StoppableRows:
    """Rows that ask before every strip whether the user wants to stop: a slide takes minutes."""

    def __init__(self, rows: Rows, check: Callable[[], None]) -> None:
        self._rows, self._check = rows, check

    @property
    def shape(self) -> tuple[int, int]:
        return self._rows.shape

    def rows(self, top: int, bottom: int) -> NDArray[Any]:
        self._check()
        return self._rows.rows(top, bottom)


class _PlanesOnDemand(Sequence["Rows"]):
    """The planes of an open file; what one keeps of its pixels goes with it, so that long stacks take no memory."""

    def __init__(self, source: ImageSource, choice: ValueChoice, check: Callable[[], None]) -> None:
        self._source, self._choice, self._check = source, choice, check

    def __len__(self) -> int:
        return len(self._source.planes)

    @overload
    def __getitem__(self, index: int) -> Rows: ...

    @overload
    def __getitem__(self, index: slice) -> list[Rows]: ...

    def __getitem__(self, index: int | slice) -> Rows | list[Rows]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return _StoppableRows(mask_rows(self._source, range(len(self))[index], self._choice), self._check)


@dataclass
class _Shared:
    """An open file and how many are reading from it."""

    source: ImageSource
    mask: OpenMask
    users: int = 0


@dataclass
class MaskReader:
    """Opens masks for several threads; those that fit stay in memory between the first look and the counting.

    Parameters
    ----------
    memory : bytes that reading one mask may take; half of what is free when None
    check : called before every strip of a large mask; it may raise to stop
    choice : values that the user named as foreground
    """

    memory: int | None = None
    check: Callable[[], None] = _nothing
    choice: ValueChoice = AS_STORED
    _kept: dict[Path, OpenMask] = field(default_factory=dict)
    _kept_bytes: int = 0
    _open: dict[Path, _Shared] = field(default_factory=dict)
    _stamps: dict[Path, Stamp | None] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @contextmanager
    def open(self, path: Path) -> Iterator[OpenMask]:
        """Give a mask with all its planes.

        Raises
        ------
        InputError
            It cannot be read or is no mask; for large ones, this may come as late as a strip that is asked for.
        MemoryBudgetError
            The least that can be read of it is over the budget.
        """
        kept = self._kept.get(path) or self._read_small(path)
        if kept is not None:
            yield kept
            return
        shared = self._taken(path)
        try:
            yield shared.mask
        finally:
            self._given_back(path, shared)

    def close(self) -> None:
        """Close every file and forget every mask."""
        with self._lock:
            for shared in self._open.values():
                shared.source.close()
            self._open.clear()
            self._kept.clear()

    def _read_small(self, path: Path) -> OpenMask | None:
        """Read a small mask whole, and keep it while there is room; None for a large one."""
        with self._lock:
            if path in self._open:
                return None
        with open_mask(path, memory=self.memory, choice=self.choice) as source:
            self._require_same(source)
            size = source.dtype.itemsize * len(source.planes) * source.shape[0] * source.shape[1] * source.shape[2]
            if size > min(SMALL_BYTES, self.memory or SMALL_BYTES):
                return None
            planes = [read_mask_plane(source, index, self.choice).array for index in range(len(source.planes))]
            mask = _mask_of(source, tuple(ArrayRows(plane) for plane in planes))
        with self._lock:
            if self._kept_bytes + size <= min(_MOST_KEPT_BYTES, self.memory or _MOST_KEPT_BYTES):
                self._kept[path] = mask
                self._kept_bytes += size
        return mask

    def _taken(self, path: Path) -> _Shared:
        with self._lock:
            shared = self._open.get(path)
            if shared is None:
                source = open_mask(path, memory=self.memory, choice=self.choice)
                self._require_same(source)
                mask = _mask_of(source, _PlanesOnDemand(source, self.choice, self.check))
                shared = self._open[path] = _Shared(source, replace(mask, require_unchanged=source.require_unchanged))
            shared.users += 1
            return shared

    def _require_same(self, source: ImageSource) -> None:
        """Refuse a file that is not what it was at the first look, which decided what its values mean."""
        with self._lock:
            first = self._stamps.setdefault(source.path, source.stamp)
        if source.stamp != first:
            source.close()
            raise changed_while_read(source.path)

    def _given_back(self, path: Path, shared: _Shared) -> None:
        with self._lock:
            shared.users -= 1
            if not shared.users and self._open.get(path) is shared:
                shared.source.close()
                del self._open[path]


def _mask_of(source: ImageSource, rows: Sequence[Rows]) -> OpenMask:
    return OpenMask(
        source.planes,
        rows,
        (source.shape[1], source.shape[2]),
        source.pixel_size_um,
        z_step_um=source.z_step_um,
        notes=source.notes,
        warnings=source.warnings,
        orientation=source.orientation,
    )
