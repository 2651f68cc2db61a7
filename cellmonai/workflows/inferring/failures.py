"""What `infer` refuses before any work, and what it says when nothing worked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.core.errors import CellmonaiError, InputError
from cellmonai.core.files import refuse_existing, resolved
from cellmonai.workflows.inferring.record import RECORD_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cellmonai.workflows.inferring.jobs import ImageJob
    from cellmonai.workflows.inferring.settings import InferSettings
    from cellmonai.workflows.inferring.shards import Share


def refuse_output_among(paths: Sequence[Path], output: Path) -> None:
    """Refuse an output folder that holds an image.

    Raises
    ------
    InputError
        It does.
    """
    if resolved(output) in {resolved(path).parent for path in paths}:
        raise InputError(
            "the output folder holds the images, and masks would be taken for images next time",
            where=str(output),
            cure="choose another --output",
        )


def refuse_outputs(jobs: Sequence[ImageJob], share: Share, settings: InferSettings) -> None:
    """Refuse before any work what would be replaced at its end; maps of another run would lie beside a new mask.

    Raises
    ------
    OutputError
        One of the results exists, and overwriting is not allowed.
    """
    names = [name for job in jobs for name in (job.mask, job.maps, *job.pictures(settings.pictures))]
    # records beside a journal are of the run that is continued: it was killed as it ended
    records = () if share.journal.exists() else (settings.output / RECORD_NAME, share.record)
    existing = (*(settings.output / name for name in names), *records)
    refuse_existing(existing, overwrite=settings.overwrite)


def nothing_worked(failures: Mapping[str, CellmonaiError]) -> CellmonaiError:
    """Give the error of a run in which every image failed; of one kind only, its own exit code says which."""
    errors = list(failures.values())
    if len(errors) == 1:
        return errors[0]
    kinds = {type(error) for error in errors}
    kind = kinds.pop() if len(kinds) == 1 else InputError
    return kind(f"none of the {len(errors)} images could be done; the first: {errors[0].sentence.rstrip('.')}")


def amount(number: int, noun: str) -> str:
    """Write `1 image`, `1,200 images`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
