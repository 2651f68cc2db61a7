"""What holds for every network of the catalogue: sizes, gradients, the model file, windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from random_networks import randomise
from torch import nn

from cellmonai.images.normalise import Normalisation
from cellmonai.inference.devices import Device
from cellmonai.inference.engine import TorchEngine
from cellmonai.inference.fold import folded
from cellmonai.inference.stitch import stitch_exact
from cellmonai.inference.windows import Box, make_lattice, smallest_window
from cellmonai.models.file import ModelCard, write_model
from cellmonai.models.load import load_model, tensors_of
from cellmonai.nets.catalogue import NETWORKS, NetworkRow, build, describe
from cellmonai.nets.parameter_numbers import numbers_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

ROWS = [pytest.param(row, id=row.name) for row in NETWORKS]
WHOLE = pytest.mark.parametrize("row", ROWS)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def smallest(row: NetworkRow) -> dict[str, Any]:
    if "width" not in row.parameters:
        return {}
    width = row.parameters["width"]
    return {"width": width.choices[0] if width.choices else int(width.low)}


def small(row: NetworkRow, *, channels: int = 1) -> nn.Module:
    net = build(row.name, smallest(row), channels=channels, outputs=len(row.maps) or 2)
    randomise(net)
    return net


def image_of(*, channels: int = 1) -> torch.Tensor:
    return torch.rand(2, channels, 64, 96)  # multiples of every divisor


@WHOLE
def test_evaluation_gives_full_size_logits_and_prints_nothing(
    row: NetworkRow, capfd: pytest.CaptureFixture[str]
) -> None:
    net, image = small(row, channels=3).eval(), image_of(channels=3)
    with torch.inference_mode():
        logits = net(image)
    assert type(logits) is torch.Tensor
    assert logits.shape == (2, len(row.maps) or 2, *image.shape[2:])
    assert logits.isfinite().all()
    assert capfd.readouterr() == ("", "")


@WHOLE
def test_training_gives_maps_of_the_size_it_says_and_every_weight_a_gradient(row: NetworkRow) -> None:
    net, image = small(row).train(), image_of()
    facts = describe(row.name, smallest(row))
    output = net(image)
    scales = output if row.takes == "scales" else (output,)
    finest = scales[-1]
    assert finest.shape[2:] == (image.shape[2] // facts.output_stride, image.shape[3] // facts.output_stride)
    sum(scale.square().mean() for scale in scales).backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name


@WHOLE
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_an_odd_size_is_kept_or_refused_with_the_divisor(row: NetworkRow, *, training: bool) -> None:
    net, image = small(row).train(training), torch.rand(2, 1, 97, 101)
    facts = describe(row.name, smallest(row))
    if not row.pads:
        with pytest.raises(ValueError, match=f"height 97 is no multiple of {facts.divisor}, as {row.name} needs"):
            net(image)
        return
    output = net(image)
    if not training:
        assert output.shape[2:] == (97, 101)
    sum(scale.mean() for scale in (output if isinstance(output, tuple) else (output,))).backward()


@WHOLE
def test_an_image_below_the_divisor_is_refused(row: NetworkRow) -> None:
    divisor = describe(row.name, smallest(row)).divisor
    with pytest.raises(ValueError, match=f"width {divisor - 1} is below {divisor}, the least that {row.name} takes"):
        small(row).eval()(torch.rand(1, 1, 2 * divisor, divisor - 1))


@WHOLE
def test_folding_batch_norms_changes_nothing_but_rounding(row: NetworkRow) -> None:
    net, image = small(row).double().eval(), image_of().double()
    with torch.inference_mode():
        logits = net(image)
        assert (folded(net)(image) - logits).abs().max() < 1e-9 * logits.abs().max()


@WHOLE
def test_a_network_read_back_from_its_file_gives_the_same_bits(row: NetworkRow, tmp_path: Path) -> None:
    net, facts = small(row).eval(), describe(row.name, smallest(row))
    card = ModelCard(
        network=row.name,
        parameters=smallest(row),
        channels=1,
        channel_names=("DAPI",),
        normalisation=Normalisation(),
        operating_point={"threshold": 0.5},
        radius_px=facts.radius_px,
        divisor=facts.divisor,
        tile_exact=facts.tile_exact,
        outputs=row.maps or ("foreground", "centre"),
    )
    write_model(tmp_path / "model.safetensors", card, tensors_of(net))
    loaded = load_model(tmp_path / "model.safetensors").net
    with torch.inference_mode():
        assert not torch.equal(loaded(image_of()), net(image_of()))  # another image, another result
        image = image_of()
        assert torch.equal(loaded(image), net(image))


@WHOLE
def test_the_row_holds_the_numbers_and_facts_of_the_network(row: NetworkRow) -> None:
    numbers = numbers_of(row.name, {}, channels=row.channels_shown, outputs=len(row.maps) or 1)
    assert (numbers.trainable, numbers.running) == (row.trainable, row.running)
    assert describe(row.name, {}).tile_exact == row.tile_exact
    assert row.megabytes == pytest.approx((row.trainable + row.running) * 4 / 1e6)


def seam(row: NetworkRow) -> float:
    """Largest difference of a probability between windows and one pass over the image."""
    facts = describe(row.name, smallest(row))
    engine = TorchEngine(small(row).double().eval(), device=Device("cpu", "tests"), precision="f32")
    window = smallest_window(facts.radius_px, facts.divisor)
    shape = (2 * facts.divisor, window + 2 * facts.divisor)
    image = np.random.default_rng(3).random((1, *shape))
    logits = engine.run(image[None])
    mean, deviation = logits.mean(), logits.std()

    def run(batch: NDArray[np.float64]) -> NDArray[np.float64]:
        return (engine.run(batch) - mean) / deviation  # so that no probability is rounded to 0 or 1

    def stitched(longest: int) -> NDArray[np.float64]:
        lattice = make_lattice(shape, window=longest, halo=facts.radius_px, divisor=facts.divisor)
        assert (len(lattice.windows) > 1) == (longest < shape[1])
        maps = np.full((len(row.maps) or 2, *shape), np.nan)

        def write(box: Box, found: NDArray[Any]) -> None:
            maps[(slice(None), *box.slices)] = found

        def read(box: Box) -> NDArray[Any]:
            return image[(slice(None), *box.slices)]

        stitch_exact(run, read, write, lattice=lattice, after_window=lambda px: None)
        return maps

    return float(np.abs(stitched(window) - stitched(shape[1])).max())


@WHOLE
def test_windows_of_an_exact_network_equal_the_whole_image_but_for_rounding_and_others_do_not(row: NetworkRow) -> None:
    difference = seam(row)
    assert difference < 1e-12 if row.tile_exact else difference > 1e-6
