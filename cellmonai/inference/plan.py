"""How an image will be done: stitch, window size and memory, decided from its shape before it is read; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cellmonai.core.errors import MemoryBudgetError, UsageError
from cellmonai.core.units import readable_bytes
from cellmonai.inference.tiling import PUBLISHED_TILE_PX, Tiling, make_tiling
from cellmonai.inference.windows import (
    Blending,
    Lattice,
    halo_of,
    make_blending,
    make_lattice,
    padded_shape,
    round_up,
    smallest_window,
)

Stitch = Literal["exact", "gaussian", "constant", "minimum"]

LONGEST_CORE_PX = {"cpu": 1024, "mps": 1024, "cuda": 2048}
"""The longest side of a core that is taken without being asked for, in px, by device: larger windows read a smaller
share of halo, and take more memory."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the network and the user demand of windows.

    `radius_px`, `divisor` and `tile_exact` are facts of the network. `window` is the longest side asked for in px, or
    None; `longest_core` is the longest side of a core, in px, that is chosen without being asked. `cut` demands
    windows so small that the longer side of an image is cut at least once.
    """

    radius_px: int
    divisor: int
    tile_exact: bool
    stitch: Stitch
    window: int | None
    longest_core: int
    cut: bool

    @property
    def smallest(self) -> int:
        """The shortest window that an image can be cut into, in px."""
        return smallest_window(self.radius_px, self.divisor) if self.stitch == "exact" else 4 * self.divisor


@dataclass(frozen=True, slots=True)
class Costs:
    """What windows and maps take, and what there is.

    `window_bytes_per_px` is for a px of a window while it runs, `outputs` the number of maps; `budget` in bytes is for
    image, maps and window, or only for image and maps where the device has its own memory, `device_budget`.
    """

    window_bytes_per_px: float
    outputs: int
    budget: int
    device_budget: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """How an image will be done.

    `windows` is their number, `largest` the (Y, X) of the largest in px; `window_bytes` is what a window takes while
    it runs, `image_bytes` what the image and its maps take meanwhile.
    """

    layout: Lattice | Blending | Tiling
    windows: int
    largest: tuple[int, int]
    window_bytes: int
    image_bytes: int


def make_plan(shape: tuple[int, int, int], rules: Rules, costs: Costs, *, held_bytes: int = 0) -> Plan:
    """Choose the windows for an image (C, Y, X).

    Without a wish the window is the largest that fits the memory, up to the core of `longest_core`; the tile of the
    `minimum` stitch is 400 px rounded to the divisor, whatever the memory, since its results depend on it.

    Parameters
    ----------
    held_bytes : what the caller holds in memory beside the normalised image and its maps

    Raises
    ------
    MemoryBudgetError
        The image and its maps, with the smallest window, are over the budget.
    UsageError
        The window asked for is too small, or `exact` was asked for and cannot be.
    """
    size = shape[1:]
    image_bytes = held_bytes + _image_bytes(shape, rules, costs)
    longest = longest_window(size, rules)
    fixed = rules.window is not None or rules.stitch == "minimum"
    shortest = longest if fixed else min(longest, rules.smallest)
    window = next(
        (side for side in range(longest, shortest - 1, -rules.divisor) if _fits(size, side, image_bytes, rules, costs)),
        None,
    )
    if window is None:
        raise _too_large(shape, shortest, image_bytes, rules, costs)
    layout = _layout(size, window, rules)
    windows, largest = _extent(layout)
    return Plan(layout, windows, largest, round(costs.window_bytes_per_px * largest[0] * largest[1]), image_bytes)


def require_extra_window(plan: Plan, costs: Costs, window: tuple[int, int], bytes_per_px: float, *, name: str) -> None:
    """Check that one more window (Y, X) px, run after those of a plan, fits beside its image and maps.

    Parameters
    ----------
    bytes_per_px : what a px of the window takes while it runs
    name : what it is for, as the user asked for it

    Raises
    ------
    MemoryBudgetError
        It does not fit.
    """
    needed = round(bytes_per_px * window[0] * window[1])
    room = costs.budget - plan.image_bytes if costs.device_budget is None else costs.device_budget
    if needed > room:
        raise MemoryBudgetError(
            f"{name} needs {readable_bytes(needed)} for a window of {window[1]} x {window[0]} px, and beside the image "
            f"and its maps {readable_bytes(max(room, 0))} are left of the memory budget",
            cure=f"raise --memory or leave {name} out",
        )


def _extent(layout: Lattice | Blending | Tiling) -> tuple[int, tuple[int, int]]:
    """Give the number of windows and the (Y, X) of the largest in px."""
    match layout:
        case Lattice():
            return len(layout.windows), layout.largest
        case Blending():
            return layout.windows, layout.side
        case Tiling():
            return len(layout.boxes), (layout.side, layout.side)


def longest_window(size: tuple[int, int], rules: Rules) -> int:
    """Give the longest side, in px, of the windows that an image (Y, X) is cut into where memory does not matter."""
    side = max(padded_shape(size, rules.divisor))
    if rules.window is not None:
        longest = rules.window
    elif rules.stitch == "minimum":
        longest = round_up(PUBLISHED_TILE_PX, rules.divisor)
    else:
        longest = min(side, rules.longest_core + 2 * halo_of(rules.radius_px, rules.divisor))
    if rules.cut and longest >= side:
        longest = max(side - rules.divisor, rules.smallest)
    return longest


def _layout(size: tuple[int, int], window: int, rules: Rules) -> Lattice | Blending | Tiling:
    require_windows(size, window, rules)
    one = max(padded_shape(size, rules.divisor)) <= window
    if rules.stitch == "exact" or (one and rules.stitch != "minimum"):
        return make_lattice(size, window=window, halo=rules.radius_px, divisor=rules.divisor)
    if rules.stitch == "minimum":
        return make_tiling(size, tile=window // rules.divisor * rules.divisor)
    return make_blending(size, window=window, divisor=rules.divisor)


def require_windows(size: tuple[int, int], window: int, rules: Rules) -> None:
    """Refuse windows of at most `window` px that an image (Y, X) cannot be cut into.

    Raises
    ------
    UsageError
        They are too small, or `exact` was asked for and cannot be.
    """
    if rules.stitch != "minimum" and max(padded_shape(size, rules.divisor)) <= window:
        return
    if rules.stitch == "exact" and not rules.tile_exact:
        raise UsageError(
            "this network's result depends on everything its window holds, so windows cannot equal the whole image",
            where="--stitch exact",
            cure=f"use --stitch gaussian, or --window {max(padded_shape(size, rules.divisor))} for a single window",
        )
    if window < rules.smallest:
        raise UsageError(
            f"a window of {window} px is too small for this network",
            where="--window",
            cure=f"give {rules.smallest} or more",
        )


def _image_bytes(shape: tuple[int, int, int], rules: Rules, costs: Costs) -> int:
    channels, rows, columns = shape
    planes = channels + costs.outputs
    if rules.stitch in {"gaussian", "constant"}:  # the averaged logits and the map of weights
        planes += costs.outputs + 1
    return 4 * planes * rows * columns


def _fits(size: tuple[int, int], window: int, image_bytes: int, rules: Rules, costs: Costs) -> bool:
    needed = _window_bytes(size, window, rules, costs)
    if costs.device_budget is not None:
        return needed <= costs.device_budget and image_bytes <= costs.budget
    return needed + image_bytes <= costs.budget


def _window_bytes(size: tuple[int, int], window: int, rules: Rules, costs: Costs) -> int:
    if rules.stitch == "minimum":  # a smaller image is padded to a tile
        rows, columns = window, window
    else:
        rows, columns = (min(side, window) for side in padded_shape(size, rules.divisor))
    return round(costs.window_bytes_per_px * rows * columns)


def _too_large(
    shape: tuple[int, int, int], window: int, image_bytes: int, rules: Rules, costs: Costs
) -> MemoryBudgetError:
    needed = readable_bytes(_window_bytes(shape[1:], window, rules, costs))
    has = readable_bytes(costs.budget)
    if costs.device_budget is not None:
        has += f", on the device {readable_bytes(costs.device_budget)}"
    return MemoryBudgetError(
        f"an image of {shape[2]} x {shape[1]} px with its maps needs {readable_bytes(image_bytes)} and a window of "
        f"{window} px {needed}, and the memory budget is {has}",
        cure="raise --memory, give a smaller --window, or cut the image",
    )
