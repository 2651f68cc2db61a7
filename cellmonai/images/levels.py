"""Which stored resolution of an image serves a wanted pixel size, and how far it is still to be rescaled."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from cellmonai.core.errors import InputError, UsageError

if TYPE_CHECKING:
    from cellmonai.core.units import PixelSize
    from cellmonai.images.source import ImageSource

NEAR = 0.01
"""A level within one per cent of the wanted pixel size is taken as it is: resampling would blur it for nothing."""

MOST_ENLARGED = 16.0
"""Pixels are made smaller down to this share of the stored ones; beyond it there is nothing to be seen."""


class LevelChoice(NamedTuple):
    """A level, and how many of its pixels one wanted pixel is wide, (y, x): above 1 it is reduced, below 1 enlarged."""

    level: int
    factor: tuple[float, float]


def reduction(source: ImageSource, level: int) -> tuple[float, float]:
    """Tell how many pixels at full size one pixel of `level` is wide, (y, x).

    Files store sizes only, which were rounded when levels were made: a whole number that explains both is meant.
    """
    (height, width), (rows, columns) = source.levels[0], source.levels[level]
    whole = round(width / columns)
    if whole and abs(height / whole - rows) < 1 and abs(width / whole - columns) < 1:
        return float(whole), float(whole)
    return height / rows, width / columns


def level_pixel_size(source: ImageSource, level: int) -> PixelSize | None:
    """Give the pixel size of `level` in micrometres, (y, x), or None where the file does not say it."""
    if source.pixel_size_um is None:
        return None
    (y, x), (rows, columns) = source.pixel_size_um, reduction(source, level)
    return y * rows, x * columns


def choose_level(source: ImageSource, um_per_px: float) -> LevelChoice:
    """Choose the coarsest level that is at least as fine as `um_per_px`, so that it is reduced and never enlarged.

    Where even the full size is coarser, it is the one, and it is enlarged.

    Parameters
    ----------
    um_per_px : micrometres, the same along rows and columns

    Raises
    ------
    InputError
        The file does not say its pixel size, or is more than 16 times as coarse.
    UsageError
        `um_per_px` is no length.
    """
    if not (math.isfinite(um_per_px) and um_per_px > 0):
        raise UsageError(f"{um_per_px:g} is no pixel size", where="--um-per-px", cure="give micrometres, as 0.5")
    sizes = [level_pixel_size(source, level) for level in range(len(source.levels))]
    known = [size for size in sizes if size is not None]
    if not known:
        raise InputError(
            "it does not say how large its pixels are, which --um-per-px needs",
            where=str(source.path),
            cure="choose a resolution with --level, or save the pixel size in the file",
        )
    level = max((i for i, size in enumerate(known) if max(size) <= um_per_px * (1 + NEAR)), default=0)
    y, x = (um_per_px / size for size in known[level])
    if min(y, x) < 1 / MOST_ENLARGED:
        raise InputError(
            f"its pixels are {max(known[0]):g} um wide, and {um_per_px:g} is more than {MOST_ENLARGED:g} times finer",
            where=str(source.path),
            cure="give a larger --um-per-px",
        )
    return LevelChoice(level, (_snapped(y), _snapped(x)))


def _snapped(factor: float) -> float:
    return 1.0 if abs(factor - 1) <= NEAR else factor
