"""What `infer` refuses before any work, and what it says when nothing worked."""

from __future__ import annotations

from os.path import realpath  # Path.resolve raises for links that lead in a circle
from pathlib import Path
from typing import TYPE_CHECKING

from cellmonai.core.errors import CellmonaiError, InputError
from cellmonai.core.files import refuse_existing
from cellmonai.images.find import same_folder
from cellmonai.workflows.inferring.record import RECORD_NAME, SHARDS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from cellmonai.workflows.inferring.jobs import ImageJob
    from cellmonai.workflows.inferring.settings import InferSettings
    from cellmonai.workflows.inferring.shards import Share

_HEAD_BYTES = 256  # of a record, in which its schema stands


def is_of_results(output: Path) -> Callable[[Path], bool]:
    """Return a test for folders of results, this run's and others': masks lie there, and no images."""
    is_output = same_folder(output)
    return lambda folder: is_output(folder) or (folder / SHARDS).exists() or _has_a_record(folder)


def _has_a_record(folder: Path) -> bool:
    try:
        with (folder / RECORD_NAME).open("rb") as stream:
            return b'"schema": "cellmonai.run.' in stream.read(_HEAD_BYTES)
    except OSError:
        return False


def refuse_output_among(paths: Sequence[Path], output: Path) -> None:
    """Refuse an output folder that holds an image.

    Raises
    ------
    InputError
        It does.
    """
    beside_names = {realpath(folder) for folder in {path.parent for path in paths}}
    beside_files = {str(Path(realpath(path)).parent) for path in paths}  # elsewhere, where names are links
    if realpath(output) in beside_names | beside_files:
        raise InputError(
            "the output folder holds the images, and masks would be taken for images next time",
            where=str(output),
            cure="choose another --output",
        )


def output_names(job: ImageJob, settings: InferSettings) -> tuple[str, ...]:
    """Give the files of a plane; maps count in any case, as those of another run would lie beside a new mask."""
    return (job.mask, job.maps, *job.pictures(settings.pictures))


def refuse_outputs(
    jobs: Sequence[ImageJob], share: Share, settings: InferSettings, *, claimed: Collection[str] = ()
) -> None:
    """Refuse before any work what would be replaced at its end, but for the `claimed` files of the run itself.

    Raises
    ------
    OutputError
        One of the results exists, and overwriting is not allowed.
    """
    names = [name for job in jobs for name in output_names(job, settings) if name not in claimed]
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
