"""What a network looked at: the maps of its attention gates, and which pixels a probability hangs on."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation

from cellmonai.inference.devices import Device
from cellmonai.inference.engine import TorchEngine, evaluating, memory_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from cellmonai.models.file import Activation


class GateMap(NamedTuple):
    """The map of one attention gate, float32 (Y / scale, X / scale) in [0, 1]; `scale` is px of the image per value."""

    scale: int
    attention: NDArray[np.float32]


def has_gates(net: nn.Module) -> bool:
    """Tell whether a network has attention gates."""
    return next(_map_makers(net), None) is not None


def attention_maps(net: nn.Module, image: NDArray[np.float32]) -> list[GateMap]:
    """Run a network once and give the maps of its attention gates, in the order the image passes them.

    Parameters
    ----------
    net : normalised (1, C, Y, X) to logits; runs in evaluation mode, where it is
    image : float32 (C, Y, X), normalised, sides multiples of the network's divisor

    Returns
    -------
    One map per gate, mostly from coarse to fine; empty for a network without gates

    Notes
    -----
    A map multiplies the skip: 0 hides a place from the decoder, 1 lets it pass. Maps of two gates need not share a
    scale of values, since the layers behind a gate can make up for any constant factor.
    """
    found: list[Tensor] = []
    engine = TorchEngine(net, device=Device(str(next(net.parameters()).device), ""), precision="f32")
    with ExitStack() as stack:
        for maker in _map_makers(net):
            stack.callback(maker.register_forward_hook(lambda *passed: found.append(passed[2])).remove)
        engine.run(image[None])
    return [GateMap(image.shape[-2] // each.shape[-2], each[0, 0].float().cpu().numpy()) for each in found]


def saliency(
    net: nn.Module,
    image: NDArray[np.float32],
    row: int,
    col: int,
    *,
    pad: tuple[int, int] = (0, 0),
    foreground: int = 0,
    activation: Activation = "sigmoid",
) -> NDArray[np.float64]:
    """Give how much the foreground probability of one pixel changes with every pixel of the image.

    Parameters
    ----------
    net : normalised (1, C, Y, X) to logits (1, K, Y, X); runs in evaluation mode, where it is
    image : float32 (C, Y, X), normalised
    row, col : the pixel that is explained
    pad : how often the last row and the last column are repeated, so that the sides become multiples of the divisor
    foreground : which map is the foreground; not used for `categorical`
    activation : as for `activation.probabilities`

    Returns
    -------
    float64 (Y, X), the absolute gradient, the greatest of all channels; probability per unit of the normalised image

    Notes
    -----
    The probability is sigmoid(z), with z the foreground's logit, or log(exp(z_inside) + exp(z_border)) where the
    background's logit is 0. The gradient of z is found by backpropagation in float32 and multiplied by the slope
    p (1 - p) in float64: backpropagation through the sigmoid itself would give 0 for every certain pixel.

    References
    ----------
    Simonyan et al. 2014, Deep inside convolutional networks, arXiv:1312.6034, section 3; as in Hernández et al. 2018,
    arXiv:1802.10548.
    """
    parameter = next(net.parameters())
    with evaluating(net), torch.inference_mode(mode=False), torch.enable_grad():
        pixels = torch.tensor(image[None], device=parameter.device, dtype=parameter.dtype, requires_grad=True)
        with memory_errors(pixels):
            padded = F.pad(pixels, (0, pad[1], 0, pad[0]), mode="replicate") if any(pad) else pixels
            logits = net(padded)[0, :, row, col].cpu().double()
            score = logits.logsumexp(0) if activation == "categorical" else logits[foreground]
            (gradient,) = torch.autograd.grad(score, pixels)
        slope = float(torch.sigmoid(score.detach()) * torch.sigmoid(-score.detach()))
    steepest: NDArray[np.float64] = gradient[0].abs().amax(dim=0).cpu().double().numpy()
    return slope * steepest


def _map_makers(net: nn.Module) -> Iterator[nn.Module]:
    """Give the part of every attention gate whose output, (N, 1, h, w), is the gate's map."""
    from monai.networks.nets.attentionunet import AttentionBlock

    from cellmonai.nets.attention_gate import AttentionGate

    for module in net.modules():
        if isinstance(module, AttentionGate):
            yield module.attention
        elif isinstance(module, AttentionBlock):
            yield module.psi
