"""Another resolution: the right level, and pixels that are the same in whatever region they are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tifffile import TiffWriter

from cellmonai.core.errors import InputError, UsageError
from cellmonai.images.bands import bands_of
from cellmonai.images.budget import Budget
from cellmonai.images.levels import choose_level, level_pixel_size, reduction
from cellmonai.images.open import open_image
from cellmonai.images.rescale import Rescaled, at_resolution
from cellmonai.images.source import ArraySource, ImageFacts, default_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

RANDOM = np.random.default_rng(5)


def source_of(
    image: np.ndarray, *, um: tuple[float, float] | None = (0.5, 0.5), sizes: tuple[tuple[int, int], ...] = ()
) -> ArraySource:
    """An image (C, Y, X) in memory; `sizes` are those of smaller levels, which only their names have."""
    levels = (image.shape[1:], *sizes)
    facts = ImageFacts("CYX", image.shape, default_names(len(image)), image.dtype, um, levels)
    return ArraySource(Path("a.npy"), facts, Budget(2**40), image[np.newaxis])


PYRAMID = source_of(np.zeros((1, 4097, 3001), np.uint8), sizes=((2048, 1500), (1024, 750), (512, 375)))


@pytest.mark.parametrize(
    ("wanted", "level", "factor"),
    [
        pytest.param(0.5, 0, 1.0, id="full size"),
        pytest.param(0.4975, 0, 1.0, id="half a per cent finer than full size"),
        pytest.param(0.99, 0, 1.98, id="just finer than the second"),
        pytest.param(0.995, 1, 1.0, id="half a per cent finer than the second"),
        pytest.param(1.0, 1, 1.0, id="the second"),
        pytest.param(1.5, 1, 1.5, id="between the second and the third"),
        pytest.param(3.0, 2, 1.5, id="between the third and the last"),
        pytest.param(40.0, 3, 10.0, id="coarser than the last"),
        pytest.param(0.25, 0, 0.5, id="finer than full size"),
    ],
)
def test_the_coarsest_level_that_is_fine_enough_is_reduced(wanted: float, level: int, factor: float) -> None:
    choice = choose_level(PYRAMID, wanted)
    assert choice.level == level
    assert choice.factor == pytest.approx((factor, factor))


def test_sizes_that_were_rounded_stand_for_a_whole_factor() -> None:
    assert [reduction(PYRAMID, level) for level in range(4)] == [(1, 1), (2, 2), (4, 4), (8, 8)]
    assert level_pixel_size(PYRAMID, 3) == (4.0, 4.0)
    odd = source_of(np.zeros((1, 1000, 900), np.uint8), sizes=((400, 300),))
    assert reduction(odd, 1) == (2.5, 3.0)


def test_rows_and_columns_of_other_sizes_come_to_the_same() -> None:
    choice = choose_level(source_of(np.zeros((1, 9, 9), np.uint8), um=(0.25, 0.5)), 1.0)
    assert choice == (0, (4.0, 2.0))


@pytest.mark.parametrize("wanted", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_length_is_refused(wanted: float) -> None:
    with pytest.raises(UsageError, match="--um-per-px"):
        choose_level(PYRAMID, wanted)


def test_an_unknown_pixel_size_and_one_that_is_far_too_coarse_are_refused() -> None:
    with pytest.raises(InputError, match="does not say how large its pixels are"):
        choose_level(source_of(np.zeros((1, 9, 9), np.uint8), um=None), 0.5)
    with pytest.raises(InputError, match="more than 16 times finer"):
        choose_level(PYRAMID, 0.01)


def test_a_resolution_is_asked_for_in_one_way(tmp_path: Path) -> None:
    full = RANDOM.integers(0, 250, (64, 96)).astype(np.uint8)
    with TiffWriter(tmp_path / "a.tif") as writer:
        options = {"tile": (16, 16), "resolution": (1e4 / 0.5, 1e4 / 0.5), "resolutionunit": 3}
        writer.write(full, subifds=1, **options)
        writer.write(full[::2, ::2], subfiletype=1, tile=(16, 16))
    with open_image(tmp_path / "a.tif") as source:
        assert at_resolution(source) is source
        assert at_resolution(source, level=0) is source
        assert at_resolution(source, um_per_px=0.5) is source
        half = at_resolution(source, level=1)
        assert (half.shape, half.levels, half.pixel_size_um) == ((1, 32, 48), ((32, 48),), (1.0, 1.0))
        assert np.array_equal(half.read((3, 4, 20, 30))[0], full[::2, ::2][3:20, 4:30])
        assert half.notes == ("read at level 1 of 48 x 32 px",)
        assert half.fingerprint == source.fingerprint
        quarter = at_resolution(source, um_per_px=2.0)
        assert (quarter.shape, quarter.pixel_size_um) == ((1, 16, 24), (2.0, 2.0))
        assert quarter.notes == ("read at level 1 of 48 x 32 px, 2 x 2 pixels to one",)
        with pytest.raises(UsageError, match="both name a resolution"):
            at_resolution(source, level=1, um_per_px=1.0)
        with pytest.raises(InputError, match=r"no level 2 \(it has 0: 96 x 64 px, 1: 48 x 32 px\)"):
            at_resolution(source, level=2)
        half.close()
        with pytest.raises(InputError, match="cannot read the pixels"):
            source.read()


def averaged(row: NDArray[np.float64], factor: float) -> list[float]:
    """Average a row over pieces `factor` wide, one by one: the integral of its steps over each piece."""
    found, length = [], len(row)
    for i in range(int(np.ceil(length / factor - 1e-6))):
        start, stop = i * factor, min((i + 1) * factor, length)
        parts = [(max(0.0, min(stop, j + 1) - max(start, j)), row[j]) for j in range(length)]
        found.append(sum(w * v for w, v in parts) / sum(w for w, _ in parts))
    return found


@pytest.mark.parametrize("factor", [1.0001, 1.25, 1.5, 2.0, 2.7, 3.0, 7.3, 40.0])
def test_reducing_averages_by_area(factor: float) -> None:
    image = RANDOM.normal(0, 1, (2, 23, 31))
    found = Rescaled(source_of(image), 0, (factor, 1.0)).read()
    expected = np.stack([np.stack([averaged(column, factor) for column in channel.T]).T for channel in image])
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    found = Rescaled(source_of(image), 0, (1.0, factor)).read()
    expected = np.stack([np.stack([averaged(row, factor) for row in channel]) for channel in image])
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("factor", [0.999, 0.8, 0.5, 0.3, 0.0625])
def test_enlarging_interpolates_between_the_middles_of_pixels(factor: float) -> None:
    row = RANDOM.normal(0, 1, 17)
    found = Rescaled(source_of(np.tile(row, (1, 3, 1))), 0, (1.0, factor)).read()[0]
    middles = (np.arange(found.shape[1]) + 0.5) * factor - 0.5
    assert found == pytest.approx(np.tile(np.interp(middles, np.arange(17), row), (3, 1)), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64, bool])
def test_types_stay_and_whole_numbers_are_rounded(dtype: type) -> None:
    image = np.array([[[0, 1], [0, 1]], [[0, 0], [0, 1]]]).astype(dtype)
    found = Rescaled(source_of(image), 0, (2.0, 2.0)).read()
    assert found.dtype == dtype
    assert found.ravel().tolist() == ([0.5, 0.25] if np.dtype(dtype).kind == "f" else [1, 0])
    for value in (np.array(1, dtype), np.array(0, dtype)):
        flat = np.full((1, 9, 9), value)
        for factor in (0.37, 1.3, 3.0):
            assert (Rescaled(source_of(flat), 0, (factor, factor)).read() == value).all()


@pytest.mark.parametrize("value", [0, 1, 254, 255, 65_534, 65_535])
def test_a_flat_16_bit_image_stays_flat(value: int) -> None:
    flat = np.full((1, 40, 40), value, np.uint16)
    for factor in (0.3, 1.01, 1.7, 13.0):
        assert (Rescaled(source_of(flat), 0, (factor, factor)).read() == value).all()


@given(
    factor=st.tuples(*[st.one_of(st.sampled_from([0.5, 1.0, 2.0, 3.0]), st.floats(0.1, 9))] * 2),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32, np.float64]),
    data=st.data(),
)
def test_any_region_is_cut_from_the_whole_to_the_last_bit(
    factor: tuple[float, float], size: tuple[int, int], dtype: type, data: st.DataObject
) -> None:
    image = np.random.default_rng(1).normal(100, 50, (2, *size)).clip(0, 250).astype(dtype)
    source = Rescaled(source_of(image), 0, factor)
    whole, (_, height, width) = source.read(), source.shape
    row0, column0 = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    row1, column1 = data.draw(st.integers(row0 + 1, height)), data.draw(st.integers(column0 + 1, width))
    part = source.read((row0, column0, row1, column1), channels=[1])
    assert np.array_equal(part, whole[1:, row0:row1, column0:column1])


@pytest.mark.parametrize("factor", [(1.7, 1.3), (0.6, 0.45), (0.7, 2.2)])
def test_windows_tile_exactly_whatever_the_memory(factor: tuple[float, float]) -> None:
    image = RANDOM.normal(0, 1, (1, 101, 67)).astype(np.float32)
    whole = Rescaled(source_of(image), 0, factor).read()[0]
    source = source_of(image)
    source.budget = Budget(40_000)  # so that few rows are made at a time
    small = Rescaled(source, 0, factor)
    out = np.full(small.shape[1:], np.nan, np.float32)
    for top in range(0, out.shape[0], 13):
        for left in range(0, out.shape[1], 17):
            box = (top, left, min(top + 13, out.shape[0]), min(left + 17, out.shape[1]))
            out[box[0] : box[2], box[1] : box[3]] = small.read(box)[0]
    assert np.array_equal(out, whole)
    seen = sum((box[2] - box[0]) * (box[3] - box[1]) for box in bands_of(small))
    assert seen == out.size


def test_a_rescaled_image_has_the_pixel_size_that_was_asked_for() -> None:
    source = source_of(np.zeros((1, 100, 100), np.uint8), um=(0.499, 0.499))
    assert at_resolution(source, um_per_px=0.75).pixel_size_um == pytest.approx((0.75, 0.75))
    assert at_resolution(source, um_per_px=0.75).shape == (1, 67, 67)  # 49.9 um, the last pixel reaching beyond
    assert at_resolution(source, um_per_px=0.5) is source
