"""Which of a model's maps tells touching cells apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_KINDS = (("centre", "center"), ("distance",), ("border",))  # as they tell cells apart, the best first
_HIGH_BETWEEN_CELLS = ("border",)


@dataclass(frozen=True, slots=True)
class SplittingMap:
    """A map by its place and name among a model's maps; `upside_down`: it is high between cells, not inside them."""

    index: int
    name: str
    upside_down: bool


def splitting_map(names: Sequence[str]) -> SplittingMap | None:
    """Choose the map that touching cells are split along, by the names of all: centre, then distance, then border."""
    for words in _KINDS:
        for index, name in enumerate(names):
            if any(word in name.casefold() for word in words):
                return SplittingMap(index, name, words == _HIGH_BETWEEN_CELLS)
    return None
