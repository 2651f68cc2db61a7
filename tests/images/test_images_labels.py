"""Masks and label images: what is accepted, what is refused with a cure, and how labels are numbered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tifffile import imwrite

from cellmonai.core.errors import InputError
from cellmonai.images.labels import (
    in_raster_order,
    open_mask,
    read_mask,
    read_mask_plane,
    read_mask_strip,
    read_masks,
)

if TYPE_CHECKING:
    from pathlib import Path

LABELS = np.zeros((12, 16), np.uint16)
LABELS[1:4, 1:4], LABELS[6:9, 2:5], LABELS[2:5, 9:14] = 7, 3, 300


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int16, np.uint16, np.uint32, np.int32])
def test_integer_masks_keep_their_type(dtype: type, tmp_path: Path) -> None:
    array = (LABELS % 256).astype(dtype)
    imwrite(tmp_path / "a.tif", array)
    mask = read_mask(tmp_path / "a.tif")
    assert mask.array.dtype == dtype
    assert np.array_equal(mask.array, array)
    assert mask.plane == ""


def test_whole_numbers_stored_as_floats_are_labels(tmp_path: Path) -> None:
    imwrite(tmp_path / "a.tif", LABELS.astype(np.float32))
    mask = read_mask(tmp_path / "a.tif")
    assert mask.array.dtype == np.uint16
    assert np.array_equal(mask.array, LABELS)


def test_half_precision_floats_are_labels_up_to_their_largest_number(tmp_path: Path) -> None:
    largest = np.where(LABELS == 300, 65504, LABELS)
    imwrite(tmp_path / "a.tif", largest.astype(np.float16))
    assert np.array_equal(read_mask(tmp_path / "a.tif").array, largest)


def test_one_bit_and_255_are_told_from_labels(tmp_path: Path) -> None:
    Image.fromarray(LABELS > 0).save(tmp_path / "bit.png")
    Image.fromarray(((LABELS > 0) * 255).astype(np.uint8)).save(tmp_path / "byte.png")
    Image.fromarray(LABELS).save(tmp_path / "labels.png")
    bit, byte, labels = (read_mask(tmp_path / f"{name}.png") for name in ("bit", "byte", "labels"))
    assert (bit.array.dtype, byte.array.dtype, labels.array.dtype) == (np.bool_, np.uint8, np.uint16)
    assert (bit.is_binary, byte.is_binary, labels.is_binary) == (True, True, False)


@pytest.mark.parametrize("value", [0, 1, 255], ids=["empty", "all ones", "all 255"])
def test_a_mask_of_one_value_is_binary(value: int, tmp_path: Path) -> None:
    imwrite(tmp_path / "a.tif", np.full((5, 5), value, np.uint8))
    assert read_mask(tmp_path / "a.tif").is_binary


def test_palette_masks_with_black_first_give_their_indices(tmp_path: Path) -> None:
    array = (LABELS % 200).astype(np.uint8)
    image = Image.fromarray(array).convert("P")
    image.putpalette([0, 0, 0, *(value for i in range(1, 256) for value in (i, 255 - i, 7))])
    image.save(tmp_path / "a.png")
    table = np.random.default_rng(0).integers(0, 65535, (3, 256)).astype(np.uint16)
    table[:, 0] = 0
    imwrite(tmp_path / "a.tif", array, photometric="palette", colormap=table)
    assert np.array_equal(read_mask(tmp_path / "a.tif").array, array)
    assert np.array_equal(read_mask(tmp_path / "a.png").array, np.asarray(image))


def test_a_grey_mask_stored_as_colour_is_accepted(tmp_path: Path) -> None:
    grey = (LABELS > 0).astype(np.uint8) * 255
    Image.fromarray(np.dstack([grey] * 3)).save(tmp_path / "a.png")
    assert np.array_equal(read_mask(tmp_path / "a.png").array, grey)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        pytest.param(np.full((5, 5, 3), (10, 20, 30), np.uint8), "colour picture", id="colours"),
        pytest.param(np.full((5, 5), 0.5, np.float32), "fractions", id="fractions"),
        pytest.param(np.full((5, 5), -1, np.int16), "negative", id="negative"),
        pytest.param(np.full((5, 5), -2.0, np.float32), "negative", id="negative floats"),
        pytest.param(np.full((5, 5), 2**31, np.uint32), "2147483648", id="too large"),
    ],
)
def test_what_is_no_mask_is_refused(array: np.ndarray, reason: str, tmp_path: Path) -> None:
    imwrite(tmp_path / "a.tif", array)
    with pytest.raises(InputError, match=reason):
        read_mask(tmp_path / "a.tif")


def test_a_jpeg_is_no_mask(tmp_path: Path) -> None:
    Image.fromarray((LABELS > 0).astype(np.uint8) * 255).save(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"JPEG blurs .* export the mask as PNG or TIFF"):
        read_mask(tmp_path / "a.jpg")


def test_planes_are_read_one_by_one(tmp_path: Path) -> None:
    stack = np.stack([LABELS, LABELS.T[:12, :12].repeat(2, axis=1)[:, :16]])
    imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    masks = read_masks(tmp_path / "a.tif")
    assert [mask.plane for mask in masks] == ["p0", "p1"]
    assert all(np.array_equal(mask.array, plane) for mask, plane in zip(masks, stack, strict=True))
    with pytest.raises(InputError, match="2 planes"):
        read_mask(tmp_path / "a.tif")


def test_an_npz_gives_its_mask(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image=np.ones((12, 16)), masks=LABELS)
    assert np.array_equal(read_mask(tmp_path / "a.npz").array, LABELS)


def test_labels_are_numbered_by_their_first_pixel() -> None:
    numbered = in_raster_order(LABELS)
    assert numbered.dtype == np.int32
    assert [numbered[1, 1], numbered[2, 9], numbered[6, 2]] == [1, 2, 3]
    assert np.array_equal(numbered > 0, LABELS > 0)


@pytest.mark.parametrize("value", [0, 5], ids=["no object", "one object that fills the picture"])
def test_one_value_is_numbered(value: int) -> None:
    assert np.array_equal(in_raster_order(np.full((4, 5), value)), np.full((4, 5), min(value, 1)))


@pytest.mark.parametrize("name", ["a.png", "a.npy"])
def test_bits_are_true_or_false_whatever_byte_stands_for_true(tmp_path: Path, name: str) -> None:
    truth = np.arange(60).reshape(6, 10) % 3 == 0
    if name == "a.png":
        Image.fromarray(truth).save(tmp_path / name)
    else:
        np.save(tmp_path / name, (truth * np.uint8(255)).view(np.bool_))
    with open_mask(tmp_path / name) as source:
        for array in (read_mask_plane(source, 0).array, read_mask_strip(source, 0, 0, 6)):
            assert array.dtype == np.bool_
            np.testing.assert_array_equal(array.view(np.uint8), truth.astype(np.uint8))
