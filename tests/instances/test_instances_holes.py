"""Holes of cells are filled, gaps that cells enclose stay open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from painting import Disc, paint

from cellmonai.images.rows import ArrayRows
from cellmonai.instances.find import find_in_rows, find_instances
from cellmonai.instances.settings import InstanceSettings
from cellmonai.kernels.library import VARIABLE, library

if TYPE_CHECKING:
    from numpy.typing import NDArray


def discs(shape: tuple[int, int], *placed: tuple[float, float, float]) -> NDArray[np.bool_]:
    return paint([Disc(y, x, r) for y, x, r in placed], shape) > 0


def nucleoli(radius: int) -> NDArray[np.bool_]:
    side, third = 2 * radius + 9, radius / 3
    middle = side / 2
    holes = ((middle - third, middle, radius / 5), (middle + third, middle - third, radius / 6))
    return discs((side, side), (middle, middle, radius)) & ~discs((side, side), *holes)


def ring(radius: int, wall: int) -> NDArray[np.bool_]:
    side = 2 * radius + 9
    return discs((side, side), (side / 2, side / 2, radius)) & ~discs((side, side), (side / 2, side / 2, radius - wall))


def pepper(radius: int) -> NDArray[np.bool_]:
    side = 2 * radius + 9
    return discs((side, side), (side / 2, side / 2, radius)) & (np.random.default_rng(3).random((side, side)) > 0.02)


def necklace(cells: int, radius: float, overlap: float = 0.05) -> NDArray[np.bool_]:
    around = (1 - overlap) * radius / np.sin(np.pi / cells)
    side = int(2 * (around + radius)) + 9
    angles = 2 * np.pi * np.arange(cells) / cells + 0.3
    places = [(side / 2 + around * np.sin(a), side / 2 + around * np.cos(a), radius) for a in angles]
    return discs((side, side), *places)


def touching_rings() -> NDArray[np.bool_]:
    angles = np.arange(6) * np.pi / 3 + 0.2
    places = [(70.0, 70.0), *((70 + 39.0 * np.sin(a), 70 + 39.0 * np.cos(a)) for a in angles)]
    outer = discs((140, 140), *((y, x, 20.0) for y, x in places))
    return outer & ~discs((140, 140), *((y, x, 10.0) for y, x in places))


CASES = {
    **{f"nucleoli {radius}": (nucleoli(radius), 1) for radius in (10, 16, 25)},
    **{
        f"ring {radius} {wall}": (ring(radius, wall), 1)
        for radius, wall in ((8, 3), (9, 5), (14, 4), (30, 3), (30, 10))
    },
    **{f"pepper {radius}": (pepper(radius), 1) for radius in (10, 18, 28)},
    **{f"necklace {cells}": (necklace(cells, 10.0), cells) for cells in (4, 5, 6, 8, 10)},
    **{f"overlapping necklace {cells}": (necklace(cells, 10.0, 0.3), cells) for cells in (6, 8, 9)},
    "touching rings": (touching_rings(), 7),
}


@pytest.mark.parametrize("name", CASES)
def test_holes_of_cells_are_filled_and_gaps_between_cells_are_not(name: str) -> None:
    mask, cells = CASES[name]
    assert find_instances(mask, InstanceSettings()).count == cells


@pytest.mark.parametrize("fill_holes", ["small", "all"])
def test_strips_threads_and_kernels_fill_the_same_holes(fill_holes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    side = max(mask.shape[1] for mask, _ in CASES.values())
    mask = np.concatenate([np.pad(mask, ((0, 0), (0, side - mask.shape[1]))) for mask, _ in CASES.values()])
    settings = InstanceSettings(fill_holes=fill_holes)  # type: ignore[arg-type]
    found = set()
    for kernels in ("c", "numpy"):
        monkeypatch.setenv(VARIABLE, kernels)
        library.cache_clear()
        for rows, threads in ((7, 1), (64, 2), (None, 1)):
            with find_in_rows(ArrayRows(mask), settings, strip_rows=rows, threads=threads) as objects:
                found.add((objects.rows(0, mask.shape[0]).tobytes(), objects.notes["holes_filled"]))
    library.cache_clear()
    assert len(found) == 1


@pytest.mark.parametrize(("stored", "word"), [(False, "none"), (True, "all"), ("small", "small"), ("none", "none")])
def test_older_operating_points_keep_their_meaning(stored: object, word: str) -> None:
    read = InstanceSettings.from_json({"fill_holes": stored})
    assert read.fill_holes == word
    assert InstanceSettings.from_json(read.as_json()) == read
