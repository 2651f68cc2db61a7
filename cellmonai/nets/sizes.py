"""Which image sizes a network takes, said before it fails or changes the size in silence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class SizeRule:
    """A hook before the forward pass that refuses images of other sizes.

    `pads` networks take every side of at least `divisor` px, the others only multiples of it.
    """

    network: str
    divisor: int
    pads: bool

    def __call__(self, net: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Check an image (N, C, Y, X).

        Raises
        ------
        ValueError
            A side does not fit; the message names it and the divisor.
        """
        height, width = inputs[0].shape[-2:]
        for side, length in (("height", height), ("width", width)):
            if length < self.divisor:
                raise ValueError(f"{side} {length} is below {self.divisor}, the least that {self.network} takes")
            if not self.pads and length % self.divisor:
                raise ValueError(f"{side} {length} is no multiple of {self.divisor}, as {self.network} needs")


def refuse_other_sizes(net: nn.Module, network: str, *, divisor: int, pads: bool) -> None:
    """Make a network refuse sizes that it cannot keep; names and values of its weights stay as they are."""
    net.register_forward_pre_hook(SizeRule(network, divisor, pads))
