"""Parts that several networks share: the double convolution and the rules for sizes that do not divide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation

if TYPE_CHECKING:
    from torch import Tensor


class DoubleConv(nn.Sequential):
    """Twice (3x3 convolution, batch norm, ReLU, spatial dropout), `channels` to `middle` to `outputs` maps.

    The size is kept by zero padding. Spatial dropout leaves out whole maps, because neighbouring pixels of one map say
    almost the same (Tompson et al. 2015, arXiv:1411.4280); a share of 0 changes nothing.
    """

    def __init__(
        self, channels: int, outputs: int, *, middle: int | None = None, bias: bool = False, dropout: float = 0.0
    ) -> None:
        middle = middle or outputs
        super().__init__(
            nn.Conv2d(channels, middle, 3, padding=1, bias=bias),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Dropout2d(dropout),
            nn.Conv2d(middle, outputs, 3, padding=1, bias=bias),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Dropout2d(dropout),
        )


def pad_to_match(raised: Tensor, skip: Tensor) -> Tensor:
    """Pad maps with zeros to the size of `skip`, the odd row or column at the bottom and right.

    Halving drops the last row of an odd size, so what was doubled again is one short there.
    """
    rows, columns = (skip.shape[axis] - raised.shape[axis] for axis in (-2, -1))
    if rows == columns == 0:
        return raised
    return F.pad(raised, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))


def pad_to_multiple(image: Tensor, divisor: int, *, smallest: int = 1) -> Tensor:
    """Repeat the last row and column until both sides are multiples of `divisor` and at least `smallest` px.

    Repeating continues cells and background as they are at the edge; zeros would be a dark frame.
    """
    rows, columns = (-(-max(side, smallest) // divisor) * divisor - side for side in image.shape[-2:])
    return F.pad(image, (0, columns, 0, rows), mode="replicate") if rows or columns else image
