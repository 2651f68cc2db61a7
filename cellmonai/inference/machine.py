"""What networks run on here: torch's devices, the number formats they compute in, and how fast a network runs."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import time
import warnings
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, get_args

import torch

from cellmonai.core.errors import UsageError
from cellmonai.inference.devices import Device, Precision, choose_device, choose_precision
from cellmonai.inference.engine import TorchEngine
from cellmonai.nets.catalogue import build, describe

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

_NETWORK, _PARAMETERS = "basic_unet", {"width": 16}


@dataclass(frozen=True, slots=True)
class TorchDevice:
    """A device of torch: its own name and the maker's, its own memory in bytes if it has any, what it computes in."""

    name: str
    title: str
    memory_bytes: int | None
    free_bytes: int | None
    precisions: tuple[Precision, ...]


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast an engine ran: the median over `passes`, in megapixels (10^6 px of image) per second."""

    engine: str
    device: str
    precision: str
    passes: int
    mpx_per_second: float


def torch_devices() -> tuple[TorchDevice, ...]:
    """Give the CPU, every CUDA device and, on a Mac, its GPU."""
    return (_cpu(), *_cuda_devices(), *_mps())


def torch_facts() -> dict[str, Any]:
    """Give what torch says of itself: CUDA that it is built for, threads, and the device that `auto` takes with why."""
    chosen = choose_device("auto")
    return {
        "cuda": torch.version.cuda,
        "threads": torch.get_num_threads(),
        "auto_device": chosen.name,
        "auto_reason": chosen.reason,
    }


def real_precisions(device: Device) -> tuple[Precision, ...]:
    """Give the number formats that a device computes in, as `choose_precision` takes them."""
    found: list[Precision] = []
    for precision in get_args(Precision):
        try:
            found.append(choose_precision(precision, device))
        except UsageError:
            continue
    return tuple(found)


def benchmark_network() -> nn.Module:
    """Build the network that is timed, BasicUNet of width 16, with random weights; torch's own stream is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(_NETWORK, _PARAMETERS, channels=1, outputs=1).eval()


def torch_speed(net: nn.Module, image: NDArray[np.float32], *, seconds: float) -> Speed:
    """Time torch on the device and in the precision that `auto` takes.

    Parameters
    ----------
    image : float32 (Y, X), sides multiples of 16
    seconds : for how long; one pass more warms up
    """
    device = choose_device("auto")
    engine = TorchEngine.prepared(net, device=device, precision=choose_precision("auto", device))
    passes, speed = _timed(engine.run, image, seconds)
    return Speed("torch", device.name, engine.precision, passes, speed)


def openvino_speed(net: nn.Module, image: NDArray[np.float32], *, seconds: float) -> Speed:
    """Convert the network as `infer` does, which compares its results with torch's, and time it; see `torch_speed`.

    Raises
    ------
    UsageError
        OpenVINO is missing, cannot convert the network, or gives other results.
    OutputError
        The converted network can be written nowhere.
    """
    from cellmonai.inference.openvino_convert import convert
    from cellmonai.inference.openvino_engine import OpenVinoEngine
    from cellmonai.inference.openvino_model import read_entry

    divisor = describe(_NETWORK, _PARAMETERS).divisor
    unique = hashlib.sha256(secrets.token_bytes(16)).hexdigest()  # no other process waits for this entry of the cache
    folder = convert(net, channels=1, divisor=divisor, model_sha256=unique)
    try:
        converted = read_entry(folder)
        if converted is None:
            raise UsageError("the converted network cannot be read back", where="--engine openvino")
        engine = OpenVinoEngine(converted)
        passes, speed = _timed(engine.run, image, seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Speed(engine.name, "cpu", engine.precision, passes, speed)


def _timed(
    run: Callable[[NDArray[np.float32]], NDArray[Any]], image: NDArray[np.float32], seconds: float
) -> tuple[int, float]:
    """Run for some seconds and give the number of passes and the median speed in megapixels per second."""
    run(image[None, None])
    times: list[float] = []
    while sum(times) < seconds:
        started = time.perf_counter()
        run(image[None, None])
        times.append(time.perf_counter() - started)
    return len(times), image.size / 1e6 / median(times)


def _cpu() -> TorchDevice:
    # the instructions that torch's own kernels use
    return TorchDevice("cpu", torch.backends.cpu.get_cpu_capability(), None, None, real_precisions(Device("cpu", "")))


def _cuda_devices() -> list[TorchDevice]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an old driver warns; no device says the same
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    found = []
    for number in range(count):
        device = choose_device(f"cuda:{number}")
        free, total = torch.cuda.mem_get_info(number)
        found.append(TorchDevice(device.name, device.reason, total, free, real_precisions(device)))
    return found


def _mps() -> list[TorchDevice]:
    if not torch.backends.mps.is_available():
        return []
    device = choose_device("mps")
    # its memory is the machine's
    return [TorchDevice("mps", "this Mac's GPU", None, None, real_precisions(device))]
