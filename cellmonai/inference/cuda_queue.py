"""Windows to a CUDA device and results back while the network runs on others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from cellmonai.inference.engine import memory_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from cellmonai.inference.engine import TorchEngine


@dataclass(frozen=True, slots=True)
class _Staged:
    """A window on its way: pinned pixels, which must live until they are there, the copy, and when it is complete."""

    pinned: Tensor
    copy: Tensor
    complete: torch.cuda.Event


class CudaQueue:
    """The queue of a torch engine on a CUDA device; see `overlapped.Queue`.

    Pixels go up in a stream of their own from pinned memory, so that copying does not wait for the network nor the
    network for copying; results come down into pinned memory behind the network. What runs, and in which order, is what
    `TorchEngine.run` runs, so that results are the same bits.
    """

    def __init__(self, engine: TorchEngine) -> None:
        self._engine = engine
        self._device = torch.device(engine.device.name)
        self._uploads = torch.cuda.Stream(self._device)

    def stage(self, window: NDArray[Any]) -> _Staged:
        """Begin to bring a window (1, C, h, w) to the device; from any thread.

        Raises
        ------
        MemoryBudgetError
            The device has too little memory for it.
        """
        pixels = torch.from_numpy(window if window.flags.writeable else window.copy())
        with memory_errors(pixels), torch.cuda.stream(self._uploads):
            pinned = pixels.pin_memory()
            copy = pinned.to(self._device, non_blocking=True)
            complete = torch.cuda.Event()
            complete.record(self._uploads)
        return _Staged(pinned, copy, complete)

    def begin(self, staged: _Staged) -> Callable[[], NDArray[Any]]:
        """Begin to run a staged window; gives what waits for its logits (1, K, h, w), float32, from any thread.

        Raises
        ------
        MemoryBudgetError
            The device has too little memory for this window.
        """
        stream = torch.cuda.current_stream(self._device)
        stream.wait_event(staged.complete)
        staged.copy.record_stream(stream)  # else its memory could be given away while the network reads it
        with memory_errors(staged.pinned):
            logits = self._engine.forward(staged.copy)
            down = torch.empty(logits.shape, dtype=logits.dtype, pin_memory=True)
            down.copy_(logits, non_blocking=True)
        complete = torch.cuda.Event()
        complete.record(stream)

        def wait() -> NDArray[Any]:
            complete.synchronize()
            found: NDArray[Any] = down.numpy()
            return found

        return wait
