"""How much memory windows take."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from cellmonai.inference.explain import saliency

if TYPE_CHECKING:
    from torch import nn

    from cellmonai.inference.devices import Device
    from cellmonai.inference.engine import TorchEngine

# Peak resident memory over peak bytes in living tensors, measured on a CPU: 1.1 to 1.3 for windows of 1,024 px, 1.6 to
# 1.7 for windows of 500 px; the rest is what kernels reorder for themselves and what the allocator keeps.
_KERNEL_SHARE = 1.75


def window_costs(engine: TorchEngine, *, channels: int, divisor: int) -> tuple[float, int]:
    """Estimate the memory that a window takes, in bytes per px of the window, and count the maps it gives.

    One small window runs while all living tensors are counted; since the networks are convolutional, their peak grows
    with the area. The peak is multiplied by what kernels need besides.
    """
    side = 4 * divisor
    with _LiveBytes() as live:
        outputs = engine.run(np.zeros((1, channels, side, side), np.float32)).shape[1]
    return _KERNEL_SHARE * live.peak / side**2, outputs


def gradient_costs(net: nn.Module, *, channels: int, divisor: int) -> float:
    """Estimate the memory that a window takes while a gradient is traced back through it, in bytes per px."""
    side = 4 * divisor
    with _LiveBytes() as live:
        saliency(net, np.zeros((channels, side, side), np.float32), side // 2, side // 2)
    return float(_KERNEL_SHARE * live.peak / side**2)


def device_budget(device: Device) -> int | None:
    """Give half of the free memory of a device with its own memory, in bytes; None where it shares the machine's."""
    if device.kind != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(torch.device(device.name))
    return int(free) // 2


class _LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors that are made in the block and still live, and keeps the peak."""

    peak: int

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch leaves it untyped
        self.peak = 0
        self._now = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401 - torch's own protocol
        result = func(*args, **(kwargs or {}))
        for value in tree_iter(result):
            if isinstance(value, torch.Tensor):
                self._count(value.untyped_storage())
        self.peak = max(self.peak, self._now)
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:  # a view of a tensor already counted
            return
        self._seen.add(key)
        self._now += size
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self._now -= size
