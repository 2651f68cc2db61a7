"""The augmentation of c-ResUnet: its branches with their shares, and what each may do."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from painting import Disc, paint

from cellmonai.data.transforms.colour import rgb_to_hsv
from cellmonai.data.transforms.morelli2021 import RandMorelli2021d, draw_artefact_branch, draw_branch
from cellmonai.data.transforms.morelli_steps import (
    ARTEFACTS,
    CELLS,
    Elastic,
    bend,
    change_geometry,
    draw_bent_places,
    look_up,
)
from cellmonai.data.transforms.warp import pixel_places

if TYPE_CHECKING:
    from cellmonai.data.transforms.morelli2021 import Variant

DRAWS = 20_000
LABELS = paint([Disc(20, 20, 8), Disc(60, 30, 10), Disc(40, 70, 12)], (96, 96))
IMAGE = np.stack([0.9 * (LABELS > 0), 0.7 * (LABELS > 0), np.full(LABELS.shape, 0.1)]).astype(np.float32)
CROP = {"image": IMAGE, "target": (LABELS > 0)[None].astype(np.float32)}


def changed_crops(
    crop: dict[str, np.ndarray], *, draws: int, artefact: bool = False, variant: Variant = "as_named"
) -> list[dict[str, np.ndarray]]:
    transform = RandMorelli2021d(prob=1.0, artefact=artefact, variant=variant)
    transform.set_random_state(seed=0)
    return [transform(crop) for _ in range(draws)]


@pytest.mark.parametrize(
    ("objects", "shares"),
    [
        pytest.param(3, {"tint": 0.05, "generic": 0.6175, "elastic": 0.29925, "geometry": 0.03325}, id="many"),
        pytest.param(2, {"tint": 0.0, "generic": 0.65, "elastic": 0.315, "geometry": 0.035}, id="two have no tint"),
    ],
)
def test_branches_have_the_published_shares(objects: int, shares: dict[str, float]) -> None:
    random = np.random.RandomState(0)
    drawn = [draw_branch(random, objects=objects) for _ in range(DRAWS)]
    found = Counter(branch for branch, _ in drawn)
    for branch, share in shares.items():
        assert found[branch] / DRAWS == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / DRAWS))
    blurred = Counter(branch for branch, blur in drawn if blur)
    assert blurred["generic"] / found["generic"] == pytest.approx(0.33, abs=0.02)
    assert set(blurred) == {"generic"}


def test_artefacts_have_the_published_shares() -> None:
    random = np.random.RandomState(0)
    found = Counter(draw_artefact_branch(random) for _ in range(DRAWS))
    shares = {branch: number / DRAWS for branch, number in found.items()}
    assert shares == pytest.approx({"colours": 80 / 128, "elastic": 35 / 128, "blur": 13 / 128}, abs=0.014)


@pytest.mark.parametrize(
    ("probability", "unchanged"),
    [pytest.param(1.0, 0.0, id="always"), pytest.param(0.7, 0.3 + 0.7 * 0.25 * 0.3, id="0.7")],
)
def test_geometry_turns_and_flips_as_often_as_published(probability: float, unchanged: float) -> None:
    random = np.random.RandomState(0)
    small = {key: array[:, :24, :24] for key, array in CROP.items()}
    crops = [change_geometry(small, random, probability)["image"] for _ in range(1000)]
    assert np.mean([np.array_equal(crop, small["image"]) for crop in crops]) == pytest.approx(unchanged, abs=0.05)
    exact = [np.flip(small["image"], axis) for axis in (1, 2)]
    flips = [np.mean([np.array_equal(crop, flip) for crop in crops]) for flip in exact]
    assert flips == pytest.approx([probability * 0.25 * probability / 2] * 2, abs=0.04)


def test_lookup_acts_in_half_of_the_crops_and_keeps_the_place_of_every_pixel() -> None:
    random = np.random.RandomState(0)
    images = [look_up(CROP, random, 0.7)["image"] for _ in range(600)]
    changed = [image for image in images if not np.array_equal(image, IMAGE)]
    assert len(changed) / 600 == pytest.approx(0.49, abs=0.08)
    factors = np.array([image[0].max() for image in changed]) / 0.9
    darker = factors < 0.94  # beyond what a shift of value by 0.05 can do
    assert 0.3 <= factors.min() < 0.35
    assert darker.mean() == pytest.approx(0.5 * 0.64 / 0.7, abs=0.08)
    assert factors.max() == pytest.approx(0.95 / 0.9, abs=0.01)


@pytest.mark.parametrize("settings", [pytest.param(CELLS, id="cells"), pytest.param(ARTEFACTS, id="artefacts")])
@pytest.mark.parametrize("side", [32, 128])
def test_bent_crops_do_not_fold_whatever_their_size(settings: Elastic, side: int) -> None:
    random = np.random.RandomState(0)
    for _ in range(20):
        places = draw_bent_places((side, side), random, settings).astype(np.float64)
        down, right = np.diff(places, axis=1)[:, :, :-1], np.diff(places, axis=2)[:, :-1]
        assert (down[0] * right[1] - down[1] * right[0]).min() > 0


def test_three_points_of_a_bent_crop_move_in_proportion_to_its_side() -> None:
    random = np.random.RandomState(0)
    settings = Elastic(alpha=(0.0,), anchor_px=(75.0,), sigma_px=(2.0,))
    bound, shift = 75 * 64 / 512, 0.1 * 64
    moved = []
    for _ in range(200):
        places = draw_bent_places((64, 64), random, settings).astype(np.float64)
        offset = places[:, 0, 0]
        matrix = np.stack([places[:, 1, 0] - offset, places[:, 0, 1] - offset], axis=1)
        anchors = 32 + 21 * np.array([[1, 1, -1], [1, -1, -1]])
        moved.append(np.abs(np.linalg.solve(matrix, anchors - offset[:, None]) - anchors).max())
    beyond = np.array(moved) > bound + 1e-3  # only where the whole crop was shifted besides
    assert 0.9 * bound < np.array(moved)[~beyond].max()
    assert 0.05 < beyond.mean() < 0.3
    assert max(moved) < bound + shift


def test_a_bent_cell_and_its_mask_stay_together() -> None:
    random = np.random.RandomState(2)
    for _ in range(5):
        bent = bend(CROP, random, CELLS)
        inside, target = bent["image"][0] > 0.45, bent["target"][0] > 0
        assert (inside & target).sum() >= 0.85 * (inside | target).sum()


@pytest.mark.parametrize(
    ("squares", "share"),
    [
        pytest.param([(2, 2), (4, 4), (10, 10)], 0.05, id="three, of which two touch by a corner"),
        pytest.param([(2, 2), (2, 4), (10, 10)], 0.0, id="two, as two squares touch by an edge"),
        pytest.param([], 0.0, id="none"),
    ],
)
def test_only_crops_of_more_than_two_objects_are_tinted(squares: list[tuple[int, int]], share: float) -> None:
    target = np.zeros((2, 16, 16), np.float32)
    target[1] = np.indices((16, 16)).sum(axis=0) % 2  # another map, whose regions do not count
    for row, col in squares:
        target[0, row : row + 2, col : col + 2] = 1
    grey = np.full((3, 16, 16), 0.5, np.float32)
    images = [crop["image"] for crop in changed_crops({"image": grey, "target": target}, draws=600)]
    tinted = [image[:, 8, 8] for image in images if image[0, 8, 8] - image[2, 8, 8] > 0.01]
    assert len(tinted) / 600 == pytest.approx(share, abs=0.03 if share else 0)
    assert all((0.55 <= red <= 0.56) and (0.54 <= green <= 0.545) and blue == 0.5 for red, green, blue in tinted)


@pytest.mark.parametrize(
    ("variant", "largest"),
    [pytest.param("as_named", 15, id="as named"), pytest.param("morelli2021", 25, id="as the code does")],
)
def test_the_variant_says_how_far_crops_are_blurred(variant: Variant, largest: int) -> None:
    point = np.zeros((1, 51, 51), np.float32)
    point[0, 25, 25] = 1
    crops = changed_crops({"image": point, "target": point}, draws=600, artefact=True, variant=variant)
    blurred = [
        crop["image"][0] for crop in crops if np.array_equal(crop["target"], point) and crop["image"].max() < 0.2
    ]
    sides = [int((image[25] > 1e-6).sum()) for image in blurred]
    assert {3, 5, 7, 9, 11, 13, largest} <= set(sides) <= set(range(3, largest + 1, 2))


@pytest.mark.parametrize(
    ("variant", "lowest", "highest"),
    [pytest.param("as_named", 25, 36.1, id="as named"), pytest.param("morelli2021", 0.02, 0.11, id="as the code does")],
)
def test_the_variant_says_how_far_hues_of_artefacts_turn(variant: Variant, lowest: float, highest: float) -> None:
    red = np.broadcast_to(np.array([0.8, 0.2, 0.2], np.float32)[:, None, None], (3, 16, 16))
    crops = changed_crops({"image": red, "target": red[:1]}, draws=200, artefact=True, variant=variant)
    sixths = np.array([rgb_to_hsv(crop["image"][:, 8:9, 8:9])[0].item() for crop in crops])
    degrees = 60 * np.minimum(sixths, 6 - sixths)
    assert lowest < degrees.max() < highest


@pytest.mark.parametrize("artefact", [pytest.param(False, id="cells"), pytest.param(True, id="artefacts")])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_images_of_any_number_of_channels_stay_between_0_and_1(channels: int, *, artefact: bool) -> None:
    image = np.resize(IMAGE, (channels, 96, 96))
    for crop in changed_crops({"image": image, "target": CROP["target"]}, draws=12, artefact=artefact):
        assert crop["image"].shape == image.shape
        assert crop["image"].min() >= 0
        assert crop["image"].max() <= 1


def test_pixel_places_are_the_sources_that_change_nothing() -> None:
    places = pixel_places((3, 4))
    assert places[:, 2, 3].tolist() == [2, 3]
