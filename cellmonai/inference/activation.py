"""From logits to probabilities, in NumPy: torch gives other last bits at the end of a row, which shows the windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellmonai.models.file import Activation


def probabilities(logits: NDArray[Any], activation: Activation = "sigmoid") -> NDArray[Any]:
    """Turn logits (K, Y, X) into probabilities of the same shape and type, in [0, 1].

    Parameters
    ----------
    logits : floating point, left as they are
    activation : `sigmoid` takes every map for itself. `categorical` takes two logits, of the inside of cells and of
        their borders, beside a background whose logit is 0, and gives P(inside) + P(border) and P(border).

    Raises
    ------
    ValueError
        Other than two maps for `categorical`.
    """
    if activation == "categorical":
        return _foreground_and_border(logits)
    values: NDArray[Any] = -logits
    with np.errstate(over="ignore"):  # exp of 89 and more is infinite, and its probability 0
        np.exp(values, out=values)
    values += 1
    np.reciprocal(values, out=values)
    return values


def _foreground_and_border(logits: NDArray[Any]) -> NDArray[Any]:
    if logits.shape[0] != 2:
        raise ValueError(f"logits are {logits.shape}, expected (2, Y, X): inside and border")
    greatest = np.maximum(logits.max(axis=0), 0)  # subtracted from all three, so that no exponential overflows
    with np.errstate(over="ignore"):  # a difference beyond all numbers is infinite, and its exponential 0
        values: NDArray[Any] = np.exp(logits - greatest)
    inside, border = values
    inside += border
    total = inside + np.exp(-greatest)
    values /= total
    return values
