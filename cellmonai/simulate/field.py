"""A painted field of fluorescent nuclei: image, label image and count agree because they are made together."""

from __future__ import annotations

import numpy as np

from cellmonai.simulate.camera import take_picture
from cellmonai.simulate.light import paint_light
from cellmonai.simulate.outlines import draw_outlines
from cellmonai.simulate.placing import place_cells
from cellmonai.simulate.settings import Field, FieldSettings


def paint_field(settings: FieldSettings, seed: int) -> Field:
    """Paint a field of cells whose number is known.

    Parameters
    ----------
    settings : how the field looks
    seed : same settings, seed and NumPy give the same bytes

    Returns
    -------
    Field
        `image` (Y, X) uint8 or uint16, `labels` (Y, X) int32 with 1..count, each one 8-connected region, and `count`,
        which is `settings.cells`.

    Raises
    ------
    ValueError
        The cells do not fit into the image.

    Notes
    -----
    Cells are ellipses with rippled outlines. A cell that touches another one is painted over it, and moves elsewhere
    when it would hide too much of it or cut it in pieces. The truth is the outline before any blur. Shape, place,
    light and camera draw from separate random streams, so a change of noise moves no cell.

    Examples
    --------
    >>> field = paint_field(FieldSettings(shape=(96, 128), cells=12), seed=1)
    >>> field.image.shape, field.image.dtype.name, int(field.labels.max()), field.count
    ((96, 128), 'uint8', 12, 12)
    """
    shapes, places, lights, camera = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4))
    placed = place_cells(draw_outlines(settings, shapes), settings, places)
    labels = placed.labels()
    assert int((np.bincount(labels.ravel(), minlength=1) > 0).sum()) == settings.cells + bool((labels == 0).any())
    image = take_picture(paint_light(placed, settings, lights), settings, camera)
    return Field(image, labels, settings.cells)
