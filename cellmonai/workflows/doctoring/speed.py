"""A painted field to measure on, and how fast its cells are counted."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.images.rows import ArrayRows
from cellmonai.instances.find import find_in_rows
from cellmonai.instances.settings import InstanceSettings
from cellmonai.kernels.library import kernel_name
from cellmonai.simulate import Field, FieldSettings, paint_field
from cellmonai.workflows.doctoring.finding import Checked, Finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIDE, _CELLS = 512, 130
_REPEATED = 2  # times in either direction, for counting


def paint() -> Field:
    """Paint a field of 512 x 512 px, the same everywhere."""
    return paint_field(FieldSettings(shape=(_SIDE, _SIDE), cells=_CELLS), seed=0)


def normalised(field: Field) -> NDArray[np.float32]:
    """Give the field's image as a network takes it, float32 (Y, X)."""
    image = field.image.astype(np.float32)
    scaled: NDArray[np.float32] = (image - image.mean()) / image.std()
    return scaled


def time_counting(field: Field, *, cores: int, seconds: float) -> Checked:
    """Count the cells of the field, laid side by side to 1,024 x 1,024 px, on all cores.

    Parameters
    ----------
    seconds : for how long; one pass more warms up and is checked
    """
    mask = np.tile(field.labels > 0, (_REPEATED, _REPEATED))
    settings = InstanceSettings()
    times: list[float] = []
    counts: set[int] = set()
    while len(times) < 2 or sum(times[1:]) < seconds:
        started = time.perf_counter()
        with find_in_rows(ArrayRows(mask), settings, threads=cores) as found:
            found.rows(0, mask.shape[0])
            counts.add(found.count)
        times.append(time.perf_counter() - started)
    speed: dict[str, Any] = {
        "what": "counting",
        "device": "cpu",
        "precision": kernel_name(),
        "passes": len(times) - 1,
        "mpx_per_second": round(mask.size / 1e6 / median(times[1:]), 3),
    }
    painted = field.count * _REPEATED**2
    if len(counts) == 1 and abs(counts.pop() - painted) <= painted // 10:
        return Checked({"speed": [speed]})
    wrong = Finding(
        "counting_fails",
        "error",
        f"of {painted} painted cells other numbers are counted each time, or far from all",
        "install cellmonai again, and report this page",
    )
    return Checked({"speed": [speed]}, (wrong,))
