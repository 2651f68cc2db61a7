"""What a data set's layout gives: pairs of an image and its truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cellmonai.core.text import nearest, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and what is known of the cells in it.

    Parameters
    ----------
    name : unique in its data set, without suffix
    image : the image file
    masks : one label image or binary mask; one mask per object with `one_per_object`; empty when only a count is known
    count : the number of cells where the data set states it
    attributes : facts from file names and tables, all text, for splits and selection; never an input of a model
    """

    name: str
    image: Path
    masks: tuple[Path, ...]
    count: int | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    one_per_object: bool = False


@dataclass(frozen=True, slots=True)
class PairList:
    """The pairs of a data set in natural order of their names, and files that had no partner.

    `notes` say what else of the data set is left out.
    """

    pairs: tuple[Pair, ...]
    skipped: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)


def some_names(paths: Sequence[Path], limit: int = 3) -> str:
    """Name the first few of `paths` and say how many more there are."""
    names = ", ".join(printable(path.name) for path in paths[:limit])
    return names + (f" and {len(paths) - limit} more" if len(paths) > limit else "")


def nearest_name(name: str, names: Sequence[str]) -> str:
    """Give the end of a sentence that names the file spelt most like `name`."""
    match = nearest(name, names)
    return f", the nearest is {printable(match)}" if match else ""
