"""`infer --overwrite`: new results lie beside older ones until all of them are there, and then take their places."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from cellmonai.core.errors import OutputError
from cellmonai.core.files import remove_orphans
from cellmonai.core.journal import differences, read_journal
from cellmonai.core.locks import folder_lock
from cellmonai.core.staging import Staging, end_placing, is_half_placed, staging_folder
from cellmonai.workflows.inferring.failures import output_names
from cellmonai.workflows.inferring.finished import decisive_settings
from cellmonai.workflows.inferring.plane import work_folder
from cellmonai.workflows.inferring.record import RECORD_NAME, SHARDS
from cellmonai.workflows.inferring.settings import PICTURES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cellmonai.workflows.inferring.finder import Finder
    from cellmonai.workflows.inferring.jobs import ImageJob, Survey
    from cellmonai.workflows.inferring.result import InferResult
    from cellmonai.workflows.inferring.settings import InferSettings
    from cellmonai.workflows.inferring.shards import Share


def end_what_was_begun(settings: InferSettings) -> None:
    """Give results their names that a killed run was giving theirs; the same command then finds all of it finished."""
    if is_half_placed(settings.output):
        with folder_lock(settings.output):
            end_placing(settings.output)


def replaces(seen: Survey, share: Share, finder: Finder, settings: InferSettings) -> bool:
    """Tell whether a run would replace results, instead of going on with its own.

    Parts of a run are written in place: the records of older ones go first, so that the folder reads as unfinished
    until all of them are there.
    """
    if not (settings.overwrite and share.is_all) or _continues(share, finder, settings):
        return False
    if os.path.lexists(staging_folder(settings.output)) or share.record.exists():
        return True
    names = (name for job in seen.jobs for name in output_names(job, settings))
    return any(os.path.lexists(settings.output / name) for name in names)


@contextmanager
def beside(settings: InferSettings) -> Iterator[InferSettings]:
    """Hold the output folder, and give the settings of a run that writes beside the results there.

    What such a run finished stays for the same command; where it finished nothing, nothing is left.
    """
    with folder_lock(settings.output) as is_held:
        if is_held:
            remove_orphans(settings.output)
        staging = Staging(settings.output, {"command": "infer"})
        staging.open()
        inner = replace(settings, output=staging.folder)
        try:
            yield inner
        finally:
            if staging.folder.is_dir() and not any(
                path.name.startswith(".") and path.name != ".cellmonai.lock" for path in staging.folder.iterdir()
            ):
                staging.discard()


def place(result: InferResult, jobs: Sequence[ImageJob], share: Share, inner: InferSettings) -> None:
    """Give results their names: the journal first, so that a kill from here on leaves a run that has finished.

    Raises
    ------
    OutputError
        The disk refuses; the same command ends it.
    """
    names = [name for image in result.images for name in image.outputs]
    stale = [name for job in jobs for name in (job.maps, *job.pictures(PICTURES), work_folder(job, inner).name)]
    parts = [f"{SHARDS}/{path.name}" for path in (share.folder / SHARDS).glob("*-of-*.json")]
    staging = Staging(share.folder, {"command": "infer"})
    staging.place([share.journal.name, *names, RECORD_NAME], stale=[*stale, *parts])
    share.journal.unlink(missing_ok=True)


def _continues(share: Share, finder: Finder, settings: InferSettings) -> bool:
    """Tell whether an unfinished run of the same model or method and settings lies there."""
    if not share.journal.exists():
        return False
    try:
        header = read_journal(share.journal).header
    except OutputError:
        return False
    wanted = {"run": finder.as_record(), "settings": decisive_settings(settings)}
    return not differences({name: header.get(name) for name in wanted}, wanted)
