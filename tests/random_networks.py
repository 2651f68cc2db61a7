"""Networks with random weights and random batch-norm statistics, and model files of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from cellmonai.images.normalise import Normalisation
from cellmonai.instances.settings import InstanceSettings
from cellmonai.models.file import ModelCard, write_model
from cellmonai.models.load import tensors_of
from cellmonai.nets.basic_unet import basic_unet
from cellmonai.nets.catalogue import describe, resolve
from cellmonai.nets.monai_attention_unet import monai_attention_unet

if TYPE_CHECKING:
    from pathlib import Path


def random_network(name: str = "basic_unet", *, seed: int = 0, channels: int = 1, width: int = 4) -> nn.Module:
    """A network in evaluation mode; its logits on noise have mean 0 and standard deviation 2."""
    torch.manual_seed(seed)
    if name == "basic_unet":
        net = basic_unet(channels=channels, outputs=1, width=width, dropout=0.0)
    else:
        net = monai_attention_unet(channels=channels, outputs=1, width=width, levels=4, dropout=0.0)
    randomise(net)
    head = [module for module in net.eval().modules() if isinstance(module, nn.Conv2d)][-1]
    with torch.inference_mode():
        logits = net(torch.randn(1, channels, 96, 96))
        mean, scale = float(logits.mean()), 2.0 / float(logits.std())
    assert head.bias is not None
    with torch.no_grad():
        head.weight *= scale
        head.bias.sub_(mean).mul_(scale)
    return net


def randomise(net: nn.Module) -> None:
    """Give convolutions random weights and batch norms random statistics, as training would."""
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.3, 1.0)
            nn.init.uniform_(module.weight, 0.6, 1.4)
            nn.init.normal_(module.bias, std=0.2)


def write_random_model(path: Path, *, channels: int = 1, seed: int = 0, **card: object) -> Path:
    """Write a model file of an AttentionUnet, whose small radius keeps windows small; `card` replaces entries."""
    parameters = resolve("monai_attention_unet", {"width": 4})
    facts = describe("monai_attention_unet", parameters)
    names = ("nuclei", "membrane", "other")[:channels]
    values: dict[str, Any] = {
        "network": "monai_attention_unet",
        "parameters": parameters,
        "channels": channels,
        "channel_names": names,
        "normalisation": Normalisation(),
        "operating_point": InstanceSettings(threshold=0.5).as_json(),
        "radius_px": facts.radius_px,
        "divisor": facts.divisor,
        "tile_exact": facts.tile_exact,
    }
    net = random_network("monai_attention_unet", seed=seed, channels=channels)
    write_model(path, ModelCard(**(values | card)), tensors_of(net), overwrite=True)
    return path
