"""Explanations for images of any size: attention by windows, saliency in the one window that a pixel knows of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.core.errors import UsageError
from cellmonai.inference.explain import GateMap, attention_maps, has_gates, saliency
from cellmonai.inference.stitch import repeated_edge
from cellmonai.inference.windows import (
    Box,
    Lattice,
    Window,
    halo_of,
    make_lattice,
    padded_shape,
    smallest_window,
    window_around,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cellmonai.inference.plan import Plan
    from cellmonai.inference.predictor import Predictor


def require_gates(predictor: Predictor) -> None:
    """Refuse attention maps of a network without gates.

    Raises
    ------
    UsageError
        The network has none.
    """
    if not has_gates(predictor.engine.net):
        raise UsageError(
            "this network has no attention gates",
            where="--pictures attention",
            cure="leave attention out, or give a model of a network with gates",
        )


def attention_lattice(predictor: Predictor, plan: Plan, shape: tuple[int, int, int]) -> Lattice:
    """Give windows for an image (C, Y, X) whose attention maps equal those of one pass over the whole padded image.

    Raises
    ------
    UsageError
        No windows do, and the image takes more than one.
    MemoryBudgetError
        Such windows need more memory than there is.
    """
    if isinstance(plan.layout, Lattice):
        return plan.layout
    rules, size = predictor.rules, shape[1:]
    window = max(*plan.largest, smallest_window(rules.radius_px, rules.divisor))
    whole = max(padded_shape(size, rules.divisor))
    if whole > window and not rules.tile_exact:
        raise _needs_one_window("attention", whole)
    lattice = make_lattice(size, window=window, halo=rules.radius_px, divisor=rules.divisor)
    predictor.require_extra_window(plan, shape, lattice.largest, name="attention", with_gradient=False)
    return lattice


def attention_of_image(
    predictor: Predictor, image: NDArray[np.float32], lattice: Lattice, after_window: Callable[[float], None]
) -> list[GateMap]:
    """Run a network over an image (C, Y, X) once more and put the maps of its gates together from the windows' cores.

    `after_window` is called after each window, with 0, and may raise to stop.
    """
    found: list[GateMap] = []
    for window in lattice.windows:
        parts = attention_maps(predictor.engine.net, _pixels(image, window))
        found = found or [_empty_map(part.scale, lattice) for part in parts]
        for whole, part in zip(found, parts, strict=True):
            core = _reduced(window.core, part.scale)
            whole.attention[core.slices] = part.attention[core.within(_reduced(window.read, part.scale)).slices]
        after_window(0.0)
    height, width = image.shape[-2:]
    return [GateMap(s, whole[: -(-height // s), : -(-width // s)]) for s, whole in found]


@dataclass(frozen=True, slots=True)
class PixelSaliency:
    """How much the foreground probability at `pixel` (row, column) changes with each pixel of a part of the image.

    `gradient` is float64, absolute, in probability per unit of the normalised image, for the pixels of `box`.
    """

    pixel: tuple[int, int]
    box: Box
    gradient: NDArray[np.float64]


def require_saliency(predictor: Predictor, plan: Plan, shape: tuple[int, int, int]) -> None:
    """Refuse a saliency map that cannot be computed for an image (C, Y, X).

    Raises
    ------
    UsageError
        The probability of a pixel depends on all of the image, and the image takes more than one window.
    MemoryBudgetError
        The window it depends on needs more memory than there is while its gradient is traced.
    """
    rules, padded = predictor.rules, padded_shape(shape[1:], predictor.rules.divisor)
    if rules.tile_exact:
        side = smallest_window(rules.radius_px, rules.divisor)
        padded = min(side, padded[0]), min(side, padded[1])
    elif plan.windows > 1:
        raise _needs_one_window("saliency", max(padded))
    predictor.require_extra_window(plan, shape, padded, name="saliency", with_gradient=True)


def saliency_of_pixel(
    predictor: Predictor, image: NDArray[np.float32], row: int, col: int, *, foreground: int
) -> PixelSaliency:
    """Explain the foreground probability of one pixel of an image (C, Y, X).

    Only the window that can change the probability is run, so that any image will do; beyond it the gradient is 0.
    Where the result of a network depends on everything its window holds, that is the whole image.
    """
    rules, size = predictor.rules, (image.shape[-2], image.shape[-1])
    halo = rules.radius_px if rules.tile_exact else halo_of(max(size), rules.divisor)
    window = window_around(size, row=row, col=col, halo=halo, divisor=rules.divisor)
    box = window.read.clipped(size)
    gradient = saliency(
        predictor.engine.net,
        np.ascontiguousarray(image[(slice(None), *box.slices)]),
        row - box.row0,
        col - box.col0,
        pad=window.pad,
        foreground=foreground,
        activation=predictor.activation,
    )
    return PixelSaliency((row, col), box, gradient)


def _needs_one_window(name: str, whole_px: int) -> UsageError:
    return UsageError(
        "this network's result depends on everything its window holds, so it can be explained only in a single window",
        where=f"--pictures {name}",
        cure=f"use --window {whole_px} for a single window, or leave {name} out",
    )


def _pixels(image: NDArray[np.float32], window: Window) -> NDArray[np.float32]:
    box = window.read.clipped((image.shape[-2], image.shape[-1]))
    return repeated_edge(image[(slice(None), *box.slices)], window.pad)


def _empty_map(scale: int, lattice: Lattice) -> GateMap:
    return GateMap(scale, np.empty((lattice.padded[0] // scale, lattice.padded[1] // scale), np.float32))


def _reduced(box: Box, scale: int) -> Box:
    return Box(box.row0 // scale, box.col0 // scale, box.row1 // scale, box.col1 // scale)
