"""A mask as its values mean it: its palette's colours and its alpha channel looked at, over all its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.images.bands import bands_of
from cellmonai.images.mask_palette import alpha_disagrees, is_grey_ramp, palette_table
from cellmonai.images.source import Looks, default_names
from cellmonai.images.wrapped import WrappedSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.images.source import ImageSource, Region


def as_mask(source: ImageSource) -> ImageSource:
    """Give a mask whose values count: indices turned by their palette, and without alpha or from it.

    Palettes and alpha need one pass over the pixels, a band at a time.

    Raises
    ------
    InputError
        The background is unclear, or alpha and colours tell of different ones.
    """
    looks_before, looks = source.looks, Looks(orientation=source.looks.orientation)
    if looks_before.palette is not None:
        palette = looks_before.palette
        if is_grey_ramp(palette) and len(palette) > np.iinfo(np.uint8).max:
            return source
        table = palette_table(palette, _used(source), source.dtype, source.path)
        notes = (*source.notes, *table.notes)
        return _TableSource(source, table.values, notes=notes, looks=looks)
    if looks_before.has_alpha:
        colours = source.shape[0] - 1
        if _is_in_alpha(source):
            return _SomeChannels(
                source,
                (colours,),
                channels=default_names(1),
                notes=(*source.notes, "mask read from the alpha channel"),
                looks=looks,
            )
        return _SomeChannels(source, tuple(range(colours)), channels=source.channels[:-1], looks=looks)
    if looks_before.may_be_colours and _planes_are_equal(source):
        return WrappedSource(source, planes=("",), notes=(), looks=looks)
    return source


class _TableSource(WrappedSource):
    """Another source with its values looked up in a table."""

    def __init__(self, source: ImageSource, values: NDArray[Any], **changed: Any) -> None:  # noqa: ANN401
        super().__init__(source, **changed)
        self._values = values

    def _read(self, box: Region, channels: Sequence[int], level: int, plane: int) -> NDArray[Any]:
        values: NDArray[Any] = self._values[super()._read(box, channels, level, plane)]
        return values


class _SomeChannels(WrappedSource):
    """Some channels of another source."""

    def __init__(self, source: ImageSource, kept: tuple[int, ...], **changed: Any) -> None:  # noqa: ANN401
        super().__init__(source, shape=(len(kept), *source.shape[1:]), **changed)
        self._kept = kept

    def _read(self, box: Region, channels: Sequence[int], level: int, plane: int) -> NDArray[Any]:
        return super()._read(box, [self._kept[channel] for channel in channels], level, plane)


def _all_pixels(source: ImageSource) -> Iterator[NDArray[Any]]:
    for plane in range(len(source.planes)):
        for box in bands_of(source):
            yield source.read(box, plane=plane)


def _planes_are_equal(source: ImageSource) -> bool:
    """Tell whether all planes are the same: a grey picture stored as colour."""
    for box in bands_of(source):
        first = source.read(box)
        if any(not np.array_equal(source.read(box, plane=plane), first) for plane in range(1, len(source.planes))):
            return False
    return True


def _used(source: ImageSource) -> NDArray[np.bool_]:
    counts = np.zeros(np.iinfo(source.dtype).max + 1, np.int64)
    for pixels in _all_pixels(source):
        counts += np.bincount(pixels.ravel(), minlength=len(counts))
    return counts > 0


class _Seen:
    """The least and the greatest value of each channel over the pixels seen so far."""

    def __init__(self, channels: int) -> None:
        self.low: list[Any] = [None] * channels
        self.high: list[Any] = [None] * channels

    def add(self, pixels: NDArray[Any]) -> None:
        """Look at pixels (C, …)."""
        for channel, part in enumerate(pixels):
            if part.size:
                low, high = part.min(), part.max()
                self.low[channel] = low if self.low[channel] is None else min(low, self.low[channel])
                self.high[channel] = high if self.high[channel] is None else max(high, self.high[channel])

    @property
    def is_constant(self) -> bool:
        """Whether every channel has one value only."""
        return self.low == self.high


def _is_in_alpha(source: ImageSource) -> bool:
    """Tell whether a mask lies in its alpha channel; false where its colours tell the same or alpha tells nothing.

    Raises
    ------
    InputError
        Both vary, and what is transparent is not what is black.
    """
    colours = source.shape[0] - 1
    alpha, everywhere, visible = _Seen(1), _Seen(colours), _Seen(colours)
    agree, grey = True, True
    for pixels in _all_pixels(source):
        colour, opacity = pixels[:-1], pixels[-1]
        alpha.add(pixels[-1:])
        everywhere.add(colour)
        visible.add(colour[:, opacity != 0])
        agree = agree and bool(np.array_equal((colour == 0).all(axis=0), opacity == 0))
        grey = grey and bool((colour == colour[:1]).all())
    return _decided(alpha, everywhere, visible, agree=agree, grey=grey, path=source.path)


def _decided(alpha: _Seen, everywhere: _Seen, visible: _Seen, *, agree: bool, grey: bool, path: Path) -> bool:
    if alpha.is_constant:
        return False
    if everywhere.is_constant:
        return True
    if not agree:
        raise alpha_disagrees(path)
    return not grey and visible.is_constant
