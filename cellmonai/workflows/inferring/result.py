"""The end of `infer`: what it wrote, told to programs, to the record and on the screen."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from cellmonai.core.memory import peak_memory_bytes
from cellmonai.core.units import readable_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cellmonai.core.errors import CellmonaiError
    from cellmonai.core.progress import Reporter, Warned
    from cellmonai.core.record import RunRecord
    from cellmonai.workflows.inferring.finder import Finder
    from cellmonai.workflows.inferring.image import ImageDone
    from cellmonai.workflows.inferring.settings import InferSettings
    from cellmonai.workflows.inferring.shards import Share

HOW = ("device", "engine", "precision", "stitch")
"""Facts of how results were made that programs read."""

_MEMORY_SLACK = 1.1


@dataclass(frozen=True, slots=True)
class InferResult:
    """What `infer` wrote: one entry per image and plane, and the reason for each image that failed.

    `record` is the file that says so. `model` is the file of the network, or `method` names a method without training
    with its parameters; the other one is None. `engine` says how it ran (device, engine, precision, stitch, threads);
    `peak_memory_bytes` is None where the system does not tell it.
    """

    inputs: tuple[str, ...]
    output: Path
    record: Path
    model: Path | None
    method: Mapping[str, Any] | None
    engine: Mapping[str, Any]
    images: tuple[ImageDone, ...]
    failures: Mapping[str, str]
    warnings: tuple[Warned, ...]
    seconds: float
    peak_memory_bytes: int | None

    def as_json(self) -> dict[str, Any]:
        """Give the document of `cellmonai.infer/1`."""
        files = [name for image in self.images for name in image.outputs]
        return {
            "schema": "cellmonai.infer/1",
            "version": version("cellmonai"),
            "command": "infer",
            "inputs": list(self.inputs),
            "outputs": [*((self.output / name).as_posix() for name in files), self.record.as_posix()],
            "warnings": [warning.as_json() for warning in self.warnings],
            "seconds": round(self.seconds, 3),
            "model": None if self.model is None else str(self.model),
            "method": None if self.method is None else dict(self.method),
            **{key: self.engine[key] for key in HOW},
            "images": [image.as_json() for image in self.images],
            "partial": bool(self.failures),
            "failures": [{"image": image, "reason": reason} for image, reason in self.failures.items()],
            "peak_memory_bytes": self.peak_memory_bytes,
        }


@dataclass(frozen=True, slots=True)
class Telling:
    """What the end of a run tells of it; `final` is where results have their names in the end."""

    inputs: tuple[str, ...]
    share: Share
    finder: Finder
    settings: InferSettings
    record: RunRecord
    reporter: Reporter
    final: Path

    def end(
        self, done: Sequence[ImageDone], failures: Mapping[str, CellmonaiError], engine: Mapping[str, Any]
    ) -> InferResult:
        """Write the record of this share, which ends it."""
        finder = self.finder
        result = InferResult(
            inputs=self.inputs,
            output=self.final,
            record=self.final / self.share.record.relative_to(self.share.folder),
            model=finder.model,
            method=finder.method,
            engine=engine,
            images=tuple(done),
            failures={name: error.sentence for name, error in failures.items()},
            warnings=tuple(self.reporter.warnings),
            seconds=self.record.seconds,
            peak_memory_bytes=max(peak_memory_bytes() or 0, engine.get("worker_peak_memory_bytes") or 0) or None,
        )
        _write_record(self.record, result, finder, self.share.record)
        return result

    def end_without_images(self, failures: Mapping[str, CellmonaiError]) -> InferResult:
        """Write the record of a part that did nothing, so that the others can be joined."""
        with self.share.lock():
            result = self.end([], failures, dict.fromkeys(HOW))
            self.share.join(self.reporter, overwrite=self.settings.overwrite)
            return result


def _write_record(record: RunRecord, result: InferResult, finder: Finder, target: Path) -> None:
    record.facts = {
        "inputs": list(result.inputs),
        **finder.as_record(),
        **result.engine,
        "peak_memory_bytes": result.peak_memory_bytes,
    }
    record.images = [image.as_record() for image in result.images]
    record.images += [
        {"image": name, "plane": "", "status": "failed", "reason": why} for name, why in result.failures.items()
    ]
    record.write(target, list(result.warnings))


def tell_memory(before_bytes: int | None, finder: Finder, reporter: Reporter) -> None:
    """Compare the memory that was taken with what was said before the start."""
    facts = finder.facts()
    said, peak = facts.get("memory"), peak_memory_bytes()
    if facts.get("worker_peak_memory_bytes") and peak is not None:
        theirs = readable_bytes(facts["worker_peak_memory_bytes"])
        reporter.note(f"memory: {theirs} at most in a worker, {readable_bytes(peak)} here")
        return
    if said is None or peak is None or before_bytes is None:
        return
    taken = peak - before_bytes
    reporter.note(
        f"memory: {readable_bytes(peak)} at most, {readable_bytes(before_bytes)} of it before the first window; "
        f"{readable_bytes(said['needed_bytes'])} were foreseen for the windows"
    )
    if taken > _MEMORY_SLACK * said["needed_bytes"]:
        what = (
            f"the windows took {readable_bytes(taken)}, more than the {readable_bytes(said['needed_bytes'])} foreseen"
        )
        reporter.warn("memory", f"{what}; give a smaller --memory where it is short, and please report it")
