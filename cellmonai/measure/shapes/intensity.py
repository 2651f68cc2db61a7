"""Mean and sum of an image's values over each object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.measure.shapes.label_kernels import SUMMED_AS, label_kernels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class ChannelRows(Protocol):
    """An image (C, Y, X) of which any full-width rows can be asked for."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of the whole image."""
        ...

    def rows(self, top: int, bottom: int) -> NDArray[Any]:
        """Give rows top to bottom, half-open, shape (C, bottom - top, X)."""
        ...


class ArrayChannels:
    """An image that lies in memory; its rows are views.

    Parameters
    ----------
    array : shape (Y, X) or (C, Y, X), any real dtype
    """

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array if array.ndim == 3 else array[None]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns."""
        channels, rows, columns = self.array.shape
        return channels, rows, columns

    def rows(self, top: int, bottom: int) -> NDArray[Any]:
        """Give rows top to bottom, half-open."""
        return self.array[:, top:bottom]


def as_channels(image: NDArray[Any] | ChannelRows, shape: tuple[int, int]) -> ChannelRows:
    """Give an image as `ChannelRows` after checking that it lies under a label image of this shape.

    Raises
    ------
    InputError
        It does not.
    """
    if len(image.shape) not in (2, 3) or tuple(image.shape[-2:]) != shape:
        found = tuple(image.shape)
        raise InputError(f"the image's shape is {found}, expected (Y, X) or (C, Y, X) with (Y, X) = {shape}")
    return ArrayChannels(image) if isinstance(image, np.ndarray) else image


def names_of_channels(channels: int, names: Sequence[str]) -> list[str]:
    """Give a name per channel: those given, else its number.

    Raises
    ------
    InputError
        There are names, but not as many as channels.
    """
    if names and len(names) != channels:
        raise InputError(f"{len(names)} channel names ({', '.join(names)}) for an image of {channels} channels")
    return list(names) or [str(channel) for channel in range(channels)]


class ValueSums:
    """Sums of the values under each label, channel by channel.

    Whole numbers are added exactly, as int64. Floats are added one after the other in raster order, in double
    precision, so that strips of any height give the same digits.

    Parameters
    ----------
    channels : how many
    """

    def __init__(self, channels: int) -> None:
        self._totals: list[NDArray[Any] | None] = [None] * channels
        self._compiled = label_kernels()

    def add(self, labels: NDArray[np.int32], values: NDArray[Any], *, highest: int) -> None:
        """Add a strip.

        Parameters
        ----------
        labels : int32, shape (rows, X)
        values : shape (C, rows, X), real
        highest : no label of the strip is larger
        """
        for channel, under in enumerate(values):
            plain = _plain(under)
            total = _with_room(self._totals[channel], highest + 1, SUMMED_AS[plain.dtype.name])
            self._totals[channel] = total
            if self._compiled is not None:
                self._compiled.value_sums(np.ascontiguousarray(labels), np.ascontiguousarray(plain), total)
            else:
                _add_values(labels, plain, total)

    def of(self, labels: NDArray[np.intp]) -> NDArray[np.float64]:
        """Give the sums of these labels, shape (N,); float64, shape (C, N)."""
        sums = np.zeros((len(self._totals), labels.size))
        for row, total in zip(sums, self._totals, strict=True):
            if total is not None:
                row[:] = total[labels]
        return sums


def _add_values(labels: NDArray[np.int32], values: NDArray[Any], total: NDArray[Any]) -> None:
    """Do what `value_sums` in kernels/labels.c does."""
    inside = labels != 0
    owner = labels[inside]
    if owner.size:
        np.add.at(total, owner, values[inside].astype(total.dtype))  # one after the other, in order


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """Give values of a type that is summed as it is, without changing any."""
    if values.dtype.name in SUMMED_AS:
        return values
    return values.astype(np.float64 if values.dtype.kind == "f" else np.int64)


def _with_room(total: NDArray[Any] | None, labels: int, dtype: type[Any]) -> NDArray[Any]:
    have = 0 if total is None else total.size
    if total is not None and have >= labels:
        return total
    larger = np.zeros(max(labels, 2 * have), dtype)
    if total is not None:
        larger[:have] = total
    return larger
