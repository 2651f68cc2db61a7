"""The tiled network: the sizes of the original, what an output sees, and where it stands."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation

from cellmonai.nets.tiled_cnn import TiledCnn

ORACLES = Path(__file__).parents[1] / "data/oracles"


def test_every_layer_has_the_size_of_the_original_on_a_tile_of_400_px() -> None:
    shapes: list[list[int]] = []

    def keep(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        shapes.append(list(output.shape))

    with torch.device("meta"):
        net = TiledCnn(channels=3)
        for layer in net.children():
            layer.register_forward_hook(keep)
        net.train()(torch.empty(1, 3, 400, 400))
    *expected, after_sigmoid = json.loads((ORACLES / "parameter_counts.json").read_text("utf-8"))["seed004_shapes"]
    assert shapes == expected
    assert shapes[-1] == after_sigmoid


@pytest.mark.parametrize(
    ("shape", "native"),
    [
        pytest.param((400, 96), (50, 12), id="multiples of 8"),
        pytest.param((401, 90), (51, 12), id="not divisible"),
        pytest.param((1, 47), (6, 6), id="below the smallest"),
    ],
)
def test_training_gives_one_output_a_block_and_evaluation_the_full_size(
    shape: tuple[int, int], native: tuple[int, int]
) -> None:
    net, image = TiledCnn(channels=1, maps=(4, 4, 4)), torch.rand(2, 1, *shape)
    with torch.inference_mode():
        assert net.train()(image).shape == (2, 1, *native)
        assert net.eval()(image).shape == (2, 1, *shape)


def test_an_output_sees_the_pixels_from_40_before_its_block_to_42_after_its_start() -> None:
    net = TiledCnn(channels=1, maps=(2, 2, 2)).double()
    for parameter in net.parameters():  # all positive: a bright pixel can only raise what sees it
        parameter.data.abs_().add_(1e-3)
    output, dark = 10, torch.zeros(1, 1, 160, 160, dtype=torch.float64)
    seen = []
    with torch.inference_mode():
        before = net.native(dark)[0, 0, output, output]
        for row in range(160):
            lit = dark.clone()
            lit[..., row, 8 * output] = 1.0
            if bool(net.native(lit)[0, 0, output, output] > before):
                seen.append(row)
    assert seen == list(range(8 * output - 40, 8 * output + 43))


def test_a_full_size_map_has_its_values_at_the_middles_of_the_blocks() -> None:
    net = TiledCnn(channels=1, maps=(4, 4, 4)).eval()
    image = torch.rand(1, 1, 96, 64)
    with torch.inference_mode():
        native, full = net.native(image)[0, 0].double().numpy(), net(image)[0, 0].numpy()
    for axis, side in ((0, 96), (1, 64)):
        middles = 8 * np.arange(side // 8) + 3.5
        along = partial(np.interp, np.arange(side), middles)  # beyond the outermost middles it stays as it is there
        native = np.apply_along_axis(along, axis, native)
    assert np.abs(full - native).max() < 1e-6


def _disc(centre: tuple[float, float], radius: float, side: int) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side]
    return ((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2).astype(np.float32)


def _batch(rng: np.random.Generator, count: int, side: int = 104) -> tuple[Tensor, Tensor, list[tuple[float, float]]]:
    centres = [(rng.uniform(40, side - 41), rng.uniform(40, side - 41)) for _ in range(count)]
    masks = np.stack([_disc(centre, rng.uniform(7, 11), side) for centre in centres])[:, None]
    images = 0.7 * masks + 0.1 + rng.normal(0, 0.05, masks.shape)
    return torch.from_numpy(images).float(), torch.from_numpy(masks), centres


@pytest.mark.long
def test_the_masks_of_a_trained_network_lie_on_their_cells() -> None:
    # receptive fields are centred 2.5 px before their block; learning makes up for it, and enlarging must not undo that
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    net = TiledCnn(channels=1, maps=(16, 24, 32))
    steps = 1500
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        images, masks, _ = _batch(rng, 8)
        loss = F.binary_cross_entropy_with_logits(net(images), F.avg_pool2d(masks, 8))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    images, _, centres = _batch(rng, 200)
    with torch.inference_mode():
        found = torch.sigmoid(net.eval()(images))[:, 0] > 0.5
    middles = np.array([np.argwhere(one.numpy()).mean(axis=0) for one in found])
    offset = (middles - np.array(centres)).mean(axis=0)
    assert np.abs(offset).max() < 0.4  # px; standard error 0.07
