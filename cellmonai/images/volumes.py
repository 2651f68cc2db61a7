"""Which planes of a file lie over each other, so that together they show a volume."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PART = re.compile(r"([a-z])[0-9]+")
_DEPTH, _PAGE = "z", "p"


@dataclass(frozen=True, slots=True)
class PlaneStack:
    """Planes one over the other.

    Parameters
    ----------
    name : what the names of its planes share, as `t0`; "" where that is nothing
    planes : indices into the planes of the file, from the first depth to the last
    is_named : whether the file calls their axis Z; else they are pages of which it does not say what they are
    """

    name: str
    planes: tuple[int, ...]
    is_named: bool


def plane_stacks(names: Sequence[str]) -> tuple[PlaneStack, ...]:
    """Put the planes of a file together that differ in depth alone, or in a page that has no meaning.

    Parameters
    ----------
    names : of all planes, as `axes.plane_names` makes them; times and series are never put together

    Examples
    --------
    >>> [(stack.name, stack.planes) for stack in plane_stacks(["t0_z0", "t0_z1", "t1_z0", "t1_z1"])]
    [('t0', (0, 1)), ('t1', (2, 3))]
    """
    parts = [name.split("_") for name in names]
    letters = {match[1] for name in parts for part in name if (match := _PART.fullmatch(part))}
    axis = _DEPTH if _DEPTH in letters else _PAGE
    members: dict[str, list[int]] = {}
    for index, name in enumerate(parts):
        rest = [part for part in name if not part.startswith(axis)]
        if len(rest) < len(name):
            members.setdefault("_".join(rest), []).append(index)
    return tuple(PlaneStack(name, tuple(planes), axis == _DEPTH) for name, planes in members.items() if len(planes) > 1)
