"""Converted networks give what torch gives, and windows of them what one pass over the whole image gives."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from random_networks import randomise
from torch import nn

from cellmonai.core.cache import VARIABLE
from cellmonai.core.errors import UsageError
from cellmonai.core.machine import multiplies_int8
from cellmonai.inference import openvino_engine
from cellmonai.inference.activation import probabilities
from cellmonai.inference.openvino_convert import convert
from cellmonai.inference.openvino_engine import OpenVinoEngine, choose_openvino_precision, openvino_precisions
from cellmonai.inference.openvino_model import ConvertedModel, find_converted
from cellmonai.inference.windows import make_lattice, smallest_window
from cellmonai.nets.catalogue import build, describe, find_row
from cellmonai.nets.sizes import refuse_other_sizes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from cellmonai.nets.catalogue import NetworkFacts

    Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]

EXACT = [
    "basic_unet",
    pytest.param("c_resunet", marks=pytest.mark.long),
    pytest.param("monai_attention_unet", marks=pytest.mark.long),
    pytest.param("unet", marks=pytest.mark.long),
    pytest.param("unet_bilinear", marks=pytest.mark.long),
    pytest.param("res_unet", marks=pytest.mark.long),
    pytest.param("attention_unet", marks=pytest.mark.long),
    pytest.param("dyn_unet", marks=pytest.mark.long),
    pytest.param("seg_resnet", marks=pytest.mark.long),
    pytest.param("monai_unet", marks=pytest.mark.long),
    pytest.param("basic_unet_plus_plus", marks=pytest.mark.long),
    pytest.param("flexible_unet", marks=pytest.mark.long),
    pytest.param("tiled_cnn", marks=pytest.mark.long),
]


@dataclass(frozen=True)
class Pair:
    """A network in torch, in evaluation mode, and what it was converted to."""

    net: nn.Module
    converted: ConvertedModel
    facts: NetworkFacts

    def torch_run(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            logits: NDArray[np.float32] = self.net(torch.from_numpy(window)).numpy()
        return logits

    def in_float64(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            logits: NDArray[np.float32] = copy.deepcopy(self.net).double()(torch.from_numpy(window).double()).numpy()
        return logits


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def pair() -> Callable[[str], Pair]:
    """A network of the catalogue, small, with random weights and batch norms, and its conversion."""
    made: dict[str, Pair] = {}

    def give(name: str) -> Pair:
        if name not in made:
            made[name] = small_pair(name)
        return made[name]

    return give


def small_pair(name: str) -> Pair:
    row = find_row(name)
    width = row.parameters.get("width")
    parameters: dict[str, Any] = {} if width is None or width.choices else {"width": 4}
    outputs, facts = len(row.maps) or 2, describe(name, parameters)
    torch.manual_seed(0)
    net = build(name, parameters, channels=2, outputs=outputs)
    randomise(net)
    return Pair(net.eval(), converted_from(net, channels=2, outputs=outputs, divisor=facts.divisor, name=name), facts)


def converted_from(net: nn.Module, *, channels: int, outputs: int, divisor: int, name: str = "model") -> ConvertedModel:
    folder = convert(net, channels=channels, divisor=divisor, model_sha256=name)
    found = find_converted(name, channels=channels, outputs=outputs, divisor=divisor)
    assert found is not None
    assert found.folder == folder
    return found


def noise(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def image_of(facts: NetworkFacts, *, windows: int = 1) -> NDArray[np.float32]:
    """Noise so long that a smallest window is exceeded by some divisors, (1, 2, Y, X)."""
    return noise(1, 2, 2 * facts.divisor, smallest_window(facts.radius_px, facts.divisor) + 2 * facts.divisor * windows)


def standardised(logits: NDArray[np.float32], like: NDArray[np.float32]) -> NDArray[Any]:
    """Probabilities of logits scaled to deviation 1, so that none is rounded to 0 or 1."""
    return probabilities(((logits - like.mean()) / like.std())[0])


def stitched(run: Run, image: NDArray[np.float32], facts: NetworkFacts, outputs: int) -> NDArray[np.float32]:
    """Cut an image into the smallest windows and put their cores together."""
    shape = image.shape[2:]
    window = smallest_window(facts.radius_px, facts.divisor)
    lattice = make_lattice(shape, window=window, halo=facts.radius_px, divisor=facts.divisor)
    assert len(lattice.windows) > 1
    whole = np.full((1, outputs, *shape), np.nan, np.float32)
    for each in lattice.windows:
        found = run(np.ascontiguousarray(image[(..., *each.read.slices)]))
        whole[(..., *each.core.slices)] = found[(..., *each.core.within(each.read).slices)]
    return whole


@pytest.mark.parametrize("name", EXACT)
def test_openvino_equals_torch_and_windows_equal_the_whole_image(name: str, pair: Callable[[str], Pair]) -> None:
    two = pair(name)
    engine, image = OpenVinoEngine(two.converted), image_of(two.facts)
    in_torch, whole = two.torch_run(image), engine.run(image)
    windows = stitched(engine.run, image, two.facts, engine.outputs)
    assert np.abs(standardised(windows, whole) - standardised(whole, whole)).max() <= 1e-6
    expected = standardised(in_torch, in_torch)
    # attention gates with random weights magnify rounding: torch itself is 6e-6 to 3e-5 off its results in float64
    rounding = max(1e-5, 4 * float(np.abs(expected - standardised(two.in_float64(image), in_torch)).max()))
    assert rounding <= (5e-5 if name == "attention_unet" else 1.5e-5)
    for found in (whole, windows):
        assert found.shape == in_torch.shape
        assert found.dtype == np.float32
        given = standardised(found, in_torch)
        assert np.abs(given - expected).max() <= rounding
        near = np.abs(expected - 0.5) <= rounding
        assert ((given >= 0.5) == (expected >= 0.5))[~near].all()


@pytest.mark.parametrize("name", EXACT)
def test_the_same_window_gives_the_same_bytes_with_any_number_of_threads(
    name: str, pair: Callable[[str], Pair]
) -> None:
    converted, image = pair(name).converted, image_of(pair(name).facts)
    one, two = OpenVinoEngine(converted, threads=1), OpenVinoEngine(converted, threads=2)
    first = one.run(image)
    one.run(noise(1, 2, 64, 64))
    assert one.run(image).tobytes() == first.tobytes()
    assert two.run(image).tobytes() == first.tobytes()


@pytest.mark.long
def test_the_pyramid_of_masks_and_uncertainties_is_converted_with_its_logits(pair: Callable[[str], Pair]) -> None:
    two = pair("fpn")
    engine = OpenVinoEngine(two.converted)
    for rows, columns in ((2, 2), (3, 9), (11, 8)):
        window = noise(1, 2, 16 * rows, 16 * columns)
        off = np.abs(probabilities(engine.run(window)) - probabilities(two.torch_run(window)))
        assert off.max() < 5e-5  # its random weights give logits of 1e-6 to 1 - 1e-6, near which digits are lost


def test_below_its_smallest_side_the_edge_is_repeated_as_the_network_does(pair: Callable[[str], Pair]) -> None:
    two = pair("tiled_cnn")
    engine = OpenVinoEngine(two.converted)
    assert two.converted.card.least_px == 48  # what its valid convolutions need
    for shape in ((16, 16), (16, 96), (40, 48), (88, 64)):
        window = noise(1, 2, *shape)
        in_torch = two.torch_run(window)
        assert np.abs(engine.run(window) - in_torch).max() < 1e-5 * np.abs(in_torch).max()


class _HoldsItsSize(nn.Module):
    """What a traced transformer does: the size of the example is built into the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, window: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.conv(window)
        return maps * float(maps.shape[-1])


def test_a_network_whose_graph_holds_the_size_of_the_example_is_refused() -> None:
    with pytest.raises(UsageError, match=r"other results than torch .*; use --engine torch"):
        convert(_HoldsItsSize(), channels=1, divisor=16, model_sha256="bad")
    assert find_converted("bad", channels=1, outputs=1, divisor=16) is None


@pytest.mark.long
def test_a_transformer_of_windows_is_refused_with_the_reason() -> None:
    net = build("swin_unetr", {"width": 12}, channels=1, outputs=1)
    with pytest.raises(UsageError, match="windows of another size than it was traced with; use --engine torch"):
        convert(net, channels=1, divisor=32, model_sha256="swin")


def test_what_openvino_cannot_express_is_refused() -> None:
    class Strange(nn.Conv2d):
        def forward(self, window: torch.Tensor) -> torch.Tensor:
            return torch.special.i1(super().forward(window))

    with pytest.raises(UsageError, match="cannot express this network"):
        convert(Strange(1, 1, 1), channels=1, divisor=16, model_sha256="strange")


def test_converting_leaves_the_network_as_it_was() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 1)).double()
    refuse_other_sizes(net, "small", divisor=8, pads=False)
    randomise(net)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    converted_from(net, channels=1, outputs=1, divisor=8)
    assert all(module.training for module in net.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    with pytest.raises(ValueError, match="height 7 is below 8"):
        net(torch.zeros(1, 1, 7, 8, dtype=torch.float64))


def test_the_result_is_the_callers_own(pair: Callable[[str], Pair]) -> None:
    engine = OpenVinoEngine(pair("basic_unet").converted)
    first = engine.run(noise(1, 2, 64, 64))
    kept = first.copy()
    engine.run(noise(1, 2, 64, 64) + 1)
    assert np.array_equal(first, kept)
    assert first.flags.owndata
    assert first.flags.c_contiguous


def test_the_engine_says_what_ran(pair: Callable[[str], Pair]) -> None:
    engine = OpenVinoEngine(pair("basic_unet").converted, threads=1)
    facts = engine.facts()
    assert (engine.name, engine.precision) == ("openvino", "f32")
    assert facts == {"engine": "openvino", "precision": "f32", "threads": 1, "openvino": facts["openvino"]}
    assert facts["openvino"].startswith("20")


def test_options_that_a_version_does_not_know_are_left_out(
    pair: Callable[[str], Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = OpenVinoEngine(pair("basic_unet").converted).run(noise(1, 2, 64, 64))
    monkeypatch.setattr(openvino_engine, "_KERNELS_KEPT", {"NO_SUCH_OPTION": 1})
    assert np.array_equal(OpenVinoEngine(pair("basic_unet").converted).run(noise(1, 2, 64, 64)), expected)


def test_auto_is_f32_and_f16_is_refused() -> None:
    assert choose_openvino_precision("auto") == "f32"
    with pytest.raises(UsageError, match="the CPU does not compute in f16, it would only emulate it; use auto or f32"):
        choose_openvino_precision("f16")


class _Cpu:
    """Stands for a CPU without bf16, which the one that runs the tests may have."""

    def get_property(self, device: str, name: str) -> list[str]:
        assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
        return ["WINOGRAD", "FP32", "INT8", "BIN"]


def test_an_emulated_bf16_is_refused(pair: Callable[[str], Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    converted = pair("basic_unet").converted
    monkeypatch.setattr(openvino_engine, "core", _Cpu)
    monkeypatch.setattr(openvino_engine, "multiplies_int8", lambda: True)
    assert openvino_precisions() == ("f32", "int8")
    with pytest.raises(UsageError, match="does not compute in bf16"):
        OpenVinoEngine(converted, precision="bf16")


@pytest.mark.parametrize(
    ("told", "precisions"),
    [
        pytest.param(True, ("f32", "int8"), id="the processor has it"),
        pytest.param(False, ("f32",), id="OpenVINO alone says so"),
        pytest.param(None, ("f32", "int8"), id="the system does not tell"),
    ],
)
def test_int8_is_there_where_the_processor_has_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, *, told: bool | None, precisions: tuple[str, ...]
) -> None:
    monkeypatch.setattr(openvino_engine, "core", _Cpu)
    monkeypatch.setattr(openvino_engine, "multiplies_int8", lambda: told)
    assert openvino_precisions() == precisions


def test_bf16_gives_nearly_the_same_where_the_cpu_has_it(pair: Callable[[str], Pair]) -> None:
    if "bf16" not in openvino_precisions():
        pytest.skip("this CPU has no bf16")
    two, image = pair("basic_unet"), image_of(pair("basic_unet").facts)
    in_torch = two.torch_run(image)
    rounded = OpenVinoEngine(two.converted, precision="bf16").run(image)
    off = np.abs(standardised(rounded, in_torch) - standardised(in_torch, in_torch))
    assert 1e-4 < off.max() < 0.1
    assert off.mean() < 4e-3


@pytest.mark.skipif(multiplies_int8() is False, reason="this CPU has no VNNI, AMX or dot products")
def test_a_conversion_in_f32_does_not_run_as_int8(pair: Callable[[str], Pair]) -> None:
    with pytest.raises(UsageError, match="computes in f32"):
        OpenVinoEngine(pair("basic_unet").converted, precision="int8")
