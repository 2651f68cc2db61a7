"""The torch engine: one window in, its logits out."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch

from cellmonai.core.errors import MemoryBudgetError
from cellmonai.inference.fold import folded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from cellmonai.inference.devices import Device, Precision

_AUTOCAST = {"bf16": torch.bfloat16, "f16": torch.float16}


class TorchEngine:
    """Runs a network window by window, always one at a time.

    A fixed batch of one is what makes results repeatable: torch gives other last bits for another batch size, as it
    does for another number of threads.
    """

    name = "torch"

    def __init__(self, net: nn.Module, *, device: Device, precision: Precision) -> None:
        self.net, self.device, self.precision = net, device, precision
        parameter = next(net.parameters())
        self._target, self._dtype = parameter.device, parameter.dtype
        self._layout = torch.channels_last if _is_channels_last(net) else torch.contiguous_format

    @classmethod
    def prepared(cls, net: nn.Module, *, device: Device, precision: Precision) -> TorchEngine:
        """Copy a finished network in the form that runs fastest: batch norms folded, channels last, on the device."""
        fast = folded(net).to(torch.device(device.name))
        if device.kind in {"cpu", "cuda"}:
            fast = fast.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # missing in torch's stub
        return cls(fast, device=device, precision=precision)

    def run(self, window: NDArray[Any]) -> NDArray[Any]:
        """Give the logits (1, K, h, w) of a window (1, C, h, w), floating point; float32, or float64 where the net is.

        Raises
        ------
        MemoryBudgetError
            The device has too little memory for this window.
        """
        pixels = torch.from_numpy(window if window.flags.writeable else window.copy())
        with memory_errors(pixels):
            return self.forward(pixels.to(self._target)).cpu().numpy()

    def forward(self, window: Tensor) -> Tensor:
        """Give the logits of a window on the device, there, as `run` does; on CUDA they may still be on their way."""
        with _steady(self.net, self._target, self.precision):
            logits: Tensor = self.net(window.to(dtype=self._dtype, memory_format=self._layout))
            return logits.to(dtype=torch.promote_types(self._dtype, torch.float32))


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Keep evaluation mode for the block, whatever mode a network in training has."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def _steady(net: nn.Module, device: torch.device, precision: Precision) -> Iterator[None]:
    """Keep evaluation mode and repeatable kernels for the block."""
    with ExitStack() as stack:
        stack.enter_context(evaluating(net))
        stack.enter_context(torch.inference_mode())
        if device.type == "cuda":  # tf32 would round f32 to 10 bits, and a benchmark choose kernels by chance
            flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
            stack.enter_context(flags)
        if precision != "f32":
            stack.enter_context(torch.autocast(device.type, dtype=_AUTOCAST[precision]))
        yield


@contextmanager
def memory_errors(window: Tensor) -> Iterator[None]:
    """Turn a lack of memory for a window (1, C, h, w) into an error with a cure."""
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError is one; the CPU allocator raises a plain one
        lacks = "allocate memory" in str(error) or "out of memory" in str(error)  # the CPU's, and that of pinned memory
        if not isinstance(error, torch.OutOfMemoryError) and not lacks:
            raise
        raise MemoryBudgetError(
            f"memory ran out in a window of {window.shape[-1]} x {window.shape[-2]} px",
            cure="give a smaller --window or --memory",
        ) from error


def _is_channels_last(net: nn.Module) -> bool:
    kernels = [p for p in net.parameters() if p.dim() == 4]
    return bool(kernels) and all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)
