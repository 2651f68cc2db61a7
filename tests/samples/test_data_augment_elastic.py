"""Elastic deformations move pixels as far as asked for and never fold; the published faulty one does as published."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch.nn import functional

from cellmonai.data.transforms.displacement import gaussian_field, steepest, unfolded
from cellmonai.data.transforms.elastic import RandElasticd
from cellmonai.data.transforms.elastic_grid import RandElasticGridd
from cellmonai.data.transforms.elastic_seed000 import RandElasticSeed000d
from cellmonai.data.transforms.warp import pixel_places

if TYPE_CHECKING:
    from cellmonai.data.transforms.crop_transform import SpatialTransformd


def elastic(**given: object) -> RandElasticd:
    settings = {"displacement_px": (2.0, 2.0), "sigma_px": (24.0, 24.0), "largest_gradient": 0.25}
    transform = RandElasticd(**{"prob": 1.0, "interpolation": "linear", **settings, **given})  # type: ignore[arg-type] # mixed kinds
    transform.set_random_state(seed=0)
    return transform


def elastic_grid(**given: object) -> RandElasticGridd:
    settings = {"control_points": 3, "sd_px": 10.0, "largest_gradient": 0.25}
    transform = RandElasticGridd(**{"prob": 1.0, "interpolation": "linear", **settings, **given})  # type: ignore[arg-type] # mixed kinds
    transform.set_random_state(seed=0)
    return transform


def jacobian(sources: np.ndarray) -> np.ndarray:
    """Determinants at every corner of every square of four pixels."""
    down, right = np.diff(sources.astype(np.float64), axis=1), np.diff(sources.astype(np.float64), axis=2)
    pairs = [(d, r) for d in (down[:, :, :-1], down[:, :, 1:]) for r in (right[:, :-1], right[:, 1:])]
    return np.stack([d[0] * r[1] - d[1] * r[0] for d, r in pairs])


@pytest.mark.parametrize(
    "transform",
    [
        pytest.param(elastic(), id="gentle"),
        pytest.param(elastic(displacement_px=(64.0, 64.0), sigma_px=(2.0, 8.0)), id="far and rough"),
        pytest.param(elastic(displacement_px=(30.0, 60.0), largest_gradient=0.49), id="as steep as allowed"),
        pytest.param(elastic_grid(), id="grid"),
        pytest.param(elastic_grid(control_points=12, sd_px=40.0, largest_gradient=0.49), id="fine grid, far"),
    ],
)
def test_no_field_folds_however_far_it_is_asked_to_move(transform: SpatialTransformd) -> None:
    for shape in ((96, 96), (32, 32)):
        for _ in range(4):
            sources = transform.draw_sources(shape)
            assert sources.shape == (2, *shape)
            assert steepest(sources - pixel_places(shape)) <= transform.largest_gradient + 1e-4  # float32 of places
            assert jacobian(sources).min() > 1 - 2 * transform.largest_gradient - 1e-3


def test_the_same_field_folds_without_the_bound() -> None:
    field = 64 * 20 * gaussian_field(np.random.RandomState(0), (64, 64), sigma_px=8.0)
    assert jacobian(pixel_places((64, 64)) + field).min() < 0
    assert jacobian(pixel_places((64, 64)) + unfolded(field, largest_gradient=0.25)).min() > 0.5 - 1e-3


def test_a_field_that_is_gentle_enough_is_left_alone() -> None:
    field = gaussian_field(np.random.RandomState(0), (64, 64), sigma_px=8.0)
    assert unfolded(field, largest_gradient=0.25) is field


@pytest.mark.parametrize("sigma", [4.0, 16.0])
def test_smoothed_noise_has_the_deviation_and_gradient_of_theory_up_to_the_edge(sigma: float) -> None:
    random = np.random.RandomState(0)
    fields = np.stack([gaussian_field(random, (48, 48), sigma_px=sigma) for _ in range(100)])
    assert fields.std() == pytest.approx(0.163 / sigma, rel=0.05)
    assert np.diff(fields, axis=-1).std() == pytest.approx(0.115 / sigma**2, rel=0.05)
    assert fields[..., 0, :].std() == pytest.approx(fields[..., 24, :].std(), rel=0.15)


def test_pixels_move_by_the_displacement_that_is_asked_for() -> None:
    transform = elastic(displacement_px=(1.0, 1.0), sigma_px=(12.0, 12.0), largest_gradient=0.49)
    moved = np.stack([transform.draw_sources((64, 64)) - pixel_places((64, 64)) for _ in range(60)])
    assert np.sqrt((moved**2).mean()) == pytest.approx(1.0, rel=0.1)


def test_control_points_move_by_their_deviation() -> None:
    transform = elastic_grid(sd_px=3.0, largest_gradient=0.49)
    moved = np.stack([transform.draw_sources((129, 129)) - pixel_places((129, 129)) for _ in range(60)])
    assert moved[:, :, ::64, ::64].std() == pytest.approx(3.0, rel=0.1)
    assert np.abs(moved[..., 32, 32]).mean() < np.abs(moved[..., ::64, ::64]).mean()  # between the points it is less


def test_cubic_interpolation_keeps_more_contrast_than_linear() -> None:
    image = np.random.default_rng(0).random((1, 64, 64), np.float32)
    sharp, soft = (elastic(interpolation=kind)({"image": image})["image"] for kind in ("cubic", "linear"))
    assert not np.array_equal(sharp, soft)
    assert image.std() > sharp.std() > soft.std()


def test_the_faulty_elastic_does_what_was_published() -> None:
    """The published steps in torch: noise, mean filter, times k squared, offsets of 2 / side, aligned corners."""
    crop = {key: np.random.default_rng(0).random((1, 60, 80), np.float32) for key in ("image", "target")}
    transform = RandElasticSeed000d(prob=1.0, noise_sd_px=2.0, sigma=3.0)
    transform.set_random_state(seed=4)
    result = transform(crop)
    random = np.random.RandomState(4)
    random.rand()  # whether the crop is changed
    noise = torch.from_numpy(random.normal(0, 2.0, (2, 60, 80)).astype(np.float32))
    down, right = functional.avg_pool2d(noise[None], 9, stride=1, padding=4)[0] * 81
    rows, cols = torch.meshgrid(torch.linspace(-1, 1, 60), torch.linspace(-1, 1, 80), indexing="ij")
    grid = torch.stack([cols + 2 * right / 80, rows + 2 * down / 60], dim=-1)[None]
    image, target = (torch.from_numpy(crop[key])[None] for key in ("image", "target"))
    expected = functional.grid_sample(image, grid, "bilinear", "reflection", align_corners=True)
    assert result["image"] == pytest.approx(expected[0].numpy(), abs=1e-3)
    expected = functional.grid_sample(target, grid, "nearest", "zeros", align_corners=True)
    assert (result["target"] == expected[0].numpy()).mean() > 0.999  # a tie may be rounded either way


def test_the_faulty_elastic_moves_pixels_by_180_px() -> None:
    transform = RandElasticSeed000d(prob=1.0, noise_sd_px=20.0, sigma=3.0)
    transform.set_random_state(seed=0)
    moved = transform.draw_displacement((512, 512))
    assert transform.kernel_px == 9
    assert moved[:, 4:-4, 4:-4].std() == pytest.approx(180, rel=0.03)
