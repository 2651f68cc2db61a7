"""Stored axes made (planes, C, Y, X): letters say what an axis is, and nothing is guessed from its length."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

AXES = "CSYXZTP"
"""C or S channel, Y row, X column; Z depth, T time and P position or page are planes."""

MOST_PLANES = 100_000

_CURE = (
    "save it as TIFF with its axes named, as tifffile.imwrite('x.tif', array, metadata={'axes': 'ZYX'}); in a recipe, "
    "data.axes names them"
)


def check_axes(axes: str, count: int, path: Path) -> str:
    """Give `axes` in capitals when it names `count` axes, each once, with X and Y among them.

    Raises
    ------
    InputError
        Another number of letters, an unknown or repeated letter, or no X or Y.
    """
    axes = axes.upper()
    if len(axes) != count:
        raise InputError(f"the image has {count} axes and {axes!r} names {len(axes)}", where=str(path), cure=_CURE)
    unknown = [letter for letter in axes if letter not in AXES]
    if unknown or len(set(axes.replace("S", "C"))) != len(axes) or not {"X", "Y"} <= set(axes):
        raise InputError(f"{axes!r} names no image axes (once each of {AXES})", where=str(path), cure=_CURE)
    return axes


def arrange(array: NDArray[Any], axes: str) -> NDArray[Any]:
    """Give a view of `array` as (planes, C, Y, X); planes in the order of the axes that are left, first slowest."""
    axes = axes.replace("S", "C")
    left = [letter for letter in axes if letter not in "CYX"]
    if "C" not in axes:
        array, axes = array[np.newaxis], "C" + axes
    array = array.transpose([axes.index(letter) for letter in [*left, "C", "Y", "X"]])
    return array.reshape((-1, *array.shape[-3:])) if len(left) != 1 else array


def shape_of(stored: Sequence[int], axes: str) -> tuple[int, int, int]:
    """(C, Y, X) of an array of shape `stored`."""
    sizes = dict(zip(axes.replace("S", "C"), stored, strict=True))
    return sizes.get("C", 1), sizes["Y"], sizes["X"]


def plane_names(axes: str, stored: Sequence[int], path: Path | None = None) -> tuple[str, ...]:
    """Name the planes that the axes other than C, Y and X make: `t0_z03`; one plane has the empty name.

    Raises
    ------
    InputError
        There are more than `MOST_PLANES`; they are counted before a name is made.

    Examples
    --------
    >>> plane_names("TZYX", (1, 2, 8, 8))
    ('z0', 'z1')
    """
    left = [(letter, n) for letter, n in zip(axes, stored, strict=True) if letter not in "CSYX" and n > 1]
    require_planes(prod(n for _, n in left), path)
    choices = [[f"{letter.lower()}{i:0{len(str(n - 1))}d}" for i in range(n)] for letter, n in left]
    return tuple("_".join(parts) for parts in product(*choices))


def require_planes(count: int, path: Path | None) -> None:
    """Refuse more planes than an image has; a header of a few bytes can declare any number.

    Raises
    ------
    InputError
        There are more than `MOST_PLANES`.
    """
    if count > MOST_PLANES:
        raise InputError(
            f"it declares {count:,} planes, and {MOST_PLANES:,} are the most that is read",
            where=str(path or ""),
            cure="the header is damaged, export the image again",
        )


def two_axes(array: NDArray[Any], path: Path) -> NDArray[Any]:
    """Give an array that names no axes as (Y, X), after leaving out axes of length 1.

    Raises
    ------
    InputError
        Three or more axes are longer than 1, so that they must be named, or there are fewer than two axes.
    """
    stored = array.shape
    while array.ndim > 2 and 1 in array.shape:
        array = array.squeeze(axis=array.shape.index(1))
    if array.ndim < 2:
        raise InputError(f"an array of shape {stored} is no image", where=str(path), cure="save it as (Y, X)")
    if array.ndim > 2:
        raise InputError(f"the axes of an array of shape {stored} are unknown", where=str(path), cure=_CURE)
    return array
