"""Seams are looked for where windows meet, found where they are, and not invented where they are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from random_networks import random_network

from cellmonai.inference.blocks import Blocks, WindowLimits, make_blocks
from cellmonai.inference.devices import Device
from cellmonai.inference.engine import TorchEngine
from cellmonai.inference.seam_proof import Again, SeamProof, Written, prove_seams, seam_boxes
from cellmonai.inference.streaming import Streaming

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.inference.windows import Box

RADIUS, DIVISOR = 37, 8
ENGINE = TorchEngine(random_network("monai_attention_unet").eval(), device=Device("cpu", "tests"), precision="f32")
IMAGE = np.random.default_rng(0).random((1, 301, 420)).astype(np.float32)


def _run(window: NDArray[Any], place: tuple[int, int]) -> NDArray[Any]:
    assert place[0] % DIVISOR == place[1] % DIVISOR == 0
    return ENGINE.run(window)


def _read(box: Box) -> NDArray[np.float32]:
    return IMAGE[(slice(None), *box.slices)]


def _blocks(most_px: int = 40_000) -> Blocks:
    return make_blocks((301, 420), WindowLimits(RADIUS, DIVISOR, most_px), chunk=64)


def _proof(
    blocks: Blocks,
    maps: NDArray[np.float32],
    *,
    mask: NDArray[np.bool_] | None = None,
    step: float = 0.0,
    with_gaps: bool = False,
) -> SeamProof:
    inside = maps[0] >= 0.5 if mask is None else mask
    written = Written(lambda box: maps[(slice(None), *box.slices)], lambda box: inside[box.slices], step)
    again = Again(_run, _read, "sigmoid", RADIUS, DIVISOR)
    return prove_seams(blocks, written, again, precision="f32", foreground_map=0, threshold=0.5, with_gaps=with_gaps)


def _maps(blocks: Blocks) -> NDArray[np.float32]:
    maps = np.zeros((1, 301, 420), np.float32)

    def write(box: Box, found: NDArray[np.float32] | None) -> None:
        maps[(slice(None), *box.slices)] = found

    Streaming(_run, _read, write).over(blocks, after_window=lambda px: None)
    return maps


def test_boxes_lie_across_seams() -> None:
    blocks = _blocks()
    boxes = seam_boxes(blocks, DIVISOR)
    assert 1 <= len(boxes) <= 3
    for box in boxes:
        assert any(box.row0 < cut < box.row1 for cut in blocks.cuts[0][1:-1])
        assert box.row0 % DIVISOR == box.col0 % DIVISOR == 0


def test_a_single_window_has_no_seams() -> None:
    blocks = _blocks(10**9)
    assert seam_boxes(blocks, DIVISOR) == []
    assert _proof(blocks, _maps(blocks)).as_json()["windows"] == 0


@pytest.mark.parametrize(("stored", "step"), [("float32", 0.0), ("float16", 2.0**-11)])
def test_exact_windows_are_told_to_have_none(stored: str, step: float) -> None:
    blocks = _blocks()
    maps = _maps(blocks)
    proof = _proof(blocks, maps.astype(stored).astype(np.float32), mask=maps[0] >= 0.5, step=step)
    assert proof.windows > 0
    assert proof.holds
    assert proof.largest_difference < 1e-5
    assert (proof.mask_px, proof.objects) == (0, 0)


def test_a_seam_is_found_with_its_size_in_probability_and_objects() -> None:
    blocks = _blocks()
    maps = _maps(blocks)
    row = blocks.cuts[0][1]
    maps[0, row - 6 : row + 6] = 0.0  # as if cells were lost where windows meet
    proof = _proof(blocks, maps)
    assert not proof.holds
    assert proof.largest_difference > 0.5
    assert proof.mask_px > 0
    assert proof.objects > 0


def test_windows_that_were_left_out_are_no_seams_but_what_was_run_beside_them_is_still_looked_at() -> None:
    blocks = _blocks()
    maps = _maps(blocks)
    first = blocks.blocks[0].box
    maps[(slice(None), *first.slices)] = 0
    assert not _proof(blocks, maps).holds
    assert _proof(blocks, maps, with_gaps=True).holds
    maps[:, first.row1 :] = maps[:, first.row1 :] * np.float32(0.5) + np.float32(0.1)
    assert not _proof(blocks, maps, with_gaps=True).holds
