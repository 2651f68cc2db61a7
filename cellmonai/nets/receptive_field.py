"""How far a pixel's influence reaches through a network, found from its structure."""

from __future__ import annotations

import copy

import torch
from torch import nn

from cellmonai.nets.fpn import MaskLogits

# act on every pixel by itself, so that they cannot carry influence further
_POINTWISE = (
    nn.BatchNorm2d,
    nn.Dropout,
    nn.Dropout2d,
    nn.ELU,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ReLU,
    nn.Sigmoid,
    nn.Softplus,
    MaskLogits,
)


def structural_radius_px(net: nn.Module, *, channels: int, divisor: int, length: int = 1280) -> int:
    """Measure the receptive-field radius of a network in px.

    Max pooling becomes average pooling, activations become identity and every weight positive, so that no influence
    can cancel or hide; then the extent of the gradient of single output rows is read, for every residue of the row
    modulo `divisor`. Random weights alone would hide the tails.

    Parameters
    ----------
    net : (1, channels, Y, X) -> (1, K, Y, X); left unchanged
    divisor : what Y and X must be multiples of
    length : rows of the strip that is used, more than twice the radius
    """
    linear = copy.deepcopy(net).double().eval()
    _linearise(linear)
    strip = torch.rand(1, channels, length, 2 * divisor, dtype=torch.float64, requires_grad=True)
    output = linear(strip)
    middle = length // 2 // divisor * divisor
    radius = 0
    for row in range(middle, middle + divisor):
        (gradient,) = torch.autograd.grad(output[0, :, row].sum(), strip, retain_graph=True)
        rows = gradient.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
        radius = max(radius, row - int(rows[0]), int(rows[-1]) - row)
    return radius


def _linearise(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.MaxPool2d):
            setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
        elif isinstance(child, _POINTWISE):
            setattr(module, name, nn.Identity())
        else:
            _linearise(child)
    for parameter in module.parameters(recurse=False):
        parameter.data = parameter.data.abs() + 1e-3
