"""Groups of a run: what is known of each image before the count, and the summaries, table and plates after it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cellmonai.core.files import refuse_existing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cellmonai.core.progress import Reporter
    from cellmonai.measure.replicates.groups import GroupSummary
    from cellmonai.report.counts import ImageCount
    from cellmonai.workflows.counting.settings import CountSettings
    from cellmonai.workflows.grouping.plan import GroupPlan

_PLATE_NAME = "plate*.png"


def groups_of(names: Sequence[str], settings: CountSettings, reporter: Reporter) -> GroupPlan | None:
    """Find out what each image is, before anything is counted; None where no groups were asked for.

    Raises
    ------
    UsageError, InputError
        The pattern or the sheet does not fit the images.
    OutputError
        A plate of an older run is in the way.
    """
    if settings.name_pattern is None and settings.sheet is None:
        return None
    from cellmonai.workflows.grouping.plan import plan_groups

    plan = plan_groups(names, pattern=settings.name_pattern, sheet=settings.sheet, group_by=settings.group_by)
    for sentence in plan.notes:
        reporter.note(sentence)
    old = sorted(settings.output.glob(_PLATE_NAME)) if settings.output.is_dir() else []
    refuse_existing(old, overwrite=settings.overwrite)
    return plan


def summarised(plan: GroupPlan | None, counts: Sequence[ImageCount], reporter: Reporter) -> tuple[GroupSummary, ...]:
    """Summarise what was counted at every level, and warn of groups whose numbers cannot be taken at face value."""
    if plan is None:
        return ()
    from cellmonai.measure.replicates.groups import summarise_groups
    from cellmonai.measure.replicates.words import group_warnings

    fields = [plan.field_count(row.image, row.count, row.analysed_area_mm2) for row in counts]
    summaries = summarise_groups(fields, plan.levels)
    for sentence in group_warnings(summaries):
        reporter.warn("group", sentence)
    return summaries


def write_group_files(summaries: Sequence[GroupSummary], settings: CountSettings) -> dict[str, NDArray[np.uint8]]:
    """Write `groups.csv` and a heat map of every plate; give the heat maps by their titles."""
    from cellmonai.images.write import write_png
    from cellmonai.report.groups import write_groups
    from cellmonai.report.plate import plate_pictures

    write_groups(settings.output / "groups.csv", summaries, overwrite=settings.overwrite)
    for old in settings.output.glob(_PLATE_NAME):  # without --overwrite these were refused
        old.unlink()
    plates = plate_pictures(summaries)
    for name, picture in zip(plate_names(plates), plates.values(), strict=True):
        write_png(settings.output / name, picture, overwrite=settings.overwrite)
    return plates


def plate_names(plates: Mapping[str, object]) -> list[str]:
    """Give a file name for every plate, by its title as far as that can stand in a name."""
    if len(plates) == 1:
        return ["plate.png"]
    tidy = [re.sub(r"[^\w.+-]+", "-", title).strip(".-")[:80] for title in plates]
    return [f"plate_{number:02}{'_' * bool(word)}{word}.png" for number, word in enumerate(tidy, start=1)]
