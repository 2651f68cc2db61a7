"""Targets and weight maps at the size of a network's output, and means over pixels that they weigh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.functional import adaptive_avg_pool2d

if TYPE_CHECKING:
    from torch import Tensor


def at_size_of(output: Tensor, full: Tensor) -> Tensor:
    """Give `full` (N, K, Y, X) averaged over areas down to the rows and columns of `output`, in its precision.

    A pixel of a coarser output stands for a block of pixels, and its target is the share of that block which is cell.

    Raises
    ------
    ValueError
        `output` holds another number of images, or is larger than `full`.
    """
    size = (output.shape[-2], output.shape[-1])
    fits = output.ndim == full.ndim == 4 and output.shape[0] == full.shape[0]
    if not fits or size[0] > full.shape[-2] or size[1] > full.shape[-1]:
        raise ValueError(f"the output is {tuple(output.shape)}, the target or weight is {tuple(full.shape)}")
    full = full.to(output.dtype)
    return full if full.shape[-2:] == size else adaptive_avg_pool2d(full, size)


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Give the mean of weight times value over all pixels, maps and images: (N, K, Y, X) and (N, 1, Y, X) to a scalar.

    It is divided by the number of pixels, not by the sum of the weights, as in c-ResUnet's training: a crop full of
    dear pixels counts for more than one of cheap ones.
    """
    return values.mean() if weight is None else (values * weight).mean()
