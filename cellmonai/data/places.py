"""Where training crops are cut: lattices over an image, and which of their crops an epoch sees.

A place is a crop of a lattice with its first row and column, or "anywhere", drawn anew for every epoch. Crops of a
lattice are numbered column by column, each from the top down, as the published systems number theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from cellmonai.core.errors import RecipeError
from cellmonai.core.text import did_you_mean
from cellmonai.images.tiling import even_starts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from cellmonai.data.samples import Sample

Method = Literal["random", "grid", "grid_2021"]


@dataclass(frozen=True, slots=True)
class Place:
    """One crop of an epoch: the index of its sample, and its first (row, column); None is drawn for every epoch."""

    sample: int
    corner: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Cutting:
    """How crops are cut: `sampling` of a recipe, lengths in px."""

    method: Method
    patch: int
    overlap: int = 0
    per_image: int = 1


def all_places(samples: Sequence[Sample], cutting: Cutting) -> dict[str, Place]:
    """Give the place of every crop of an epoch by name, `image:number`; crops drawn at random have no corner."""
    if cutting.method == "random":
        rounds = range(cutting.per_image)
        return {f"{sample.name}:{number}": Place(i) for number in rounds for i, sample in enumerate(samples)}
    return {
        f"{sample.name}:{number}": Place(i, corner)
        for i, sample in enumerate(samples)
        for number, corner in enumerate(_corners(sample.labels.shape, cutting))
    }


def with_foreground(
    places: Mapping[str, Place], masks: Sequence[NDArray[np.bool_]], *, patch: int, least_px: int
) -> dict[str, Place]:
    """Keep the places of a lattice whose crops hold at least `least_px` of the (Y, X) mask of their sample.

    Raises
    ------
    RecipeError
        None does.
    """
    kept = {name: place for name, place in places.items() if pixels_at(place, masks, patch) >= least_px}
    if not kept:
        raise RecipeError(
            f"none of the {len(places)} crops holds {least_px} px of cells",
            where="sampling.min_foreground_px",
            cure="lower it",
        )
    return kept


def pixels_at(place: Place, masks: Sequence[NDArray[np.bool_]], patch: int) -> int:
    """Count the mask's pixels in the crop at a place of a lattice."""
    assert place.corner is not None
    row, column = place.corner
    return int(np.count_nonzero(masks[place.sample][row : row + patch, column : column + patch]))


def repeated(places: Mapping[str, Place], factors: Mapping[str, int]) -> list[Place]:
    """Give every place as often as it is seen in an epoch; `factors` by name of an image or of one of its crops.

    Raises
    ------
    RecipeError
        A name that no image or crop has.
    """
    known = set(places) | {name.rpartition(":")[0] for name in places}
    for name in factors:
        if name not in known:
            cure = did_you_mean(name, known)
            raise RecipeError(f"no training crop is called {name!r}", where="sampling.oversample", cure=cure)
    return [
        place
        for name, place in places.items()
        for _ in range(factors.get(name, factors.get(name.rpartition(":")[0], 1)))
    ]


def lattice_starts(length: int, cutting: Cutting) -> list[int]:
    """Give the first pixels of the crops along a side of `length` px; a shorter side has one crop, at 0.

    `grid` spaces them evenly with at least `overlap` shared by neighbours, rounded half to even. `grid_2021` is that of
    c-ResUnet (Morelli et al. 2021): steps of patch - overlap of which all but the first reach back by the overlap; the
    last ends at the edge.
    """
    if cutting.method == "grid":
        return [round(start) for start in even_starts(length, cutting.patch, cutting.overlap)]
    step, last = cutting.patch - cutting.overlap, max(length - cutting.patch, 0)
    starts = [max(place - cutting.overlap, 0) for place in range(0, max(length, 1), step)]
    return sorted({min(start, last) for start in starts})


def _corners(shape: tuple[int, ...], cutting: Cutting) -> Iterator[tuple[int, int]]:
    rows, columns = (lattice_starts(length, cutting) for length in shape[-2:])
    for column in columns:
        for row in rows:
            yield row, column
