"""Workers on this machine: processes that talk to this one alone, encrypted, and leave nothing behind.

Dask opens a page for browsers in every process, without a password, whatever is asked of it. Here nothing listens but
the connections between scheduler and workers, which take a certificate that is made for the run.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed import Nanny, Scheduler, SpecCluster, Worker
from distributed.security import Security

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOST = "127.0.0.1"


class _WithoutPage:
    """What keeps a scheduler or worker of Dask from listening for browsers."""

    def start_http_server(self, *_: object, **__: object) -> None:
        """Open no port."""


class LocalScheduler(_WithoutPage, Scheduler):  # type: ignore[misc] # Dask has no types
    """A scheduler that only its workers and clients reach."""


class LocalWorker(_WithoutPage, Worker):  # type: ignore[misc] # Dask has no types
    """A worker that only its scheduler and other workers reach."""


class LocalNanny(Nanny):  # type: ignore[misc] # Dask has no types
    """The process that starts a worker, and another one when it dies."""

    def __init__(self, *words: Any, **options: Any) -> None:  # noqa: ANN401 - as Dask has them
        super().__init__(*words, worker_class=LocalWorker, **options)


@contextmanager
def local_cluster(workers: int, *, threads_per_worker: int) -> Iterator[Any]:
    """Give a cluster of processes on this machine, which end with the block.

    Parameters
    ----------
    workers : how many processes
    threads_per_worker : how many tasks each takes at a time
    """
    scratch = Path(tempfile.mkdtemp(prefix="cellmonai-workers-"))  # for this user alone
    security = Security.temporary()  # else every user of this machine could have the workers run what they like
    common = {"security": security, "protocol": "tls://"}
    nanny = {
        "cls": LocalNanny,
        "options": {
            **common,
            "host": _HOST,
            "nthreads": threads_per_worker,
            "memory_limit": 0,  # --memory bounds what each takes; Dask would end workers that free memory late
            "local_directory": str(scratch),
            "silence_logs": logging.CRITICAL,
        },
    }
    try:
        with SpecCluster(
            scheduler={"cls": LocalScheduler, "options": {**common, "host": _HOST, "port": 0, "dashboard": False}},
            workers=dict.fromkeys(range(workers), nanny),
            security=security,
            silence_logs=logging.CRITICAL,
        ) as cluster:
            yield cluster
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
