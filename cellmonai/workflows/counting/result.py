"""What `count` gives back, and the document that programs read."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cellmonai.core.progress import Warned
    from cellmonai.measure.replicates.groups import GroupSummary
    from cellmonai.report.counts import ImageCount
    from cellmonai.workflows.auditing.draw import AuditDraw


@dataclass(frozen=True, slots=True)
class CountResult:
    """What `count` found: one entry per image and plane, and the reason for each image that failed.

    Parameters
    ----------
    failures : image -> why it could not be counted
    parameters : what decided the counts
    outputs : every file that was written, with its folder
    groups : a summary for every group at every level, where groups were asked for
    audit : what was drawn for counting by hand, where asked for
    failure_codes : image -> the stable word for its kind of failure
    """

    inputs: tuple[str, ...]
    output: Path
    images: tuple[ImageCount, ...]
    failures: Mapping[str, str]
    parameters: Mapping[str, Any]
    outputs: tuple[str, ...]
    warnings: tuple[Warned, ...]
    seconds: float
    groups: tuple[GroupSummary, ...] = ()
    audit: AuditDraw | None = None
    failure_codes: Mapping[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Cells in all images that could be counted; a part of the truth when some failed."""
        return sum(image.count for image in self.images)

    @property
    def is_partial(self) -> bool:
        """Whether the numbers tell of a part of the inputs only: some failed, or come of an unfinished run."""
        return bool(self.failures) or any(image.is_partial for image in self.images)

    def as_json(self) -> dict[str, Any]:
        """Give the document that `--json` prints and `counts.json` holds.

        `images` are those that were counted; the others stand in `failures`, and then the `partial` of the document is
        true, while the `partial` of an image says that it comes of a run of `infer` that never finished.
        """
        document = {
            "schema": "cellmonai.count/1",
            "version": version("cellmonai"),
            "command": "count",
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "warnings": [warning.as_json() for warning in self.warnings],
            "seconds": round(self.seconds, 3),
            "images": [image.as_json() for image in self.images],
            "groups": [group.as_json() for group in self.groups],
            "total": self.total,
            "partial": self.is_partial,
            "failures": [
                {"image": image, "code": self.failure_codes.get(image, "unreadable"), "reason": reason}
                for image, reason in self.failures.items()
            ],
            "parameters": dict(self.parameters),
        }
        return document if self.audit is None else {**document, "audit": self.audit.as_json()}
