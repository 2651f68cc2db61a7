"""The feature pyramid for counting: four masks in training, two full-size maps in evaluation."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation

from cellmonai.nets.fpn import CountingFpn, MaskLogits
from cellmonai.nets.receptive_field import structural_radius_px


@pytest.fixture(scope="module")
def net() -> CountingFpn:
    torch.manual_seed(0)
    return CountingFpn(channels=3, maps=16)


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        pytest.param((48, 64), [(3, 4), (6, 8), (12, 16), (24, 32)], id="multiples of 16"),
        pytest.param((37, 43), [(2, 2), (4, 5), (9, 10), (18, 21)], id="odd: halves rounded down"),
        pytest.param((16, 16), [(1, 1), (2, 2), (4, 4), (8, 8)], id="smallest"),
    ],
)
def test_training_gives_masks_from_coarse_to_fine_and_evaluation_two_full_size_maps(
    net: CountingFpn, shape: tuple[int, int], sizes: list[tuple[int, int]]
) -> None:
    image = torch.rand(2, 3, *shape)
    with torch.no_grad():
        scales = net.train()(image)
        logits = net.eval()(image)
    assert [tuple(scale.shape) for scale in scales] == [(2, 2, *size) for size in sizes]
    assert all(float(scale[:, 0].min()) >= 0 for scale in scales)
    assert logits.shape == (2, 2, *shape)
    assert bool(logits.isfinite().all())


def test_the_maps_of_evaluation_are_mean_and_standard_deviation_of_the_finest_mask(net: CountingFpn) -> None:
    image = torch.rand(1, 3, 32, 48)
    with torch.no_grad():
        probabilities = torch.sigmoid(net.eval()(image))
        finest = net.masks(image)[-1]
    mean, log_variance = F.interpolate(finest, scale_factor=2, mode="bilinear", align_corners=False).split(1, dim=1)
    assert torch.allclose(probabilities[:, :1], mean.clamp(1e-6, 1 - 1e-6), atol=1e-6)
    assert torch.allclose(probabilities[:, 1:], (log_variance / 2).exp().clamp(1e-6, 1 - 1e-6), atol=1e-6)


def test_a_mean_and_variance_beyond_what_a_probability_can_be_are_clipped() -> None:
    logits = MaskLogits()(torch.tensor([0.0, 3.0]).reshape(1, 2, 1, 1).to(torch.bfloat16))
    assert torch.sigmoid(logits.double()).flatten().tolist() == pytest.approx([1e-6, 1 - 1e-6], rel=1e-3)


def test_relu_lets_a_mean_be_zero_and_softplus_does_not() -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        relu, softplus = (
            CountingFpn(channels=3, mean_activation=name, maps=16).masks(image)[-1][:, 0]
            for name in ("relu", "softplus")
        )
    assert float(relu.min()) == 0
    assert float(softplus.min()) > 0


def test_all_four_scales_learn(net: CountingFpn) -> None:
    net.train().zero_grad()
    sum(scale.square().mean() for scale in net(torch.rand(2, 3, 32, 32))).backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in net.parameters())
    assert all(float(head.log_variance[0][0].weight.grad.abs().sum()) > 0 for head in net.heads)


def test_its_windows_cannot_equal_the_whole_image(net: CountingFpn) -> None:
    image = torch.rand(1, 3, 16, 512)
    with torch.no_grad():
        whole, window = net.eval()(image), net(image[..., 64:320])
    margin = 96  # px, more than twice the reach of one pixel
    difference = (window - whole[..., 64:320])[..., margin:-margin].abs().max()
    assert float(difference) > 1e-3


def test_influence_reaches_37_px() -> None:
    small = CountingFpn(channels=3, maps=2)
    assert structural_radius_px(small, channels=3, divisor=16, length=128) == 37


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(ValueError, match="expected relu or softplus"):
        CountingFpn(channels=1, mean_activation="elu")  # type: ignore[arg-type] # the mistake is the point
