"""Pairs become samples: kinds of masks decided once, channels alike, memory bounded, Ctrl-C met."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellmonai.core.errors import InputError, InterruptedRunError, MemoryBudgetError
from cellmonai.core.interrupts import StopWish
from cellmonai.core.progress import Silent
from cellmonai.data.load import SampleLoader, median_diameter_px
from cellmonai.data.samples import Sample, check_budget, sample_bytes
from cellmonai.images.normalise import Normalisation
from cellmonai.images.pair import Pair

STAGE = Silent().stage("reading", 1)


def _pair(folder: Path, name: str, image: np.ndarray, labels: np.ndarray, count: int | None = None) -> Pair:
    tifffile.imwrite(folder / f"{name}.tif", image, photometric="rgb" if image.ndim == 3 else "minisblack")
    tifffile.imwrite(folder / f"{name}_mask.tif", labels)
    return Pair(name, folder / f"{name}.tif", (folder / f"{name}_mask.tif",), count, {})


def _labels(*ids: int) -> np.ndarray:
    labels = np.zeros((32, 32), np.uint8)
    for place, number in enumerate(ids):
        labels[4:12, 2 + 10 * place : 10 + 10 * place] = number
    return labels


GREY = np.arange(1024, dtype=np.uint8).reshape(32, 32)


def _loader() -> SampleLoader:
    return SampleLoader(Normalisation())


def test_one_label_image_makes_all_masks_label_images(tmp_path: Path) -> None:
    pairs = [_pair(tmp_path, "a", GREY, _labels(1)), _pair(tmp_path, "b", GREY, _labels(1, 2))]
    loader = _loader()
    loader.truth.decide_kind(pairs)
    assert loader.truth.kind == "labels"
    assert [sample.count for sample in loader.load(pairs, STAGE)] == [1, 2]


def test_binary_masks_are_split_and_a_known_count_is_kept(tmp_path: Path) -> None:
    loader, pairs = _loader(), [_pair(tmp_path, "a", GREY, 255 * (_labels(1, 2) > 0).astype(np.uint8), count=7)]
    loader.truth.decide_kind(pairs)
    (sample,) = loader.load(pairs, STAGE)
    assert loader.truth.kind == "binary"
    assert sample.labels.max() == 2
    assert sample.count == 7


def test_grey_stored_as_colour_is_one_channel_and_colour_among_it_is_refused(tmp_path: Path) -> None:
    grey = _pair(tmp_path, "a", np.stack([GREY] * 3, -1), _labels(1, 2))
    colour = _pair(tmp_path, "b", np.stack([GREY, GREY.T, GREY], -1), _labels(1, 2))
    loader = _loader()
    loader.truth.decide_kind([grey, colour])
    assert loader.load([grey], STAGE)[0].image.shape == (1, 32, 32)
    with pytest.raises(InputError, match=r"name the channels to use in data\.channels"):
        loader.load([colour], STAGE)


def test_ctrl_c_is_met_between_two_files(tmp_path: Path) -> None:
    wish = StopWish()
    loader = SampleLoader(Normalisation(), wish=wish)
    pairs = [_pair(tmp_path, "a", GREY, _labels(1, 2))]
    wish.asked = True
    with pytest.raises(InterruptedRunError, match="nothing was written"):
        loader.load(pairs, STAGE)


def test_a_set_that_does_not_fit_in_memory_is_refused() -> None:
    sample = Sample("a", np.zeros((1, 100, 100), np.float32), np.ones((100, 100), np.int32), 1)
    assert sample_bytes(sample) == 10_000 * (4 + 12 + 8)
    check_budget(sample_bytes(sample), sample_bytes(sample))
    with pytest.raises(MemoryBudgetError, match=r"fewer with data\.select"):
        check_budget(sample_bytes(sample), sample_bytes(sample) - 1)


def test_the_median_diameter_is_that_of_a_circle_of_the_median_area() -> None:
    labels = np.zeros((100, 100), np.int32)
    labels[:10, :10], labels[20:40, 20:40], labels[60:90, 60:90] = 1, 2, 3
    sample = Sample("a", labels[None].astype(np.float32), labels, 3)
    assert median_diameter_px([sample]) == pytest.approx(2 * (400 / np.pi) ** 0.5)
    assert median_diameter_px([]) is None


@pytest.mark.parametrize(
    ("shape", "is_unsure"), [pytest.param((24, 32), False, id="sizes tell"), pytest.param((32, 32), True, id="square")]
)
def test_masks_of_turned_images_lie_under_their_cells(
    shape: tuple[int, int], *, is_unsure: bool, tmp_path: Path
) -> None:
    labels = _labels(1, 2)[: shape[0], : shape[1]]
    tag = [(274, "H", 1, 6, True)]
    tifffile.imwrite(tmp_path / "a.tif", labels * 100, extratags=tag, metadata=None)
    mask = np.rot90(labels, -1) if is_unsure else labels  # a square one is taken as the image is shown
    tifffile.imwrite(tmp_path / "a_mask.tif", np.ascontiguousarray(mask))
    loader = _loader()
    pair = Pair("a", tmp_path / "a.tif", (tmp_path / "a_mask.tif",), None, {})
    (sample,) = loader.load([pair], STAGE)
    assert [note.code for note in loader.truth.notes] == (["orientation_unsure"] if is_unsure else [])
    inside = sample.labels > 0
    assert sample.image[0][inside].min() > sample.image[0][~inside].max()
