"""Whether windows left seams: a few of them are run again where others met, and compared with what was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cellmonai.inference.activation import probabilities
from cellmonai.inference.stitch import repeated_edge
from cellmonai.inference.windows import Box, halo_of
from cellmonai.instances.components import label_components
from cellmonai.instances.find import foreground

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from cellmonai.inference.blocks import Blocks
    from cellmonai.inference.stitch import Read
    from cellmonai.inference.streaming import RunAt
    from cellmonai.models.file import Activation

_Place = TypeVar("_Place")

MOST_WINDOWS = 3
_SIDE_PX = 128
_BOUNDS = {"f32": 1e-5, "bf16": 4e-3, "f16": 4e-3}
# of engines that round more, as int8: the last bit of what stays in f32 may turn one of its 255 steps. In windows of
# 500 to 1700 px BasicUNet gave the same bits, and AttentionUnet, with its gates in f32, 0.019 at most in 1 of 15,000 px
_COARSE = 5e-2


@dataclass(frozen=True, slots=True)
class SeamProof:
    """What came of it.

    Parameters
    ----------
    windows : how many were run again; 0 where no windows meet
    largest_difference : of a probability, beyond the rounding with which maps are stored
    mask_px : pixels of the mask that differ
    objects : by how much the number of regions differs, in all windows together
    bound : the largest difference that the precision explains, or that averaging should leave
    """

    windows: int
    largest_difference: float
    mask_px: int
    objects: int
    bound: float

    @property
    def holds(self) -> bool:
        """Whether the difference is within the bound."""
        return self.largest_difference <= self.bound

    def as_json(self) -> dict[str, Any]:
        """Give the form of the run record."""
        return {
            "windows": self.windows,
            "largest_difference": float(f"{self.largest_difference:.3g}"),
            "mask_px": self.mask_px,
            "objects": self.objects,
            "bound": self.bound,
            "holds": self.holds,
        }


@dataclass(frozen=True, slots=True)
class Written:
    """What was written of a plane: `maps` gives the stored (K, h, w) float32 of a box, `mask` its bool (h, w).

    `step` is what stored values are apart around 1: 2^-11 for float16, 1/255 for uint8.
    """

    maps: Callable[[Box], NDArray[np.float32]]
    mask: Callable[[Box], NDArray[np.bool_]]
    step: float


@dataclass(frozen=True, slots=True)
class Again:
    """How windows are run again: as they were, by the same network with the facts of it in px."""

    run: RunAt
    read: Read
    activation: Activation
    radius_px: int
    divisor: int

    def probabilities_of(self, core: Box, blocks: Blocks) -> NDArray[np.floating[Any]]:
        """Give the probabilities (K, h, w) of a box in the image, by a window around it."""
        halo = halo_of(self.radius_px, self.divisor)
        ends = [min(end + halo, padded) for end, padded in zip(_core_ends(core, blocks), blocks.padded, strict=True)]
        box = Box(max(core.row0 - halo, 0), max(core.col0 - halo, 0), ends[0], ends[1])
        inside = box.clipped(blocks.shape)
        pixels = repeated_edge(self.read(inside), (box.row1 - inside.row1, box.col1 - inside.col1))
        rows, columns = core.within(box).slices
        found: NDArray[np.floating[Any]] = probabilities(
            self.run(pixels[None], (box.row0, box.col0))[0][:, rows, columns], self.activation
        )
        return found


def prove_seams(
    blocks: Blocks,
    written: Written,
    again: Again,
    *,
    precision: str,
    foreground_map: int,
    threshold: float,
    with_gaps: bool = False,
) -> SeamProof:
    """Run windows that lie across the seams of others and compare them with what was written.

    `with_gaps` says that windows were left out as background: what is 0 in all maps is not compared then.
    """

    def now(core: Box) -> NDArray[np.floating[Any]]:
        found = again.probabilities_of(core, blocks)
        return found * written.maps(core).any(axis=0) if with_gaps else found

    found = ((core, now(core)) for core in seam_boxes(blocks, again.divisor))
    bound = _BOUNDS.get(precision, _COARSE)
    return compared(found, written, bound=bound, foreground_map=foreground_map, threshold=threshold)


def compared(
    found: Iterable[tuple[Box, NDArray[np.floating[Any]]]],
    written: Written,
    *,
    bound: float,
    foreground_map: int,
    threshold: float,
) -> SeamProof:
    """Compare the probabilities (K, h, w) of boxes, as windows that were run again give them, with what was written."""
    difference, mask_px, objects, windows = 0.0, 0, 0, 0
    for core, now in found:
        stored, mask = written.maps(core), written.mask(core)
        difference = max(difference, float((np.abs(now - stored) - written.step / 2).max()))
        mask_now = foreground(now[foreground_map], threshold)
        mask_px += int(np.count_nonzero(mask_now != mask))
        objects += abs(int(label_components(mask_now).max(initial=0)) - int(label_components(mask).max(initial=0)))
        windows += 1
    return SeamProof(windows, max(difference, 0.0), mask_px, objects, bound)


def seam_boxes(blocks: Blocks, divisor: int) -> list[Box]:
    """Choose up to three boxes in the image where cores meet, corners of four of them where there are such."""
    rows, columns = (list(cuts[1:-1]) for cuts in blocks.cuts)
    if not rows and not columns:
        return []
    places = [(row, col) for row in _spread(rows) for col in _spread(columns)]
    chosen = spread_out(places)
    return [box for place in chosen if (box := _box(place, blocks, divisor)) is not None]


def _spread(cuts: list[int]) -> list[int]:
    if not cuts:
        return [-1]  # this side is not cut: its middle will do
    return sorted({cuts[0], cuts[len(cuts) // 2], cuts[-1]})


def spread_out(places: list[_Place]) -> list[_Place]:
    """Give the first, the middle and the last of many places, all of few."""
    if len(places) <= MOST_WINDOWS:
        return places
    return [places[0], places[len(places) // 2], places[-1]]


def _box(place: tuple[int, int], blocks: Blocks, divisor: int) -> Box | None:
    sides: list[tuple[int, int]] = []
    for centre, length, padded in zip(place, blocks.shape, blocks.padded, strict=True):
        middle = padded // 2 if centre < 0 else centre
        start = max(middle - _SIDE_PX // 2, 0) // divisor * divisor
        sides.append((start, min(start + _SIDE_PX, length)))
    (row0, row1), (col0, col1) = sides
    return Box(row0, col0, row1, col1) if row0 < row1 and col0 < col1 else None


def _core_ends(core: Box, blocks: Blocks) -> Iterator[int]:
    """Give the ends of a core, the image's own end taken up to where the padding ends."""
    for end, length, padded in zip((core.row1, core.col1), blocks.shape, blocks.padded, strict=True):
        yield padded if end == length else end
