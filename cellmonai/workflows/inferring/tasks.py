"""What workers of a cluster are asked for and what they answer: plain values that travel between processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cellmonai.images.block_encode import EncodedBlock
    from cellmonai.images.block_records import PlaneFacts
    from cellmonai.images.normalise import Scaling
    from cellmonai.inference.streaming import Streamed
    from cellmonai.models.file import Activation
    from cellmonai.workflows.inferring.jobs import ImageJob
    from cellmonai.workflows.inferring.settings import InferSettings


@dataclass(frozen=True, slots=True)
class RunTask:
    """One run: `model` is an absolute path with the digest of the file, `run` differs from that of every other run.

    `threads` compute in each worker; None is as many as the worker was given.
    """

    run: str
    model: Path
    sha256: str
    settings: InferSettings
    threads: int | None


@dataclass(frozen=True, slots=True)
class PlaneTask:
    """One plane of an image, which has an absolute path and so many bytes (0 for a folder)."""

    run: RunTask
    job: ImageJob
    file_bytes: int


@dataclass(frozen=True, slots=True)
class BlockTask:
    """How the blocks of a plane are done: `facts` says what is written of it."""

    plane: PlaneTask
    facts: PlaneFacts
    scaling: Scaling


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """How a worker runs the network: the fields of `inference.runner.Runner`, and versions that results depend on."""

    engine: str
    precision: str
    device: str
    device_reason: str
    threads: int
    activation: Activation
    names: tuple[str, ...]
    window_bytes_per_px: float
    fixed_bytes: int
    by_place: bool
    device_bytes_per_px: float
    device_budget: int | None
    calibration: Mapping[str, Any] | None
    versions: Mapping[str, str]
    processor: str

    def differs_from(self, other: WorkerFacts) -> dict[str, tuple[Any, Any]]:
        """Give what results depend on and the two do not share, by name."""
        mine, others = self._decisive(), other._decisive()
        return {name: (mine[name], others[name]) for name in mine if mine[name] != others[name]}

    def _decisive(self) -> dict[str, Any]:
        kind = self.device.partition(":")[0]
        calibration = self.calibration and self.calibration["network_sha256"]
        facts = {"engine": self.engine, "precision": self.precision, "device": kind}
        return {**facts, "int8 calibration": calibration, **self.versions}


@dataclass(frozen=True, slots=True)
class DoneBlock:
    """One finished block, what its windows were, who did it, and the most memory that its process held, bytes."""

    block: EncodedBlock
    counts: Streamed
    worker: WorkerFacts
    peak_bytes: int | None
