"""A connection to a Dask scheduler: functions that are asked for run on its workers, and come back or are lost."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import CellmonaiError, UsageError
from cellmonai.core.machine import usable_cores
from cellmonai.workflows.inferring.failures import amount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cellmonai.core.progress import Reporter

Future = Any
"""Of Dask, which has no types."""

BLOCKS_PER_WORKER = 2  # one in the network, one that is read or encoded meanwhile
MOST_TRIES = 3
_LOOK_SECONDS = 1.0
_PATIENCE_SECONDS = 20.0


class WorkersLostError(CellmonaiError):
    """Workers died again and again, or the scheduler went away; what was finished stays, the same command continues."""

    exit_code = 8


class Cluster:
    """A connection to a Dask scheduler; functions that are asked for run on its workers."""

    def __init__(self, client: Any, reporter: Reporter) -> None:  # noqa: ANN401 - Dask has no types
        self._client, self._reporter = client, reporter
        self._room = _Room()
        self._told_lonely, self._lonely_since = False, time.monotonic()
        self._counted = float("-inf")

    def workers(self) -> int:
        """Count the workers there are, at most once a second; where there is none for long, say so."""
        now = time.monotonic()
        if now - self._counted > _LOOK_SECONDS:
            self._counted = now
            with _told_when_lost():
                self._room.resize(BLOCKS_PER_WORKER * len(self._client.nthreads()))
            if self._room.size:
                self._lonely_since, self._told_lonely = now, False
            elif not self._told_lonely and now - self._lonely_since > _PATIENCE_SECONDS:
                self._told_lonely = True
                self._reporter.note("the scheduler has no workers; waiting for them (Ctrl-C stops)")
        return self._room.size // BLOCKS_PER_WORKER

    def require_version(self, wanted: str) -> None:
        """Refuse workers with another cellmonai, or without.

        Raises
        ------
        UsageError
            There is one among those of now.
        """

        def installed() -> tuple[str, str]:
            """Tell host and version; defined in here it travels as it is, and needs no cellmonai to arrive."""
            from importlib.metadata import version
            from importlib.util import find_spec
            from platform import node

            return node(), f"cellmonai {version('cellmonai')}" if find_spec("cellmonai") else "no cellmonai"

        found = {self.ask(installed)}
        with _told_when_lost():
            found |= set(self._client.run(installed).values())
        for host, there in sorted(found):
            if there != f"cellmonai {wanted}":
                raise UsageError(
                    f"the worker on {host} has {there}, and this is {wanted}",
                    where="--scheduler",
                    cure="install the same versions of cellmonai and Dask on the scheduler and all workers",
                )

    def ask(
        self, function: Callable[..., Any], *arguments: object, meanwhile: Callable[[float], None] | None = None
    ) -> Any:  # noqa: ANN401 - whatever it gives
        """Run a function on a worker and give its result; failures of ours come back as they were raised.

        `meanwhile` is called with 0 while it runs, and may raise to stop.
        """
        for _ in range(MOST_TRIES):
            with _told_when_lost():
                future = self._client.submit(function, *arguments, pure=False)
            while not self.settled([future]):
                self.workers()
                if meanwhile is not None:
                    meanwhile(0.0)
            if (found := self.taken(future)) is not None:
                return found[0]
        raise workers_lost()

    def submit(self, function: Callable[..., Any], *arguments: object) -> Future | None:
        """Begin a block where there is room for one more, else give None; `taken` must be called for it."""
        self.workers()
        if not self._room.enter():
            return None
        try:
            with _told_when_lost():
                return self._client.submit(function, *arguments, pure=False)
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Make room for another block."""
        self._room.leave()

    def settled(self, futures: list[Future]) -> list[Future]:
        """Wait a moment, and give those of some futures that came to their end."""
        from distributed import CancelledError, wait

        try:
            return list(wait(futures, timeout=_LOOK_SECONDS, return_when="FIRST_COMPLETED").done)
        except TimeoutError:
            return []
        except CancelledError:  # the scheduler is gone, which `taken` tells
            return futures

    def taken(self, future: Future) -> tuple[Any] | None:
        """Give the result of a future at its end, None where its workers died and it should be begun again.

        Raises
        ------
        CellmonaiError
            What the function raised.
        WorkersLostError
            The scheduler is gone.
        """
        from distributed import KilledWorker

        with _told_when_lost():
            error = future.exception() if future.status == "error" else None
            if error is None:
                return (future.result(),)
        if isinstance(error, KilledWorker):
            return None
        raise error

    def drop(self, futures: list[Future]) -> None:
        """Forget futures that nobody waits for any more."""
        for future in futures:
            self.leave()
            with suppress(Exception):  # the client may be closed, and what ended the work is what is told
                future.cancel()

    def forget(self, function: Callable[..., Any], *arguments: object) -> None:
        """Have every worker let go of something, where they can still be asked."""
        with suppress(Exception):
            self._client.run(function, *arguments)


class _Room:
    """How many blocks are on their way to workers or back, and how many may be."""

    def __init__(self) -> None:
        self.size, self._inside, self._lock = 0, 0, threading.Lock()

    def resize(self, size: int) -> None:
        with self._lock:
            self.size = size

    def enter(self) -> bool:
        with self._lock:
            if self._inside >= self.size:
                return False
            self._inside += 1
            return True

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1


_AGAIN = "run the same command again, which continues"


@contextmanager
def _told_when_lost() -> Iterator[None]:
    """Turn what Dask raises when the scheduler is gone into one sentence."""
    from distributed import CancelledError
    from distributed.client import ClosedClientError
    from distributed.comm import CommClosedError

    try:
        yield
    except (CancelledError, ClosedClientError, CommClosedError, OSError) as error:
        raise WorkersLostError(f"the scheduler of the workers is gone ({type(error).__name__})", cure=_AGAIN) from error


def workers_lost() -> WorkersLostError:
    """Give the failure to raise where a block was the end of every worker that tried it."""
    return WorkersLostError(
        "workers died again and again while they did the same block",
        cure="give them more memory or a smaller --memory, and run the same command again, which continues",
    )


@contextmanager
def connected(*, workers: int | None, scheduler: str | None, reporter: Reporter) -> Iterator[tuple[Any, int | None]]:
    """Connect to a scheduler, or start one with workers on this machine, which end with the block.

    Gives a client, and how many threads shall compute in each worker where that is ours to say.

    Raises
    ------
    UsageError
        Dask is missing, or no scheduler answers.
    """
    try:
        import cryptography  # noqa: F401 - what the workers of this machine tell each other is encrypted with
        from dask import config
        from distributed import Client
    except ImportError as error:
        raise UsageError(
            "needs Dask",
            where="--workers" if scheduler is None else "--scheduler",
            cure='run pip install "cellmonai[distributed]"',
        ) from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is told by us, in a sentence
    config.set({"distributed.admin.large-graph-warning-threshold": "1GB"})  # windows are large, and sent once
    if scheduler is not None:
        with ExitStack() as stack:
            try:
                client = stack.enter_context(Client(scheduler, timeout="15s"))
            except (OSError, TimeoutError, ValueError) as error:
                raise UsageError(
                    f"no Dask scheduler answers at {scheduler} ({type(error).__name__})",
                    where="--scheduler",
                    cure="start one with `dask scheduler` and give the address that it prints",
                ) from error
            reporter.note(f"{amount(len(client.nthreads()), 'worker')} of the scheduler at {scheduler}")
            yield client, None
        return
    assert workers is not None
    threads = usable_cores()  # not a share of them: the last bits of results depend on the number of threads
    from cellmonai.workflows.inferring.local_cluster import local_cluster

    with local_cluster(workers, threads_per_worker=BLOCKS_PER_WORKER) as local, Client(local) as client:
        reporter.note(f"{amount(workers, 'worker')} on this machine")
        yield client, threads
