"""Every network of the catalogue is what its row says."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from cellmonai.core.errors import RecipeError
from cellmonai.nets.catalogue import NETWORKS, build, describe, resolve
from cellmonai.nets.receptive_field import structural_radius_px

SMALL = [
    pytest.param("basic_unet", {"width": 2}, id="basic_unet"),
    *(
        pytest.param("attention_unet", {"width": 2, "levels": levels}, id=f"attention_unet-{levels}")
        for levels in (2, 3, 4, 5)
    ),
]


@pytest.mark.parametrize(("name", "parameters"), SMALL)
def test_a_network_keeps_the_size_and_gives_one_map_per_output(name: str, parameters: dict[str, int]) -> None:
    divisor = describe(name, parameters).divisor
    net = build(name, parameters, channels=3, outputs=2).eval()
    with torch.inference_mode():
        assert net(torch.zeros(2, 3, 2 * divisor, 5 * divisor)).shape == (2, 2, 2 * divisor, 5 * divisor)


@pytest.mark.parametrize(("name", "parameters"), SMALL)
def test_the_receptive_field_is_as_far_as_the_catalogue_says(name: str, parameters: dict[str, int]) -> None:
    facts = describe(name, parameters)
    net = build(name, parameters, channels=1, outputs=1)
    assert structural_radius_px(net, channels=1, divisor=facts.divisor, length=512) == facts.radius_px


@pytest.mark.parametrize(("name", "parameters"), SMALL)
def test_a_tile_exact_network_holds_no_norm_that_sees_the_whole_window(name: str, parameters: dict[str, int]) -> None:
    net = build(name, parameters, channels=1, outputs=1)
    global_layers = (nn.InstanceNorm2d, nn.GroupNorm, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
    assert describe(name, parameters).tile_exact
    assert not [module for module in net.modules() if isinstance(module, global_layers)]


def test_the_default_basic_unet_has_monais_number_of_parameters() -> None:
    net = build("basic_unet", {}, channels=1, outputs=1)
    assert sum(p.numel() for p in net.parameters()) == 1_978_433


def test_building_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    build("basic_unet", {"width": 2}, channels=1, outputs=1)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        pytest.param("basic_unet", {"widht": 4}, "did you mean 'width'", id="parameter with a typo"),
        pytest.param("basik_unet", {}, "did you mean 'basic_unet'", id="network with a typo"),
        pytest.param("basic_unet", {"width": 1000}, "expected 2 to 512", id="out of bounds"),
        pytest.param("basic_unet", {"width": 8.5}, "expected a whole number", id="not whole"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_cure(name: str, parameters: dict[str, float], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        resolve(name, parameters)


def test_defaults_fill_what_is_not_given() -> None:
    assert resolve("attention_unet", {"levels": 3}) == {"width": 16, "levels": 3, "dropout": 0.0}
    assert {row.name for row in NETWORKS} == {"basic_unet", "attention_unet"}


def test_the_catalogue_is_read_without_torch() -> None:
    code = "import sys, cellmonai.nets.catalogue, cellmonai.losses.catalogue; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
