"""The shift test: features of painted images, a known rate of false alarms, and the feature that is to blame."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmonai.measure.intervals.features import count_features, image_features, looked_at
from cellmonai.measure.intervals.shift import ShiftReferences, benjamini_hochberg, feature_words, rank_test

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

DISTRIBUTIONS: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "log-normal": lambda rng, shape: rng.lognormal(size=shape),
    "t3": lambda rng, shape: rng.standard_t(3, size=shape),
}


class Strips:
    """An image that is only given in rows, and remembers how many were asked for."""

    def __init__(self, image: np.ndarray) -> None:
        self.image, self.asked = image, 0
        self.shape = image.shape

    def rows(self, top: int, bottom: int) -> np.ndarray:
        self.asked += bottom - top
        return self.image[:, top:bottom]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(500, 20, shape).astype(np.uint16)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.int32])
def test_intensities_are_those_of_all_pixels(dtype: type) -> None:
    image: np.ndarray = np.random.default_rng(1).gamma(4, 12, (300, 211)).clip(0, 255).astype(dtype)
    features = image_features(image, pixel_size_um=None)
    shares = {
        "intensity_01": 0.01,
        "intensity_25": 0.25,
        "intensity_50": 0.5,
        "intensity_75": 0.75,
        "intensity_99": 0.99,
    }
    for name, share in shares.items():
        assert features[name] == pytest.approx(np.quantile(image, share), rel=1e-5)
    assert features["saturated"] == pytest.approx(np.mean(image == image.max()), rel=1e-5)
    assert features["dynamic_range"] == pytest.approx(float(image.max()) - float(image.min()), rel=1e-5)


def test_sharpness_is_the_noise_of_a_noisy_image_and_falls_with_blur() -> None:
    image = np.random.default_rng(2).normal(100, 5, (400, 400))
    sharp = image_features(image, pixel_size_um=None)["sharpness"]
    assert sharp == pytest.approx(5, rel=0.02)
    blurred = (image[1:] + image[:-1]) / 2
    assert image_features(blurred, pixel_size_um=None)["sharpness"] < 0.8 * sharp


def test_saturated_pixels_are_those_at_the_largest_value() -> None:
    assert image_features(np.minimum(noise(100, 100), 500), pixel_size_um=None)["saturated"] > 0.4
    assert image_features(noise(100, 100), pixel_size_um=None)["saturated"] < 0.001


def test_rows_give_the_same_features_as_the_array() -> None:
    image = np.stack([noise(1500, 900), noise(1500, 900, seed=1) // 2])
    size = (0.5, 0.32)
    features = image_features(image, pixel_size_um=size)
    assert image_features(Strips(image), pixel_size_um=size) == features
    assert features["intensity_50"] == 2 * features["intensity_50@1"]
    assert features["pixel_size"] == pytest.approx(0.4)
    swapped = image_features(image, pixel_size_um=size, channels=[1])
    assert swapped["intensity_50"] == features["intensity_50@1"]
    assert "intensity_50@1" not in swapped


def test_of_a_large_image_only_bands_are_read() -> None:
    image = np.broadcast_to(noise(1, 1, 4000), (1, 40_000, 4000))  # 160 million pixels in 8 kB
    strips = Strips(image)
    features = image_features(strips, pixel_size_um=None)
    assert strips.asked < 1500
    assert features["intensity_50"] == pytest.approx(np.median(image[0, 0]))


@given(st.integers(1, 9000), st.integers(1, 100_000))
def test_bands_lie_in_the_image_in_order_without_overlap(rows: int, columns: int) -> None:
    bands = list(looked_at((rows, columns)))
    assert bands[0][0] == 0
    assert bands[-1][1] == rows
    assert all(top < bottom for top, bottom in bands)
    assert all(before[1] <= after[0] for before, after in pairwise(bands))
    if rows * columns <= 1 << 22:
        assert sum(bottom - top for top, bottom in bands) == rows


def test_undefined_features_are_not_numbers() -> None:
    empty = count_features(np.array([]), (100, 100))
    assert empty["density"] == 0
    assert math.isnan(empty["area_median"])
    assert math.isnan(empty["area_iqr"])
    assert math.isnan(image_features(np.zeros((2, 2), np.uint8), pixel_size_um=None)["sharpness"])
    assert math.isnan(image_features(np.full((9, 9), np.nan, np.float32), pixel_size_um=None)["intensity_50"])


def test_counts_become_density_and_sizes() -> None:
    features = count_features(np.array([10, 20, 30, 40, 50]), (500, 200), confidence=0.9)
    assert features == {"density": 50.0, "area_median": 30.0, "area_iqr": 20.0, "confidence": 0.9}


def false_alarms(draw: Draw, references: int, *, trials: int) -> float:
    rng = np.random.default_rng(references)
    alarms = 0
    for _ in range(trials):
        rows = draw(rng, (references + 1, 12))
        alarms += rank_test(rows[:-1], rows[-1])[0] <= 0.05
    return alarms / trials


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_good_images_alarm_in_five_percent(name: str) -> None:
    assert false_alarms(DISTRIBUTIONS[name], 20, trials=1000) == pytest.approx(0.0476, abs=4 * 0.0067)
    assert false_alarms(DISTRIBUTIONS[name], 40, trials=500) == pytest.approx(0.0488, abs=4 * 0.0096)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_ten_references_never_alarm(name: str) -> None:
    assert false_alarms(DISTRIBUTIONS[name], 10, trials=100) == 0.0


@pytest.mark.long
@pytest.mark.parametrize("references", [10, 19, 20, 40, 100])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_good_images_alarm_in_five_percent_of_4000_trials(name: str, references: int) -> None:
    share = false_alarms(DISTRIBUTIONS[name], references, trials=4000)
    expected = math.floor(0.05 * (references + 1)) / (references + 1)
    print(f"{name} n={references}: {share:.4f}, expected {expected:.4f}")  # noqa: T201
    assert share == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 4000))


def test_undefined_values_do_not_raise_alarms() -> None:
    rng = np.random.default_rng(8)
    alarms = 0
    for _ in range(400):
        rows = np.where(rng.random((21, 12)) < 0.2, np.nan, rng.normal(size=(21, 12)))
        rows[:, 0] = np.nan
        alarms += rank_test(rows[:-1], rows[-1])[0] <= 0.05
    assert alarms / 400 < 0.05 + 4 * 0.011


def references(count: int = 20) -> ShiftReferences:
    rng = np.random.default_rng(3)
    rows = [
        image_features(rng.normal(100, 10, (60, 60)).astype(np.uint8), pixel_size_um=(0.5, 0.5))
        | count_features(rng.integers(80, 120, 30), (60, 60))
        for _ in range(count)
    ]
    return ShiftReferences(tuple(rows[0]), tuple(tuple(row.values()) for row in rows))


def features_of(image: np.ndarray, *, area: int = 100, size: float = 0.5) -> dict[str, float]:
    rng = np.random.default_rng(77)
    return image_features(image, pixel_size_um=(size, size)) | count_features(
        rng.integers(area - 20, area + 20, 30), (60, 60)
    )


def like_the_references() -> np.ndarray:
    return np.random.default_rng(78).normal(100, 10, (60, 60))


def test_an_image_like_the_references_raises_no_alarm() -> None:
    result = references().compare(features_of(like_the_references().astype(np.uint8)))
    assert not result.alarm
    assert result.p > 0.05


@pytest.mark.parametrize(
    ("image", "area", "size", "words"),
    [
        pytest.param(like_the_references() * 2, 100, 0.5, "intensity|dynamic|detail", id="brighter"),
        pytest.param(np.minimum(like_the_references(), 105), 100, 0.5, "saturated|99 %|dynamic", id="saturated"),
        pytest.param(np.full((60, 60), 100.0), 100, 0.5, "saturated|below", id="flat"),
        pytest.param(like_the_references(), 900, 0.5, "area is .* MAD above", id="larger cells"),
        pytest.param(like_the_references(), 100, 0.25, "pixel size is .* MAD below", id="another magnification"),
    ],
)
def test_a_shifted_image_alarms_and_the_feature_is_named(image: np.ndarray, area: int, size: float, words: str) -> None:
    result = references().compare(features_of(image.astype(np.uint8), area=area, size=size))
    assert result.alarm
    assert result.p == pytest.approx(1 / 21)
    assert re.search(words, result.words), result.words


def test_features_that_only_one_side_knows_are_left_out() -> None:
    features = features_of(like_the_references().astype(np.uint8))
    result = references().compare({**features, "confidence": 0.0})
    assert result == references().compare(features)
    del features["pixel_size"]
    assert not references().compare(features).alarm
    assert references().compare({}).alarm  # nothing could be compared


def test_features_of_further_channels_have_names() -> None:
    assert feature_words("intensity_99") == "99 % intensity"
    assert feature_words("intensity_99@2") == "99 % intensity of channel 2"


@pytest.mark.parametrize(
    ("names", "values", "message"),
    [
        (("colour",), ((1.0,),), "unknown feature 'colour'"),
        (("density@x",), ((1.0,),), "unknown feature"),
        (("density", "density"), ((1.0, 1.0),), "repeated"),
        (("density",), ((1.0, 2.0),), "another length"),
        (("density",), ((math.inf,),), "infinite"),
    ],
)
def test_references_that_do_not_hold_together_are_refused(
    names: tuple[str, ...], values: tuple[tuple[float, ...], ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ShiftReferences(names, values)


def test_benjamini_hochberg_alarms_where_many_p_values_are_low() -> None:
    assert benjamini_hochberg([]) == []
    assert benjamini_hochberg([0.04]) == [True]
    assert benjamini_hochberg([0.04, 0.9]) == [False, False]
    assert benjamini_hochberg([0.04] * 9 + [0.9]) == [True] * 9 + [False]
    assert benjamini_hochberg([0.9, 0.012, 0.03, 0.001]) == [False, True, True, True]  # 0.03 <= 0.05 * 3 / 4
