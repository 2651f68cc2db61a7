"""Groups that lack fields which could not be counted: their sums and means say so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from cellmonai.core.progress import Reporter
    from cellmonai.measure.replicates.groups import GroupSummary
    from cellmonai.workflows.grouping.plan import GroupPlan


def with_failed_fields(
    summaries: Sequence[GroupSummary], plan: GroupPlan | None, failures: Collection[str], reporter: Reporter
) -> tuple[GroupSummary, ...]:
    """Add to the warning of each group how many of its fields failed.

    Parameters
    ----------
    summaries : of what was counted; a group of which every field failed has none
    plan : what is known of each image, None where no groups were asked for
    failures : images that could not be counted
    reporter : told once for each level
    """
    if plan is None or not failures:
        return tuple(summaries)
    known = [plan.attributes[name] for name in failures if name in plan.attributes]
    told, touched = [], dict.fromkeys((summary.level for summary in summaries), 0)
    for summary in summaries:
        lost = sum(all(field.get(name) == value for name, value in summary.group.items()) for field in known)
        touched[summary.level] += bool(lost)
        told.append(replace(summary, warning=_joined(summary.warning, lost)) if lost else summary)
    for level, groups in touched.items():
        if groups:
            which = f"1 group by {level} lacks" if groups == 1 else f"{groups:,} groups by {level} lack"
            reporter.warn("group", f"{which} fields that failed; groups.csv says how many")
    return tuple(told)


def _joined(warning: str | None, lost: int) -> str:
    which = "1 field" if lost == 1 else f"{lost:,} fields"
    what = f"{which} of this group could not be counted and {'is' if lost == 1 else 'are'} left out"
    return f"{warning}; {what}" if warning else what
