"""Palettes and transparency of masks: colours decide what the background is, or the mask is refused."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from tifffile import imwrite

from cellmonai.core.errors import InputError
from cellmonai.images.labels import open_mask, read_mask, read_masks
from tests.painting import paint, scattered_discs

if TYPE_CHECKING:
    from pathlib import Path

LABELS = paint(scattered_discs(6, (60, 80), radius_px=(4, 6), seed=1), (60, 80)).astype(np.uint8)
INSIDE = LABELS > 0
MASK = np.where(INSIDE, 255, 0).astype(np.uint8)

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
GREYS = [BLACK, (85, 85, 85), (170, 170, 170), WHITE]
VOC = [BLACK, (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128), (128, 128, 128)]
READ_FROM_ALPHA = "mask read from the alpha channel"

Colours = list[tuple[int, int, int]]


def save(path: Path, indices: np.ndarray, colours: Colours, **options: object) -> Path:
    """Write indices with a palette as PNG, BMP or TIFF."""
    indices = indices.astype(np.uint8)
    if path.suffix == ".tif":
        table = np.zeros((3, 256), np.uint16)
        table[:, : len(colours)] = np.array(colours, np.uint16).T * 257
        imwrite(path, indices, photometric="palette", colormap=table, metadata=None, **options)
        return path
    image = Image.fromarray(indices).convert("P")
    image.putpalette([value for colour in colours for value in colour])
    image.save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
@pytest.mark.parametrize(
    ("indices", "colours", "expected"),
    [
        pytest.param(INSIDE, [BLACK, WHITE], MASK, id="black first"),
        pytest.param(~INSIDE, [WHITE, BLACK], MASK, id="white first"),
        pytest.param(np.where(INSIDE, 3, 2), [WHITE, BLACK, BLACK, WHITE], MASK, id="further entries"),
        pytest.param(INSIDE * (LABELS % 2 * 2 + 1), [BLACK, WHITE, (9, 9, 9), WHITE], MASK, id="white twice"),
        pytest.param(~INSIDE, [(254, 254, 254), (1, 1, 1)], MASK, id="quantised black and white"),
        pytest.param(
            INSIDE * (LABELS % 2 + 2) + ~INSIDE * (LABELS % 2),
            [BLACK, (1, 1, 1), WHITE, (250, 251, 249)],
            MASK,
            id="several near-blacks",
        ),
        pytest.param(LABELS % 4, [BLACK, (1, 1, 1), (2, 2, 2), (3, 3, 3)], LABELS % 4, id="dark greys are labels"),
        pytest.param(LABELS % 4, GREYS, (LABELS % 4) * 85, id="greys"),
        pytest.param(3 - LABELS % 4, GREYS[::-1], (LABELS % 4) * 85, id="greys from white"),
        pytest.param(LABELS, VOC, LABELS, id="label colours"),
        pytest.param(LABELS, [*VOC[:3], *VOC[1:5]], LABELS, id="label colours that repeat"),
        pytest.param((LABELS + 1) % 7, [*VOC[1:7], BLACK, BLACK], (LABELS + 1) % 7, id="background at the end"),
    ],
)
def test_black_is_background_whatever_its_index(
    indices: np.ndarray, colours: Colours, expected: np.ndarray, name: str, tmp_path: Path
) -> None:
    array = read_mask(save(tmp_path / name, indices, colours)).array
    if array.dtype == np.bool_:  # a BMP of black and white
        expected = expected != 0
    if expected[~INSIDE].any():  # given with black last: labels may have other numbers
        assert not array[indices == 6].any()
        assert len(np.unique(array)) == 7
        return
    assert np.array_equal(array, expected)


def test_labels_of_a_palette_stay_apart_where_the_background_is_not_first(tmp_path: Path) -> None:
    indices = np.where(INSIDE, LABELS - 1, 6)
    with open_mask(save(tmp_path / "a.png", indices, [*VOC[1:7], BLACK])) as source:
        assert source.notes == (
            "the mask's palette decides: its black is the background, though that is not the first colour",
        )
        array = source.read()[0]
    assert np.array_equal(array > 0, INSIDE)
    assert len(np.unique(array)) == 7


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_per_pixel_are_indices_too(bits: int, tmp_path: Path) -> None:
    indices = (~INSIDE).astype(np.uint8) * (2**bits - 1)
    colours = [WHITE] + [(9, 9, 9)] * (2**bits - 2) + [BLACK]
    assert np.array_equal(read_mask(save(tmp_path / "a.png", indices, colours, bits=bits)).array, MASK)


def test_grey_bits_are_told_by_their_colours(tmp_path: Path) -> None:
    Image.fromarray(INSIDE).save(tmp_path / "a.bmp")
    imwrite(tmp_path / "w.tif", ~INSIDE, photometric="miniswhite", software="a scanner", metadata=None)
    imwrite(tmp_path / "b.tif", INSIDE, photometric="minisblack", software="a scanner", metadata=None)
    for name in ("a.bmp", "w.tif", "b.tif"):
        assert np.array_equal(read_mask(tmp_path / name).array != 0, INSIDE)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
@pytest.mark.parametrize(
    ("indices", "colours"),
    [
        pytest.param(LABELS, [(0, 0, 90), *VOC[1:]], id="blue background"),
        pytest.param(LABELS, [WHITE, *VOC[1:]], id="white background, coloured cells"),
        pytest.param(LABELS, [WHITE, *VOC[1:7], BLACK], id="black that no pixel uses"),
        pytest.param(INSIDE, [WHITE, (200, 200, 200)], id="two light greys"),
        pytest.param(LABELS, [BLACK, *VOC[1:6], BLACK], id="black twice among colours"),
    ],
)
def test_an_unclear_background_is_refused(indices: np.ndarray, colours: Colours, name: str, tmp_path: Path) -> None:
    path = save(tmp_path / name, indices, colours)
    with pytest.raises(InputError, match="it is unclear which one is the background") as caught:
        read_mask(path)
    assert caught.value.code == "unclear_background"


def test_an_index_without_a_colour_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", LABELS, VOC)
    data = path.read_bytes()
    start = data.index(b"PLTE") - 4
    chunk = b"PLTE" + bytes(value for colour in VOC[:4] for value in colour)
    cut = (len(chunk) - 4).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4)
    path.write_bytes(data[:start] + cut + data[start + 12 + 3 * len(VOC) :])
    with pytest.raises(InputError, match="its pixels use colour 6 of a palette of 4"):
        read_mask(path)


def test_one_black_colour_is_an_empty_mask_and_one_white_a_full_one(tmp_path: Path) -> None:
    nothing = np.zeros_like(LABELS)
    assert not read_mask(save(tmp_path / "b.png", nothing, [BLACK, WHITE])).array.any()
    assert read_mask(save(tmp_path / "w.png", nothing, [WHITE, BLACK])).array.all()
    assert not read_mask(save(tmp_path / "n.png", nothing, [(1, 1, 1), (254, 254, 254)])).array.any()


def test_the_colours_of_all_pages_count(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", np.stack([~INSIDE, np.zeros_like(INSIDE)]), [WHITE, BLACK])
    first, second = read_masks(path)
    assert np.array_equal(first.array, MASK)
    assert second.array.all()


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_large_tiled_palette_is_read_region_by_region(depth: type, tmp_path: Path) -> None:
    indices = np.kron(~INSIDE, np.ones((8, 8), bool)).astype(depth)
    table = np.zeros((3, 256 if depth is np.uint8 else 65536), np.uint16)
    table[:, 0] = 65535
    options = {"tile": (64, 64), "compression": "zlib", "metadata": None}
    imwrite(tmp_path / "a.tif", indices, photometric="palette", colormap=table, **options)
    with open_mask(tmp_path / "a.tif") as source:
        assert source.block_shape() == (64, 64)
        assert np.array_equal(source.read((100, 200, 300, 330))[0], np.where(indices[100:300, 200:330], 0, 255))


def rgba(grey: np.ndarray | int, alpha: np.ndarray | int) -> np.ndarray:
    """Build a picture from a grey level or an array of them, and alpha."""
    planes = [np.broadcast_to(part, LABELS.shape).astype(np.uint8) for part in (grey, grey, grey, alpha)]
    return np.dstack(planes)


def save_alpha(path: Path, picture: np.ndarray, kind: str) -> Path:
    """Write an RGBA picture as one of the kinds that hold alpha."""
    if kind == "LA png":
        Image.fromarray(picture[..., [0, 3]], "LA").save(path := path.with_suffix(".png"))
    elif kind == "RGBA png":
        Image.fromarray(picture).save(path := path.with_suffix(".png"))
    elif kind == "RGBA16 png":
        from imagecodecs import png_encode

        (path := path.with_suffix(".png")).write_bytes(png_encode(picture.astype(np.uint16) * 257))
    elif kind == "grey tif":
        options: dict[str, Any] = {"photometric": "minisblack", "extrasamples": ["unassalpha"], "planarconfig": 1}
        imwrite(path := path.with_suffix(".tif"), picture[..., [0, 3]], metadata=None, **options)
    else:
        extra = "assocalpha" if kind == "associated tif" else "unassalpha"
        imwrite(path := path.with_suffix(".tif"), picture, photometric="rgb", extrasamples=[extra], metadata=None)
    return path


KINDS = ["LA png", "RGBA png", "RGBA16 png", "grey tif", "associated tif", "unassociated tif"]


@pytest.mark.filterwarnings("ignore:.*mode.*:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("picture", "notes"),
    [
        pytest.param(rgba(MASK, 255), (), id="opaque"),
        pytest.param(rgba(MASK, 0), (), id="transparent all over"),
        pytest.param(rgba(255, MASK), (READ_FROM_ALPHA,), id="white on transparent"),
        pytest.param(rgba(0, MASK), (READ_FROM_ALPHA,), id="black on transparent"),
        pytest.param(rgba(MASK, MASK), (), id="white on transparent black"),
        pytest.param(rgba(MASK, np.where(INSIDE, 128, 0)), (), id="half transparent white"),
    ],
)
def test_alpha_is_left_out_or_holds_the_mask(
    picture: np.ndarray, notes: tuple[str, ...], kind: str, tmp_path: Path
) -> None:
    with open_mask(save_alpha(tmp_path / "a", picture, kind)) as source:
        assert source.notes == notes
        assert np.array_equal(source.read()[0] != 0, INSIDE)
        assert source.shape[0] in {1, 3}


@pytest.mark.filterwarnings("ignore:.*mode.*:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(rgba(MASK, 255 - MASK), id="black cells, transparent white"),
        pytest.param(rgba(MASK, np.where(np.arange(80) < 40, 255, 0)), id="half of the picture transparent"),
        pytest.param(rgba(np.where(INSIDE, 200, 100), MASK), id="grey on transparent grey"),
    ],
)
def test_alpha_that_disagrees_with_the_colours_is_refused(picture: np.ndarray, kind: str, tmp_path: Path) -> None:
    path = save_alpha(tmp_path / "a", picture, kind)
    with pytest.raises(InputError, match=r"alpha channel .* save the mask without transparency") as caught:
        read_mask(path)
    assert caught.value.code == "alpha_disagrees"


def test_cells_of_one_colour_on_transparent_black_are_read_from_alpha(tmp_path: Path) -> None:
    picture = rgba(0, MASK)
    picture[..., 0] = MASK  # red
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert np.array_equal(read_mask(tmp_path / "a.png").array, MASK)


@pytest.mark.parametrize(
    ("colours", "clear", "expected"),
    [
        pytest.param([WHITE, WHITE], b"\x00\xff", MASK, id="white on transparent white"),
        pytest.param([BLACK, BLACK], b"\x00\xff", MASK, id="black on transparent black"),
        pytest.param([BLACK, WHITE], b"\x00\xff", MASK, id="white on transparent black"),
        pytest.param([BLACK, WHITE], b"\xff\xff", MASK, id="opaque"),
        pytest.param([BLACK, WHITE], b"\xff\x00", None, id="transparent cells"),
        pytest.param([WHITE, BLACK], b"\x00\xff", None, id="black cells on transparent white"),
    ],
)
def test_transparent_palette_entries(
    colours: Colours, clear: bytes, expected: np.ndarray | None, tmp_path: Path
) -> None:
    path = save(tmp_path / "a.png", INSIDE, colours, transparency=clear)
    if expected is None:
        with pytest.raises(InputError, match="its alpha channel"):
            read_mask(path)
    else:
        assert np.array_equal(read_mask(path).array, expected)


def test_a_transparent_grey_level_that_is_not_black_is_refused(tmp_path: Path) -> None:
    Image.fromarray(MASK).save(tmp_path / "b.png", transparency=0)
    Image.fromarray(MASK).save(tmp_path / "w.png", transparency=255)
    assert np.array_equal(read_mask(tmp_path / "b.png").array, MASK)
    Image.fromarray(np.dstack([MASK] * 3)).save(tmp_path / "rgb.png", transparency=(255, 255, 255))
    for name in ("w.png", "rgb.png"):
        with pytest.raises(InputError, match="its alpha channel"):
            read_mask(tmp_path / name)
