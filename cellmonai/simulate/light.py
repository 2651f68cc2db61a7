"""The light that the cells give off: brightness, chromatin, nucleoli, and which cells lie out of focus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellmonai.simulate.blur import blur, rough
from cellmonai.simulate.outlines import rasterise
from cellmonai.simulate.placing import blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.simulate.placing import Placed
    from cellmonai.simulate.settings import FieldSettings

_FOCUS_LAYERS = (1.0, 1.7, 3.0)  # blur of each layer of cells, in units of `defocus_px`
_FOCUS_SHARES = (0.68, 0.25, 0.07)
_SHINE_THROUGH = 0.4  # light of the hidden part of a cell under another one
_NUCLEOLI = 4
_GRAIN_TILE_PX = 512


def paint_light(placed: Placed, settings: FieldSettings, random: np.random.Generator) -> NDArray[np.float32]:
    """Give the light of cells and dirt, (Y, X) float32, about 1.0 in a cell of mean brightness."""
    margin = placed.outlines.half
    layers = np.zeros((len(_FOCUS_LAYERS), *placed.canvas.shape), np.float32)
    layer = random.choice(len(_FOCUS_LAYERS), settings.cells, p=_FOCUS_SHARES)
    grain = _grain(settings, random)
    for cells in blocks(placed.outlines, settings.cells):
        light = _cell_light(placed, cells, grain, settings, random)
        _add_light(layers, layer[cells], light, placed, cells)
    _add_debris(layers[0], margin, settings, random)
    seen = layers[:, margin:-margin, margin:-margin]
    total = np.zeros(settings.shape, np.float32)
    for one, factor in zip(seen, _FOCUS_LAYERS, strict=True):
        if one.any():
            total += blur(one, settings.defocus_px * factor)
    return total


def _add_light(
    layers: NDArray[np.float32], layer: NDArray[np.int64], light: NDArray[np.float32], placed: Placed, cells: slice
) -> None:
    """Add each cell's box to its layer in place; what lies under another cell shines through a little."""
    cell, row, column = np.nonzero(light)
    numbers = np.arange(cells.start, cells.stop, dtype=np.int32)[cell]
    centre = placed.centres[numbers]
    # by the margin around the image, a box begins on the canvas where its centre is on the image
    rows, columns = centre[:, 0] + row, centre[:, 1] + column
    hidden = placed.canvas[rows, columns] != numbers + 1
    amount = light[cell, row, column]
    np.add.at(layers, (layer[cell], rows, columns), np.where(hidden, np.float32(_SHINE_THROUGH) * amount, amount))


def _cell_light(
    placed: Placed, cells: slice, grain: NDArray[np.float32], settings: FieldSettings, random: np.random.Generator
) -> NDArray[np.float32]:
    """Give the light of each cell in its own box, (n, side, side) float32."""
    inside, ring = rasterise(placed.outlines, cells)
    n, side = len(inside), inside.shape[1]
    spread = settings.brightness_spread
    brightness = np.exp(random.normal(-0.5 * spread**2, spread, n)).astype(np.float32)
    # a nucleus is a flat drop: the light follows its thickness, steep at the rim and almost level inside
    thickness = np.sqrt(np.clip(1.0 - ring**2, 0.0, 1.0)) ** np.float32(0.6)
    light = np.where(inside, thickness * brightness[:, None, None], np.float32(0))
    if settings.texture == 0:
        return light
    corner = random.integers(0, _GRAIN_TILE_PX - side, (n, 2)) if side < _GRAIN_TILE_PX else np.zeros((n, 2), np.int64)
    steps = np.arange(side)
    rows, columns = (corner[:, axis, None] + steps for axis in (0, 1))
    chromatin = grain[rows[:, :, None] % _GRAIN_TILE_PX, columns[:, None, :] % _GRAIN_TILE_PX]
    strength = settings.texture * random.uniform(0.06, 0.22, n).astype(np.float32)
    light *= np.clip(1.0 + strength[:, None, None] * chromatin, 0.2, 2.5)
    return light * _nucleoli(placed, cells, side, settings, random)


def _nucleoli(
    placed: Placed, cells: slice, side: int, settings: FieldSettings, random: np.random.Generator
) -> NDArray[np.float32]:
    """Give the factor by which up to four dark round spots dim each cell, (n, side, side) float32."""
    radius = placed.outlines.radius_px[cells].astype(np.float32)
    n, steps = len(radius), (np.arange(side) - side // 2).astype(np.float32)
    factor = np.ones((n, side, side), np.float32)
    for _ in range(_NUCLEOLI):
        row, column = random.uniform(-0.5, 0.5, (2, n)).astype(np.float32) * radius
        width = radius * random.uniform(0.12, 0.24, n).astype(np.float32)
        depth = np.minimum(settings.texture, 1.5) * random.uniform(0.0, 0.4, n).astype(np.float32)
        down = np.exp(-0.5 * ((steps - row[:, None]) / width[:, None]) ** 2)
        across = np.exp(-0.5 * ((steps - column[:, None]) / width[:, None]) ** 2)
        factor *= 1.0 - depth[:, None, None] * down[:, :, None] * across[:, None, :]
    return factor


def _grain(settings: FieldSettings, random: np.random.Generator) -> NDArray[np.float32]:
    """Give a tile of chromatin grain, fine and coarse, with mean 0 and standard deviation 1."""
    radius = sum(settings.radius_px) / 2
    tile = (_GRAIN_TILE_PX, _GRAIN_TILE_PX)
    grain = 0.7 * rough(tile, radius / 9, random) + 0.7 * rough(tile, radius / 3.5, random)
    return np.asarray(grain, np.float32)


def _add_debris(layer: NDArray[np.float32], margin: int, settings: FieldSettings, random: np.random.Generator) -> None:
    """Add specks to a layer in place: round, at most a quarter of a cell wide, and dim."""
    steps = np.arange(-margin, margin + 1)
    for _ in range(settings.debris):
        row, column, size, dim = random.random(4)
        top, left = int(row * settings.shape[0]), int(column * settings.shape[1])
        width = settings.radius_px[0] * (0.08 + 0.1 * size)
        bump = np.exp(-0.5 * (steps / width) ** 2)
        speck = (0.1 + 0.35 * dim) * bump[:, None] * bump[None, :]
        layer[top : top + len(steps), left : left + len(steps)] += speck.astype(np.float32)
