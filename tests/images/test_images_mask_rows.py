"""Masks, maps and images read row by row: the same as whole, whatever is asked for, and decoded once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from cellmonai.core.errors import InputError
from cellmonai.images.cached_rows import CachedRows
from cellmonai.images.image_rows import ImageRows
from cellmonai.images.labels import open_mask, read_mask
from cellmonai.images.map_rows import map_rows
from cellmonai.images.mask_rows import mask_rows
from cellmonai.images.mask_values import values_of
from cellmonai.images.open import open_image
from cellmonai.images.rows import ArrayRows, strips
from cellmonai.images.write import write_maps

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SHAPE = (700, 300)


def labels(dtype: type = np.uint16, *, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    random = np.random.default_rng(0)
    return np.where(random.random(shape) < 0.5, random.integers(1, 200, shape), 0).astype(dtype)


def saved(folder: Path, name: str, array: np.ndarray, **options: Any) -> Path:  # noqa: ANN401
    path = folder / name
    if name.endswith(".npy"):
        np.save(path, array)
    elif name.endswith(".png"):
        from PIL import Image

        Image.fromarray(array).save(path)
    else:
        tifffile.imwrite(path, array, **options)
    return path


@pytest.mark.parametrize(
    ("name", "dtype", "options"),
    [
        pytest.param("a.tif", np.uint16, {"tile": (64, 64), "compression": "zlib"}, id="tiles"),
        pytest.param("a.tif", np.uint8, {"rowsperstrip": 37, "compression": "zlib"}, id="strips"),
        pytest.param("a.tif", np.uint32, {}, id="raw"),
        pytest.param("a.tif", np.float32, {"rowsperstrip": 50}, id="whole numbers as floats"),
        pytest.param("a.npy", np.int32, {}, id="npy"),
        pytest.param("a.png", np.uint8, {}, id="png"),
    ],
)
def test_rows_are_those_of_the_whole_mask(tmp_path: Path, name: str, dtype: type, options: dict[str, Any]) -> None:
    path = saved(tmp_path, name, labels(dtype), **options)
    with open_mask(path) as source:
        rows = mask_rows(source)
        assert rows.shape == SHAPE
        whole = read_mask(path).array
        for top, bottom in [(0, 1), (0, 700), (690, 700), (250, 262), (100, 600), (0, 0)]:
            np.testing.assert_array_equal(rows.rows(top, bottom), whole[top:bottom])
        for top, bottom in strips(SHAPE, strip_rows=100):
            around = rows.rows(max(top - 264, 0), min(bottom + 264, 700))
            np.testing.assert_array_equal(around, whole[max(top - 264, 0) : min(bottom + 264, 700)])


def test_each_row_is_decoded_once_though_strips_overlap(tmp_path: Path) -> None:
    plane, made = labels(), []

    def make(top: int, bottom: int) -> NDArray[Any]:
        made.append((top, bottom))
        return plane[top:bottom]

    rows = CachedRows(SHAPE, make, block_rows=32)
    for top in range(0, 700, 64):
        low, high = max(top - 100, 0), min(top + 164, 700)
        np.testing.assert_array_equal(rows.rows(low, high), plane[low:high])
    assert made == [(top, min(top + 32, 700)) for top in range(0, 700, 32)]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=12), st.integers(1, 60))
def test_any_requests_in_any_order_give_the_plane(asked: list[tuple[int, int]], block_rows: int) -> None:
    plane = np.arange(50 * 3).reshape(50, 3)
    rows = CachedRows((50, 3), lambda top, bottom: plane[top:bottom], block_rows=block_rows)
    for one, other in asked:
        top, bottom = sorted((one, other))
        np.testing.assert_array_equal(rows.rows(top, bottom), plane[top:bottom])


def test_what_is_kept_is_bounded() -> None:
    shape = (40_000, 5_000)
    rows = CachedRows(shape, lambda top, bottom: np.zeros((bottom - top, shape[1]), np.uint8))
    for top, bottom in strips(shape):
        rows.rows(max(top - 264, 0), min(bottom + 264, shape[0]))
    kept = sum(block.nbytes for block in rows._kept.values())
    assert kept <= 16 * 2**20


def test_rows_outside_are_refused() -> None:
    rows = CachedRows((5, 5), lambda top, bottom: np.zeros((bottom - top, 5)))
    for top, bottom in [(-1, 2), (3, 6), (4, 2)]:
        with pytest.raises(ValueError, match="rows are"):
            rows.rows(top, bottom)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        pytest.param(np.full(SHAPE, -1, np.int16), "negative", id="negative"),
        pytest.param(np.full(SHAPE, 0.5, np.float32), "fractions", id="fractions"),
        pytest.param(np.full(SHAPE, 2**31, np.uint32), "2147483648", id="too large"),
        pytest.param(np.full((*SHAPE, 3), (1, 2, 3), np.uint8), "colour", id="colour"),
    ],
)
def test_a_strip_that_is_no_mask_is_refused(tmp_path: Path, values: np.ndarray, words: str) -> None:
    options = {"photometric": "rgb"} if values.ndim == 3 else {}
    path = saved(tmp_path, "a.tif", values, rowsperstrip=64, **options)
    with open_mask(path) as source, pytest.raises(InputError, match=words):
        mask_rows(source).rows(100, 200)


def test_a_palette_gives_its_indices(tmp_path: Path) -> None:
    from PIL import Image

    picture = Image.new("P", (30, 20))
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    picture.putpixel((3, 4), 2)
    picture.save(tmp_path / "a.png")
    with open_mask(tmp_path / "a.png") as source:
        rows = mask_rows(source).rows(0, 20)
    assert (rows.max(), rows[4, 3]) == (2, 2)


def test_one_map_of_several_is_read_in_rows(tmp_path: Path) -> None:
    maps = np.random.default_rng(1).random((2, 600, 530)).astype(np.float16).astype(np.float32)
    write_maps(tmp_path / "m.zarr", maps, names=("border", "foreground"), pixel_size_um=None, overwrite=False)
    rows = map_rows(tmp_path / "m.zarr", "foreground")
    assert rows.shape == (600, 530)
    for top, bottom in [(0, 600), (500, 520), (0, 1), (599, 600)]:
        np.testing.assert_array_equal(rows.rows(top, bottom), maps[1, top:bottom])
    with pytest.raises(InputError, match="no centre map"):
        map_rows(tmp_path / "m.zarr", "centre")


def test_an_image_in_rows_has_all_channels(tmp_path: Path) -> None:
    image = np.random.default_rng(2).integers(0, 9, (3, 70, 50), np.uint8)
    tifffile.imwrite(tmp_path / "a.ome.tif", image, metadata={"axes": "CYX"}, photometric="minisblack")
    with open_image(tmp_path / "a.ome.tif") as source:
        rows = ImageRows(source, 0)
        assert rows.shape == (3, 70, 50)
        np.testing.assert_array_equal(rows.rows(20, 31), image[:, 20:31])


@pytest.mark.parametrize("strip", [7, 1000])
@pytest.mark.parametrize(
    ("array", "low", "high", "label_like"),
    [
        pytest.param(np.zeros((30, 4), np.uint8), 0, 0, False, id="empty"),
        pytest.param(np.full((30, 4), 255, np.uint8), 255, 255, False, id="full"),
        pytest.param(np.eye(30, dtype=np.uint8) * 255, 0, 255, False, id="two values"),
        pytest.param(np.repeat([[0], [3], [9]], 10, axis=0).astype(np.uint8), 0, 9, True, id="three, each in its rows"),
        pytest.param(np.eye(30, dtype=bool), 0, 1, False, id="bits"),
    ],
)
def test_values_do_not_depend_on_strips(
    monkeypatch: pytest.MonkeyPatch, array: np.ndarray, low: int, high: int, *, label_like: bool, strip: int
) -> None:
    from cellmonai.images import mask_values

    monkeypatch.setattr(mask_values, "strips", lambda shape: strips(shape, strip_rows=strip))
    seen = values_of(ArrayRows(array))
    assert (seen.low, seen.high, seen.is_label_like) == (low, high, label_like)
    assert (seen.foreground_px, seen.pixels) == (np.count_nonzero(array), array.size)
    assert seen.distinct == tuple(np.unique(array).tolist())


@pytest.mark.parametrize("quality", [30, 50, 75, 90, 95])
@pytest.mark.parametrize(("cells", "radius"), [(3, 8), (40, 5), (150, 10), (400, 4)])
def test_a_mask_that_was_a_jpeg_is_known_by_its_values(cells: int, radius: int, quality: int) -> None:
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(discs(cells, radius)).save(stream, "JPEG", quality=quality)
    assert values_of(ArrayRows(np.asarray(Image.open(stream)))).is_blurred


@pytest.mark.parametrize(("cells", "radius"), [(3, 8), (40, 5), (150, 10), (254, 4)])
def test_labels_and_photographs_are_not_taken_for_blurred_masks(cells: int, radius: int) -> None:
    assert not values_of(ArrayRows(discs(cells, radius, numbered=True))).is_blurred
    assert not values_of(ArrayRows(discs(cells, radius))).is_blurred
    light = np.clip(np.random.default_rng(0).normal(90, 25, (256, 256)), 0, 255).astype(np.uint8)
    assert not values_of(ArrayRows(light)).is_blurred


def discs(cells: int, radius: int, *, numbered: bool = False) -> np.ndarray:
    random, field = np.random.default_rng(0), np.zeros((256, 256), np.uint8)
    rows, columns = np.ogrid[:256, :256]
    for number in range(cells):
        row, column = random.uniform(0, 256, 2)
        field[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = number + 1 if numbered else 255
    if numbered:
        field[:3] = 255  # "void", as some label images mark their frame
    return field
