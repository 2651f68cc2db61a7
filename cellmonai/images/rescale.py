"""An image at another resolution: one of its levels, rescaled to a wanted pixel size region by region."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError, UsageError
from cellmonai.images.levels import choose_level, level_pixel_size
from cellmonai.images.resampling import new_length, taps
from cellmonai.images.source import ImageFacts, ImageSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellmonai.images.source import Region

_BAND_BYTES = 32 * 2**20


def at_resolution(source: ImageSource, *, level: int | None = None, um_per_px: float | None = None) -> ImageSource:
    """Give `source` at a level of its own or at a pixel size; itself where neither is asked for or nothing changes.

    Raises
    ------
    InputError
        It has no such level, or no pixel size.
    UsageError
        Both are asked for, or `um_per_px` is no length.
    """
    if level is not None and um_per_px is not None:
        raise UsageError("both name a resolution", where="--level and --um-per-px", cure="give one of them")
    factor = (1.0, 1.0)
    if um_per_px is not None:
        level, factor = choose_level(source, um_per_px)
    level = level or 0
    if not 0 <= level < len(source.levels):
        sizes = ", ".join(f"{i}: {columns} x {rows} px" for i, (rows, columns) in enumerate(source.levels))
        raise InputError(
            f"it has no level {level} (it has {sizes})", where=str(source.path), cure="give another --level"
        )
    return source if level == 0 and factor == (1.0, 1.0) else Rescaled(source, level, factor)


class Rescaled(ImageSource):
    """A level of another source, its pixels averaged or interpolated; it has no smaller levels of its own.

    Parameters
    ----------
    source : stays open as long as this is used; closing this closes it
    level : index into `source.levels`
    factor : pixels of the level per new pixel, (y, x): above 1 they are averaged by area, below 1 interpolated linearly

    Notes
    -----
    The first pixels of both begin at the same corner; the last row and column may reach beyond the level, and are then
    the average of what there is. Whole numbers are rounded to the nearest, halves upwards. A pixel has the same value
    in whatever region it is read.
    """

    def __init__(self, source: ImageSource, level: int, factor: tuple[float, float] = (1.0, 1.0)) -> None:
        height, width = source.levels[level]
        size = (new_length(height, factor[0]), new_length(width, factor[1]))
        at = level_pixel_size(source, level)
        changed = "" if factor == (1.0, 1.0) else f", {factor[0]:g} x {factor[1]:g} pixels to one"
        facts = ImageFacts(
            stored_axes=source.stored_axes,
            shape=(source.shape[0], *size),
            channels=source.channels,
            dtype=source.dtype,
            pixel_size_um=(at[0] * factor[0], at[1] * factor[1]) if at else None,
            levels=(size,),
            planes=source.planes,
            z_step_um=source.z_step_um,
            warnings=source.warnings,
            notes=(*source.notes, f"read at level {level} of {width} x {height} px{changed}"),
            orientation=source.orientation,
        )
        super().__init__(source.path, facts, source.budget)
        self._source, self._level, self._factor = source, level, factor
        narrow = source.dtype.itemsize <= 2 or source.dtype == np.float32
        self._work = np.dtype(np.float32 if narrow else np.float64)

    @property
    def fingerprint(self) -> str:
        """That of the source."""
        return self._source.fingerprint

    def require_unchanged(self) -> None:
        """As of the source."""
        self._source.require_unchanged()

    def block_shape(self, level: int = 0) -> tuple[int, int]:
        """Rows and columns that a tile, strip or chunk of the source gives, at least one each."""
        blocks = self._source.block_shape(self._level)
        rows, columns = (max(1, int(n / f)) for n, f in zip(blocks, self._factor, strict=True))
        return min(rows, self.levels[level][0]), min(columns, self.levels[level][1])

    def keep_rows_only(self) -> None:
        """As of the source."""
        self._source.keep_rows_only()

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _read(self, box: Region, channels: Sequence[int], level: int, plane: int) -> NDArray[Any]:
        if self._factor == (1.0, 1.0):
            return self._source.read(box, channels=channels, level=self._level, plane=plane)
        out = np.empty((len(channels), box[2] - box[0], box[3] - box[1]), self.dtype)
        step = self._rows_at_a_time(out.shape)
        for top in range(box[0], box[2], step):
            bottom = min(top + step, box[2])
            part = self._made((top, box[1], bottom, box[3]), channels, plane)
            out[:, top - box[0] : bottom - box[0]] = _as_type(part, self.dtype)
        return out

    def _rows_at_a_time(self, shape: tuple[int, int, int]) -> int:
        """Give how many rows are made at once, so that what they are made of takes bounded memory."""
        y, x = self._factor
        old = shape[0] * (max(1.0, y) + 2) * (ceil(shape[2] * x) + 2)
        most = min(_BAND_BYTES, max(self.budget.amount // 4, 1))
        return max(1, int(most / (old * (self.dtype.itemsize + 2 * self._work.itemsize))))

    def _made(self, box: Region, channels: Sequence[int], plane: int) -> NDArray[Any]:
        """Read what a box is made of, and make it, in floating point."""
        height, width = self._source.levels[self._level]
        down = taps(box[0], box[2], factor=self._factor[0], length=height)
        across = taps(box[1], box[3], factor=self._factor[1], length=width)
        (row0, row1), (column0, column1) = down.span, across.span
        old = self._source.read((row0, column0, row1, column1), channels=channels, level=self._level, plane=plane)
        rows = down.apply(old.astype(self._work), row0, axis=1)
        return across.apply(rows, column0, axis=2)


def _as_type(pixels: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind == "f":
        return pixels.astype(dtype)
    if dtype.kind == "b":
        return pixels >= 0.5
    facts = np.iinfo(dtype)
    return np.floor(pixels + 0.5).clip(facts.min, facts.max).astype(dtype)
