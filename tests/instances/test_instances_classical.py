"""Methods without training: painted cells are found, libraries and naive versions agree, odd images give nothing."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from painting import Disc, paint
from scipy import ndimage
from scipy.cluster.vq import kmeans2
from skimage.feature import canny as skimage_canny
from skimage.feature import peak_local_max
from skimage.filters import threshold_local, threshold_otsu
from skimage.morphology import disk
from skimage.segmentation import watershed as skimage_watershed

from cellmonai.core.errors import UsageError
from cellmonai.instances.classical.catalogue import METHODS, ChosenMethod, parse_parameters
from cellmonai.instances.classical.cut import cut_apart
from cellmonai.instances.classical.kmeans import cluster_means, kmeans
from cellmonai.instances.classical.local_threshold import window_px
from cellmonai.instances.classical.mean_shift import LEVELS, mean_shift
from cellmonai.instances.classical.region_growing import grow, region_growing
from cellmonai.instances.classical.run import MASKS, OBJECTS
from cellmonai.instances.classical.steps import to_unit_range
from cellmonai.instances.classical.watershed import watershed
from cellmonai.instances.components import label_components
from cellmonai.instances.find import find_instances

if TYPE_CHECKING:
    from numpy.typing import NDArray

APART = [Disc(16 + 32 * row, 20 + 34 * col, radius_px=6 + (row + col) % 4) for row in range(4) for col in range(5)]
TOUCHING = [Disc(40, 30, 10), Disc(40, 48, 10)]
SMALL_LABELS = arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 3))


def picture(discs: list[Disc], shape: tuple[int, int] = (140, 180), *, noise: float = 0.03) -> NDArray[np.float32]:
    """Bright discs on a dark ground, a little blurred and noisy, in [0, 1]."""
    light = 0.1 + 0.7 * (paint(discs, shape) > 0)
    random = np.random.default_rng(5)
    return to_unit_range(ndimage.gaussian_filter(light, 0.8) + random.normal(0, noise, shape))


def uneven_picture() -> NDArray[np.float32]:
    """Cells of many brightnesses, some touching, some cut by the border, on an uneven ground."""
    random = np.random.default_rng(8)
    discs = [Disc(*random.uniform(0, 130, 2), random.uniform(5, 11)) for _ in range(30)]
    labels = paint(discs, (128, 130))
    brightness = np.concatenate([[0.0], random.uniform(0.1, 0.8, len(discs))])
    ground = 0.1 + 0.2 * np.linspace(0, 1, 130)
    return to_unit_range(ndimage.gaussian_filter(brightness[labels] + ground, 1) + random.normal(0, 0.02, labels.shape))


def count(method: str, image: NDArray[np.float32], **parameters: object) -> int:
    chosen = ChosenMethod(method, parameters)
    return find_instances(chosen.segment(image), chosen.operating_point).count


@pytest.mark.parametrize("method", METHODS)
def test_cells_that_lie_apart_are_counted_exactly(method: str) -> None:
    assert count(method, picture(APART)) == len(APART)


@pytest.mark.parametrize("method", METHODS)
def test_outlines_of_cells_that_lie_apart_are_those_painted(method: str) -> None:
    found, truth = ChosenMethod(method).segment(picture(APART)), paint(APART, (140, 180)) > 0
    assert np.count_nonzero(found & truth) / np.count_nonzero(found | truth) > 0.7


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "disc", [Disc(70, 90, 9), Disc(0, 0, 12), Disc(139, 90, 9)], ids=["in the middle", "in the corner", "at the border"]
)
def test_a_single_cell_is_one(method: str, disc: Disc) -> None:
    assert count(method, picture([disc], noise=0.01)) == 1


@pytest.mark.parametrize("method", METHODS)
def test_cells_that_touch_are_two(method: str) -> None:
    assert label_components(paint(TOUCHING, (80, 80)) > 0).max() == 1
    assert count(method, picture(TOUCHING, (80, 80))) == 2


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (1, 9), (40, 30)], ids=str)
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_an_image_of_one_value_has_no_cells(method: str, shape: tuple[int, int], value: float) -> None:
    mask = ChosenMethod(method).segment(np.full(shape, value, np.float32))
    assert mask.shape == shape
    assert mask.dtype == np.bool_
    assert not mask.any()


@pytest.mark.parametrize("method", METHODS)
@given(image=arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.floats(0, 1, width=16)))
def test_any_small_image_gives_a_mask_of_its_shape_and_stays_as_it_is(method: str, image: NDArray[np.float32]) -> None:
    before = image.copy()
    mask = ChosenMethod(method).segment(image)
    assert (mask.shape, mask.dtype) == (image.shape, np.bool_)
    assert np.array_equal(image, before)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_image_gives_the_same_mask(method: str) -> None:
    image = uneven_picture()
    assert np.array_equal(ChosenMethod(method).segment(image), ChosenMethod(method).segment(image.copy()))


@pytest.mark.parametrize(
    ("method", "key", "value"),
    [
        *((method, "smooth_px", 3.5) for method in METHODS),
        ("otsu", "factor", 0.7),
        ("local_threshold", "window", 0.5),
        ("local_threshold", "weights", "gaussian"),
        ("local_threshold", "offset", 0.1),
        ("local_threshold", "fill_holes", False),
        ("canny", "high", 0.4),
        ("canny", "closing_px", 0),
        ("canny", "opening_px", 0),
        ("canny", "mirror_px", 0),
        ("watershed", "factor", 0.7),
        ("watershed", "min_distance_px", 20),
        ("watershed", "surface", "gradient"),
        ("watershed", "surface", "intensity"),
        ("region_growing", "seed_smooth_px", 1.0),
        ("region_growing", "seed_distance_px", 25),
        ("region_growing", "tolerance", 0.2),
        ("kmeans", "clusters", 3),
        ("mean_shift", "bandwidth", 0.1),
    ],
)
def test_every_parameter_changes_the_result(method: str, key: str, value: object) -> None:
    image = uneven_picture()
    assert not np.array_equal(ChosenMethod(method, {key: value}).segment(image), ChosenMethod(method).segment(image))


def test_edges_that_go_on_below_the_upper_gradient_add_foreground() -> None:
    image = uneven_picture()
    far, near = (ChosenMethod("canny", {"high": 0.4, "low": low}).segment(image) for low in (0.05, 0.4))
    assert near.sum() < far.sum()


def test_more_bright_clusters_are_more_foreground() -> None:
    image = uneven_picture()
    one, two = (ChosenMethod("kmeans", {"clusters": 3, "bright": bright}).segment(image) for bright in (1, 2))
    assert (one <= two).all()
    assert one.sum() < two.sum()


# ---------------------------------------------------------------- libraries and naive versions


def test_otsu_is_the_librarys_threshold_of_the_blurred_image() -> None:
    image = uneven_picture()
    blurred = ndimage.gaussian_filter(image, 1.0, mode="nearest")
    assert np.array_equal(ChosenMethod("otsu").segment(image), blurred > threshold_otsu(blurred))


def test_otsu_is_the_threshold_of_the_greatest_variance_between_classes() -> None:
    image = (np.round(uneven_picture() * 255) / 255).astype(np.float32)  # every threshold can be tried

    def variance(mask: NDArray[np.bool_]) -> float:
        return float(mask.mean() * (1 - mask.mean()) * (image[mask].mean() - image[~mask].mean()) ** 2)

    best = max((image > level / 255 for level in range(255)), key=variance)
    found = ChosenMethod("otsu", {"smooth_px": 0.0}).segment(image)
    assert variance(found) >= 0.999 * variance(best)


@pytest.mark.parametrize("weights", ["mean", "gaussian"])
def test_the_local_threshold_is_the_librarys(weights: str) -> None:
    image = uneven_picture()
    given_values = {"smooth_px": 0.0, "weights": weights, "window": 0.3, "offset": 0.02, "fill_holes": False}
    expected = image > threshold_local(image, 37, method=weights, offset=-0.02)  # the odd side below 0.3 of 128 px
    assert np.array_equal(ChosenMethod("local_threshold", given_values).segment(image), expected)


@pytest.mark.parametrize(
    ("side", "window", "expected"), [(100, 0.2, 19), (100, 0.21, 21), (10, 0.0, 3), (1000, 1.0, 999), (5, 1.0, 5)]
)
def test_the_window_is_odd_and_at_least_three(side: int, window: float, expected: int) -> None:
    assert window_px((side, 2 * side), window) == expected


def test_canny_is_the_librarys_edges_closed_filled_and_opened() -> None:
    image = picture(APART)  # nothing touches the border, so that mirroring and padding change nothing
    blurred = ndimage.gaussian_filter(image, 2.0, mode="nearest")
    steepest = np.hypot(ndimage.sobel(blurred, 0), ndimage.sobel(blurred, 1)).max()
    edges = skimage_canny(image, 2.0, 0.05 * steepest, 0.1 * steepest, mode="nearest")
    filled = ndimage.binary_fill_holes(ndimage.binary_closing(edges, disk(3)))
    expected = ndimage.binary_opening(filled, disk(3))
    found = ChosenMethod("canny").segment(image)
    assert np.array_equal(found[8:-8, 8:-8], expected[8:-8, 8:-8])


def test_canny_finds_dark_cells_as_well() -> None:
    image = picture(APART)
    assert count("canny", 1 - image) == len(APART)


def test_the_watershed_is_the_librarys() -> None:
    image = uneven_picture()
    blurred = ndimage.gaussian_filter(image, 1.0, mode="nearest")
    inside = ndimage.binary_fill_holes(blurred > threshold_otsu(blurred))
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(inside).astype(np.float32), 1.0, mode="nearest")
    markers = np.zeros(image.shape, int)
    peaks = peak_local_max(distance, min_distance=5, labels=inside.astype(int), exclude_border=False)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    expected = skimage_watershed(-distance, markers, mask=inside, connectivity=2)
    found = watershed(image, smooth_px=1.0, factor=1.0, min_distance_px=5, surface="distance")
    assert np.array_equal(found[expected > 0], expected[expected > 0])
    assert np.array_equal(found > 0, inside)


def test_a_region_without_a_marker_is_an_object_all_the_same() -> None:
    near = [Disc(30, 30, 10), Disc(30, 47, 4)]  # 3 px of background lie between them
    found = watershed(picture(near, (60, 80)), smooth_px=0.0, factor=1.0, min_distance_px=40, surface="distance")
    assert found.max() == 2


@pytest.mark.parametrize("clusters", [2, 3, 5])
def test_k_means_are_those_of_scipy_from_the_same_start(clusters: int) -> None:
    values = uneven_picture().ravel().astype(np.float64)
    start = values.min() + (np.arange(clusters) + 0.5) / clusters * np.ptp(values)
    expected, group = kmeans2(values[:, None], start[:, None], iter=300, minit="matrix")
    means = cluster_means(values, clusters)
    assert np.allclose(means, expected.ravel(), rtol=1e-9)
    found = kmeans(uneven_picture(), smooth_px=0.0, clusters=clusters, bright=1)
    assert np.array_equal(found.ravel(), group == clusters - 1)


def test_a_mean_without_values_stays_where_it_began() -> None:
    assert cluster_means(np.array([0.0, 0.0, 1.0]), 5).tolist() == [0.0, 0.3, 0.5, 0.7, 1.0]


def naive_mean_shift(values: NDArray[np.float64], bandwidth: float) -> NDArray[np.bool_]:
    """Shift every single pixel over all pixels, join peaks by chains, take what is brighter than the largest group."""
    peaks = []
    for value in values:
        here = value
        for _ in range(10_000):  # each step gets smaller
            mean = values[np.abs(values - here) <= bandwidth].mean()
            if abs(mean - here) < 1e-9:
                break
            here = mean
        peaks.append(here)
    order = np.argsort(peaks)
    group = np.empty(len(values), int)
    current = 0
    for before, after in zip([order[0], *order[:-1]], order, strict=True):
        current += peaks[after] - peaks[before] > bandwidth
        group[after] = current
    brightness = [values[group == label].mean() for label in range(current + 1)]
    largest = np.bincount(group).argmax()
    return np.array(brightness)[group] > brightness[largest]


@pytest.mark.parametrize("seed", range(6))
def test_mean_shift_equals_the_naive_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    centres = np.concatenate([np.full(60, 0.15), np.full(30, 0.5), np.full(25, 0.85)])
    levels = np.clip(random.normal(centres, 0.05) * LEVELS, 0, LEVELS - 1).astype(int)
    image = ((levels + 0.5) / LEVELS).astype(np.float32).reshape(5, 23)  # in the middle of levels, as they are counted
    expected = naive_mean_shift((levels + 0.5) / LEVELS, 0.0717)
    assert expected.any()
    assert np.array_equal(mean_shift(image, smooth_px=0.0, bandwidth=0.0717).ravel(), expected)


def naive_growing(
    image: NDArray[np.float64], seeds: list[tuple[int, int]], *, background: float, tolerance: float
) -> NDArray[np.int32]:
    """Look through all candidates at every step, with sets instead of a heap."""
    regions = {label: [float(image[seed])] for label, seed in enumerate(seeds, start=1)}
    labels = np.zeros(image.shape, np.int32)
    waiting: set[tuple[float, int, int, int]] = set()

    def offer(row: int, col: int, label: int) -> None:
        mean = sum(regions[label]) / len(regions[label])
        for i, j in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)):
            if 0 <= i < image.shape[0] and 0 <= j < image.shape[1] and not labels[i, j]:
                difference = abs(float(image[i, j]) - mean)
                if difference <= tolerance * (mean - background):
                    waiting.add((difference, i, j, label))

    for label, seed in enumerate(seeds, start=1):
        labels[seed] = label
        offer(*seed, label)
    while waiting:
        best = min(waiting)
        waiting.remove(best)
        _, row, col, label = best
        if not labels[row, col]:
            labels[row, col] = label
            regions[label].append(float(image[row, col]))
            offer(row, col, label)
    return labels


@pytest.mark.parametrize("seed", range(5))
def test_growing_equals_the_naive_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    image = ndimage.gaussian_filter(random.random((20, 22)), 2).astype(np.float64)
    places = random.choice(image.size, 6, replace=False)
    seeds = np.stack(np.divmod(places, 22), axis=1)
    background = float(image.min())
    expected = naive_growing(image, [(int(r), int(c)) for r, c in seeds], background=background, tolerance=0.5)
    found = grow(image, seeds, background=background, tolerance=0.5)
    assert np.array_equal(found, expected)
    assert 6 < np.count_nonzero(found) < image.size


def test_without_tolerance_a_region_takes_equal_pixels_only() -> None:
    image = np.array([[0.9, 0.9, 0.8], [0.1, 0.9, 0.9]])
    found = grow(image, np.array([[0, 0]]), background=0.0, tolerance=0.0)
    assert found.tolist() == [[1, 1, 0], [0, 1, 1]]


def test_every_object_of_region_growing_is_in_one_piece() -> None:
    labels = region_growing(uneven_picture(), smooth_px=1.0, seed_smooth_px=2.0, seed_distance_px=5, tolerance=0.5)
    assert labels.max() == label_components(labels, connectivity=4).max() > 10


# ---------------------------------------------------------------- cutting objects apart


@given(SMALL_LABELS)
def test_after_the_cut_every_region_is_one_object(labels: NDArray[np.int32]) -> None:
    mask = cut_apart(labels)
    pieces = label_components(mask)
    assert (labels[mask] > 0).all()
    owners = [set(labels[pieces == piece].tolist()) for piece in range(1, int(pieces.max(initial=0)) + 1)]
    assert all(len(owner) == 1 for owner in owners)
    assert len({owner.pop() for owner in owners}) == int(pieces.max(initial=0))


@given(SMALL_LABELS)
def test_objects_that_do_not_touch_are_left_alone(labels: NDArray[np.int32]) -> None:
    apart = label_components(labels > 0)
    assert np.array_equal(cut_apart(apart), labels > 0)


def test_the_line_is_cut_out_of_the_larger_object() -> None:
    labels = paint([Disc(20, 20, 12), Disc(20, 35, 6)], (40, 50))
    mask = cut_apart(labels)
    assert np.array_equal(mask & (labels == 2), labels == 2)
    lost = (labels == 1) & ~mask
    assert 0 < np.count_nonzero(lost) < 16
    assert label_components(mask).max() == 2


def test_of_a_severed_object_the_largest_piece_stays() -> None:
    labels = np.ones((9, 30), np.int32)
    labels[4:5] = 0
    labels[:, 9:12] = 2
    labels[4, 9:12] = 2
    mask = cut_apart(labels)
    assert label_components(mask).max() == 2
    assert not mask[:, :9].any()


@pytest.mark.parametrize("method", OBJECTS)
def test_the_mask_of_a_method_with_objects_counts_as_the_objects_do(method: str) -> None:
    image, chosen = uneven_picture(), ChosenMethod(method)
    labels = OBJECTS[method](image, **chosen.parameters)
    large = np.bincount(labels.ravel())[1:] >= 30  # smaller ones may lose their last pixels to the 10 px filter
    assert large.sum() > 10
    found = find_instances(chosen.segment(image), chosen.operating_point)
    assert large.sum() <= found.count <= labels.max()


# ---------------------------------------------------------------- scale, table, choice


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([-128, -1, 127], np.int8),
        ([0, 65535], np.uint16),
        ([-32768, 0, 32767], np.int16),
        ([0, 2**32 - 1], np.uint32),
        ([-(2**31), 2**31 - 1], np.int32),
        ([-1.7e308, 0.0, 1.7e308], np.float64),
        ([-3e38, 3e38], np.float32),
        ([0.0, 1e-300], np.float64),
        ([False, True], np.bool_),
    ],
    ids=str,
)
def test_the_darkest_pixel_is_scaled_to_0_and_the_brightest_to_1(values: list[float], dtype: type[Any]) -> None:
    scaled = to_unit_range(np.array([values], dtype))
    assert scaled.dtype == np.float32
    assert (scaled.min(), scaled.max()) == (0.0, 1.0)
    assert (np.diff(scaled) > 0).all()


@pytest.mark.parametrize("values", [[7, 7], [0.0, 5e-324], []], ids=["one value", "no difference", "no pixel"])
def test_a_plane_of_one_value_is_scaled_to_zeros(values: list[float]) -> None:
    assert not to_unit_range(np.array([values])).any()


def test_cells_that_cover_a_thousandth_are_not_cut_off_by_the_scale() -> None:
    assert count("otsu", picture([Disc(200, 200, 7)], (400, 400))) == 1


@pytest.mark.parametrize("method", METHODS)
def test_the_table_names_exactly_what_a_method_takes(method: str) -> None:
    row = METHODS[method]
    function = {**MASKS, **OBJECTS}[method]
    taken = [name for name, kind in inspect.signature(function).parameters.items() if kind.kind == kind.KEYWORD_ONLY]
    assert taken == list(row.parameters)
    assert (method in OBJECTS) == (row.gives == "objects")
    for parameter in row.parameters.values():
        assert parameter.check(parameter.default) == parameter.default
        assert parameter.meaning
    assert row.title
    assert row.meaning
    assert row.source


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        pytest.param("otsus", {}, "unknown method 'otsus'; did you mean 'otsu'", id="method"),
        pytest.param("otsu", {"smoth_px": 1.0}, "no parameter 'smoth_px'; did you mean 'smooth_px'", id="parameter"),
        pytest.param("otsu", {"smooth_px": -1.0}, "--set smooth_px: -1.0 does not fit; expected 0 to 100", id="range"),
        pytest.param("kmeans", {"clusters": 2.5}, "expected a whole number", id="kind"),
        pytest.param("watershed", {"surface": "depth"}, "expected one of 'distance'", id="word"),
        pytest.param("kmeans", {"bright": 2}, "all 2 clusters would be cells", id="no background"),
        pytest.param("canny", {"low": 0.5}, "low is 0.5, above high, 0.1", id="low above high"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, parameters: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        ChosenMethod(name, parameters)


def test_a_choice_holds_every_parameter_and_says_them() -> None:
    chosen = ChosenMethod("local_threshold", {"window": 1, "fill_holes": False})
    assert chosen.parameters["window"] == 1.0
    assert chosen.parameters["offset"] == 0.05
    assert chosen.sentence == ("local threshold (smooth_px 1, window 1, weights mean, offset 0.05, fill_holes false)")
    assert chosen.as_json()["parameters"] == dict(chosen.parameters)


def test_values_are_typed_as_numbers_words_or_true_and_false() -> None:
    words = ["a=1", "b=0.5", "c=true", "d=mean", "e = 2 ", "a=3", "f=", "g=1\nh=2"]
    expected = {"a": 3, "b": 0.5, "c": True, "d": "mean", "e": 2, "f": "", "g": "1\nh=2"}
    assert parse_parameters(words) == expected


@pytest.mark.parametrize("word", ["smooth_px", "=2", ""])
def test_a_word_without_key_or_value_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="write it as key=value"):
        parse_parameters([word])


def test_only_planes_are_segmented() -> None:
    with pytest.raises(ValueError, match=r"expected \(Y, X\)"):
        ChosenMethod("otsu").segment(np.zeros((1, 4, 4), np.float32))
