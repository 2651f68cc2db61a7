"""What is counted and how: every plane with its settings, and what all planes share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cellmonai.core.interrupts import StopWish
    from cellmonai.instances.settings import InstanceSettings
    from cellmonai.workflows.counting.intervals import KnownCalibration
    from cellmonai.workflows.counting.masks import MaskReader
    from cellmonai.workflows.counting.settings import CountSettings
    from cellmonai.workflows.counting.survey import Kind, PlaneJob
    from cellmonai.workflows.grouping.plan import GroupPlan
    from cellmonai.workflows.inferring.record import RecordedModel


@dataclass(frozen=True, slots=True)
class CountPlan:
    """What is counted, and how.

    Parameters
    ----------
    planes : with their settings, in the order of the tables
    kind : how all masks are read
    calibrations : of the models behind the masks; None stands for masks that no model is known of
    groups : what is known of each image, None where no groups were asked for
    """

    planes: Sequence[tuple[PlaneJob, InstanceSettings]]
    kind: Kind
    settings: CountSettings
    reader: MaskReader
    wish: StopWish
    calibrations: Mapping[RecordedModel | None, KnownCalibration]
    groups: GroupPlan | None = None

    @property
    def instead(self) -> str:
        """What was asked for in place of the operating point, as typed; "" where nothing was."""
        if self.settings.preset is not None:
            return f"--preset {self.settings.preset}"
        return "--kind labels" if self.kind == "labels" else ""
