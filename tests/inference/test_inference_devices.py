"""The choice of device and precision, on machines that are only pretended."""

from __future__ import annotations

import pytest
import torch

from cellmonai.core.errors import UsageError
from cellmonai.inference.devices import Device, choose_device, choose_precision

CPU, CUDA = Device("cpu", ""), Device("cuda:0", "")


def pretend(monkeypatch: pytest.MonkeyPatch, *, cuda: int = 0, mps: bool = False, built: str | None = None) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU {index}")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch.version, "cuda", built)


@pytest.mark.parametrize(
    ("cuda", "mps", "built", "name", "reason"),
    [
        pytest.param(2, True, "13.0", "cuda:0", "GPU 0, the first of 2", id="CUDA before all"),
        pytest.param(0, True, None, "mps", "this Mac's GPU", id="MPS before the CPU"),
        pytest.param(0, False, None, "cpu", "the installed torch is built without CUDA", id="no CUDA in torch"),
        pytest.param(0, False, "13.0", "cpu", "no CUDA device was found", id="no GPU in the machine"),
    ],
)
def test_auto_takes_the_best_there_is_and_says_why(
    monkeypatch: pytest.MonkeyPatch, cuda: int, *, mps: bool, built: str | None, name: str, reason: str
) -> None:
    pretend(monkeypatch, cuda=cuda, mps=mps, built=built)
    assert choose_device() == Device(name, reason)


def test_a_device_is_taken_at_word(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, cuda=2, mps=True)
    assert [choose_device(word).name for word in ("cpu", "cuda", "cuda:1", "mps")] == ["cpu", "cuda:0", "cuda:1", "mps"]


@pytest.mark.parametrize(
    ("wanted", "cuda", "sentence"),
    [
        pytest.param("cuda", 0, "built without CUDA; use --device auto", id="no CUDA"),
        pytest.param("cuda:3", 2, "this machine has 2 CUDA devices", id="number too high"),
        pytest.param("mps", 0, "no MPS device", id="no MPS"),
        pytest.param("gpu", 0, "unknown device 'gpu'", id="unknown"),
        pytest.param("cuda:x", 0, "unknown device 'cuda:x'", id="no number"),
    ],
)
def test_a_device_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, wanted: str, cuda: int, sentence: str
) -> None:
    pretend(monkeypatch, cuda=cuda)
    with pytest.raises(UsageError, match=sentence):
        choose_device(wanted)


@pytest.mark.parametrize(
    ("device", "real", "wanted", "chosen"),
    [
        pytest.param(CPU, True, "auto", "f32", id="CPU: f32 even where bf16 is native"),
        pytest.param(CPU, True, "bf16", "bf16", id="CPU with native bf16"),
        pytest.param(CUDA, True, "auto", "bf16", id="CUDA: bf16"),
        pytest.param(CUDA, False, "auto", "f32", id="older CUDA: f32"),
        pytest.param(CUDA, False, "f16", "f16", id="older CUDA has f16"),
        pytest.param(Device("mps", ""), True, "auto", "f32", id="MPS: f32"),
    ],
)
def test_the_precision_is_one_the_device_has(
    monkeypatch: pytest.MonkeyPatch, device: Device, *, real: bool, wanted: str, chosen: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": real})
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0) if real else (7, 5))
    assert choose_precision(wanted, device) == chosen


@pytest.mark.parametrize(("device", "wanted"), [(CPU, "bf16"), (CPU, "f16"), (CUDA, "bf16")], ids=str)
def test_an_emulated_precision_is_refused(monkeypatch: pytest.MonkeyPatch, device: Device, wanted: str) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    with pytest.raises(UsageError, match=f"does not compute in {wanted}"):
        choose_precision(wanted, device)
