"""Monte-Carlo dropout: a network runs several times with other parts left out, and says how sure it is."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from cellmonai.core.errors import UsageError
from cellmonai.inference.activation import probabilities
from cellmonai.inference.engine import TorchEngine
from cellmonai.inference.sampled_dropout import SampledDropout
from cellmonai.inference.spread import MeanAndSpread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cellmonai.inference.devices import Device, Precision
    from cellmonai.models.file import Activation

PLACE_WARNING = (
    "Monte-Carlo dropout leaves out the same pattern in every window, so results depend on where windows lie and cells "
    "may be cut where they meet; use --stitch exact, or --window as large as the image"
)
"""To be printed where a network `needs_place` and its windows are run without their places, as blending does."""


class McDropoutEngine:
    """Runs every window several times with dropout at work, and averages the probabilities.

    Parameters
    ----------
    net : a network with dropout (`nn.Dropout`, `nn.Dropout2d`), as it was trained; copied
    device, precision : where and in which number format it runs
    samples : passes per window, 2 at least; the spread of n passes is known to about a share of 1 / sqrt(2 n) of itself
    seed : not negative; another seed leaves out other parts
    activation : how the network's logits become probabilities
    foreground : which map the spread is of

    Raises
    ------
    UsageError
        The network has no dropout, or there are too few samples.

    Attributes
    ----------
    needs_place : it has dropout of single values, so that windows must be run with their places to stay exact

    Notes
    -----
    As for `TtaEngine`, one more map is the standard deviation of the foreground probability over the passes, and the
    logits given back are always those of a `sigmoid`. Everything but dropout evaluates: batch norms keep what they
    learnt.

    What is left out is no stream of random numbers but a function of the seed, the pass, the layer and the place in the
    image, so neither the order of windows nor a restart matters. Dropout of whole maps (`nn.Dropout2d`) leaves out the
    same maps in every window of a pass, so each pass is one thinner network for the whole image, and windows of a
    `tile_exact` network equal one pass over the whole image. Dropout of single values (`nn.Dropout`) does too where
    windows are run with their `place`, a multiple of the network's divisor; without it every window has the same
    pattern, beginning at its own corner, and no longer equals the whole image (`PLACE_WARNING`). Layers that work on
    anything but maps (N, C, h, w), as the tokens of a transformer, depend on the window in any case.

    References
    ----------
    Gal and Ghahramani 2016, Dropout as a Bayesian approximation, arXiv:1506.02142, section 4.
    """

    activation: Activation = "sigmoid"

    def __init__(
        self,
        net: nn.Module,
        *,
        device: Device,
        precision: Precision,
        samples: int,
        seed: int,
        activation: Activation = "sigmoid",
        foreground: int = 0,
    ) -> None:
        if samples < 2:
            raise UsageError(f"{samples} passes have no spread", where="--mc-dropout", cure="give 2 or more, as 20")
        if not has_dropout(net):
            raise UsageError(
                "this network was trained without dropout, nothing can be left out",
                where="--mc-dropout",
                cure="use --tta d4 for a spread, or train with --set network.dropout=0.1 where the network has it",
            )
        self._engine = TorchEngine.prepared(_sampling(net), device=device, precision=precision)
        self._layers = [layer for layer in self._engine.net.modules() if isinstance(layer, SampledDropout)]
        self.name, self.precision = self._engine.name, self._engine.precision
        self.needs_place = any(not layer.whole_maps for layer in self._layers)
        self._samples, self._seed = samples, seed
        self._activation, self._foreground = activation, foreground

    def run(self, window: NDArray[Any], *, place: tuple[int, int] = (0, 0)) -> NDArray[Any]:
        """Give the logits (1, K + 1, h, w) of a window (1, C, h, w), floating point: the maps and their spread.

        Parameters
        ----------
        place : row and column of the window's first pixel in the image, in px, multiples of the network's divisor
        """
        found = MeanAndSpread(foreground=self._foreground)
        for sample in range(self._samples):
            for number, layer in enumerate(self._layers):
                key = int(np.random.SeedSequence([self._seed, sample, number]).generate_state(1)[0])
                layer.begin(key, place=place, window=(window.shape[-2], window.shape[-1]))
            found.add(probabilities(self._engine.run(window)[0], self._activation))
        return found.logits()


def has_dropout(net: nn.Module) -> bool:
    """Tell whether a network has dropout that leaves anything out."""
    return next(_dropouts(net), None) is not None


def _sampling(net: nn.Module) -> nn.Module:
    """Give a copy whose dropout is at work in evaluation too."""
    copied = copy.deepcopy(net)
    for parent, name, dropout in list(_dropouts(copied)):
        setattr(parent, name, SampledDropout(dropout.p, whole_maps=isinstance(dropout, nn.Dropout2d)))
    return copied


def _dropouts(net: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Dropout | nn.Dropout2d]]:
    """Give every dropout that leaves anything out, with the module that holds it and its name there."""
    for parent in net.modules():
        for name, child in parent._modules.items():  # named_children leaves out repeated children
            if isinstance(child, (nn.Dropout, nn.Dropout2d)) and child.p > 0:
                yield parent, name, child
