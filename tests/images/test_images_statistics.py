"""Scalings found band by band are those of the whole image, whatever the type and however it is cut."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from tifffile import imwrite
from zarr_files import write_ome_zarr

from cellmonai.images.bands import bands_of
from cellmonai.images.budget import Budget
from cellmonai.images.normalise import Normalisation, Scaling
from cellmonai.images.open import open_image
from cellmonai.images.order_statistics import OrderStatistics
from cellmonai.images.source import ArraySource, ImageFacts, default_names
from cellmonai.images.statistics import scaling_of

RANDOM = np.random.default_rng(17)
PERCENTILES = Normalisation("percentile", 1.0, 99.8)
DTYPES = ["b1", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]


def source_of(image: np.ndarray) -> ArraySource:
    """An image (C, Y, X) in memory."""
    facts = ImageFacts("CYX", image.shape, default_names(len(image)), image.dtype, None, (image.shape[1:],))
    return ArraySource(Path("a.npy"), facts, Budget(2**40), image[np.newaxis])


def streamed(image: np.ndarray, normalisation: Normalisation, rows: int = 7) -> Scaling:
    bands = [(top, 0, min(top + rows, image.shape[1]), image.shape[2]) for top in range(0, image.shape[1], rows)]
    channels = range(len(image))
    return scaling_of(source_of(image), normalisation, channels=channels, plane=0, bands=bands)


def spread(dtype: str, *shape: int) -> np.ndarray:
    """Values over a large part of the type's range, negative ones too."""
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return RANDOM.random(shape) > 0.9
    if kind.kind == "f":
        return (RANDOM.normal(0, 1, shape) ** 3).astype(kind)
    facts = np.iinfo(kind)
    return RANDOM.integers(facts.min // 3, facts.max // 3, shape, dtype=kind)


def scenes(dtype: str) -> dict[str, np.ndarray]:
    one = np.ones((), dtype)
    lonely = np.zeros((1, 60, 60), dtype)
    lonely[0, 30, 30] = one
    return {
        "noise": spread(dtype, 2, 53, 47),
        "constant": np.full((1, 20, 30), one, dtype),
        "one pixel": np.full((1, 1, 1), one, dtype),
        "two pixels": np.array([[[0, 1]]], dtype),
        "one bright pixel": lonely,
        "two values": (spread("b1", 3, 31, 33)).astype(dtype),
        "ramp": (np.arange(100).reshape(1, 10, 10)).astype(dtype),
    }


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scene", list(scenes("u1")))
@pytest.mark.parametrize("shares", [(1.0, 99.8), (0.0, 100.0), (50.0, 50.0), (2.5, 97.5)], ids=str)
def test_percentiles_are_those_of_the_whole_image_to_the_last_bit(
    dtype: str, scene: str, shares: tuple[float, float]
) -> None:
    image = scenes(dtype)[scene]
    normalisation = Normalisation("percentile", *shares)
    assert streamed(image, normalisation) == normalisation.scaling_for(image)


@given(
    image=arrays(st.sampled_from([np.uint8, np.uint16, np.float32, np.int32]), array_shapes(min_dims=3, max_dims=3)),
    low=st.floats(0, 100),
    high=st.floats(0, 100),
    rows=st.integers(1, 5),
)
def test_any_percentiles_of_any_image_are_those_of_the_whole(
    image: np.ndarray, low: float, high: float, rows: int
) -> None:
    if image.dtype.kind == "f":
        image = np.nan_to_num(image, posinf=1, neginf=-1).clip(-1e30, 1e30)
    elif image.dtype == np.int32:
        image = image // 2  # the step between neighbours overflows in NumPy
    normalisation = Normalisation("percentile", low, high)
    assert streamed(image, normalisation, rows) == normalisation.scaling_for(image)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scene", list(scenes("u1")))
def test_mean_and_deviation_are_those_of_the_whole_image(dtype: str, scene: str) -> None:
    image = scenes(dtype)[scene]
    normalisation = Normalisation("zscore")
    found, expected = streamed(image, normalisation), normalisation.scaling_for(image)
    largest = max(1e-9, np.abs(image.astype(np.float64)).max())
    assert found.offset == pytest.approx(expected.offset, rel=1e-12, abs=1e-12 * largest)
    assert found.scale == pytest.approx(expected.scale, rel=1e-10)


def test_the_deviation_of_small_differences_on_a_high_ground_does_not_drown() -> None:
    image = (1e9 + RANDOM.normal(0, 1, (1, 64, 64))).astype(np.float64)
    assert streamed(image, Normalisation("zscore"), rows=3).scale[0] == pytest.approx(image.std(), rel=1e-6)
    wide = np.full((1, 9, 9), 65_535, np.uint16)
    wide[0, 4, 4] = 65_534
    assert streamed(wide, Normalisation("zscore")).scale[0] == pytest.approx(np.sqrt(80) / 81, rel=1e-9)


@pytest.mark.parametrize("normalisation", [Normalisation("range", 50, 150, clip=True), Normalisation("none")])
def test_a_range_and_none_read_nothing(normalisation: Normalisation) -> None:
    image = spread("u2", 2, 8, 8)
    source = source_of(image)
    source.read = None  # type: ignore[assignment,method-assign] # so that reading would fail
    assert scaling_of(source, normalisation, channels=[0, 1], plane=0) == normalisation.scaling_for(image)


def test_only_the_channels_and_the_plane_that_are_asked_for_count(tmp_path: Path) -> None:
    stack = spread("u2", 2, 3, 40, 50)  # depths of channels
    write_ome_zarr(tmp_path / "a.zarr", [stack.transpose(1, 0, 2, 3)], "CZYX", chunks=(1, 1, 16, 16))
    with open_image(tmp_path / "a.zarr") as source:
        found = scaling_of(source, PERCENTILES, channels=[2, 0], plane=1)
    assert found == PERCENTILES.scaling_for(stack[1, [2, 0]])


@pytest.mark.parametrize(
    ("dtype", "passes"), [("u1", 1), ("i2", 1), ("f2", 1), ("f4", 2), ("u4", 2), ("f8", 2), ("i8", 2)]
)
def test_the_bands_that_are_done_are_told(dtype: str, passes: int) -> None:
    image, told = spread(dtype, 1, 32, 16), []
    bands = [(top, 0, top + 8, 16) for top in range(0, 32, 8)]
    scaling_of(
        source_of(image), PERCENTILES, channels=[0], plane=0, bands=bands, after_band=lambda *at: told.append(at)
    )
    assert told == [(done, 4 * passes) for done in range(1, 4 * passes + 1)]


def test_values_too_many_to_keep_are_counted_to_their_last_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    from cellmonai.images import order_statistics

    monkeypatch.setattr(order_statistics, "KEPT_VALUES", 10)
    for dtype in ("f8", "i8", "u8", "f4"):
        image = spread(dtype, 1, 40, 40)
        image[0, :20] = image[0, 0, 0] + (spread("u1", 20, 40) % 3).astype(dtype)
        assert streamed(image, Normalisation("percentile", 20, 70)) == Normalisation("percentile", 20, 70).scaling_for(
            image
        )


@pytest.mark.parametrize("value", [-0.0, 0.0, -1.5, np.finfo(np.float32).max, np.finfo(np.float32).tiny, -1e-45])
def test_a_float_comes_back_from_its_order(value: float) -> None:
    values = np.array([value, 3.0, -7.0], np.float32)
    search = OrderStatistics(values.dtype, range(3))
    for _ in range(100):  # passes; a few are enough
        if search.done:
            break
        search.add(values)
        search.end_pass()
    assert [search.value(rank) for rank in range(3)] == np.sort(values).tolist()


def test_neighbours_so_far_apart_that_their_step_overflows_are_interpolated_all_the_same() -> None:
    image = np.array([[[-30_000, 30_000]]], np.int16)
    assert streamed(image, Normalisation("percentile", 25.0, 75.0)).offset == (-15_000.0,)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"tile": (16, 32)}, id="tiles"),
        pytest.param({"tile": (128, 128)}, id="a tile larger than the image"),
        pytest.param({"rowsperstrip": 5, "compression": "lzw"}, id="strips"),
        pytest.param({"rowsperstrip": 90, "compression": "lzw"}, id="one strip"),
        pytest.param({}, id="raw"),
    ],
)
@pytest.mark.parametrize("most_bytes", [1, 1000, 5000, 10**9])
def test_bands_cover_every_pixel_once(options: dict[str, Any], most_bytes: int, tmp_path: Path) -> None:
    imwrite(tmp_path / "a.tif", np.zeros((90, 101, 3), np.uint8), photometric="rgb", **options)
    with open_image(tmp_path / "a.tif") as source:
        bands = list(bands_of(source, most_bytes=most_bytes))
        rows, columns = source.block_shape()
    seen = np.zeros((90, 101), int)
    for row0, column0, row1, column1 in bands:
        seen[row0:row1, column0:column1] += 1
        width = min(columns, 101)
        assert 3 * (row1 - row0) * (column1 - column0) <= max(most_bytes, 3 * width)
        if most_bytes >= 3 * rows * columns:  # nothing is cut through the middle of a tile
            assert row0 % rows == 0
            assert column0 % columns == 0
    assert (seen == 1).all()


def test_memory_does_not_grow_with_the_plane(tmp_path: Path) -> None:
    peaks = []
    for side in (1000, 3000):
        np.save(tmp_path / "a.npy", RANDOM.normal(0, 1, (side, side)).astype(np.float32))
        with open_image(tmp_path / "a.npy") as source:
            bands = list(bands_of(source, most_bytes=2**20))
            tracemalloc.start()
            scaling_of(source, PERCENTILES, channels=[0], plane=0, bands=bands)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert max(peaks) < 12 * 2**20
    assert peaks[1] < 1.2 * peaks[0]
    assert sys.getsizeof(bands) < 10_000
