"""Test-time augmentation: views that agree, disagree, and meet without a seam."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
import torch
from random_networks import random_network, randomise
from torch import nn

from cellmonai.inference.activation import probabilities
from cellmonai.inference.devices import Device
from cellmonai.inference.engine import TorchEngine
from cellmonai.inference.stitch import padded_image, stitch_exact
from cellmonai.inference.tta import VIEWS, TtaEngine, augmented
from cellmonai.inference.windows import Box, Lattice, make_lattice, padded_shape, smallest_window
from cellmonai.nets.catalogue import NETWORKS, NetworkRow, build, describe
from cellmonai.nets.receptive_field import structural_radius_px

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.inference.spread import Engine
    from cellmonai.models.file import Activation

CPU = Device("cpu", "tests")
ATTENTION = describe("monai_attention_unet", {})
ROUNDING = 1e-12  # in float64; some processors sum a convolution in another order for another width
BOTH: list[Literal["flips", "d4"]] = ["flips", "d4"]
SLOW = {"flexible_unet", "tiled_cnn"}
EXACT = [
    pytest.param(row, id=row.name, marks=[pytest.mark.long] * (row.name in SLOW)) for row in NETWORKS if row.tile_exact
]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # another number of threads gives other last bits


class Told:
    """An engine whose logits are told beforehand by the value of the window's first pixel and by its shape."""

    name, precision = "told", "f32"

    def __init__(self, logits_of: Any) -> None:  # noqa: ANN401 - any function of a window
        self.logits_of = logits_of
        self.shapes: list[tuple[int, ...]] = []

    def run(self, window: NDArray[Any], /) -> NDArray[Any]:
        assert window.flags.c_contiguous
        self.shapes.append(window.shape)
        found: NDArray[Any] = self.logits_of(window)
        return found


def logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def noise(shape: tuple[int, int], *, dtype: type = np.float64) -> NDArray[Any]:
    return np.random.default_rng(3).normal(size=(1, *shape)).astype(dtype)


def maps_of(engine: Engine, window: NDArray[Any]) -> NDArray[Any]:
    return probabilities(engine.run(window[None])[0])


@pytest.mark.parametrize("augmentation", ["none", "flips", "d4"])
def test_every_view_is_another_one_and_is_undone(augmentation: Literal["none", "flips", "d4"]) -> None:
    window = np.arange(12.0).reshape(1, 3, 4)
    views = VIEWS[augmentation]
    seen = {view.apply(window).tobytes() + bytes(view.apply(window).shape) for view in views}
    assert len(seen) == len(views) == {"none": 1, "flips": 4, "d4": 8}[augmentation]
    assert all(np.array_equal(view.undo(view.apply(window)), window) for view in views)
    assert np.array_equal(views[0].apply(window), window)


@pytest.mark.parametrize("augmentation", BOTH)
def test_views_that_agree_give_their_own_probability_and_the_least_spread(augmentation: Literal["flips", "d4"]) -> None:
    window = noise((16, 24), dtype=np.float32)
    engine = Told(lambda seen: seen)  # a pixel's logit is its value, however the window is turned
    mean, spread = maps_of(TtaEngine(engine, augmentation), window)
    assert np.abs(mean - probabilities(window)[0]).max() < 1e-6
    assert spread == pytest.approx(1e-6)
    assert (mean.dtype, spread.dtype) == (np.float32, np.float32)
    upright, lying = (1, 1, 24, 16), (1, 1, 16, 24)
    assert engine.shapes == [lying] * 4 + [upright] * 4 * (augmentation == "d4")


def test_probabilities_are_averaged_and_their_standard_deviation_is_the_spread() -> None:
    corner = np.array([[[3.0, 0.0], [0.0, 0.0]]])  # the four views see the 3 in four corners

    def logits_of(seen: NDArray[Any]) -> NDArray[Any]:
        return np.full((1, 1, 2, 2), logit(0.9 if seen[0, 0, 0, 0] else 0.1))

    mean, spread = maps_of(TtaEngine(Told(logits_of), "flips"), corner)
    assert mean == pytest.approx((0.9 + 3 * 0.1) / 4)  # the mean of logits would give 0.25
    assert spread == pytest.approx(np.std([0.9, 0.1, 0.1, 0.1]))


def test_the_spread_of_views_that_contradict_each_other_is_a_half() -> None:
    top = np.array([[[1.0, 1.0], [0.0, 0.0]]])
    engine = Told(lambda seen: np.full((1, 1, 2, 2), 99.0 if seen[0, 0, 0, 0] else -99.0))
    mean, spread = maps_of(TtaEngine(engine, "flips"), top)
    assert mean == pytest.approx(0.5)
    assert spread == pytest.approx(0.5)


def test_the_spread_is_of_the_map_that_is_named() -> None:
    top = np.array([[[1.0, 1.0], [0.0, 0.0]]])
    corner_says = np.array([[0.0, 0.0], [0.0, 99.0]])  # of map and corner: only the second map depends on the view

    def logits_of(seen: NDArray[Any]) -> NDArray[Any]:
        return np.broadcast_to(corner_says[:, int(seen[0, 0, 0, 0])][:, None, None], (2, 2, 2))[None]

    assert maps_of(TtaEngine(Told(logits_of), "flips", foreground=0), top)[2] == pytest.approx(1e-6)
    assert maps_of(TtaEngine(Told(logits_of), "flips", foreground=1), top)[2] == pytest.approx(0.25)


def test_categorical_maps_are_averaged_as_probabilities_and_given_back_for_a_sigmoid() -> None:
    window = noise((8, 8))
    engine = Told(lambda seen: np.concatenate([seen, 1 - seen], axis=1))  # turns with the window: views agree
    around, activation = augmented(engine, "d4", activation="categorical")
    found = probabilities(around.run(window[None])[0], activation)
    assert activation == "sigmoid"
    expected = probabilities(np.concatenate([window, 1 - window]), "categorical")
    assert np.abs(found[:2] - expected).max() < 1e-12
    assert found[2] == pytest.approx(1e-6)


@pytest.mark.parametrize("activation", ["sigmoid", "categorical"])
def test_no_augmentation_is_the_engine_itself(activation: Activation) -> None:
    engine = Told(lambda seen: seen)
    assert augmented(engine, "none", activation=activation) == (engine, activation)


@pytest.mark.parametrize("augmentation", BOTH)
def test_a_turned_window_gives_the_turned_result(augmentation: Literal["flips", "d4"]) -> None:
    net = random_network("monai_attention_unet", width=2).double()
    engine = TtaEngine(TorchEngine(net, device=CPU, precision="f32"), augmentation)
    window = noise((32, 48))
    found = maps_of(engine, window)
    assert np.abs(found[1]).max() > 1e-3  # a random network depends on the view
    for view in VIEWS[augmentation]:
        turned = maps_of(engine, np.ascontiguousarray(view.apply(window)))
        assert np.abs(view.undo(turned) - found).max() < ROUNDING


def stitched(engine: Engine, image: NDArray[Any], lattice: Lattice) -> NDArray[Any]:
    maps: list[NDArray[Any]] = []

    def write(box: Box, found: NDArray[Any]) -> None:
        if not maps:
            maps.append(np.full((len(found), *image.shape[1:]), np.nan))
        maps[0][(slice(None), *box.slices)] = found

    stitch_exact(
        engine.run, lambda box: image[(slice(None), *box.slices)], write, lattice=lattice, after_window=lambda px: None
    )
    return maps[0]


def seam(engine: Engine, image: NDArray[Any], lattice: Lattice, divisor: int) -> float:
    """Largest difference, of the mean or the spread, between windows and one pass over the padded image."""
    rows, columns = lattice.shape
    whole = maps_of(engine, padded_image(image, padded_shape((rows, columns), divisor)))[:, :rows, :columns]
    assert len(lattice.windows) > 1
    return float(np.abs(stitched(engine, image, lattice) - whole).max())


@pytest.mark.parametrize("augmentation", BOTH)
@pytest.mark.parametrize(("window", "shape"), [(104, (97, 301)), (112, (130, 121))], ids=["a row", "rows and columns"])
def test_windows_equal_one_pass_over_the_padded_image_in_mean_and_spread(
    augmentation: Literal["flips", "d4"], window: int, shape: tuple[int, int]
) -> None:
    net = random_network("monai_attention_unet", width=2).double()
    engine = TtaEngine(TorchEngine(net, device=CPU, precision="f32"), augmentation)
    lattice = make_lattice(shape, window=window, halo=ATTENTION.radius_px, divisor=ATTENTION.divisor)
    assert seam(engine, noise(shape), lattice, ATTENTION.divisor) < ROUNDING


@pytest.mark.parametrize("row", EXACT)
def test_windows_of_every_exact_network_equal_the_whole_image_in_all_eight_views(row: NetworkRow) -> None:
    parameters = smallest(row)
    facts = describe(row.name, parameters)
    torch.manual_seed(0)
    net = build(row.name, parameters, channels=1, outputs=len(row.maps) or 2)
    randomise(net)
    engine = TtaEngine(_Calm(net.double().eval(), facts.divisor), "d4")
    window = smallest_window(facts.radius_px, facts.divisor)
    shape = (2 * facts.divisor, window + 2 * facts.divisor)
    lattice = make_lattice(shape, window=window, halo=facts.radius_px, divisor=facts.divisor)
    assert seam(engine, noise(shape), lattice, facts.divisor) < 1e-10


class _Calm:
    """A torch engine whose logits are scaled to a standard deviation near 1, so that no probability is 0 or 1."""

    name, precision = "torch", "f32"

    def __init__(self, net: nn.Module, divisor: int) -> None:
        self._engine = TorchEngine(net, device=CPU, precision="f32")
        logits = self._engine.run(noise((4 * divisor, 4 * divisor))[None])
        self._mean, self._deviation = logits.mean(), logits.std()

    def run(self, window: NDArray[Any], /) -> NDArray[Any]:
        return (self._engine.run(window) - self._mean) / self._deviation


def smallest(row: NetworkRow) -> dict[str, Any]:
    if "width" not in row.parameters:
        return {}
    width = row.parameters["width"]
    return {"width": width.choices[0] if width.choices else int(width.low)}


@pytest.mark.parametrize("augmentation", BOTH)
def test_windows_off_the_divisor_by_one_pixel_give_another_result(augmentation: Literal["flips", "d4"]) -> None:
    net = random_network("monai_attention_unet", width=2).double()
    engine = TtaEngine(TorchEngine(net, device=CPU, precision="f32"), augmentation)
    lattice = make_lattice((24, 301), window=104, halo=ATTENTION.radius_px, divisor=ATTENTION.divisor)
    first, second, *others = lattice.windows
    box = second.read
    moved = replace(second, read=Box(box.row0, box.col0 - 1, box.row1, box.col1 - 1))
    shifted = replace(lattice, windows=(first, moved, *others))
    assert seam(engine, noise((24, 301)), shifted, ATTENTION.divisor) > 1e-2


@pytest.mark.parametrize(
    ("augmentation", "halo", "equal"),
    [
        pytest.param("flips", 1, True, id="flips need the reach along columns only"),
        pytest.param("d4", 1, False, id="transposed views need the reach along rows too"),
        pytest.param("d4", 16, True, id="a halo of the longer reach is enough"),
    ],
)
def test_a_network_that_reaches_further_along_rows(
    augmentation: Literal["flips", "d4"], halo: int, *, equal: bool
) -> None:
    torch.manual_seed(0)
    net = nn.Conv2d(1, 1, (3, 33), padding=(1, 16)).double().eval()
    engine = TtaEngine(TorchEngine(net, device=CPU, precision="f32"), augmentation)
    lattice = make_lattice((200, 40), window=112, halo=halo, divisor=1)  # cut along the columns only
    assert (seam(engine, noise((200, 40)), lattice, 1) < ROUNDING) == equal


class _Transposed(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.net(image.transpose(-1, -2))
        return logits.transpose(-1, -2)


@pytest.mark.parametrize("row", EXACT)
def test_every_exact_network_reaches_as_far_along_rows_as_along_columns(row: NetworkRow) -> None:
    facts = describe(row.name, smallest(row))
    net = _Transposed(build(row.name, smallest(row), channels=1, outputs=len(row.maps) or 2))
    length = (2 * facts.radius_px // facts.divisor + 4) * facts.divisor
    assert structural_radius_px(net, channels=1, divisor=facts.divisor, length=length) == facts.radius_px


def test_augmentation_imports_no_torch() -> None:
    code = "import sys, cellmonai.inference.tta; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
