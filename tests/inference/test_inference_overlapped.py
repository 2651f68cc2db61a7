"""A device that is kept busy gives what windows one after the other give."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from random_networks import random_network

from cellmonai.core.errors import InputError, OutputError
from cellmonai.inference.blocks import Blocks, WindowLimits, make_blocks
from cellmonai.inference.devices import Device
from cellmonai.inference.engine import TorchEngine
from cellmonai.inference.overlapped import OverlappedStreaming
from cellmonai.inference.streaming import Streaming

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cellmonai.inference.windows import Box

RADIUS, DIVISOR = 37, 8
ENGINE = TorchEngine(random_network("monai_attention_unet").eval(), device=Device("cpu", "tests"), precision="f32")
SHAPE = (301, 420)
IMAGE = np.random.default_rng(0).random((1, *SHAPE)).astype(np.float32)
IMAGE[:, :, 190:] = 0.25  # as where a scanner saw nothing


class SecondThread:
    """A device beside this process: another thread, which runs windows in the order in which they were begun."""

    def __init__(self) -> None:
        self.device = ThreadPoolExecutor(1)
        self.stagers: set[int] = set()

    def stage(self, window: NDArray[Any]) -> torch.Tensor:
        self.stagers.add(threading.get_ident())
        return torch.from_numpy(window.copy())

    def begin(self, staged: torch.Tensor) -> Callable[[], NDArray[Any]]:
        def run() -> NDArray[Any]:
            logits = ENGINE.forward(staged)
            down = torch.empty(logits.shape, dtype=logits.dtype)
            down.copy_(logits)
            return down.numpy()

        return self.device.submit(run).result


def _read(box: Box) -> NDArray[np.float32]:
    return IMAGE[(slice(None), *box.slices)]


def _blocks(most_px: int = 40_000) -> Blocks:
    return make_blocks(SHAPE, WindowLimits(RADIUS, DIVISOR, most_px), chunk=64)


def _collected(way: Callable[..., Any], how: Any, blocks: Blocks, **wishes: Any) -> tuple[dict[Box, Any], Any, float]:  # noqa: ANN401
    written: dict[Box, Any] = {}
    settled: list[float] = []
    counts = way(how, _read, written.__setitem__, **wishes).over(blocks, after_window=settled.append)
    return written, counts, sum(settled)


@pytest.mark.parametrize("most_px", [30_000, 40_000, 10**6])
@pytest.mark.parametrize("skips", [False, True])
def test_results_and_what_is_told_of_them_are_those_of_windows_one_by_one(most_px: int, *, skips: bool) -> None:
    blocks = _blocks(most_px)
    wishes = {"is_background": (lambda pixels: float(np.ptp(pixels)) == 0)} if skips else {}
    one, counts, px = _collected(Streaming, lambda window, place: ENGINE.run(window), blocks, **wishes)
    other, others, other_px = _collected(OverlappedStreaming, SecondThread(), blocks, **wishes)
    assert list(other) == list(one)
    for box, maps in one.items():
        assert (maps is None) == (other[box] is None)
        assert maps is None or np.array_equal(maps, other[box])
    assert others == counts
    assert other_px == px == SHAPE[0] * SHAPE[1]


def test_blocks_that_are_done_are_not_run_again() -> None:
    blocks, queue = _blocks(), SecondThread()
    whole, _, _ = _collected(OverlappedStreaming, queue, blocks)
    done = [block.box for block in blocks.blocks[::2]]
    rest: dict[Box, Any] = {}
    OverlappedStreaming(queue, _read, rest.__setitem__).over(blocks, done=done, after_window=lambda px: None)
    assert set(rest) == set(whole) - set(done)
    assert all(np.array_equal(rest[box], whole[box]) for box in rest)


def test_windows_are_staged_beside_the_thread_that_begins_them() -> None:
    queue = SecondThread()
    _collected(OverlappedStreaming, queue, _blocks())
    assert queue.stagers
    assert threading.get_ident() not in queue.stagers


class Slow(SecondThread):
    """A device that takes 40 ms for a window and leaves this process alone meanwhile."""

    def begin(self, staged: torch.Tensor) -> Callable[[], NDArray[Any]]:
        def run() -> NDArray[Any]:
            self.spans.append(time.monotonic())
            time.sleep(0.04)
            self.spans.append(time.monotonic())
            return staged.numpy()

        return self.device.submit(run).result

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[float] = []


def test_the_device_goes_on_while_others_are_read_and_written() -> None:
    queue, spans = Slow(), []

    def busy(*_: Any) -> Any:  # noqa: ANN401
        begun = time.monotonic()
        time.sleep(0.02)
        spans.append((begun, time.monotonic()))
        return np.random.default_rng(len(spans)).random((1, 64, 64), np.float32) if len(_) == 1 else None

    blocks = make_blocks((512, 64), WindowLimits(0, 8, 64 * 80), chunk=64)

    def read(box: Box) -> NDArray[np.float32]:
        busy(box)
        return np.random.default_rng(box.row0).random((1, *box.shape), np.float32)

    OverlappedStreaming(queue, read, lambda box, maps: busy(box, maps)).over(blocks, after_window=lambda px: None)
    device = list(zip(queue.spans[::2], queue.spans[1::2], strict=True))
    beside = [span for span in spans if any(begin < span[1] and span[0] < end for begin, end in device)]
    assert len(beside) >= len(spans) // 2


@pytest.mark.parametrize("where", ["read", "stage", "run", "write"])
def test_what_fails_anywhere_ends_the_run_with_its_own_error(where: str) -> None:
    error = OutputError("no space") if where == "write" else InputError("damaged")

    class Failing(SecondThread):
        def stage(self, window: NDArray[Any]) -> torch.Tensor:
            if where == "stage":
                raise error
            return super().stage(window)

        def begin(self, staged: torch.Tensor) -> Callable[[], NDArray[Any]]:
            def wait() -> NDArray[Any]:
                raise error

            return wait if where == "run" else super().begin(staged)

    def read(box: Box) -> NDArray[np.float32]:
        if where == "read" and box.row0 > 0:
            raise error
        return _read(box)

    def write(box: Box, maps: NDArray[np.float32] | None) -> None:
        if where == "write":
            raise error

    with pytest.raises(type(error)) as caught:
        OverlappedStreaming(Failing(), read, write).over(_blocks(), after_window=lambda px: None)
    assert caught.value is error
