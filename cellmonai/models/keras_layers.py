"""The layers of a c-ResUnet under Keras: what they are called there and here, and their shapes.

Keras numbers the layers of each kind in the order they were made. In the file the shortcut of a block comes after its
body although its number is lower, so layers are found by name, never by position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

Kind = Literal["conv2d", "conv2d_transpose", "batch_normalization"]
Shape = tuple[int, ...]

_STATISTICS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


@dataclass(frozen=True, slots=True)
class KerasLayer:
    """One layer; `ordinal` is its place among its kind, from 1, `arrays` the shapes that Keras keeps its numbers in."""

    kind: Kind
    ordinal: int
    name: str
    arrays: Mapping[str, Shape]

    def tensors(self, arrays: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.generic]]:
        """Give the arrays as the module here names and lays them out.

        Kernels (rows, columns, in, out) become (out, in, rows, columns), transposed ones (rows, columns, out, in)
        become (in, out, rows, columns): the same permutation of axes, without a flip.
        """
        if self.kind == "batch_normalization":
            named: dict[str, NDArray[np.generic]] = {f"{self.name}.{_STATISTICS[key]}": arrays[key] for key in arrays}
            return {**named, f"{self.name}.num_batches_tracked": np.zeros((), np.int64)}
        kernel = np.ascontiguousarray(arrays["kernel"].transpose(3, 2, 0, 1))
        return {f"{self.name}.weight": kernel, f"{self.name}.bias": arrays["bias"]}


def layers_of_c_resunet(width: int) -> tuple[KerasLayer, ...]:
    """Give the 21 convolutions, 3 transposed convolutions and 16 batch norms of a c-ResUnet, each kind in its order."""
    w = width
    convolutions = [
        _convolution("colour_conv", 1, 3, 1),
        _convolution("stem_conv1", 3, 1, w),
        _convolution("stem_conv2", 3, w, w),
        *_residual("down1", 3, w, 2 * w),
        *_residual("down2", 3, 2 * w, 4 * w),
        *_residual("bridge1", 5, 4 * w, 8 * w),
        *_body("bridge2", 5, 8 * w, 8 * w),
        *_body("up1", 3, 8 * w, 4 * w),
        *_body("up2", 3, 4 * w, 2 * w),
        *_body("up3", 3, 2 * w, w),
        _convolution("head", 1, w, 1),
    ]
    transposed = [
        (f"up{level}.up", {"kernel": (2, 2, maps, 2 * maps), "bias": (maps,)})
        for level, maps in ((1, 4 * w), (2, 2 * w), (3, w))
    ]
    norms = [("colour_bn", 1), ("stem_bn", w)]
    for block, before, after in (
        ("down1", w, 2 * w),
        ("down2", 2 * w, 4 * w),
        ("bridge1", 4 * w, 8 * w),
        ("bridge2", 8 * w, 8 * w),
        ("up1", 8 * w, 4 * w),
        ("up2", 4 * w, 2 * w),
        ("up3", 2 * w, w),
    ):
        norms += [(f"{block}.body.bn1", before), (f"{block}.body.bn2", after)]
    return (
        *(KerasLayer("conv2d", i, name, arrays) for i, (name, arrays) in enumerate(convolutions, start=1)),
        *(KerasLayer("conv2d_transpose", i, name, arrays) for i, (name, arrays) in enumerate(transposed, start=1)),
        *(
            KerasLayer("batch_normalization", i, name, dict.fromkeys(_STATISTICS, (maps,)))
            for i, (name, maps) in enumerate(norms, start=1)
        ),
    )


_Named = tuple[str, dict[str, Shape]]


def _convolution(name: str, kernel: int, channels: int, outputs: int) -> _Named:
    return name, {"kernel": (kernel, kernel, channels, outputs), "bias": (outputs,)}


def _residual(block: str, kernel: int, channels: int, outputs: int) -> list[_Named]:
    return [_convolution(f"{block}.shortcut", 1, channels, outputs), *_body(block, kernel, channels, outputs)]


def _body(block: str, kernel: int, channels: int, outputs: int) -> list[_Named]:
    return [
        _convolution(f"{block}.body.conv1", kernel, channels, outputs),
        _convolution(f"{block}.body.conv2", kernel, outputs, outputs),
    ]
