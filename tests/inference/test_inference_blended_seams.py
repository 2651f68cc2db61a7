"""What averaging leaves where windows meet is measured there, and is nothing where nothing hangs on windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
import torch
from torch import nn

from cellmonai.inference.blended_blocks import BlendedBlocks, blended_between
from cellmonai.inference.blended_seams import measure_seams, windows_between
from cellmonai.inference.blended_streaming import BlendedStreaming
from cellmonai.inference.devices import Device
from cellmonai.inference.engine import TorchEngine
from cellmonai.inference.seam_proof import Again, Written

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cellmonai.inference.seam_proof import SeamProof
    from cellmonai.inference.windows import Box

SHAPE, DIVISOR = (500, 900), 8
IMAGE = np.random.default_rng(0).normal(size=(1, *SHAPE)).astype(np.float32)


def _blocks(
    stitch: Literal["gaussian", "constant", "minimum"] = "gaussian", *, shape: tuple[int, int] = SHAPE
) -> BlendedBlocks:
    cuts = tuple((*range(0, length, 512), length) for length in shape)
    return blended_between((cuts[0], cuts[1]), shape, stitch=stitch, side=(128, 128), divisor=DIVISOR)


def _read(box: Box) -> NDArray[np.float32]:
    return IMAGE[(slice(None), *box.slices)]


def _measured(net: nn.Module, blocks: BlendedBlocks, **wishes: Callable[[Any], bool]) -> SeamProof:
    engine = TorchEngine(net.eval(), device=Device("cpu", "tests"), precision="f32")
    maps = np.zeros((1, *SHAPE), np.float32)

    def write(box: Box, found: NDArray[np.float32] | None) -> None:
        maps[(slice(None), *box.slices)] = found

    def run(window: NDArray[Any], place: tuple[int, int]) -> NDArray[Any]:
        return engine.run(window)

    BlendedStreaming(run, _read, write).over(blocks, after_window=lambda px: None)
    written = Written(lambda box: maps[(slice(None), *box.slices)], lambda box: maps[0][box.slices] >= 0.5, step=0.0)
    again = Again(run, _read, "sigmoid", 37, DIVISOR)
    return measure_seams(blocks.grid, written, again, foreground_map=0, threshold=0.5, **wishes)


@pytest.mark.parametrize("stitch", ["gaussian", "constant", "minimum"])
def test_windows_lie_between_those_of_the_grid(stitch: Literal["gaussian", "constant", "minimum"]) -> None:
    grid = _blocks(stitch).grid
    places = windows_between(grid, DIVISOR)
    assert len(places) == 3
    for window, box in places:
        assert window.row0 % DIVISOR == window.col0 % DIVISOR == 0
        assert 32 - DIVISOR <= box.row0 - window.row0 < box.row1 - window.row0 <= 96 + DIVISOR
        for start in grid.starts[0]:
            assert abs(window.row0 - start) >= 16
        meeting = [start for start in grid.starts[1] if start < box.col1 and start + 128 > box.col0]
        assert len(meeting) >= 2


def test_a_pointwise_network_leaves_no_seams() -> None:
    found = _measured(nn.Conv2d(1, 1, 1), _blocks())
    assert found.windows == 3
    assert found.holds
    assert found.largest_difference < 1e-5
    assert (found.mask_px, found.objects) == (0, 0)


def test_a_network_whose_windows_depend_on_what_they_hold_leaves_seams() -> None:
    torch.manual_seed(0)
    head = nn.Conv2d(4, 1, 3, padding=1)
    with torch.no_grad():
        head.weight *= 20
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.InstanceNorm2d(4), nn.ReLU(), head)
    found = _measured(net, _blocks("constant"))
    assert found.largest_difference > found.bound == 0.05
    assert not found.holds
    assert found.mask_px > 0


def test_what_was_left_out_as_background_says_nothing() -> None:
    assert _measured(nn.Conv2d(1, 1, 1), _blocks(), is_background=lambda pixels: True).windows == 0


def test_a_single_window_has_no_seams() -> None:
    assert windows_between(_blocks(shape=(128, 128)).grid, DIVISOR) == []


def test_a_side_that_is_not_cut_is_looked_at_in_its_middle() -> None:
    blocks = blended_between(((0, 60), (0, 500)), (60, 500), stitch="gaussian", side=(64, 128), divisor=DIVISOR)
    places = windows_between(blocks.grid, DIVISOR)
    assert {(window.row0, box.row0 < 30 < box.row1) for window, box in places} == {(0, True)}
