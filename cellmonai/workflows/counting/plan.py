"""What is counted and how: every plane with its settings, and what all planes share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cellmonai.workflows.counting.landscape import DISTANCE_TRANSFORM

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cellmonai.core.interrupts import StopWish
    from cellmonai.instances.settings import InstanceSettings
    from cellmonai.workflows.counting.intervals import KnownCalibration
    from cellmonai.workflows.counting.landscape import MapLandscape
    from cellmonai.workflows.counting.masks import MaskReader
    from cellmonai.workflows.counting.settings import CountSettings
    from cellmonai.workflows.counting.survey import Kind, PlaneJob
    from cellmonai.workflows.counting.volumes import VolumeJob
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
    volumes : label volumes among the planes, each of which is counted as one
    landscape : the predicted map that cells are split along; None for the distance transform, or where none is used
    """

    planes: Sequence[tuple[PlaneJob, InstanceSettings]]
    kind: Kind
    settings: CountSettings
    reader: MaskReader
    wish: StopWish
    calibrations: Mapping[RecordedModel | None, KnownCalibration]
    groups: GroupPlan | None = None
    landscape: MapLandscape | None = None
    volumes: tuple[VolumeJob, ...] = ()

    @property
    def instead(self) -> str:
        """What was asked for in place of the operating point, as typed; "" where nothing was."""
        if self.settings.preset is not None:
            return f"--preset {self.settings.preset}"
        return "--kind labels" if self.kind == "labels" else ""

    @property
    def split_along(self) -> str | None:
        """What touching cells are split along, in words; None where count splits none."""
        if self.instead or all(how.split == "none" for _, how in self.planes):
            return None
        return self.landscape.words if self.landscape else DISTANCE_TRANSFORM
