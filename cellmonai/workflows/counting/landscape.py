"""Along what touching cells are split: a map that the model predicted for that, else the distance to the background."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.core.files import read_ordinary
from cellmonai.core.text import printable
from cellmonai.instances.predicted_maps import splitting_map

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.core.progress import Reporter
    from cellmonai.images.rows import Rows
    from cellmonai.instances.mask_kind import Kind
    from cellmonai.instances.settings import InstanceSettings
    from cellmonai.workflows.counting.inputs import MaskInput
    from cellmonai.workflows.counting.settings import CountSettings
    from cellmonai.workflows.counting.survey import PlaneJob

DISTANCE_TRANSFORM = "distance transform"
"""What cells are split along where no map was predicted for it."""

_LARGEST_METADATA_BYTES = 2**20
_META = "zarr.json"


@dataclass(frozen=True, slots=True)
class MapLandscape:
    """A predicted map that cells are split along.

    Parameters
    ----------
    channel : its name among the maps
    upside_down : it is high between cells, and 1 minus it is taken
    """

    channel: str
    upside_down: bool = False

    @property
    def words(self) -> str:
        """What it is called in parameters and sentences, as `centre map` or `1 - border map`."""
        return f"{'1 - ' * self.upside_down}{printable(self.channel)} map"

    def rows_of(self, job: PlaneJob) -> Rows:
        """Give the landscape of one plane, float32 in [0, 1], high inside cells.

        Raises
        ------
        InputError
            The maps are lost or damaged, or do not fit the mask.
        """
        rows = rows_of_map(job, self.channel)
        return _UpsideDown(rows) if self.upside_down else rows


def landscape_of(
    masks: Sequence[MaskInput], settings: CountSettings, point: InstanceSettings, kind: Kind, reporter: Reporter
) -> MapLandscape | None:
    """Find the map that all masks are split along; None for the distance transform, or where nothing is split.

    Parameters
    ----------
    masks : those that are counted, once or more
    point : the operating point behind them

    Raises
    ------
    InputError
        The masks come with different maps, or only some with one: a table must not mix counts made in different ways.
    """
    split = settings.split or point.split
    if kind == "labels" or settings.preset is not None or split == "none":
        return None
    found = {mask.path: _best(_names_of(mask, reporter)) for mask in dict.fromkeys(masks)}
    chosen = next((landscape for landscape in found.values() if landscape is not None), None)
    if chosen is None:
        return None
    if split == "learned":
        reporter.note(f"the {chosen.words} is not used: --split learned was fitted on the {DISTANCE_TRANSFORM}")
        return None
    for path, landscape in found.items():
        if landscape != chosen:
            has = f"has the {landscape.words}" if landscape else "has no map"
            raise InputError(
                f"{has} to split its cells along, and other masks have the {chosen.words}",
                where=str(path),
                cure="count them apart, with another --output for each, or all with --split none",
            )
    reporter.note(f"touching cells are split along the {chosen.words} that the model predicted")
    return chosen


def rows_of_map(job: PlaneJob, name: str) -> Rows:
    """Give one of the maps that `infer` left of a plane.

    Raises
    ------
    InputError
        It is lost or damaged, or does not fit the mask.
    """
    from cellmonai.images.map_rows import map_rows  # brings zarr

    assert job.mask.maps is not None
    rows = map_rows(job.mask.maps, name)
    if rows.shape != job.shape:
        raise InputError(
            f"the maps are {rows.shape} px and the mask {job.shape} px",
            where=str(job.mask.maps),
            cure="run cellmonai infer again",
            code="maps_do_not_fit",
        )
    return rows


def _best(names: Sequence[str]) -> MapLandscape | None:
    chosen = splitting_map(names)
    return MapLandscape(chosen.name, chosen.upside_down) if chosen else None


def _names_of(mask: MaskInput, reporter: Reporter) -> tuple[str, ...]:
    """Read the names of maps from their metadata, which takes no Zarr; most models predict the foreground alone."""
    if mask.maps is None:
        return ()
    try:
        return _read_names(mask.maps / _META)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        what = "what its maps hold cannot be read, so cells are split along none of them"
        reporter.warn("maps_unused", what, mask.name)
        return ()


def _read_names(path: Path) -> tuple[str, ...]:
    if path.is_symlink():
        raise ValueError("a link")
    document: Any = json.loads(read_ordinary(path, _LARGEST_METADATA_BYTES))
    return tuple(str(name) for name in document["attributes"]["cellmonai"]["names"])


class _UpsideDown:
    """Rows of 1 minus a map."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @property
    def shape(self) -> tuple[int, int]:
        return self._rows.shape

    def rows(self, top: int, bottom: int) -> NDArray[Any]:
        return np.float32(1.0) - self._rows.rows(top, bottom)
