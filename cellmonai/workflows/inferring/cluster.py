"""Dask workers that do the blocks of planes, here or on other machines; this process alone writes.

Blocks travel to the workers as places and come back encoded, so a worker that dies, or is thought dead and is not, can
damage nothing: what it did not send is done again by another.
"""

from __future__ import annotations

import threading
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import UsageError
from cellmonai.inference.runner import Runner
from cellmonai.inference.streaming import Streamed
from cellmonai.inference.windows import Box
from cellmonai.workflows.inferring import worker
from cellmonai.workflows.inferring.dask_link import BLOCKS_PER_WORKER, MOST_TRIES, Cluster, connected, workers_lost
from cellmonai.workflows.inferring.tasks import BlockTask, PlaneTask, RunTask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.core.progress import Reporter
    from cellmonai.images.block_store import PlaneStore
    from cellmonai.images.normalise import Scaling
    from cellmonai.inference.blended_blocks import AnyBlocks
    from cellmonai.workflows.inferring.dask_link import Future
    from cellmonai.workflows.inferring.jobs import ImageJob
    from cellmonai.workflows.inferring.model import ChosenModel
    from cellmonai.workflows.inferring.plane_reader import PlaneReader
    from cellmonai.workflows.inferring.settings import InferSettings
    from cellmonai.workflows.inferring.tasks import DoneBlock, WorkerFacts

_PLANES_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class RemoteEngine:
    """The network on whatever worker is free, for single windows."""

    name: str
    precision: str
    cluster: Cluster
    task: RunTask

    def run(self, window: NDArray[Any], place: tuple[int, int] = (0, 0)) -> NDArray[Any]:
        """Give the logits (1, K, h, w) of a window (1, C, h, w)."""
        found: NDArray[Any] = self.cluster.ask(worker.run_window, self.task, window, place)
        return found


class ClusterHands:
    """Workers of a cluster; `begin` connects or starts them, `close` lets go of them."""

    def __init__(
        self, cluster: Cluster, task: RunTask, facts: WorkerFacts, reporter: Reporter, ends: ExitStack
    ) -> None:
        self._cluster, self._task, self._facts, self._reporter, self._ends = cluster, task, facts, reporter, ends
        self._workers = cluster.workers()
        self._peak_bytes = 0
        self._processors = {facts.processor}
        self._lock = threading.Lock()
        self.runner = _runner(cluster, task, facts)

    @classmethod
    def begin(cls, model: ChosenModel, sha256: str, settings: InferSettings, reporter: Reporter) -> ClusterHands:
        """Start workers, or connect to those of a scheduler, and have one make the network ready.

        Raises
        ------
        UsageError
            Dask is missing, no scheduler answers, or an option that the workers cannot honour.
        InputError
            The workers cannot read the model.
        """
        with ExitStack() as stack:
            client, threads = stack.enter_context(
                connected(workers=settings.workers, scheduler=settings.scheduler, reporter=reporter)
            )
            cluster = Cluster(client, reporter)
            cluster.require_version(version("cellmonai"))
            absolute = replace(settings, model=None, output=settings.output.absolute())
            task = RunTask(uuid.uuid4().hex, model.path.absolute(), sha256, absolute, threads)
            reporter.note("the workers make the network ready")
            facts: WorkerFacts = cluster.ask(worker.describe, task)
            task = replace(task, threads=facts.threads)  # the same everywhere, as the last bits depend on it
            return cls(cluster, task, facts, reporter, stack.pop_all())

    @property
    def planes_at_once(self) -> int:
        """How many planes are done side by side, so that small ones keep all workers busy."""
        return max(1, min(BLOCKS_PER_WORKER * self._workers, _PLANES_AT_ONCE))

    def digest(self, plane: PlaneReader, job: ImageJob, advance: Callable[[float], None]) -> str:
        """Give the digest of the image's file."""
        found: str = self._cluster.ask(worker.digest_of, self._plane_task(job), meanwhile=advance)
        return found

    def scaling(self, plane: PlaneReader, job: ImageJob, advance: Callable[[float], None]) -> Scaling:
        """Find how intensities are scaled, from all pixels of the plane."""
        found: Scaling = self._cluster.ask(worker.scaling_of, self._plane_task(job), meanwhile=advance)
        return found

    def do(
        self,
        plane: PlaneReader,
        job: ImageJob,
        store: PlaneStore,
        blocks: AnyBlocks,
        scaling: Scaling,
        advance: Callable[[float], None],
    ) -> Streamed:
        """Do every block that the store does not hold yet, in whatever order they come back."""
        task = BlockTask(self._plane_task(job), store.plane, scaling)
        done = {Box(*region) for region in store.done}
        todo = iter([replace(blocks, blocks=(block,)) for block in blocks.blocks if block.box not in done])
        counts = Streamed()
        waiting: dict[Future, tuple[AnyBlocks, int]] = {}
        again: list[tuple[AnyBlocks, int]] = []
        try:
            while True:
                self._send(task, todo, again, waiting)
                if not waiting and not again:
                    return counts
                for future in self._cluster.settled(list(waiting)) if waiting else self._pause():
                    one, tries = waiting.pop(future)
                    self._cluster.leave()
                    found = self._cluster.taken(future)
                    if found is None:
                        if tries + 1 == MOST_TRIES:
                            raise workers_lost()
                        again.append((one, tries + 1))
                        continue
                    self._keep(found[0], store, counts)
                    advance(float(one.blocks[0].box.shape[0] * one.blocks[0].box.shape[1]))
                advance(0.0)
        finally:
            self._cluster.drop(list(waiting))

    def facts(self) -> dict[str, Any]:
        """Give how many workers there were at the start, and the most memory that one of them held."""
        return {"workers": self._workers, "worker_peak_memory_bytes": self._peak_bytes or None}

    def close(self) -> None:
        """Let go of the workers; those that were started here end, others forget the run."""
        self._cluster.forget(worker.forget, self._task.run)
        self._ends.close()

    def _send(
        self,
        task: BlockTask,
        todo: Iterator[AnyBlocks],
        again: list[tuple[AnyBlocks, int]],
        waiting: dict[Future, tuple[AnyBlocks, int]],
    ) -> None:
        """Send blocks as long as there is room."""
        while (one := again.pop() if again else _with_tries(next(todo, None))) is not None:
            future = self._cluster.submit(worker.do_block, task, one[0])
            if future is None:
                again.append(one)
                return
            waiting[future] = one

    def _pause(self) -> list[Future]:
        time.sleep(0.05)
        return []

    def _keep(self, found: DoneBlock, store: PlaneStore, counts: Streamed) -> None:
        different = found.worker.differs_from(self._facts)
        if different:
            name, (theirs, first) = next(iter(different.items()))
            raise UsageError(
                f"one worker has {name} {theirs} and another one {first}, which would give other results",
                where="--scheduler",
                cure="make all workers alike, or name --device, --engine and --precision",
            )
        with self._lock:  # planes are done side by side
            if found.worker.processor not in self._processors:
                self._processors.add(found.worker.processor)
                self._reporter.warn(
                    "unlike_workers",
                    f"workers have different processors ({' and '.join(sorted(self._processors))}), so the last bits "
                    "of probabilities depend on which worker did which block",
                )
            self._peak_bytes = max(self._peak_bytes, found.peak_bytes or 0)
        store.put(found.block)
        counts.add(found.counts)

    def _plane_task(self, job: ImageJob) -> PlaneTask:
        path = job.path.absolute()
        return PlaneTask(self._task, replace(job, path=path), _bytes_of(path))


def _with_tries(blocks: AnyBlocks | None) -> tuple[AnyBlocks, int] | None:
    return None if blocks is None else (blocks, 0)


def _bytes_of(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _runner(cluster: Cluster, task: RunTask, facts: WorkerFacts) -> Runner:
    return Runner(
        engine=RemoteEngine(facts.engine, facts.precision, cluster, task),
        device=facts.device,
        device_reason=facts.device_reason,
        threads=facts.threads,
        activation=facts.activation,
        names=facts.names,
        window_bytes_per_px=facts.window_bytes_per_px,
        fixed_bytes=facts.fixed_bytes,
        by_place=facts.by_place,
        device_bytes_per_px=facts.device_bytes_per_px,
        device_budget=facts.device_budget,
        calibration=facts.calibration,
    )
