"""Infer: find the images, find their cells with a model or a classical method, and write what was found."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager, suppress
from importlib.metadata import version
from traceback import clear_frames
from typing import TYPE_CHECKING

from cellmonai.core.errors import OutputError
from cellmonai.core.files import remove_orphans, require_possible
from cellmonai.core.interrupts import stop_wish
from cellmonai.core.memory import peak_memory_bytes
from cellmonai.core.progress import Reporter, Silent
from cellmonai.core.record import RunRecord
from cellmonai.images.block_files import clear
from cellmonai.images.block_store import is_unfinished
from cellmonai.images.find import find_images
from cellmonai.images.left_out import tell_left_out
from cellmonai.workflows.inferring.failures import (
    amount,
    is_of_results,
    nothing_worked,
    output_names,
    refuse_output_among,
    refuse_outputs,
)
from cellmonai.workflows.inferring.finished import FinishedPlanes, decisive_settings, finished_before
from cellmonai.workflows.inferring.image import ImageDone
from cellmonai.workflows.inferring.jobs import IMAGE_FAILURES, survey
from cellmonai.workflows.inferring.network import NetworkFinder
from cellmonai.workflows.inferring.pace import AGAIN, Pace
from cellmonai.workflows.inferring.plane import work_folder
from cellmonai.workflows.inferring.replacing import beside, end_what_was_begun, place, replaces
from cellmonai.workflows.inferring.result import HOW, InferResult, Telling, tell_memory
from cellmonai.workflows.inferring.settings import InferSettings
from cellmonai.workflows.inferring.shards import Share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cellmonai.core.errors import CellmonaiError
    from cellmonai.workflows.inferring.finder import Finder
    from cellmonai.workflows.inferring.jobs import ImageJob, Survey


__all__ = ["InferResult", "infer"]


def infer(
    images: Sequence[Path], *, settings: InferSettings | None = None, reporter: Reporter | None = None
) -> InferResult:
    """Find the cells of images of any size; writes masks, probability maps and a run record.

    A run that was killed goes on with the same command: finished planes are kept, and of planes of any size the blocks
    that were finished. Where older results are overwritten, the new ones lie beside them until all of them are there.

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
    require_possible(settings.output)
    found = find_images(images, recursive=settings.recursive, avoid=is_of_results(settings.output))
    paths = found.images
    refuse_output_among(paths, settings.output)
    end_what_was_begun(settings)
    finder = _choose_finder(settings)
    reporter.note(finder.sentence)
    tell_left_out(found, reporter, how_to_search="--recursive")
    share = Share.asked(settings)
    mine = share.of_images(paths)
    seen = survey(paths, finder.wants, settings, mine=mine)
    inputs = tuple(str(path) for path in images)
    if mine and seen.jobs and replaces(seen, share, finder, settings):
        finder.close()
        return _infer_beside(seen, inputs, settings, record, reporter)
    with closing(finder):
        telling = Telling(inputs, share, finder, settings, record, reporter, final=settings.output)
        try:
            if mine:
                return _infer_share(seen, telling)
            refuse_outputs([], share, settings)
            reporter.note(f"part {share.number} of {share.of} has no image: there are {amount(len(paths), 'image')}")
        except IMAGE_FAILURES:
            nothing = not share.is_all and set(seen.failures) >= {str(path) for path in mine}
            if nothing and (settings.overwrite or not share.is_done):
                with suppress(OutputError):  # what kept this part from its images is what is told
                    telling.end_without_images(seen.failures)
            raise
        return telling.end_without_images(seen.failures)


def _infer_beside(
    seen: Survey, inputs: tuple[str, ...], settings: InferSettings, record: RunRecord, reporter: Reporter
) -> InferResult:
    """Do every image beside older results, and replace these when all are done."""
    with beside(settings) as inner, closing(_choose_finder(inner)) as finder:
        telling = Telling(inputs, Share.asked(inner), finder, inner, record, reporter, final=settings.output)
        result = _infer_share(seen, telling)
        place(result, seen.jobs, Share.asked(settings), inner)
        return result


def _infer_share(seen: Survey, telling: Telling) -> InferResult:
    """Do every image of a share that can be done."""
    share, finder, settings, reporter = telling.share, telling.finder, telling.settings, telling.reporter
    if not seen.jobs:
        raise nothing_worked(seen.failures)
    before = finished_before(share.journal)
    new = [job for job in seen.jobs if (str(job.path), job.plane) not in before.planes]
    new = [job for job in new if not is_unfinished(work_folder(job, settings))]
    refuse_outputs(new, share, settings, claimed=before.claimed)
    jobs = finder.prepare(seen, reporter)
    before_bytes = peak_memory_bytes()
    with share.lock() as is_alone, _finished(finder, share, settings) as finished:
        if is_alone:
            remove_orphans(settings.output)
        if settings.overwrite:  # an old record must not describe a folder that is being rewritten
            share.withdraw()
        finished.claim(name for job in jobs for name in output_names(job, settings))
        done = _find_all(jobs, seen.failures, finder, finished, settings, reporter)
        if not done:
            raise nothing_worked(seen.failures)
        _warn(done, seen.failures, finder, reporter)
        tell_memory(before_bytes, finder, reporter)
        result = telling.end(done, seen.failures, finder.facts())
        if telling.final == share.folder:  # else it is needed until results have their names
            finished.end()
        share.join(reporter, overwrite=settings.overwrite)
    return result


@contextmanager
def _finished(finder: Finder, share: Share, settings: InferSettings) -> Iterator[FinishedPlanes]:
    """Open the journal of this share, with all that the results of this run depend on."""
    facts = finder.facts()
    calibration = facts.get("calibration")
    header = {
        "run": finder.as_record(),
        "engine": {key: facts[key] for key in HOW},
        **({"int8_network": calibration["network_sha256"]} if calibration else {}),
        "settings": decisive_settings(settings),
        "cellmonai": version("cellmonai"),
    }
    finished = FinishedPlanes.open(share.journal, header, overwrite=settings.overwrite)
    try:
        yield finished
    finally:
        finished.close(settings.output)


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
    settings: InferSettings,
    reporter: Reporter,
) -> list[ImageDone]:
    done: dict[ImageJob, ImageDone] = {}
    total = sum(job.pixels for job in jobs) / 1e6
    with stop_wish() as wish, reporter.stage("finding cells", total) as stage:
        pace = Pace(stage, wish)
        for job, result in _side_by_side(jobs, lambda job: _find(job, finder, finished, settings, pace), finder, pace):
            if isinstance(result, ImageDone):
                done[job] = result
            else:
                failures[str(job.path)] = result
        wish.check(AGAIN)
    return [done[job] for job in jobs if job in done and str(job.path) not in failures]


def _find(
    job: ImageJob, finder: Finder, finished: FinishedPlanes, settings: InferSettings, pace: Pace
) -> ImageDone | CellmonaiError:
    """Do one plane, or tell why it cannot be done; what concerns all of them is raised."""
    mine, folder = pace.begin(job), settings.output
    try:
        work = work_folder(job, settings)
        found = finished.done(job, folder, overwrite=settings.overwrite)
        if found is None:
            if not is_unfinished(work):  # what has a name already is done again, and else it belongs to the blocks
                finished.clear(output_names(job, settings), folder)
            found = finder.find(job, mine.advance)
            finished.add(found, folder)
        clear(work)  # only now: a kill before would have lost what a plane of any size took
    except IMAGE_FAILURES as error:
        for each in (error, error.__cause__, error.__context__):
            if each is not None:  # it is kept to be told, and would keep pixels and maps with it
                clear_frames(each.__traceback__)
        return error
    else:
        return found
    finally:
        mine.end()


def _side_by_side(
    jobs: Sequence[ImageJob], find: Callable[[ImageJob], ImageDone | CellmonaiError], finder: Finder, pace: Pace
) -> Iterator[tuple[ImageJob, ImageDone | CellmonaiError]]:
    """Do planes in as many threads as the finder takes, and give each with what came of it."""
    if finder.planes_at_once == 1 or len(jobs) == 1:
        yield from ((job, find(job)) for job in jobs)
        return
    with ThreadPoolExecutor(finder.planes_at_once) as threads:
        waiting = {threads.submit(find, job): job for job in jobs}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BaseException:
            pace.stop()  # the others would go on for as long as they take
            raise
        finally:
            threads.shutdown(wait=True, cancel_futures=True)


def _warn(
    done: Sequence[ImageDone], failures: Mapping[str, CellmonaiError], finder: Finder, reporter: Reporter
) -> None:
    for name, error in failures.items():
        reporter.warn("failed", error.sentence.rstrip("."), None if name in error.where else name)
    for path, told in {str(image.job.path): image.job.warnings for image in done}.items():
        for sentence in told:
            reporter.warn("missing_chunks", sentence, path)
    finder.warn(done, reporter)
    if not any(image.foreground_px for image in done):
        reporter.warn(
            "no_foreground", f"no cells in any of {amount(len(done), 'image')}. Likely reasons: {finder.empty_reasons}"
        )
