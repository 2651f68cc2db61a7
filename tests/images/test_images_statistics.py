"""Scaling found band by band is that of the whole plane, whatever its type."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cellmonai.images import statistics
from cellmonai.images.budget import budget_of
from cellmonai.images.normalise import Normalisation
from cellmonai.images.source import ArraySource, ImageFacts
from cellmonai.images.statistics import order_statistics, scaling_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

TYPES = ["bool", "uint8", "uint16", "int16", "int32", "uint32", "float16", "float32", "float64"]


def _source(array: NDArray[Any]) -> ArraySource:
    names = tuple(str(i) for i in range(array.shape[0]))
    facts = ImageFacts("CYX", array.shape, names, array.dtype, None, (array.shape[1:],))  # type: ignore[arg-type]
    return ArraySource(Path("painted.npy"), facts, budget_of(None), array[None])


def _values(dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    generator = np.random.default_rng(0)
    return (
        generator.normal(0 if dtype[0] in "if" else 3000, 900, shape).clip(-(2**15) if dtype[0] != "u" else 0)
    ).astype(dtype)


@pytest.fixture(autouse=True)
def _small_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_BAND_PX", 100)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("method", ["percentile", "range", "zscore", "none"])
def test_bands_give_what_the_whole_plane_gives(dtype: str, method: str) -> None:
    array = _values(dtype, (2, 37, 23))
    if (dtype, method) == ("bool", "percentile"):
        array = array.astype(np.uint8)  # NumPy has no percentile of truth values
    low, high = (1.0, 99.8) if method == "percentile" else (0.0, 200.0)
    normalisation = Normalisation(method, low, high)  # type: ignore[arg-type] # a parametrised word
    banded, whole = scaling_of(_source(array), normalisation), normalisation.scaling_for(array)
    tolerance = 0.0 if dtype[0] in "bui" and method != "zscore" else 1e-3 if dtype == "float16" else 1e-5
    assert banded.offset == pytest.approx(whole.offset, rel=tolerance, abs=tolerance)
    assert banded.scale == pytest.approx(whole.scale, rel=tolerance)


@pytest.mark.parametrize("dtype", TYPES)
def test_order_statistics_are_those_of_the_sorted_values(dtype: str) -> None:
    array = _values(dtype, (1, 31, 17))
    values = np.sort(array.ravel())
    ranks = [0, 1, 100, 263, 525, 526]
    found = order_statistics(lambda: iter([array[:, :9], array[:, 9:]]), ranks)
    assert found == [float(values[rank]) for rank in ranks]


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(np.full((1, 9, 9), 7, np.uint16), id="constant"),
        pytest.param(np.array([[[5]]], np.uint8), id="one pixel"),
        pytest.param(np.eye(40, dtype=np.uint16)[None] * 60_000, id="less foreground than the percentile leaves"),
        pytest.param(np.array([[[-np.float32(3e38), 0.0, 3e38]]], np.float32), id="the ends of the type"),
    ],
)
def test_odd_planes_are_scaled_as_in_memory(array: NDArray[Any]) -> None:
    normalisation = Normalisation("percentile", 1.0, 99.0)
    banded, whole = scaling_of(_source(array), normalisation), normalisation.scaling_for(array)
    assert banded.offset == pytest.approx(whole.offset, rel=1e-6)
    assert banded.scale == pytest.approx(whole.scale, rel=1e-6)


def test_only_the_channels_asked_for_are_looked_at() -> None:
    array = np.stack([np.zeros((8, 8)), np.arange(64).reshape(8, 8)]).astype(np.uint8)
    normalisation = Normalisation("percentile", 0.0, 100.0, clip=True)
    assert scaling_of(_source(array), normalisation, channels=[1]).scale == (63.0,)
    assert scaling_of(_source(array), normalisation).clip
