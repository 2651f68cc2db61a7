"""Orientation tags: images and masks are turned as viewers show them, region by region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from tifffile import TiffWriter, imwrite

from cellmonai.images.labels import open_mask, read_mask
from cellmonai.images.layouts import find_pairs, read_pair_mask
from cellmonai.images.open import open_image
from cellmonai.images.orientation import mask_lies
from tests.painting import paint, scattered_discs

if TYPE_CHECKING:
    from pathlib import Path

ALL = range(1, 9)
LABELS = paint(scattered_discs(6, (48, 80), radius_px=(4, 6), seed=1), (48, 80)).astype(np.uint8)
IMAGE = (np.arange(48 * 80).reshape(48, 80) % 251).astype(np.uint8)


def save(path: Path, array: np.ndarray, orientation: int, **options: object) -> Path:
    """Write stored pixels with a tag, as TIFF, PNG or JPEG."""
    if path.suffix == ".tif":
        imwrite(path, array, extratags=[(274, "H", 1, orientation, True)], metadata=None, **options)
        return path
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(array).save(path, exif=exif, **options)
    return path


def shown(array: np.ndarray, orientation: int) -> np.ndarray:
    """Give pixels as Pillow shows them, which is how viewers do."""
    exif = Image.Exif()
    exif[274] = orientation
    image = Image.fromarray(array)
    image.getexif()[274] = orientation
    return np.asarray(ImageOps.exif_transpose(image))


@pytest.mark.parametrize("orientation", ALL)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("a.png", {}, id="png"),
        pytest.param("a.tif", {"rowsperstrip": 7}, id="strips"),
        pytest.param("a.tif", {"tile": (16, 32), "compression": "zlib"}, id="tiles"),
    ],
)
def test_images_and_masks_are_read_as_they_are_shown(
    orientation: int, name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    path = save(tmp_path / name, IMAGE, orientation, **options)
    expected = shown(IMAGE, orientation)
    for opened in (open_image(path), open_mask(path)):
        with opened as source:
            assert source.shape[1:] == expected.shape
            assert source.orientation == orientation
            assert source.notes == (() if orientation == 1 else (f"orientation tag {orientation} applied",))
            assert np.array_equal(source.read()[0], expected)
            for top, left, bottom, right in [(0, 0, 1, 1), (5, 9, 40, 33), (47, 0, 48, 48), (3, 47, 48, 48)]:
                found = source.read((top, left, bottom, right))[0]
                assert np.array_equal(found, expected[top:bottom, left:right])


@pytest.mark.parametrize("orientation", ALL)
def test_a_jpeg_is_turned(orientation: int, tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", IMAGE, orientation)
    with Image.open(path) as image, open_image(path) as source:
        assert np.array_equal(source.read()[0], np.asarray(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_the_stored_pixels_can_be_asked_for(orientation: int, tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", IMAGE, orientation)
    for opened in (open_image(path, as_stored=True), open_mask(path, as_stored=True)):
        with opened as source:
            assert source.orientation == 1
            assert np.array_equal(source.read()[0], IMAGE)


@pytest.mark.parametrize("orientation", [2, 6, 7])
def test_levels_planes_blocks_and_pixel_sizes_turn_too(orientation: int, tmp_path: Path) -> None:
    stack = np.stack([IMAGE, IMAGE[::-1]])
    tag = [(274, "H", 1, orientation, True)]
    with TiffWriter(tmp_path / "a.tif") as writer:
        more = {"tile": (16, 32), "extratags": tag, "resolution": (1e4 / 0.5, 1e4 / 0.25), "resolutionunit": 3}
        for plane in stack:
            writer.write(plane, subifds=1, metadata=None, **more)
            writer.write(plane[::2, ::2], tile=(16, 32), subfiletype=1, metadata=None, extratags=tag)
    with open_image(tmp_path / "a.tif") as source:
        turned = orientation > 4
        assert source.levels == (((80, 48), (40, 24)) if turned else ((48, 80), (24, 40)))
        assert source.pixel_size_um == pytest.approx((0.5, 0.25) if turned else (0.25, 0.5))
        assert source.block_shape() == ((32, 16) if turned else (16, 32))
        for number, plane in enumerate(stack):
            assert np.array_equal(source.read(plane=number)[0], shown(plane, orientation))
            assert np.array_equal(source.read(level=1, plane=number)[0], shown(plane[::2, ::2], orientation))


@pytest.mark.parametrize("tag", [0, 9, 77])
def test_a_tag_without_meaning_is_passed_over(tag: int, tmp_path: Path) -> None:
    for name in ("a.tif", "a.png", "a.jpg"):
        with open_image(save(tmp_path / name, IMAGE, tag)) as source:
            assert source.shape == (1, 48, 80)


def test_damaged_exif_is_passed_over(tmp_path: Path) -> None:
    Image.fromarray(IMAGE).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    with open_image(tmp_path / "a.png") as source:
        assert np.array_equal(source.read()[0], IMAGE)


@pytest.mark.parametrize("orientation", [2, 3, 5, 6, 8])
@pytest.mark.parametrize("kind", ["binary", "labels", "one per object"])
def test_a_mask_that_lies_as_its_image_is_stored_is_turned_with_it(orientation: int, kind: str, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    save(tmp_path / "images" / "a.png", IMAGE, orientation)
    stored = LABELS if kind == "labels" else ((LABELS > 0) * 255).astype(np.uint8)
    imwrite(tmp_path / "masks" / "a.tif", stored if orientation > 4 else shown(stored, orientation))
    pair = next(iter(find_pairs("pairs", tmp_path)))
    truth = read_pair_mask(pair)
    assert np.array_equal(truth.array > 0, shown(LABELS, orientation) > 0)
    assert truth.is_unsure == (orientation <= 4)
    imwrite(tmp_path / "masks" / "a.tif", shown(stored, orientation))
    assert np.array_equal(read_pair_mask(pair).array > 0, shown(LABELS, orientation) > 0)


@pytest.mark.parametrize(
    ("orientation", "image", "mask", "own", "expected"),
    [
        pytest.param(1, (48, 80), (48, 80), 1, "shown", id="no tag"),
        pytest.param(6, (80, 48), (80, 48), 1, "shown", id="turned, as shown"),
        pytest.param(6, (80, 48), (48, 80), 1, "stored", id="turned, as stored"),
        pytest.param(6, (50, 50), (50, 50), 1, "unsure", id="square"),
        pytest.param(3, (48, 80), (48, 80), 1, "unsure", id="upside down"),
        pytest.param(6, (50, 50), (50, 50), 6, "shown", id="both with a tag"),
        pytest.param(6, (80, 48), (10, 10), 1, "shown", id="another size"),
    ],
)
def test_the_sizes_tell_how_a_mask_lies(
    orientation: int, image: tuple[int, int], mask: tuple[int, int], own: int, expected: str
) -> None:
    assert mask_lies(orientation, image, mask, mask_orientation=own) == expected


def test_masks_with_a_tag_of_their_own_are_turned(tmp_path: Path) -> None:
    mask = read_mask(save(tmp_path / "a.png", LABELS, 8))
    assert mask.orientation == 8
    assert np.array_equal(mask.array, shown(LABELS, 8))
