"""Fields that differ as those of a plate do: in density, focus, exposure, background and noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.simulate.settings import FieldSettings

if TYPE_CHECKING:
    import numpy as np

_PX_PER_CELL = (1400.0, 6000.0)
"""Image area per cell in a dense and in a sparse field; a cell takes about 250 px of it."""


def draw_settings(shape: tuple[int, int], random: np.random.Generator) -> FieldSettings:
    """Draw how one field of a plate looks: some are dense, some blurred, some dim.

    Parameters
    ----------
    shape : rows and columns of the image
    random : draws density, clustering, focus, background, dirt, noise and exposure, all independent

    Returns
    -------
    FieldSettings
        With at least one cell, about 18 px wide.
    """
    dense, sparse = _PX_PER_CELL
    # uniform in cells per area, so that crowded fields are as common as empty ones
    cells_per_px = random.uniform(1 / sparse, 1 / dense)
    return FieldSettings(
        shape=shape,
        cells=max(1, round(cells_per_px * shape[0] * shape[1])),
        radius_px=(7.0, 11.5),
        clustering=random.uniform(0.1, 0.5),
        overlap=0.10,
        brightness_spread=random.uniform(0.15, 0.30),
        defocus_px=random.uniform(0.6, 1.5),
        background=random.uniform(0.05, 0.25),
        unevenness=random.uniform(0.2, 1.0),
        debris=int(random.integers(0, 1 + shape[0] * shape[1] // 8000)),
        noise=random.uniform(0.03, 0.09),
        exposure=random.uniform(0.30, 0.55),
    )
