"""Dropout whose choice is a function of place: the same values of an image are left out, whatever window sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

_GOLDEN = 0x9E3779B9  # 2^32 divided by the golden ratio: spreads neighbouring numbers over all 32 bits


class SampledDropout(nn.Module):
    """Dropout that also works in evaluation, after `begin` said what to leave out.

    Parameters
    ----------
    share : in (0, 1], how much is left out; the rest is divided by 1 - share, as in training
    whole_maps : leave out whole maps of (N, C, h, w), as `nn.Dropout2d`; else single values, as `nn.Dropout`
    """

    def __init__(self, share: float, *, whole_maps: bool) -> None:
        super().__init__()
        self.share, self.whole_maps = share, whole_maps
        self._key, self._place, self._window = 0, (0, 0), (1, 1)

    def begin(self, key: int, *, place: tuple[int, int], window: tuple[int, int]) -> None:
        """Set what the next pass leaves out.

        Parameters
        ----------
        key : from 0 up to 2^32; another key leaves out other values
        place : row and column of the window in the image, in px
        window : rows and columns of the window, in px
        """
        self._key, self._place, self._window = key, place, window

    def forward(self, values: Tensor) -> Tensor:
        """Leave out what the key says; the N of a batch all lose the same."""
        if self.share >= 1:
            return torch.zeros_like(values)
        numbers = self._of_maps(values)[:, None, None] if self.whole_maps else self._of_values(values)
        kept = numbers >= min(round(self.share * 2**32), 2**32 - 1) - 2**31
        return values * kept.to(values.dtype).div_(1 - self.share)

    def _of_maps(self, values: Tensor) -> Tensor:
        """Give a number for every map, int32, shape (C,)."""
        return _mixed(_counted(0, values.shape[1], values) ^ _signed(self._key))

    def _of_values(self, values: Tensor) -> Tensor:
        """Give a number for every value: of its map, row and column in the image, or of its index in other arrays."""
        if values.dim() != 4:
            return _mixed(_counted(0, values[0].numel(), values) ^ _signed(self._key)).reshape(values.shape[1:])
        top, left = (
            start * size // side for start, size, side in zip(self._place, values.shape[-2:], self._window, strict=True)
        )
        rows = _counted(top, values.shape[-2], values)[:, None, None]
        columns = _mixed(_counted(left, values.shape[-1], values) ^ _signed(_GOLDEN))[:, None]
        numbers = _mixed(_mixed(self._of_maps(values) ^ rows) ^ columns)  # h, w, C: channels last, as the maps lie
        return numbers.permute(2, 0, 1)


def _counted(first: int, length: int, like: Tensor) -> Tensor:
    """Give `length` numbers from `first` on, int32, apart by the golden ratio, on the device of `like`."""
    numbers = torch.arange(first, first + length, dtype=torch.int32, device=like.device)
    return numbers.mul_(_signed(_GOLDEN))


def _mixed(numbers: Tensor) -> Tensor:
    """Scramble int32 numbers, each by itself, so that every bit depends on every other: changes them in place.

    Products beyond 32 bits lose their upper part, on every device alike.

    References
    ----------
    Wellons 2018, hash-prospector, `lowbias32`: nullprogram.com/blog/2018/07/31.
    """
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        _mix_down(numbers, shift).mul_(_signed(factor))
    return _mix_down(numbers, 16)


def _mix_down(numbers: Tensor, shift: int) -> Tensor:
    """Let the upper bits act on those `shift` below."""
    upper = numbers >> shift
    upper &= (1 << (32 - shift)) - 1  # torch shifts the sign in from the left
    numbers ^= upper
    return numbers


def _signed(number: int) -> int:
    """Give the int32 with the bits of a number below 2^32."""
    return number - 2**32 if number >= 2**31 else number
