"""Infer: find the images, find their cells with a model or a classical method, and write what was found."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from cellmonai.core.files import remove_orphans
from cellmonai.core.interrupts import stop_wish
from cellmonai.core.locks import folder_lock
from cellmonai.core.progress import Reporter, Silent, Warned
from cellmonai.core.record import RunRecord
from cellmonai.core.units import readable_bytes
from cellmonai.images.block_store import is_unfinished
from cellmonai.images.find import find_images
from cellmonai.workflows.inferring.failures import RECORD, amount, nothing_worked, refuse_output_among, refuse_outputs
from cellmonai.workflows.inferring.finished import FinishedPlanes, finished_before
from cellmonai.workflows.inferring.jobs import IMAGE_FAILURES, survey
from cellmonai.workflows.inferring.network import NetworkFinder
from cellmonai.workflows.inferring.pace import AGAIN, Pace
from cellmonai.workflows.inferring.plane import work_folder
from cellmonai.workflows.inferring.settings import InferSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from cellmonai.core.errors import CellmonaiError
    from cellmonai.workflows.inferring.finder import Finder
    from cellmonai.workflows.inferring.image import ImageDone
    from cellmonai.workflows.inferring.jobs import ImageJob


_MEMORY_SLACK = 1.1

_NO_RESULT = ("model", "output", "memory", "device", "precision", "engine", "stitch")
"""Settings that change no result, or only through what was chosen by them, which is told beside them."""


@dataclass(frozen=True, slots=True)
class InferResult:
    """What `infer` wrote: one entry per image and plane, and the reason for each image that failed.

    `model` is the file of the network, or `method` names a method without training with its parameters; the other one
    is None. `engine` says how it ran (device, engine, precision, stitch, threads); `peak_memory_bytes` is None where
    the system does not tell it.
    """

    inputs: tuple[str, ...]
    output: Path
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
            "outputs": [(self.output / name).as_posix() for name in [*files, RECORD]],
            "warnings": [warning.as_json() for warning in self.warnings],
            "seconds": round(self.seconds, 3),
            "model": None if self.model is None else str(self.model),
            "method": None if self.method is None else dict(self.method),
            **{key: self.engine[key] for key in ("device", "engine", "precision", "stitch")},
            "images": [image.as_json() for image in self.images],
            "partial": bool(self.failures),
            "failures": [{"image": image, "reason": reason} for image, reason in self.failures.items()],
            "peak_memory_bytes": self.peak_memory_bytes,
        }


def infer(
    images: Sequence[Path], *, settings: InferSettings | None = None, reporter: Reporter | None = None
) -> InferResult:
    """Find the cells of images of any size; writes masks, probability maps and a run record.

    A run that was killed goes on with the same command: finished planes are kept, and of planes of any size the blocks
    that were finished.

    Parameters
    ----------
    images : files, folders and globs
    settings : the model or the method, how to run it, and where results go
    reporter : told of decisions, progress and warnings

    Raises
    ------
    InputError
        No image, no model, or every image failed.
    UsageError
        An option that the network or the machine cannot honour.
    MemoryBudgetError
        Every image needs more memory than there is.
    OutputError, LockedError
        A result exists or cannot be written; another run writes there.
    InterruptedRunError
        Ctrl-C; what was finished stays, and the same command continues.
    """
    settings, reporter = settings or InferSettings(), reporter or Silent()
    record = RunRecord("infer", settings.as_json())
    paths = find_images(images)
    refuse_output_among(paths, settings.output)
    finder = _choose_finder(settings)
    reporter.note(finder.sentence)
    seen = survey(paths, finder.wants, settings)
    if not seen.jobs:
        raise nothing_worked(seen.failures)
    before = finished_before(settings.output)
    new = [job for job in seen.jobs if (str(job.path), job.plane) not in before]
    refuse_outputs([job for job in new if not is_unfinished(work_folder(job, settings))], settings)
    jobs = finder.prepare(seen, reporter)
    before_bytes = peak_memory_bytes()
    with folder_lock(settings.output) as is_held, _finished(finder, settings) as finished:
        if is_held:
            remove_orphans(settings.output)
        if settings.overwrite:  # an old record must not describe a folder that is being rewritten
            (settings.output / RECORD).unlink(missing_ok=True)
        done = _find_all(jobs, seen.failures, finder, finished, settings.output, reporter)
        if not done:
            raise nothing_worked(seen.failures)
        _warn(done, seen.failures, finder, reporter)
        _tell_memory(before_bytes, finder, reporter)
        result = InferResult(
            inputs=tuple(str(path) for path in images),
            output=settings.output,
            model=finder.model,
            method=finder.method,
            engine=finder.facts(),
            images=tuple(done),
            failures={name: error.sentence for name, error in seen.failures.items()},
            warnings=tuple(reporter.warnings),
            seconds=record.seconds,
            peak_memory_bytes=peak_memory_bytes(),
        )
        _write_record(record, result, finder, settings)
        finished.end()
    return result


@contextmanager
def _finished(finder: Finder, settings: InferSettings) -> Iterator[FinishedPlanes]:
    """Open the journal of the folder, with all that the results of this run depend on."""
    facts = finder.facts()
    calibration = facts.get("calibration")
    header = {
        "run": finder.as_record(),
        "engine": {key: facts[key] for key in ("device", "engine", "precision", "stitch")},
        **({"int8_network": calibration["network_sha256"]} if calibration else {}),
        "settings": {key: value for key, value in settings.as_json().items() if key not in _NO_RESULT},
        "cellmonai": version("cellmonai"),
    }
    finished = FinishedPlanes.open(settings.output, header, overwrite=settings.overwrite)
    try:
        yield finished
    finally:
        finished.close()


def _choose_finder(settings: InferSettings) -> Finder:
    if settings.method is None:
        return NetworkFinder(settings)
    from cellmonai.instances.classical.catalogue import ChosenMethod
    from cellmonai.workflows.inferring.classical import ClassicalFinder

    return ClassicalFinder(ChosenMethod(settings.method, settings.parameters), settings)


def _find_all(
    jobs: Sequence[ImageJob],
    failures: dict[str, CellmonaiError],
    finder: Finder,
    finished: FinishedPlanes,
    folder: Path,
    reporter: Reporter,
) -> list[ImageDone]:
    done: list[ImageDone] = []
    total = sum(job.pixels for job in jobs) / 1e6
    with stop_wish() as wish, reporter.stage("finding cells", total) as stage:
        pace = Pace(stage, wish)
        for job in jobs:
            pace.begin(job)
            try:
                earlier = finished.done(job, folder)
                done.append(earlier or finder.find(job, pace.advance))
                if earlier is None:
                    finished.add(done[-1], folder)
            except IMAGE_FAILURES as error:
                failures[str(job.path)] = error
            pace.end()
        wish.check(AGAIN)
    return [image for image in done if str(image.job.path) not in failures]


def _warn(
    done: Sequence[ImageDone], failures: Mapping[str, CellmonaiError], finder: Finder, reporter: Reporter
) -> None:
    for name, error in failures.items():
        reporter.warn("failed", error.sentence.rstrip("."), None if name in error.where else name)
    finder.warn(done, reporter)
    if not any(image.foreground_px for image in done):
        reporter.warn(
            "no_foreground", f"no cells in any of {amount(len(done), 'image')}. Likely reasons: {finder.empty_reasons}"
        )


def _write_record(record: RunRecord, result: InferResult, finder: Finder, settings: InferSettings) -> None:
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
    record.write(settings.output / RECORD, list(result.warnings))


def _tell_memory(before_bytes: int | None, finder: Finder, reporter: Reporter) -> None:
    """Compare the memory that was taken with what was said before the start."""
    said, peak = finder.facts().get("memory"), peak_memory_bytes()
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


def peak_memory_bytes() -> int | None:
    """Give the largest memory that this process has held so far, in bytes; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
