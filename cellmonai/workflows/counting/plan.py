"""What is counted and how: every plane with its settings, and what all planes share."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cellmonai.core.files import sha256_of
from cellmonai.workflows.counting.landscape import DISTANCE_TRANSFORM

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cellmonai.core.interrupts import StopWish
    from cellmonai.instances.mask_kind import Kind
    from cellmonai.instances.settings import InstanceSettings
    from cellmonai.workflows.counting.intervals import KnownCalibration
    from cellmonai.workflows.counting.landscape import MapLandscape
    from cellmonai.workflows.counting.masks import MaskReader
    from cellmonai.workflows.counting.settings import CountSettings
    from cellmonai.workflows.counting.survey import PlaneJob
    from cellmonai.workflows.counting.volumes import VolumeJob
    from cellmonai.workflows.grouping.plan import GroupPlan
    from cellmonai.workflows.inferring.record import RecordedModel


class Digests:
    """SHA-256 of input files, each computed once however many planes it holds; for any thread."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}
        self._locks: dict[Path, threading.Lock] = {}
        self._lock = threading.Lock()

    def of(self, job: PlaneJob, plan: CountPlan) -> dict[str, str]:
        """Give the digests of all files that a plane is counted from."""
        mask = job.mask
        found = {"mask": self._of(mask.path)}
        if mask.image is not None and job.image_plane is not None:
            found["image"] = self._of(mask.image)
        if mask.maps is not None and (plan.landscape is not None or plan.settings.threshold is not None):
            found["maps"] = self._of(mask.maps)
        return found

    def _of(self, path: Path) -> str:
        with self._lock:
            lock = self._locks.setdefault(path, threading.Lock())
        with lock:
            if path not in self._known:
                self._known[path] = sha256_of(path)
            return self._known[path]


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
    final : the folder in which results have their names in the end; the output of `settings` is where they are written
    overwrite : results of other runs may be replaced
    is_placed : a run just like this one was killed while its results got their names, and some have them already
    digests : of the inputs
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
    final: Path = Path()
    overwrite: bool = False
    is_placed: bool = False
    digests: Digests = field(default_factory=Digests)

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
