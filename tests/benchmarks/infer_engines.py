"""CPU and wall seconds of one network over one image: MONAI's sliding window, torch and OpenVINO with exact windows.

    python tests/benchmarks/infer_engines.py [--side 4096] [--rounds 5] [--precision f32 bf16 int8]

A BasicUNet of 2.0 M parameters with batch norm, trained for a few steps on painted cells, over one painted image:

    A  MONAI's SlidingWindowInferer: windows of 256 px, overlap 0.25, gaussian, the network as it is, f32
    B  exact windows, torch: batch norms folded, channels last, f32
    C  exact windows, OpenVINO f32; further letters for further precisions

taking turns A B C, A B C, ... CPU seconds are user and system time of the process, all threads; wall seconds depend on
what else runs. Ratios are taken within a round, so that a machine that slows down slows down both. The rate of f32
matrix multiplication, 2048 x 2048, is measured in every round too, in torch and NumPy, and the faster is the measure;
the share of it that an engine reaches counts every multiplication and addition of the convolutions in every window.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
from painting import paint, scattered_discs
from scipy import ndimage

from cellmonai.core.cache import VARIABLE
from cellmonai.core.machine import usable_cores
from cellmonai.inference.activation import probabilities
from cellmonai.inference.fold import folded
from cellmonai.inference.openvino_convert import convert
from cellmonai.inference.openvino_engine import OpenVinoEngine, openvino_precisions
from cellmonai.inference.openvino_int8 import convert_int8
from cellmonai.inference.openvino_model import find_converted
from cellmonai.inference.windows import make_lattice
from cellmonai.nets.catalogue import build, describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import nn

    Image = NDArray[np.float32]
    Run = Callable[[Image], Image]

NETWORK, PARAMETERS = "basic_unet", {"width": 32}
FACTS = describe(NETWORK, PARAMETERS)
WINDOW_PX = 2048 + 2 * 112  # what `infer` takes where memory allows it


def painted(side: int, *, seed: int) -> tuple[Image, Image]:
    """Blurred noisy discs (1, 1, side, side), mean 0, and where they are."""
    discs = scattered_discs(side * side // 1800, (side, side), radius_px=(8, 15), seed=seed)
    inside = (paint(discs, (side, side)) > 0).astype(np.float32)
    noise = np.random.default_rng(seed).normal(0, 0.3, inside.shape)
    return (ndimage.gaussian_filter(inside, 1.5) - 0.3 + noise).astype(np.float32)[None, None], inside[None, None]


def trained(steps: int) -> nn.Module:
    """Train the network a little, so that masks are masks and its statistics are those of images."""
    torch.manual_seed(0)
    net = build(NETWORK, PARAMETERS, channels=1, outputs=1)
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    for step in range(steps):
        image, inside = (torch.from_numpy(part) for part in painted(160, seed=step))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(image), inside)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return net.eval()


def torch_run(net: nn.Module, *, channels_last: bool) -> Run:
    """Give a window to its logits, in torch and f32."""
    layout = torch.channels_last if channels_last else torch.contiguous_format

    def run(window: Image) -> Image:
        with torch.inference_mode():
            logits: Image = net(torch.from_numpy(window).to(memory_format=layout)).contiguous().numpy()
        return logits

    return run


def exact_windows(run: Run, image: Image, window: int) -> Image:
    """Give the logits of an image by windows whose cores equal one pass over it."""
    lattice = make_lattice(image.shape[2:], window=window, halo=FACTS.radius_px, divisor=FACTS.divisor)
    whole = np.empty_like(image)
    for each in lattice.windows:
        assert each.pad == (0, 0)  # sides are multiples of the divisor
        found = run(np.ascontiguousarray(image[(..., *each.read.slices)]))
        whole[(..., *each.core.slices)] = found[(..., *each.core.within(each.read).slices)]
    return whole


def sliding_window(net: nn.Module, image: Image) -> Image:
    """Give the logits of an image as MONAI's users do."""
    from monai.inferers import SlidingWindowInferer

    inferer = SlidingWindowInferer(roi_size=(256, 256), sw_batch_size=4, overlap=0.25, mode="gaussian")
    with torch.inference_mode():
        logits: Image = inferer(torch.from_numpy(image), net).numpy()
    return logits


def operations_per_px(net: nn.Module) -> float:
    """Multiplications and additions of all convolutions, for each px of a window."""
    counted = 0
    side = 8 * FACTS.divisor

    def count(module: Any, _: object, output: torch.Tensor) -> None:  # noqa: ANN401 - two kinds of convolution
        nonlocal counted
        per_output = module.weight[0].numel() if isinstance(module, torch.nn.Conv2d) else module.in_channels
        # strides and sides of transposed kernels are equal here, so that every output has one weight for each input
        counted += 2 * per_output * output.numel()

    kinds = (torch.nn.Conv2d, torch.nn.ConvTranspose2d)
    hooks = [module.register_forward_hook(count) for module in net.modules() if isinstance(module, kinds)]
    with torch.inference_mode():
        net(torch.zeros(1, 1, side, side))
    for hook in hooks:
        hook.remove()
    return counted / side**2


def multiply(product: Callable[[Any, Any], Any], a: Any, b: Any, count: int = 12) -> float:  # noqa: ANN401
    """Multiply square matrices; gives the operations."""
    for _ in range(count):
        product(a, b)
    return 2.0 * count * a.shape[0] ** 3


@dataclass
class Turns:
    """CPU and wall seconds of each round."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    result: Any = None

    def take(self, call: Callable[[], Any]) -> None:
        """Run once and note what it took."""
        cpu, wall = time.process_time(), time.perf_counter()
        self.result = call()
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)


def spread(values: list[float], digits: int = 2) -> str:
    """Median and, in brackets, smallest and largest."""
    return f"{median(values):.{digits}f} [{min(values):.{digits}f}-{max(values):.{digits}f}]"


def ratios(above: list[float], below: list[float]) -> str:
    """Ratio within each round."""
    return spread([a / b for a, b in zip(above, below, strict=True)], 1)


def engines_of(net: nn.Module, precisions: list[str], calibration: list[Image]) -> dict[str, OpenVinoEngine]:
    """Convert the network and give an engine for each precision that this CPU has."""
    start = time.process_time()
    convert(net, channels=1, divisor=FACTS.divisor, model_sha256="benchmark")
    print(f"converted in {time.process_time() - start:.1f} CPU s, its memory measured in a process of its own")
    engines = {}
    for precision in precisions:
        if precision not in openvino_precisions():
            print(f"{precision}: this CPU would only emulate it, left out")
            continue
        named: dict[str, Any] = {"channels": 1, "outputs": 1, "divisor": FACTS.divisor, "precision": precision}
        if precision == "int8":
            exact = find_converted("benchmark", **named | {"precision": "f32"})
            assert exact is not None
            start = time.process_time()
            _, changed = convert_int8(exact, calibration)
            print(f"int8 calibrated in {time.process_time() - start:.1f} CPU s: {changed}")
        found = find_converted("benchmark", **named)
        assert found is not None
        engines[precision] = OpenVinoEngine(found, precision=precision)  # type: ignore[arg-type]
    return engines


def main() -> None:
    """Prepare, take turns and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--side", type=int, default=4096, help="rows and columns of the image, a multiple of 16")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--window", type=int, default=WINDOW_PX, help="longest side of an exact window, px")
    parser.add_argument("--precision", nargs="+", default=["f32"], choices=["f32", "bf16", "int8"])
    parser.add_argument("--steps", type=int, default=60, help="of training")
    wish = parser.parse_args()
    threads = usable_cores()
    torch.set_num_threads(threads)

    net = trained(wish.steps)
    image, truth = painted(wish.side, seed=12345)
    ways: dict[str, Callable[[], Any]] = {
        "A MONAI sliding window": lambda: sliding_window(net, image),
        "B torch, folded, channels last": lambda: exact_windows(fast, image, wish.window),
    }
    prepared: Any = folded(net)
    fast = torch_run(prepared.to(memory_format=torch.channels_last), channels_last=True)
    with tempfile.TemporaryDirectory() as place:
        os.environ[VARIABLE] = place
        engines = engines_of(net, wish.precision, [painted(256, seed=5000 + number)[0] for number in range(16)])
    for letter, (precision, engine) in zip("CDE", engines.items(), strict=False):
        ways[f"{letter} OpenVINO {precision}"] = lambda engine=engine: exact_windows(engine.run, image, wish.window)

    turns = {name: Turns() for name in ways}
    matrix = {"torch": Turns(), "NumPy": Turns()}
    a, b = torch.rand(2048, 2048), torch.rand(2048, 2048)
    for _ in range(wish.rounds):
        for name, way in ways.items():
            turns[name].take(way)
        matrix["torch"].take(lambda: multiply(torch.mm, a, b))
        matrix["NumPy"].take(lambda: multiply(np.matmul, a.numpy(), b.numpy()))
    report(net, turns, matrix, image=image, truth=truth, wish=wish, threads=threads)


def report(
    net: nn.Module,
    turns: dict[str, Turns],
    matrix: dict[str, Turns],
    *,
    image: Image,
    truth: Image,
    wish: argparse.Namespace,
    threads: int,
) -> None:
    """Print seconds, ratios to MONAI, share of the rate of matrix multiplication, and differences to the whole pass."""
    mpx = image.size / 1e6
    lattice = make_lattice(image.shape[2:], window=wish.window, halo=FACTS.radius_px, divisor=FACTS.divisor)
    operations = operations_per_px(net) * lattice.read_px
    weights = sum(parameter.numel() for parameter in net.parameters())
    print(
        f"\n{wish.side} x {wish.side} px, {weights / 1e6:.2f} M parameters, {wish.rounds} rounds, {threads} threads, "
        f"load {os.getloadavg()[0]:.1f}; {len(lattice.windows)} exact windows of up to {max(lattice.largest)} px read "
        f"{lattice.read_px / image.size:.2f} x its pixels, {operations / 1e9:.0f} GFLOP"
    )
    rates = {name: [each.result / second / 1e9 for second in each.cpu] for name, each in matrix.items()}
    for name, each in matrix.items():
        wall = [each.result / second / 1e9 for second in each.wall]
        print(f"f32 matrix multiplication, {name}: {spread(rates[name], 0)} GFLOP per CPU s, {spread(wall, 0)} GFLOP/s")
    rate_cpu = max(rates.values(), key=median)
    whole = exact_windows(torch_run(net, channels_last=False), image, wish.window)
    expected = probabilities(whole[0])
    first = next(iter(turns.values()))
    heads = f"{'CPU s per Mpx':20} {'wall s per Mpx':20} {'A / this, CPU':18} {'A / this, wall':18}"
    print(f"{'median [min-max]':32} {heads}")
    for name, each in turns.items():
        cpu, wall = ([second / mpx for second in seconds] for seconds in (each.cpu, each.wall))
        ratio = f"{ratios(first.cpu, each.cpu):18} {ratios(first.wall, each.wall):18}"
        print(f"{name:32} {spread(cpu):20} {spread(wall):20} {ratio}")
    for name, each in turns.items():
        found = probabilities(each.result[0])
        inside = found >= 0.5
        flips = int((inside != (expected >= 0.5)).sum())
        dice = 2 * (inside & (truth[0] > 0)).sum() / (inside.sum() + truth.sum())
        share = ""
        if not name.startswith("A"):
            shares = [operations / 1e9 / second / rate for second, rate in zip(each.cpu, rate_cpu, strict=True)]
            share = f", {spread(shares)} of the rate of matrix multiplication"
        print(
            f"{name:32} {flips} mask pixels differ from exact windows in eager torch, probability by at most "
            f"{np.abs(found - expected).max():.1e}; Dice to what was painted {dice:.3f}{share}"
        )


if __name__ == "__main__":
    main()
