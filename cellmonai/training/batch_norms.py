"""Running statistics of batch norms that are right from the first steps on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator


class WarmingBatchNorms:
    """Lets running statistics begin as the plain average of all steps so far, until their own momentum is larger.

    They begin at mean 0 and variance 1, and a momentum of 0.01, as Keras and so c-ResUnet has it, still keeps an eighth
    of that after 200 steps. Short trainings, and validations early in long ones, would be judged with statistics that
    the network never had. After 1 / momentum steps nothing differs from the network as published.

    Parameters
    ----------
    net : its batch norms are told another momentum before each step, and their own from then on
    """

    def __init__(self, net: nn.Module) -> None:
        self._norms = [(norm, norm.momentum) for norm in _batch_norms(net) if norm.momentum is not None]
        self._steps = 0

    def before_step(self) -> None:
        """Set the momentum for the next step."""
        self._steps += 1
        for norm, own in self._norms:
            norm.momentum = max(own, 1.0 / self._steps)


def _batch_norms(net: nn.Module) -> Iterator[nn.BatchNorm2d]:
    return (module for module in net.modules() if isinstance(module, nn.BatchNorm2d))
