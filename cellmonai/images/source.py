"""An open image: facts from its header, and regions of its pixels on demand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.core.files import sha256_of
from cellmonai.images.guard import reading

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from types import TracebackType

    from numpy.typing import NDArray

    from cellmonai.core.units import PixelSize
    from cellmonai.images.budget import Budget

Region = tuple[int, int, int, int]
"""(row0, column0, row1, column1), half-open."""

CHANGED = "changed"
"""Code of the failure of an image that was written to while it was read."""

Stamp = tuple[int, ...]
"""What differs when a file was written to: device, number, length, and the times of its content and of its entry."""


def stamp_of(path: Path | str) -> Stamp | None:
    """Give the stamp of a file, None where there is none; the last time cannot be set back by a program."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return stamp_in(status)


def stamp_in(status: os.stat_result) -> Stamp:
    """Give the stamp of a file whose status is known."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@dataclass(frozen=True, slots=True)
class Looks:
    """How a file wants its pixels to be shown, where this was not applied to them yet.

    Parameters
    ----------
    orientation : the tag of EXIF and TIFF, 1 to 8; 1 is as stored
    palette : red, green, blue and alpha by index, shape (entries, 4), of an image that gives indices
    has_alpha : whether the last channel is alpha
    may_be_colours : whether the three planes may be the colours of one picture
    """

    orientation: int = 1
    palette: NDArray[np.uint16] | None = None
    has_alpha: bool = False
    may_be_colours: bool = False


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the header says, after everything in it was checked.

    Parameters
    ----------
    stored_axes : axes of the file, slowest first, as "TZCYX"; S is colour
    shape : (C, Y, X) of one plane at full size
    channels : one name per channel; "0", "1", … where the file has none
    dtype : of what `read` gives
    pixel_size_um : (y, x), None where the file does not say
    levels : (Y, X) of each resolution, full size first
    planes : one name per series, time and depth; ("",) when there is only one
    z_step_um : from one depth to the next, None where the file does not say
    notes : what was left out or chosen, in words, for the run record
    warnings : what may be wrong with its pixels, in words, for the user
    looks : how the file wants to be shown
    orientation : the orientation tag that was applied
    """

    stored_axes: str
    shape: tuple[int, int, int]
    channels: tuple[str, ...]
    dtype: np.dtype[Any]
    pixel_size_um: PixelSize | None
    levels: tuple[tuple[int, int], ...]
    planes: tuple[str, ...] = ("",)
    notes: tuple[str, ...] = ()
    z_step_um: float | None = None
    warnings: tuple[str, ...] = ()
    looks: Looks = Looks()
    orientation: int = 1


class ImageSource(ABC):
    """An image that is open for reading; `open_image` makes it, `close` or a `with` block ends it.

    Attributes
    ----------
    path : of the file or folder
    stored_axes, shape, channels, dtype, pixel_size_um, levels, planes, notes, warnings, z_step_um, looks, orientation :
        as in `ImageFacts`
    axes : always "CYX", what `read` gives
    stamp : of the file before it was opened; None for a folder, or what has no file of its own
    """

    axes = "CYX"
    stamp: Stamp | None = None

    def __init__(self, path: Path, facts: ImageFacts, budget: Budget) -> None:
        _check_facts(facts, path)
        self.path = path
        self.budget = budget
        self.stored_axes = facts.stored_axes
        self.shape = facts.shape
        self.channels = facts.channels
        self.dtype = facts.dtype
        self.pixel_size_um = facts.pixel_size_um
        self.levels = facts.levels
        self.planes = facts.planes
        self.notes = facts.notes
        self.z_step_um = facts.z_step_um
        self.warnings = facts.warnings
        self.looks = facts.looks
        self.orientation = facts.orientation

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 in hexadecimal: of the file's content, of a folder over the names and digests of all files in it."""
        with reading(self.path, "the file"):
            digest = sha256_of(self.path)
        if self.stamp is not None:
            self.require_unchanged()
        return digest

    def read(
        self,
        region: Region | None = None,
        *,
        channels: Sequence[int] | None = None,
        level: int = 0,
        plane: int = 0,
    ) -> NDArray[Any]:
        """Give a region as (C, h, w) in the stored type; only what overlaps it is decoded where the format allows.

        Parameters
        ----------
        region : half-open (row0, column0, row1, column1) in pixels of `level`; the whole level by default
        channels : which ones, in this order; all by default
        level, plane : indices into `levels` and `planes`

        Raises
        ------
        InputError
            The pixels cannot be decoded, or hold NaN or infinity, or the file was changed since it was opened.
        MemoryBudgetError
            The region is over the memory budget.
        ValueError
            `region`, `channels`, `level` or `plane` lie outside the image.
        """
        box, wanted = self._checked(region, channels, level, plane)
        shape = (len(wanted), box[2] - box[0], box[3] - box[1])
        amount = shape[0] * shape[1] * shape[2] * self.dtype.itemsize
        self.budget.require(amount, f"a region of {shape[2]} x {shape[1]} px", where=self.path)
        try:
            with reading(self.path, "the pixels"):
                array = self._read(box, wanted, level, plane)
        except InputError:
            if self.stamp is not None:
                self.require_unchanged()  # a file that is being written looks damaged
            raise
        if self.stamp is not None:
            self.require_unchanged()
        if array.shape != shape or array.dtype != self.dtype:
            raise InputError(
                f"the reader gave {array.dtype} {array.shape}, expected {self.dtype} {shape}",
                where=str(self.path),
                cure="the file is damaged",
            )
        require_finite(array, self.path)
        return array

    @abstractmethod
    def _read(self, box: Region, channels: Sequence[int], level: int, plane: int) -> NDArray[Any]:
        """Decode a region whose bounds were checked."""

    def _checked(
        self, region: Region | None, channels: Sequence[int] | None, level: int, plane: int
    ) -> tuple[Region, tuple[int, ...]]:
        if not 0 <= level < len(self.levels):
            raise ValueError(f"level is {level}, expected 0 to {len(self.levels) - 1}")
        if not 0 <= plane < len(self.planes):
            raise ValueError(f"plane is {plane}, expected 0 to {len(self.planes) - 1}")
        height, width = self.levels[level]
        row0, column0, row1, column1 = box = (0, 0, height, width) if region is None else region
        if not (0 <= row0 < row1 <= height and 0 <= column0 < column1 <= width):
            raise ValueError(f"region is {box}, expected a part of (0, 0, {height}, {width})")
        wanted = tuple(range(self.shape[0])) if channels is None else tuple(channels)
        if not wanted or not all(0 <= channel < self.shape[0] for channel in wanted):
            raise ValueError(f"channels are {wanted}, expected some of 0 to {self.shape[0] - 1}")
        return box, wanted

    def block_shape(self, level: int = 0) -> tuple[int, int]:
        """Rows and columns of what is decoded together: a tile, a strip, a chunk, or one row where any can be read."""
        return 1, self.levels[level][1]

    def require_unchanged(self) -> None:
        """Refuse what was read when the file was written to since it was opened, so that pixels of two may be mixed.

        Raises
        ------
        InputError
            The file is another one, was changed or is gone; the code is `CHANGED`.
        """
        if self.stamp is not None and stamp_of(self.path) != self.stamp:
            raise changed_while_read(self.path)

    def keep_rows_only(self) -> None:  # noqa: B027 - most sources keep nothing
        """Keep no more decoded pixels than reading full-width rows from top to bottom needs."""

    def close(self) -> None:  # noqa: B027 - most sources keep no file open
        """Free the file; reading afterwards is an error."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.require_unchanged()
        finally:
            self.close()


def changed_while_read(path: Path) -> InputError:
    """Give the failure of an image that was written to while it was read."""
    return InputError(
        "it was changed while it was read",
        where=str(path),
        cure="run the command again when nothing writes to it any more",
        code=CHANGED,
    )


class ArraySource(ImageSource):
    """An image that lies in an array (planes, C, Y, X), in memory."""

    def __init__(self, path: Path, facts: ImageFacts, budget: Budget, array: NDArray[Any]) -> None:
        super().__init__(path, facts, budget)
        self._array = array

    def _read(self, box: Region, channels: Sequence[int], level: int, plane: int) -> NDArray[Any]:
        part = self._array[plane, :, box[0] : box[2], box[1] : box[3]]
        return np.ascontiguousarray(part[list(channels)], dtype=self.dtype)


def require_finite(array: NDArray[Any], path: Path) -> None:
    """Refuse NaN and infinity.

    Raises
    ------
    InputError
        At least one pixel is not a finite number.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(array.size - np.count_nonzero(np.isfinite(array)))
        raise InputError(
            f"{bad:,} pixel value{'s are' if bad != 1 else ' is'} NaN or infinite",
            where=str(path),
            cure="replace them and save the image again",
        )


def _check_facts(facts: ImageFacts, path: Path) -> None:
    if min(facts.shape) < 1:
        raise InputError(f"the image has no pixels (shape {facts.shape})", where=str(path), cure="export it again")
    if facts.dtype.kind not in "buif":
        kind = "complex numbers" if facts.dtype.kind == "c" else f"values of type {facts.dtype}"
        raise InputError(f"the image holds {kind}", where=str(path), cure="save it as integers or floats")


def default_names(count: int) -> tuple[str, ...]:
    """Give names to channels that have none: "0", "1" and so on."""
    return tuple(str(i) for i in range(count))
