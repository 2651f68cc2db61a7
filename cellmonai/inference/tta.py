"""Test-time augmentation: a window is seen turned and mirrored, and the results are averaged; no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from cellmonai.inference.activation import probabilities
from cellmonai.inference.spread import MeanAndSpread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.inference.spread import Engine
    from cellmonai.models.file import Activation

Augmentation = Literal["none", "flips", "d4"]


class View(NamedTuple):
    """One way to look at a window: first transposed or not, then its rows, columns or both in reverse order."""

    transposed: bool
    rows_reversed: bool
    columns_reversed: bool

    def apply(self, window: NDArray[Any]) -> NDArray[Any]:
        """Turn an array (..., h, w); the result is (..., w, h) where the view is transposed."""
        turned = window.swapaxes(-2, -1) if self.transposed else window
        return self._reversed(turned)

    def undo(self, window: NDArray[Any]) -> NDArray[Any]:
        """Turn an array back: `undo(apply(window))` is the window."""
        straight = self._reversed(window)
        return straight.swapaxes(-2, -1) if self.transposed else straight

    def _reversed(self, window: NDArray[Any]) -> NDArray[Any]:
        return window[..., :: -1 if self.rows_reversed else 1, :: -1 if self.columns_reversed else 1]


_FLIPS = tuple(
    View(transposed=False, rows_reversed=rows, columns_reversed=columns)
    for rows in (False, True)
    for columns in (False, True)
)
VIEWS: dict[Augmentation, tuple[View, ...]] = {
    "none": _FLIPS[:1],
    "flips": _FLIPS,
    "d4": (*_FLIPS, *(view._replace(transposed=True) for view in _FLIPS)),
}
"""What each augmentation looks at: `flips` has 4 views, `d4` all 8 that a square has; the first is the window itself.

Every view is one more pass of the network.
"""


class TtaEngine:
    """An engine around an engine: every window is run in several views, whose probabilities are averaged.

    Parameters
    ----------
    engine : runs windows of (h, w) px, and for `d4` of (w, h) px too: a transposed view of a rectangle stands upright
    augmentation : `flips` or `d4`; see `VIEWS`
    activation : how the logits of `engine` become probabilities
    foreground : which map the spread is of; for `categorical` it is 0, inside and border together

    Notes
    -----
    Probabilities are averaged, not logits, so that one view that is certain and wrong cannot outvote the others. The
    result has one map more, named `spread.SPREAD`: the standard deviation of the foreground probability over the views,
    0 where all agree and 0.5 where half of them say the opposite of the others.

    The maps are given back as logits whose sigmoid is the mean, whatever `activation` is: that of the result is always
    `sigmoid`, as the attribute `activation` says. For `categorical` the two maps are then P(inside) + P(border) and
    P(border), which is what `probabilities` gives for it; a spread does not fit among its exclusive classes.

    Windows of a network that is `tile_exact` stay equal to one pass over the whole padded image, if their origins and
    sides and those of the padded image are multiples of the divisor: reversing or transposing then maps pooling cells
    on pooling cells, and the end of the image on an end. Other sizes shift the cells of the reversed views. With `d4`
    the network's rows look along the columns of the image, so the halo must hold its reach in both directions; in the
    catalogue both are equal, and a network with a longer reach along rows would need that one as its radius.
    """

    activation: Activation = "sigmoid"

    def __init__(
        self,
        engine: Engine,
        augmentation: Literal["flips", "d4"],
        *,
        activation: Activation = "sigmoid",
        foreground: int = 0,
    ) -> None:
        self.name, self.precision = engine.name, engine.precision
        self.views = VIEWS[augmentation]
        self._engine, self._activation, self._foreground = engine, activation, foreground

    def run(self, window: NDArray[Any]) -> NDArray[Any]:
        """Give the logits (1, K + 1, h, w) of a window (1, C, h, w), floating point: the maps and their spread."""
        found = MeanAndSpread(foreground=self._foreground)
        for view in self.views:
            logits = self._engine.run(np.ascontiguousarray(view.apply(window)))[0]
            found.add(view.undo(probabilities(logits, self._activation)))
        return found.logits()


def augmented(
    engine: Engine, augmentation: Augmentation, *, activation: Activation = "sigmoid", foreground: int = 0
) -> tuple[Engine, Activation]:
    """Give the engine of an augmentation, and how its logits become probabilities: for `none` both as they are.

    Parameters
    ----------
    engine, activation, foreground : as for `TtaEngine`
    """
    if augmentation == "none":
        return engine, activation
    around = TtaEngine(engine, augmentation, activation=activation, foreground=foreground)
    return around, around.activation
