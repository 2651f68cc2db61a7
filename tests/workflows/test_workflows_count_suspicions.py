"""Inputs that are not what they seem: pictures, mixed folders, backgrounds that are not 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from cellmonai.core.errors import InputError
from cellmonai.core.progress import Silent
from cellmonai.workflows.count import CountResult, count
from cellmonai.workflows.counting.settings import CountSettings

if TYPE_CHECKING:
    from pathlib import Path


def grid(cells: int, *, side: int = 4, gap: int = 2, numbered: bool = True) -> np.ndarray:
    across = int(np.ceil(np.sqrt(cells)))
    labels = np.zeros((across * (side + gap),) * 2, np.uint16)
    for i in range(cells):
        top, left = (side + gap) * (i // across), (side + gap) * (i % across)
        labels[top : top + side, left : left + side] = i + 1 if numbered else 255
    return labels


def run(folder: Path, reporter: Silent | None = None, **options: object) -> CountResult:
    settings = CountSettings(output=folder / "counts", **options)  # type: ignore[arg-type]
    return count([folder / "masks"], settings=settings, reporter=reporter)


def save(folder: Path, **arrays: np.ndarray) -> None:
    (folder / "masks").mkdir()
    for name, array in arrays.items():
        tifffile.imwrite(folder / "masks" / f"{name}.tif", array)


def test_a_mask_of_many_regions_among_labels_is_counted_and_told(tmp_path: Path) -> None:
    save(tmp_path, a=grid(9), b=grid(400, numbered=False).astype(np.uint8))
    reporter = Silent()
    result = run(tmp_path, reporter)
    assert [row.count for row in result.images] == [9, 400]
    assert [(warning.code, warning.image) for warning in reporter.warnings] == [("mixed_kinds", "b")]
    assert "separately" in reporter.warnings[0].message


def test_a_background_of_one_is_to_be_saved_as_zero(tmp_path: Path) -> None:
    mask = (grid(4, side=6, gap=8) > 0).astype(np.uint8)
    save(tmp_path, a=mask + 1)
    with pytest.raises(InputError, match="save the background as 0") as refused:
        run(tmp_path)
    assert "--kind labels" not in refused.value.sentence
    reporter = Silent()
    run(tmp_path, reporter, kind="labels")
    assert "label_covers_image" in [warning.code for warning in reporter.warnings]


@pytest.mark.parametrize("top", [1_000, 65_535])
def test_a_noisy_picture_of_16_bits_is_no_label_image(tmp_path: Path, top: int) -> None:
    save(tmp_path, a=np.random.default_rng(0).integers(0, top, (64, 64), np.uint16))
    with pytest.raises(InputError, match="looks like a picture") as refused:
        run(tmp_path)
    assert refused.value.code == "photograph"


@pytest.mark.parametrize("gap", [0, 1])
def test_dense_label_images_are_no_pictures(tmp_path: Path, gap: int) -> None:
    save(tmp_path, a=grid(900, side=4, gap=gap))
    assert run(tmp_path).total == 900


@pytest.mark.parametrize(
    "name",
    [
        "image-rs_image-tiff/minisblack-1c-16b.tiff",
        "pnggroup_libpng/basn0g16.png",
        "pnggroup_libpng/ibasn0g16.png",
        "pnggroup_libpng/ftbwn0g16.png",
    ],
)
def test_pictures_of_other_projects_are_no_label_images(tmp_path: Path, data_folder: Path, name: str) -> None:
    settings = CountSettings(output=tmp_path / "counts")
    with pytest.raises(InputError, match="looks like a picture"):
        count([data_folder / "formats" / name], settings=settings)
