"""The reference networks have the numbers of weights and running statistics of their originals, to the unit."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from cellmonai.nets.attention_gate import AttentionGate
from cellmonai.nets.attention_unet import AttentionUNet
from cellmonai.nets.c_resunet import CResUnet
from cellmonai.nets.fpn import CountingFpn
from cellmonai.nets.res_unet import ResUNet
from cellmonai.nets.tiled_cnn import TiledCnn
from cellmonai.nets.unet import UNet
from cellmonai.nets.unet_bilinear import BilinearUNet

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

COUNTS = json.loads((Path(__file__).parents[1] / "data/oracles/parameter_counts.json").read_text("utf-8"))
C_RESUNET = partial(CResUnet, channels=3, outputs=1)
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "c_resunet_n4": partial(C_RESUNET, width=16),
    "c_resunet_n2": partial(C_RESUNET, width=8),
    "c_resunet_n1": partial(C_RESUNET, width=4),
    "c_resunet_n4_attention": partial(C_RESUNET, width=16, attention_gates=True),
    "c_resunet_n1_attention": partial(C_RESUNET, width=4, attention_gates=True),
    "resunet_plain_n4": partial(C_RESUNET, width=16, colour_transform=False, second_bridge=False),
    "attention_gate_g64_x64_m32": partial(AttentionGate, 64, 64, 32),
    "attention_gate_g32_x32_m16": partial(AttentionGate, 32, 32, 16),
    "attention_gate_g16_x16_m8": partial(AttentionGate, 16, 16, 8),
    **{f"seed000_unet_{w}": partial(UNet, channels=1, outputs=1, width=w) for w in (64, 32, 16)},
    **{f"seed000_attention_unet_{w}": partial(AttentionUNet, channels=1, outputs=1, width=w) for w in (64, 32, 16)},
    **{f"seed000_resunet_{w}": partial(ResUNet, channels=1, outputs=1, width=w) for w in (64, 32, 16)},
    **{
        f"seed003_unet_{w}_{reading}_{name}": partial(
            BilinearUNet, channels=1, outputs=1, width=w, reading=reading, bias=bias
        )
        for w in (64, 16)
        for reading in ("full", "conv1x1", "halved")
        for name, bias in (("bias", True), ("nobias", False))
    },
    "cellcount_fpn": partial(CountingFpn, channels=3),
    "seed004_tiled_cnn": partial(TiledCnn, channels=3),
}


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in NETWORKS])
def test_a_network_has_as_many_weights_and_running_statistics_as_its_original(name: str) -> None:
    with torch.device("meta"):  # shapes without memory
        net = NETWORKS[name]()
    statistics = [b for key, b in net.named_buffers() if not key.endswith("num_batches_tracked")]
    found = {"trainable": sum(p.numel() for p in net.parameters()), "running_stats": sum(b.numel() for b in statistics)}
    assert found == {key: COUNTS[name][key] for key in found}


def test_every_network_of_the_reference_values_is_counted_here() -> None:
    families = ("c_resunet", "resunet", "attention_gate", "seed000", "seed003", "cellcount_fpn", "seed004")
    wanted = {name for name in COUNTS if name.startswith(families)} - {"seed004_shapes"}
    assert wanted == set(NETWORKS)
