"""What a worker of a cluster does when it is asked: it reads, runs and encodes, and never writes.

A worker may have several threads. One of them at a time runs the network, and one more may read or encode meanwhile,
so that a worker takes no more memory than a run without a cluster.
"""

from __future__ import annotations

import platform
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import UsageError
from cellmonai.core.files import sha256_of
from cellmonai.core.machine import cpu_model
from cellmonai.core.memory import peak_memory_bytes, return_freed_memory
from cellmonai.core.progress import Silent
from cellmonai.workflows.inferring.hands import encoding, reading, stream_blocks
from cellmonai.workflows.inferring.model import choose_model
from cellmonai.workflows.inferring.plane_reader import PlaneReader, open_plane
from cellmonai.workflows.inferring.runners import make_runner
from cellmonai.workflows.inferring.tasks import BlockTask, DoneBlock, PlaneTask, RunTask, WorkerFacts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

    from cellmonai.images.block_encode import EncodedBlock
    from cellmonai.images.normalise import Scaling
    from cellmonai.inference.blended_blocks import AnyBlocks
    from cellmonai.inference.runner import Engine, Runner
    from cellmonai.inference.windows import Box
    from cellmonai.workflows.inferring.model import ChosenModel

_BLOCKS_AT_ONCE = 2
_RUNS_KEPT = 2  # two runs may share a cluster
_DECISIVE = ("cellmonai", "numpy", "torch", "openvino")

_turn = threading.BoundedSemaphore(_BLOCKS_AT_ONCE)
_network = threading.Lock()
_begin = threading.Lock()
_files = threading.Lock()
_open: list[_OpenPlane] = []
_ready: dict[str, tuple[Runner, ChosenModel]] = {}


class _InTurn:
    """An engine that one thread at a time may use."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.name, self.precision = engine, engine.name, engine.precision

    def run(self, window: NDArray[Any], **place: tuple[int, int]) -> NDArray[Any]:
        """Give the logits (1, K, h, w) of a window (1, C, h, w), at its place where the engine has to know it."""
        with _network:
            return self._engine.run(window, **place)


@dataclass(frozen=True, slots=True, eq=False)
class _OpenPlane:
    """A plane of an open image, and what closes it."""

    task: PlaneTask
    plane: PlaneReader
    reader: AbstractContextManager[PlaneReader]

    def close(self) -> None:
        self.reader.__exit__(None, None, None)


def forget(run: str) -> None:
    """Let go of the network and the images of a run that has ended."""
    with _begin:
        _ready.pop(run, None)
    with _files:
        for each in [each for each in _open if each.task.run.run == run]:
            _open.remove(each)
            each.close()


def describe(task: RunTask) -> WorkerFacts:
    """Make the network ready, once for a run, and say how it runs here.

    Raises
    ------
    InputError
        The model cannot be read here.
    UsageError
        The model is missing here or another file, or the device, engine or precision is not there.
    """
    runner, _ = _made_ready(task)
    return WorkerFacts(
        engine=runner.engine.name,
        precision=runner.engine.precision,
        device=runner.device,
        device_reason=runner.device_reason,
        threads=runner.threads,
        activation=runner.activation,
        names=runner.names,
        window_bytes_per_px=runner.window_bytes_per_px,
        fixed_bytes=runner.fixed_bytes,
        by_place=runner.by_place,
        device_bytes_per_px=runner.device_bytes_per_px,
        device_budget=runner.device_budget,
        calibration=runner.calibration,
        versions=_versions(),
        processor=cpu_model(),
    )


def digest_of(task: PlaneTask) -> str:
    """Give the digest of an image's file."""
    with _opened(task) as plane:
        return plane.source.fingerprint


def scaling_of(task: PlaneTask) -> Scaling:
    """Find how the intensities of a plane are scaled, from all its pixels."""
    _, model = _made_ready(task.run)
    with _turn, _opened(task) as plane:
        return plane.scaling(model.card.normalisation)


def run_window(task: RunTask, window: NDArray[Any], place: tuple[int, int]) -> NDArray[Any]:
    """Give the logits (1, K, h, w) of a window (1, C, h, w) whose first pixel is at `place` (row, column)."""
    runner, _ = _made_ready(task)
    with _network:
        return runner.run(window, place)


def do_block(task: BlockTask, blocks: AnyBlocks) -> DoneBlock:
    """Do the one block of `blocks`.

    Raises
    ------
    InputError
        The image cannot be read here.
    UsageError
        The image or the model is missing here or another file.
    MemoryBudgetError
        There is too little memory for a window.
    """
    run = task.plane.run
    runner, model = _made_ready(run)
    encoded = encoding(task.facts, runner, model)
    made: list[EncodedBlock] = []

    def write(box: Box, maps: NDArray[np.float32] | None) -> None:
        made.append(encoded(box, maps))

    with _turn, _opened(task.plane) as plane:
        read = reading(plane, task.scaling)
        in_turn = replace(runner, engine=_InTurn(runner.engine), queue=None)
        counts = stream_blocks(blocks, in_turn, read, write, run.settings, after_window=_tell_nobody)
    return DoneBlock(made[0], counts, describe(run), peak_memory_bytes())


def _made_ready(task: RunTask) -> tuple[Runner, ChosenModel]:
    with _begin:
        if task.run not in _ready:
            while len(_ready) >= _RUNS_KEPT:
                del _ready[next(iter(_ready))]
            if not task.model.is_file() or sha256_of(task.model) != task.sha256:
                raise UsageError(
                    f"{task.model} is missing or another file on the worker {platform.node()}",
                    where="--workers or --scheduler",
                    cure="put the model where all workers find it by the same path",
                )
            model = choose_model(task.model, threshold=task.settings.threshold)
            threads = task.threads or _threads_given()
            return_freed_memory()
            with _network:  # of another run, whose windows would see the flags that are set meanwhile
                runner = make_runner(model, task.sha256, task.settings, Silent(), threads=threads)
            _ready[task.run] = runner, model
        return _ready[task.run]


def _threads_given() -> int | None:
    """Give how many threads the cluster gave this worker; None outside of a cluster."""
    from distributed import get_worker

    try:
        return int(get_worker().state.nthreads)
    except ValueError:
        return None


@contextmanager
def _opened(task: PlaneTask) -> Iterator[PlaneReader]:
    """Give the plane to one thread, open since it was used last where it can be; as many stay open as work at once."""
    _, model = _made_ready(task.run)
    with _files:
        mine = next((each for each in _open if each.task == task), None)
        if mine is not None:
            _open.remove(mine)
    if mine is None:
        _require_same_file(task)
        reader = open_plane(task.job, model.wants, task.run.settings)
        mine = _OpenPlane(task, reader.__enter__(), reader)
    try:
        yield mine.plane
    finally:
        with _files:
            _open.append(mine)
            while len(_open) > _BLOCKS_AT_ONCE:
                _open.pop(0).close()


def _require_same_file(task: PlaneTask) -> None:
    path = task.job.path
    here = path.stat().st_size if path.is_file() else 0 if path.is_dir() else None
    if here != task.file_bytes:
        raise UsageError(
            f"{path} is missing or another file on the worker {platform.node()}",
            where="--workers or --scheduler",
            cure="put the images where all workers find them by the same path",
        )


def _versions() -> dict[str, str]:
    found = {}
    for name in _DECISIVE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _tell_nobody(px: float) -> None:
    """Progress is told by whoever asked."""
