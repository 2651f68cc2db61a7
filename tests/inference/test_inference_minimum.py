"""The lowest probability of overlapping tiles, against brute force and the published system."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from random_networks import random_network
from torch import nn

from cellmonai.inference.devices import Device
from cellmonai.inference.engine import TorchEngine
from cellmonai.inference.minimum import stitch_minimum, stitch_minimum_8bit
from cellmonai.inference.predictor import Predictor
from cellmonai.inference.tiling import Tiling, make_tiling, tile_corners
from cellmonai.instances.presets.floodfill import floodfill

if TYPE_CHECKING:
    from numpy.typing import NDArray

ORACLE = np.load(Path(__file__).parents[1] / "data" / "oracles" / "stitch_min.npz")
FACTS: dict[str, Any] = {"radius_px": 37, "divisor": 8, "tile_exact": True}


def noise(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def stitched(net: nn.Module, image: NDArray[np.float32], tiling: Tiling) -> NDArray[np.float32]:
    engine = TorchEngine(net, device=Device("cpu", ""), precision="f32")
    maps: NDArray[np.float32] = stitch_minimum(engine.run, image, tiling=tiling, after_window=lambda px: None)
    return maps


def one_tile(net: nn.Module, tile: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.inference_mode():
        probabilities: NDArray[np.float32] = torch.sigmoid(net(torch.from_numpy(tile)[None]))[0].numpy()
    return probabilities


def test_the_published_map_is_reproduced_to_the_bit() -> None:
    corners = tile_corners((500, 701), tile=400, min_overlap=100)
    assert np.array_equal(np.array(corners), ORACLE["corner_xy"])
    assert np.array_equal(stitch_minimum_8bit(ORACLE["tiles_50x50"], corners, (500, 701)), ORACLE["stitched"])


def test_the_ten_objects_of_the_published_map_are_found() -> None:
    stitched = stitch_minimum_8bit(ORACLE["tiles_50x50"], ORACLE["corner_xy"], (500, 701))
    labels = floodfill(stitched > 127)
    objects = []
    for label in range(1, labels.max() + 1):
        rows, columns = np.nonzero(labels == label)
        box = columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1
        objects.append((rows.size, *(int(value) for value in box)))
    published = [tuple(row) for row in ORACLE["objects_npix_x_y_w_h"].tolist()]
    assert sorted(objects) == sorted(published)
    assert len(objects) == 10


def test_published_tiles_are_cut_at_the_edge_of_a_smaller_image() -> None:
    tile = np.full((1, 50, 50), 0.5, np.float32)
    assert np.array_equal(stitch_minimum_8bit(tile, [(0.0, 0.0)], (120, 300)), np.full((120, 300), 127, np.uint8))


def test_where_there_is_no_tile_the_published_map_is_full() -> None:
    tile = np.zeros((1, 2, 2), np.float32)
    assert stitch_minimum_8bit(tile, [(4.0, 0.0)], (4, 8), side=4).tolist() == [[255] * 4 + [0] * 4] * 4


def test_every_pixel_keeps_the_lowest_of_all_tiles_that_hold_it() -> None:
    net, image = random_network("monai_attention_unet"), noise(1, 150, 203)
    tiling = make_tiling((150, 203), tile=64)
    lowest = np.ones((150, 203), np.float32)
    for box in tiling.boxes:
        found = one_tile(net, np.ascontiguousarray(image[(slice(None), *box.slices)]))[0]
        for row in range(box.row0, box.row1):
            for col in range(box.col0, box.col1):
                lowest[row, col] = min(lowest[row, col], found[row - box.row0, col - box.col0])
    assert len(tiling.boxes) == 3 * 4
    assert np.abs(stitched(net, image, tiling)[0] - lowest).max() < 1e-6


def test_an_image_of_one_tile_is_that_tile() -> None:
    net, image = random_network("monai_attention_unet"), noise(1, 64, 64)
    assert np.abs(stitched(net, image, make_tiling((64, 64), tile=64)) - one_tile(net, image)).max() < 1e-6


@pytest.mark.parametrize("shape", [(1, 1), (17, 40), (64, 30)], ids=str)
def test_an_image_smaller_than_a_tile_is_continued_by_its_last_row_and_column(shape: tuple[int, int]) -> None:
    net, image = random_network("monai_attention_unet"), noise(1, *shape)
    padded = np.pad(image, ((0, 0), (0, 64 - shape[0]), (0, 64 - shape[1])), mode="edge")
    expected = one_tile(net, padded)[:, : shape[0], : shape[1]]
    assert np.abs(stitched(net, image, make_tiling(shape, tile=64)) - expected).max() < 1e-6


def test_a_cell_that_one_tile_sees_cut_is_lost_there_as_published() -> None:
    """A network that is sure only where its window holds 8 px more on every side."""
    net = nn.Conv2d(1, 1, 17, padding=8)
    with torch.no_grad():
        net.weight.fill_(1.0)
        net.bias.fill_(-17 * 17 + 0.5)  # type: ignore[union-attr] # it has one
    found = stitched(net, np.ones((1, 64, 100), np.float32), make_tiling((64, 100), tile=64))[0] > 0.5
    # the tiles hold columns 0 to 63 and 36 to 99; all is lost within 8 px of an end of either
    lost = np.flatnonzero(~found[32])
    assert lost.tolist() == [*range(8), *range(36, 44), *range(56, 64), *range(92, 100)]


class _SecondSaysWhere(nn.Module):
    """Two maps: the image itself, and at every pixel the first column of the tile, both as probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, tile: torch.Tensor) -> torch.Tensor:
        return torch.cat([tile[:, :1], tile[:, 1:, :, :1].expand_as(tile[:, 1:])], dim=1)


def test_further_maps_come_from_the_tile_that_gave_the_foreground() -> None:
    image = np.stack([np.full((8, 14), 30.0, np.float32), np.broadcast_to(np.arange(14, dtype=np.float32), (8, 14))])
    maps = stitched(_SecondSaysWhere(), image, make_tiling((8, 14), tile=8))
    # the foreground is exactly 1 everywhere, so the first of equal tiles stays: columns 0 to 7 and 6 to 13
    assert (maps[0] == 1).all()
    assert maps[1, 0] == pytest.approx(1 / (1 + np.exp(-np.repeat([0.0, 6.0], [8, 6]))))


def test_the_predictor_stitches_by_the_minimum_and_tells_its_tiles() -> None:
    told: list[float] = []
    net, image = random_network("monai_attention_unet"), noise(1, 150, 203)
    predictor = Predictor(net, **FACTS, stitch="minimum", window=64)
    maps = predictor.predict(image, after_window=told.append)
    assert np.abs(maps - stitched(net, image, make_tiling((150, 203), tile=64))).max() < 1e-5
    assert len(told) == predictor.plan((1, 150, 203)).windows == 12
    assert sum(told) == pytest.approx(150 * 203)
    assert predictor.facts()["stitch"] == "minimum"


def test_a_pointwise_network_gives_no_seams() -> None:
    net, image = nn.Conv2d(1, 1, 1), noise(1, 100, 100)
    exact = Predictor(net, radius_px=0, divisor=1, tile_exact=True).predict(image)
    lowest = Predictor(net, radius_px=0, divisor=1, tile_exact=True, stitch="minimum", window=40).predict(image)
    assert np.abs(exact - lowest).max() < 1e-6
