"""Which device runs the network and in which precision: chosen once, named, and with the reason."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import torch

from cellmonai.core.devices import require_device_name
from cellmonai.core.errors import UsageError

Precision = Literal["f32", "bf16", "f16"]


@dataclass(frozen=True, slots=True)
class Device:
    """A device by torch's name (`cpu`, `cuda:0`, `mps`), and why it was taken."""

    name: str
    reason: str

    @property
    def kind(self) -> str:
        """The name without a number: `cpu`, `cuda`, `mps`."""
        return self.name.partition(":")[0]


def choose_device(wanted: str = "auto") -> Device:
    """Choose the device: `auto` takes CUDA, then MPS, then the CPU; `cpu`, `cuda`, `cuda:1`, `mps` are taken at word.

    Raises
    ------
    UsageError
        No such device, or not on this machine.
    """
    require_device_name(wanted)
    kind, _, number = wanted.partition(":")
    if wanted == "auto":
        return _best_device()
    if kind == "cuda":
        return _cuda(wanted, int(number or 0))
    if wanted == "mps":
        if not torch.backends.mps.is_available():
            raise UsageError("this machine has no MPS device", where="--device mps", cure="use --device auto")
        return Device("mps", "asked for")
    return Device("cpu", "asked for")


def choose_precision(wanted: str, device: Device) -> Precision:
    """Choose the number format of the network: `auto` is bf16 on CUDA that has it, else f32.

    Raises
    ------
    UsageError
        The device would only emulate the format, which is slower than f32 and no more precise.
    """
    real = _real_precisions(device)
    if wanted == "auto":
        return "bf16" if device.kind == "cuda" and "bf16" in real else "f32"
    for precision in real:
        if precision == wanted:
            return precision
    raise UsageError(
        f"{device.name} does not compute in {wanted}, it would only emulate it",
        where="--precision",
        cure=f"use auto or {' or '.join(real)}",
    )


def _best_device() -> Device:
    if (count := _cuda_devices()) > 0:
        return Device("cuda:0", f"{torch.cuda.get_device_name(0)}, the first of {count}")
    if torch.backends.mps.is_available():
        return Device("mps", "this Mac's GPU")
    return Device("cpu", _why_no_cuda())


def _cuda(wanted: str, number: int) -> Device:
    count = _cuda_devices()
    if number >= count:
        what = f"this machine has {count} CUDA devices, numbered from 0" if count else _why_no_cuda()
        raise UsageError(what, where=f"--device {wanted}", cure="use --device auto, which takes the best there is")
    return Device(f"cuda:{number}", torch.cuda.get_device_name(number))


def _why_no_cuda() -> str:
    if torch.version.cuda is None:
        return "the installed torch is built without CUDA"
    return "no CUDA device was found"


def _cuda_devices() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an old driver warns here; the answer 0 says the same
        return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _real_precisions(device: Device) -> tuple[Precision, ...]:
    if device.kind == "cuda":
        bf16 = torch.cuda.get_device_capability(torch.device(device.name)) >= (8, 0)  # Ampere was the first
        return ("f32", "bf16", "f16") if bf16 else ("f32", "f16")
    if device.kind == "cpu":
        has = torch.cpu.get_capabilities()
        return ("f32", "bf16") if has.get("avx512_bf16") or has.get("amx_bf16") else ("f32",)
    return ("f32",)  # half precision on MPS is untested
