"""What the entries of a palette mean in a mask: colours decide which one is the background, not their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cellmonai.core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_NEAR = 8
"""Quantising to few colours moves black and white by less than this."""

_SHADE = 64
"""Where black was moved by quantising, all other colours are at least so bright."""


class PaletteTable(NamedTuple):
    """The value of each entry, and what is worth saying about it."""

    values: NDArray[Any]
    notes: tuple[str, ...] = ()


def palette_table(palette: NDArray[Any], used: NDArray[np.bool_], dtype: np.dtype[Any], path: Path) -> PaletteTable:
    """Give the value that each index of a mask with a palette stands for.

    Black is background, 0. Where all colours that occur are grey, the others become their grey levels. Where they are
    colours, every other index stays a label of its own, also where two have the same colour. Entries that no pixel
    uses say nothing.

    Parameters
    ----------
    palette : red, green, blue and alpha, each 0 to 255, by index; shape (entries, 4)
    used : which indices occur; shape (indices,)
    dtype : of the values

    Raises
    ------
    InputError
        An index lies beyond the palette, no colour that occurs is black, several colourful labels are, or alpha and
        colours tell of different backgrounds.
    """
    occurring = np.flatnonzero(used)
    values = np.arange(len(used)).astype(dtype)
    if not len(occurring):
        return PaletteTable(values)
    if occurring[-1] >= len(palette):
        raise InputError(
            f"its pixels use colour {occurring[-1]} of a palette of {len(palette)}",
            where=str(path),
            cure="export the mask again, as grey",
        )
    colours, alpha = palette[occurring, :3].astype(np.int64), palette[occurring, 3].astype(np.int64)
    from_alpha = _is_alpha_mask(colours, alpha, path)
    if from_alpha:
        values[occurring] = alpha
        return PaletteTable(values, ("mask read from the alpha channel",))
    black = _black(colours)
    has_two = _is_black_and_white(palette[:, :3])  # then a page that is white all over is no riddle
    if not has_two:
        _require_black(black, occurring, path)
    if has_two or (_is_black_and_white(colours) and not is_grey_ramp(palette)):
        values[occurring] = np.where((colours < _NEAR).all(axis=1), 0, 255)
    elif bool((colours == colours[:, :1]).all()):
        values[occurring] = np.where(black, 0, colours.max(axis=1))
    else:
        values[occurring] = _labels(occurring, black, path)
    moved = bool((values[0] != 0) and used[0])
    note = "the mask's palette decides: its black is the background, though that is not the first colour"
    return PaletteTable(values, (note,) if moved else ())


def _is_alpha_mask(colours: NDArray[np.int64], alpha: NDArray[np.int64], path: Path) -> bool:
    """Tell whether only alpha varies; raise where alpha and colours tell of different backgrounds."""
    if bool((alpha == alpha[0]).all()):
        return False
    if bool((colours == colours[0]).all()):
        return True
    if not np.array_equal(alpha == 0, (colours == 0).all(axis=1)):
        raise alpha_disagrees(path)
    return False


def alpha_disagrees(path: Path) -> InputError:
    """Make the error for a mask whose colours and alpha channel tell of different backgrounds."""
    return InputError(
        "its alpha channel (transparency) and its colours tell of different backgrounds",
        where=str(path),
        cure="save the mask without transparency, with 0 (black) for the background",
        code="alpha_disagrees",
    )


def _black(colours: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which colours are black; where none is exactly, one that quantising moved counts if no other is dark."""
    black = np.asarray((colours == 0).all(axis=1))
    if not black.any():
        near = np.asarray((colours < _NEAR).all(axis=1))
        others = colours[~near].max(axis=1) if (~near).any() else np.zeros(0)
        if np.count_nonzero(near) == 1 and len(others) and (others >= _SHADE).all():
            return near
    return black


def is_grey_ramp(palette: NDArray[Any]) -> bool:
    """Tell whether each entry is the opaque grey of its number, so that indices are grey levels already."""
    ramp = np.arange(len(palette))[:, np.newaxis]
    return bool((palette[:, :3] == ramp).all() and (palette[:, 3] == palette[0, 3]).all())


def _is_black_and_white(colours: NDArray[Any]) -> bool:
    """Tell whether all colours are black or white, up to what quantising does, and not all of them nearly black."""
    near_black, near_white = (colours < _NEAR).all(axis=1), (colours > 255 - _NEAR).all(axis=1)
    exact = bool((colours[near_black] == 0).all())
    return bool((near_black | near_white).all()) and (exact or bool(near_white.any()))


def _require_black(black: NDArray[np.bool_], occurring: NDArray[np.intp], path: Path) -> None:
    if black.any():
        return
    several = ", ".join(str(index) for index in occurring[:4]) + (", …" if len(occurring) > 4 else "")
    raise InputError(
        f"the mask has a palette, none of the colours in use ({several}) is black, and it is unclear which one is "
        "the background",
        where=str(path),
        cure="save the mask as grey or with a palette in which the background is black, 0",
        code="unclear_background",
    )


def _labels(occurring: NDArray[np.intp], black: NDArray[np.bool_], path: Path) -> NDArray[np.intp]:
    """Keep indices as labels; the background gets 0, and index 0, where it is a label, the background's number."""
    background = occurring[black]
    if len(background) > 1:
        raise InputError(
            f"colours {background[0]} and {background[1]} of the mask's palette are both black, and it is unclear "
            "which one is the background",
            where=str(path),
            cure="save the mask as grey, with 0 for the background",
            code="unclear_background",
        )
    labels = np.where(black, 0, occurring)
    labels[(occurring == 0) & ~black] = background[0]
    return labels
