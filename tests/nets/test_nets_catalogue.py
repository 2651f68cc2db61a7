"""Every network of the catalogue is what its row says."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from cellmonai.core.errors import RecipeError
from cellmonai.nets.catalogue import NETWORKS, build, describe, resolve
from cellmonai.nets.receptive_field import structural_radius_px

# parameters on which a radius can depend, at widths whose structure is the same; a row without any stands once
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "c_resunet": [
        {"width": 1, "second_bridge": second, "attention_gates": gates}
        for second in (False, True)
        for gates in (False, True)
    ],
    "unet": [{"width": 2}],
    "attention_unet": [{"width": 2}],
    "res_unet": [{"width": 2}],
    "unet_bilinear": [{"width": 2, "reading": reading} for reading in ("full", "conv1x1", "halved")],
    "tiled_cnn": [{}],
    "basic_unet": [{"width": 2}],
    "monai_attention_unet": [{"width": 2, "levels": levels} for levels in (2, 3, 4, 5)],
    "monai_unet": [
        {"width": 2, "levels": levels, "residual_units": units}
        for levels, units in ((2, 0), (2, 3), (3, 1), (3, 2), (4, 0), (4, 3), (5, 0), (5, 1), (5, 2), (5, 3))
    ],
    "seg_resnet": [{"width": 2}],
    "dyn_unet": [{"width": 2, "levels": levels} for levels in (3, 4, 5, 6)],
    "basic_unet_plus_plus": [{"width": 2}],
}
LARGE = {"flexible_unet": {"width": 2}}
SMALL = [
    pytest.param(name, parameters, id=" ".join([name, *(f"{key}={value}" for key, value in parameters.items())]))
    for name, variants in VARIANTS.items()
    for parameters in variants
]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [*SMALL, *(pytest.param(name, given, id=name, marks=pytest.mark.long) for name, given in LARGE.items())],
)
def test_the_receptive_field_is_as_far_as_the_catalogue_says(name: str, parameters: dict[str, Any]) -> None:
    facts = describe(name, parameters)
    net = build(name, parameters, channels=1, outputs=1)
    length = (2 * facts.radius_px // facts.divisor + 4) * facts.divisor
    assert structural_radius_px(net, channels=1, divisor=facts.divisor, length=length) == facts.radius_px


@pytest.mark.long
def test_attention_in_windows_reaches_as_far_as_the_catalogue_says() -> None:
    # of the 224 px after which its windows and strides repeat, rows 800 to 831 hold the one that sees furthest
    net = build("swin_unetr", {"width": 12}, channels=1, outputs=1)
    assert structural_radius_px(net, channels=1, divisor=32, length=1600) == describe("swin_unetr", {}).radius_px


def test_the_radius_of_every_exact_network_is_measured() -> None:
    assert {row.name for row in NETWORKS if row.tile_exact} == {*VARIANTS, *LARGE}


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in NETWORKS if row.tile_exact])
def test_a_tile_exact_network_holds_nothing_that_sees_the_whole_window(row: Any) -> None:  # noqa: ANN401 - a row
    with torch.device("meta"):
        modules = list(build(row.name, {}, channels=1, outputs=1).modules())
    global_layers = (nn.InstanceNorm2d, nn.GroupNorm, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
    assert describe(row.name, {}).tile_exact
    assert not [module for module in modules if isinstance(module, global_layers)]
    assert not [module for module in modules if getattr(module, "align_corners", False)]


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        pytest.param("basic_unet", {"widht": 4}, "did you mean 'width'", id="parameter with a typo"),
        pytest.param("basik_unet", {}, "did you mean 'basic_unet'", id="network with a typo"),
        pytest.param("basic_unet", {"width": 1000}, "expected 2 to 512", id="out of bounds"),
        pytest.param("basic_unet", {"width": 8.5}, "expected a whole number", id="not whole"),
        pytest.param("c_resunet", {"activation": "gelu"}, "expected one of 'elu', 'relu'", id="not among the words"),
        pytest.param("c_resunet", {"attention_gates": 1}, "expected one of false, true", id="a number for a switch"),
        pytest.param("swin_unetr", {"width": 20}, "expected one of 12, 24, 36, 48", id="not among the numbers"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_cure(name: str, parameters: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        resolve(name, parameters)


def test_a_network_with_maps_of_its_own_gives_no_other_number() -> None:
    with pytest.raises(RecipeError, match=r"fpn gives 2 maps \(foreground, uncertainty\), 1 are asked for"):
        build("fpn", {}, channels=1, outputs=1)


def test_defaults_fill_what_is_not_given() -> None:
    assert resolve("monai_attention_unet", {"levels": 3}) == {"width": 16, "levels": 3, "dropout": 0.0}


def test_the_catalogue_is_read_without_torch() -> None:
    code = "import sys, cellmonai.nets.catalogue, cellmonai.losses.catalogue; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
