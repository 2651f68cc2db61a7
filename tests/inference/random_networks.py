"""Networks with random weights and random batch-norm statistics: no two places compute the same."""

from __future__ import annotations

import torch
from torch import nn

from cellmonai.nets.attention_unet import attention_unet
from cellmonai.nets.basic_unet import basic_unet


def random_network(name: str = "basic_unet", *, seed: int = 0, channels: int = 1, width: int = 4) -> nn.Module:
    """A network in evaluation mode; its logits on noise have mean 0 and standard deviation 2."""
    torch.manual_seed(seed)
    if name == "basic_unet":
        net = basic_unet(channels=channels, outputs=1, width=width, dropout=0.0)
    else:
        net = attention_unet(channels=channels, outputs=1, width=width, levels=4, dropout=0.0)
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.3, 1.0)
            nn.init.uniform_(module.weight, 0.6, 1.4)
            nn.init.normal_(module.bias, std=0.2)
    head = [module for module in net.eval().modules() if isinstance(module, nn.Conv2d)][-1]
    with torch.inference_mode():
        logits = net(torch.randn(1, channels, 96, 96))
        mean, scale = float(logits.mean()), 2.0 / float(logits.std())
    with torch.no_grad():
        head.weight *= scale
        head.bias.sub_(mean).mul_(scale)
    return net
