"""Planes that are read row by row: what lets a mask or a label image be larger than memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

STRIP_PIXELS = 1 << 20
LEAST_STRIP_ROWS = 64


class Rows(Protocol):
    """A plane (Y, X) of which any full-width rows can be asked for, most cheaply from top to bottom."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the whole plane."""
        ...

    def rows(self, top: int, bottom: int) -> NDArray[Any]:
        """Give rows top to bottom, half-open, shape (bottom - top, X); the caller does not write into them."""
        ...


class ArrayRows:
    """A plane that lies in memory; its rows are views.

    Parameters
    ----------
    array : shape (Y, X)
    """

    def __init__(self, array: NDArray[Any]) -> None:
        if array.ndim != 2:
            raise ValueError(f"the array has shape {array.shape}, expected (Y, X)")
        self.array = array

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.array.shape[0], self.array.shape[1]

    def rows(self, top: int, bottom: int) -> NDArray[Any]:
        """Give rows top to bottom, half-open."""
        return self.array[top:bottom]


def as_rows(plane: NDArray[Any] | Rows) -> Rows:
    """Give an array as `Rows`; what has rows already is passed on."""
    return ArrayRows(plane) if isinstance(plane, np.ndarray) else plane


def strips(shape: tuple[int, int], *, strip_rows: int | None = None) -> Iterator[tuple[int, int]]:
    """Cut the rows of a plane into strips (top, bottom) from top to bottom, by default of about a megapixel."""
    rows = strip_rows or max(LEAST_STRIP_ROWS, STRIP_PIXELS // max(shape[1], 1))
    for top in range(0, shape[0], rows):
        yield top, min(top + rows, shape[0])
