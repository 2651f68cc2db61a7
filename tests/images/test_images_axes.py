"""Axes, pixel sizes and the memory budget as plain functions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmonai.core.errors import InputError
from cellmonai.images.axes import arrange, check_axes, plane_names, shape_of
from cellmonai.images.budget import available_memory, budget_of
from cellmonai.images.resolution import from_resolution, micrometres


@given(st.permutations("TZCYX"))
def test_any_order_of_axes_is_arranged_by_its_letters(letters: list[str]) -> None:
    sizes = {"T": 2, "Z": 3, "C": 4, "Y": 5, "X": 6}
    axes = "".join(letters)
    array = np.arange(720).reshape([sizes[letter] for letter in axes])
    planes = arrange(array, axes)
    assert planes.shape == (6, 4, 5, 6)
    assert shape_of(array.shape, axes) == (4, 5, 6)
    name = plane_names(axes, array.shape)[4]
    at = dict(zip(name[::3] + "CYX", (*map(int, name[1::3]), 3, 2, 1), strict=True))
    assert planes[4, 3, 2, 1] == array[tuple(at[letter.lower() if letter in "TZ" else letter] for letter in axes)]


def test_plane_names_sort_as_their_numbers() -> None:
    names = plane_names("ZYX", (12, 4, 4))
    assert list(names) == sorted(names)
    assert names[3] == "z03"


@pytest.mark.parametrize("axes", ["CY", "CYXZ", "YYX", "QYX", "CSY"])
def test_letters_that_name_no_image_are_refused(axes: str) -> None:
    with pytest.raises(InputError, match="save it as TIFF with its axes"):
        check_axes(axes, 3, Path("a.npy"))


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.65, "um", 0.65),
        (0.65, "\u00b5m", 0.65),
        (0.65, "\u03bcm", 0.65),
        (0.65, "\\u00B5m", 0.65),
        (0.65, "micron", 0.65),
        (650, "nm", 0.65),
        (6500, "\u00c5", 0.65),
        (0.00065, "mm", 0.65),
        (1, "pixel", None),
        (1, "", None),
        (0, "um", None),
        (float("nan"), "um", None),
        (float("inf"), "um", None),
        (-1, "um", None),
    ],
)
def test_lengths_become_micrometres_or_unknown(value: float, unit: str, expected: float | None) -> None:
    found = micrometres(value, unit)
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("dpi", [72, 96, 100, 150, 300, 600, 1200, 2400, 4800])
def test_screen_and_printer_resolutions_are_no_pixel_sizes(dpi: int) -> None:
    assert from_resolution(1 / dpi, 1 / dpi, "inch") is None


def test_the_default_budget_is_half_of_what_is_free() -> None:
    assert budget_of(None).amount == pytest.approx(available_memory() // 2, rel=0.2)
    assert budget_of(1000).amount == 1000


def test_reading_a_mask_loads_no_heavy_library() -> None:
    code = (
        "import sys, cellmonai.images.labels, cellmonai.images.find, cellmonai.images.layouts, cellmonai.images.write;"
        "heavy = {'torch', 'monai', 'scipy', 'skimage', 'zarr', 'PIL', 'nibabel', 'tifffile'} & set(sys.modules);"
        "sys.exit(len(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
