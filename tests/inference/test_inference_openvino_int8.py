"""Rounding to 8-bit integers: what it changes is small, said, and kept with the result."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from painting import paint, scattered_discs
from scipy import ndimage
from torch import nn

from cellmonai.core.cache import VARIABLE
from cellmonai.core.errors import UsageError
from cellmonai.core.machine import multiplies_int8
from cellmonai.inference.activation import probabilities
from cellmonai.inference.openvino_convert import convert
from cellmonai.inference.openvino_engine import OpenVinoEngine
from cellmonai.inference.openvino_int8 import convert_int8
from cellmonai.inference.openvino_model import ConvertedModel, find_converted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

pytest.importorskip("nncf", reason="the extra int8 is not installed")


def field(seed: int, side: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Noisy discs (1, 1, side, side) and where they are."""
    discs = scattered_discs(side * side // 500, (side, side), radius_px=(5, 9), seed=seed)
    inside = (paint(discs, (side, side)) > 0).astype(np.float32)
    noise = np.random.default_rng(seed).normal(0, 0.4, inside.shape)
    return (ndimage.gaussian_filter(inside, 1) + noise).astype(np.float32)[None, None], inside[None, None]


def trained() -> nn.Module:
    """Four convolutions that find the discs of `field`."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    layers = [part for c in (1, 16, 16) for part in (nn.Conv2d(c, 16, 5, padding=2), nn.BatchNorm2d(16), nn.ReLU())]
    net = nn.Sequential(*layers, nn.Conv2d(16, 1, 1))
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    for step in range(40):
        image, inside = (torch.from_numpy(part) for part in field(step, 96))
        loss = nn.functional.binary_cross_entropy_with_logits(net(image), inside)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.eval()


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConvertedModel]:
    """The trained network, converted in f32."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(tmp_path_factory.mktemp("cache")))
        convert(trained(), channels=1, divisor=8, model_sha256="discs")
        found = find_converted("discs", channels=1, outputs=1, divisor=8)
        assert found is not None
        yield found


@pytest.mark.skipif(multiplies_int8() is False, reason="this CPU has no VNNI, AMX or dot products")
def test_rounding_changes_few_pixels_says_which_and_keeps_what_it_said(exact: ConvertedModel) -> None:
    windows = [field(1000 + number, 192)[0] for number in range(4)]
    folder, said = convert_int8(exact, windows)
    rounded = find_converted("discs", channels=1, outputs=1, divisor=8, precision="int8")
    assert rounded is not None
    assert rounded.folder == folder
    assert rounded.card.calibration == asdict(said)
    assert len(rounded.weights) < 0.5 * len(exact.weights)

    engines = OpenVinoEngine(exact), OpenVinoEngine(rounded, precision="int8")
    masks = [[probabilities(engine.run(window)) >= 0.5 for window in windows] for engine in engines]
    changed = sum(int((a != b).sum()) for a, b in zip(*masks, strict=True))
    assert (said.windows, said.px, said.mask_px_changed) == (4, 4 * 192 * 192, changed)
    assert 0 < changed < 0.02 * said.mask_px_f32
    assert said.objects_f32 == sum(ndimage.label(mask[0, 0], np.ones((3, 3)))[1] for mask in masks[0])
    assert abs(said.objects_int8 - said.objects_f32) <= 0.1 * said.objects_f32
    assert 0 < said.mean < 0.02 < said.largest < 0.5
    assert engines[1].facts()["calibration"] == asdict(said)

    with pytest.raises(UsageError, match="computes in int8"):
        OpenVinoEngine(rounded, precision="f32")

    # and on a field that it was not calibrated on, it still finds the discs
    image, inside = field(2000, 256)
    found = engines[1].run(image) > 0
    assert 2 * (found & (inside > 0)).sum() / (found.sum() + inside.sum()) > 0.85


@pytest.mark.long
def test_the_threshold_decides_which_pixels_are_compared(exact: ConvertedModel) -> None:
    windows = [field(1000, 96)[0]]
    low, high = (convert_int8(exact, windows, threshold=at)[1] for at in (0.2, 0.8))
    assert low.mask_px_f32 > high.mask_px_f32
    assert low.digest == high.digest


def test_there_is_nothing_to_calibrate_on_without_windows(exact: ConvertedModel) -> None:
    with pytest.raises(ValueError, match="windows is empty"):
        convert_int8(exact, [])
