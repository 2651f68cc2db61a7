"""Groups of a run: what is known of each image before the count, and the summaries, table and plates after it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from cellmonai.core.files import refuse_existing

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cellmonai.core.progress import Reporter
    from cellmonai.measure.replicates.groups import GroupSummary
    from cellmonai.report.counts import ImageCount
    from cellmonai.workflows.counting.settings import CountSettings
    from cellmonai.workflows.grouping.plan import GroupPlan

_LONGEST_TITLE = 50  # letters of up to four bytes; a name has 255


class PlateFile(NamedTuple):
    """A plate as it was drawn, and the name of its file in the output folder."""

    name: str
    picture: NDArray[np.uint8]


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
    refuse_existing((settings.output / name for name in plate_files(plan).values()), overwrite=settings.overwrite)
    return plan


def summarised(
    plan: GroupPlan | None, counts: Sequence[ImageCount], reporter: Reporter, *, level: float
) -> tuple[GroupSummary, ...]:
    """Summarise what was counted at every level, and warn of groups whose numbers cannot be taken at face value.

    `level` is the coverage of the intervals.
    """
    if plan is None:
        return ()
    from cellmonai.measure.replicates.groups import summarise_groups
    from cellmonai.measure.replicates.words import group_warnings

    fields = [plan.field_count(row.image, row.count, row.analysed_area_mm2) for row in counts]
    summaries = summarise_groups(fields, plan.levels, confidence=level)
    for sentence in group_warnings(summaries):
        reporter.warn("group", sentence)
    return summaries


def write_group_files(
    summaries: Sequence[GroupSummary], plan: GroupPlan, settings: CountSettings
) -> dict[str, PlateFile]:
    """Write `groups.csv` and a heat map of every plate; give the heat maps by their titles."""
    from cellmonai.images.write import write_png
    from cellmonai.report.groups import write_groups
    from cellmonai.report.plate import plate_pictures

    write_groups(settings.output / "groups.csv", summaries, overwrite=settings.overwrite)
    names = plate_files(plan)
    plates = {title: PlateFile(names[title], picture) for title, picture in plate_pictures(summaries).items()}
    for plate in plates.values():
        write_png(settings.output / plate.name, plate.picture, overwrite=settings.overwrite)
    return plates


def plate_files(plan: GroupPlan) -> dict[str, str]:
    """Give a file name for the plate of every title, as far as that can stand in a name; known before the count."""
    from cellmonai.measure.replicates.groups import summarise_groups
    from cellmonai.report.plate import plate_titles

    titles = plate_titles(summarise_groups([plan.field_count(name, 0) for name in plan.attributes], plan.levels))
    if len(titles) == 1:
        return {titles[0]: "plate.png"}
    tidy = [re.sub(r"[^\w.+-]+", "-", title).strip(".-")[:_LONGEST_TITLE] for title in titles]
    return {title: f"plate_{tidy[at]}_{at + 1:02}.png" for at, title in enumerate(titles)}
