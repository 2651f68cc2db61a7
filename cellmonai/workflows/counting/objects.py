"""From the rows of a mask to its objects: as a mask that is split, a label image that is kept, or a map that is cut."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.images.rows import ArrayRows
from cellmonai.instances.find import find_in_rows, foreground, keep_in_rows
from cellmonai.instances.mask_kind import is_mask_among_labels
from cellmonai.instances.strip_store import IN_MEMORY_BYTES
from cellmonai.workflows.counting.landscape import rows_of_map

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from cellmonai.images.rows import Rows
    from cellmonai.instances.find import FoundRows
    from cellmonai.instances.settings import InstanceSettings
    from cellmonai.workflows.counting.plan import CountPlan
    from cellmonai.workflows.counting.settings import CountSettings
    from cellmonai.workflows.counting.survey import PlaneJob


class ChangedRows:
    """Rows of which every strip is changed, pixel by pixel, when it is asked for."""

    def __init__(self, rows: Rows, change: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
        self._rows, self._change = rows, change

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X)."""
        return self._rows.shape

    def rows(self, top: int, bottom: int) -> NDArray[Any]:
        """Give rows top to bottom, half-open, changed."""
        return self._change(self._rows.rows(top, bottom))


@contextmanager
def objects_of(
    job: PlaneJob, rows: Rows, how: InstanceSettings, plan: CountPlan, *, threads: int = 1
) -> Iterator[FoundRows]:
    """Give the objects of one plane while the block runs; a large label image lies in an unnamed file meanwhile.

    Parameters
    ----------
    job : the plane, with what the survey saw of its values
    rows : of the mask
    how : splitting and filters for this mask
    plan : whether `rows` are a binary mask or labels, and along what cells are split

    Raises
    ------
    InputError
        It is unclear which value is the background, or the maps do not fit the mask.
    """
    settings, landscape = plan.settings, plan.landscape
    kept_bytes = min(IN_MEMORY_BYTES, settings.memory // 4) if settings.memory else IN_MEMORY_BYTES
    if settings.preset is not None:
        found = keep_in_rows(
            ArrayRows(_preset_labels(job, rows, settings)), how, spill=settings.output, in_memory_bytes=kept_bytes
        )
    elif plan.kind == "labels":
        labels = label_rows(rows, job)
        found = keep_in_rows(labels, how, spill=settings.output, threads=threads, in_memory_bytes=kept_bytes)
        if settings.kind == "auto" and is_mask_among_labels(job.look, found.notes.get("extra_pieces", 0)):
            found.close()
            found = find_in_rows(labels, how, spill=settings.output, threads=threads, in_memory_bytes=kept_bytes)
    else:
        inside = _inside(job, rows, settings)
        found = find_in_rows(
            inside,
            how,
            spill=settings.output,
            threads=threads,
            heights=landscape.rows_of(job) if landscape else None,
            in_memory_bytes=kept_bytes,
        )
    with found:
        yield found


def label_rows(rows: Rows, job: PlaneJob) -> Rows:
    """Give the rows of a plane as ids: single bits are the number 1."""
    return ChangedRows(rows, lambda part: part.view(np.uint8)) if job.dtype == np.bool_ else rows


def _inside(job: PlaneJob, rows: Rows, settings: CountSettings) -> Rows:
    if settings.threshold is not None:
        least = settings.threshold
        return ChangedRows(rows_of_map(job, "foreground"), lambda part: foreground(part, least))
    return rows if job.dtype == np.bool_ else ChangedRows(rows, lambda part: part != 0)


def _preset_labels(job: PlaneJob, rows: Rows, settings: CountSettings) -> NDArray[np.int32]:
    """Run a preset; these work on whole planes, as the systems that they repeat did."""
    from cellmonai.images.budget import budget_of
    from cellmonai.instances.presets.catalogue import find_preset, run_preset

    assert settings.preset is not None
    preset = find_preset(settings.preset)
    needed = preset.memory_bytes(job.shape)
    budget_of(settings.memory).require(needed, f"the preset {preset.name}", where=job.mask.path)
    if settings.threshold is None:
        return run_preset(preset.name, _inside(job, rows, settings).rows(0, job.shape[0]))
    return run_preset(preset.name, rows_of_map(job, "foreground").rows(0, job.shape[0]), threshold=settings.threshold)
