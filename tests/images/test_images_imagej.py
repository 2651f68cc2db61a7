"""TIFF files of ImageJ and Fiji: look-up tables leave values alone, and the description tells planes and units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tifffile import TiffFile, TiffWriter, imwrite

from cellmonai.core.errors import InputError
from cellmonai.images.labels import read_mask, read_masks
from cellmonai.images.open import open_image
from tests.painting import paint, scattered_discs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LABELS = paint(scattered_discs(6, (60, 80), radius_px=(4, 6), seed=1), (60, 80))
MASK = ((LABELS > 0) * 255).astype(np.uint8)


def imagej(path: Path, pages: np.ndarray, text: str = "", **options: object) -> Path:
    """Write pages (N, Y, X) or one page as ImageJ does; `text` follows its version."""
    stack = pages[np.newaxis] if pages.ndim == 2 else pages
    with TiffWriter(path) as writer:
        for number, page in enumerate(stack):
            description = f"ImageJ=1.54f\n{text}" if number == 0 else None
            writer.write(page, description=description, metadata=None, software=False, contiguous=False, **options)
    return path


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(MASK, id="black and white"),
        pytest.param(LABELS.astype(np.uint8), id="labels"),
        pytest.param(LABELS.astype(np.uint16) * 300, id="16-bit labels"),
        pytest.param(LABELS.astype(np.float32), id="labels in floats"),
    ],
)
def test_an_inverting_look_up_table_only_changes_how_a_mask_is_shown(values: np.ndarray, tmp_path: Path) -> None:
    path = imagej(tmp_path / "a.tif", values, "min=0.0\nmax=255.0\n", photometric="miniswhite")
    assert np.array_equal(read_mask(path).array, values)


def test_an_inverting_look_up_table_of_a_stack_is_that_of_all_its_pages(tmp_path: Path) -> None:
    stack = np.stack([MASK, MASK[::-1], MASK[:, ::-1]])
    path = imagej(tmp_path / "a.tif", stack, "images=3\nslices=3\n", photometric="miniswhite")
    assert all(np.array_equal(mask.array, plane) for mask, plane in zip(read_masks(path), stack, strict=True))


def test_imagej_is_known_by_any_page_and_pages_may_be_marked_differently(tmp_path: Path) -> None:
    with TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(MASK, photometric="miniswhite", metadata=None, software="a tool that joins files")
        writer.write(MASK[::-1], photometric="minisblack", description="ImageJ=1.53t\n", metadata=None)
    masks = read_masks(tmp_path / "a.tif")
    assert all(np.array_equal(mask.array, page) for mask, page in zip(masks, (MASK, MASK[::-1]), strict=True))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_intensities_under_an_inverting_look_up_table_are_read_as_stored(dtype: type, tmp_path: Path) -> None:
    image = (LABELS * 20 + 7).astype(dtype)
    with open_image(imagej(tmp_path / "a.tif", image, photometric="miniswhite")) as source:
        assert np.array_equal(source.read()[0], image)
        assert source.notes == ("ImageJ's look-up table is for display and was not applied",)


def test_white_as_zero_is_turned_round_in_files_of_others(tmp_path: Path) -> None:
    imwrite(tmp_path / "a.tif", 255 - MASK, photometric="miniswhite", metadata=None, software="a microscope")
    assert np.array_equal(read_mask(tmp_path / "a.tif").array, MASK)
    imwrite(tmp_path / "f.tif", MASK.astype(np.float32), photometric="miniswhite", metadata=None, software="other")
    with pytest.raises(InputError, match="white is stored as the smallest value"):
        read_mask(tmp_path / "f.tif")


@pytest.mark.parametrize(
    "colours",
    [
        pytest.param(lambda i: (255 - i, 255 - i, 255 - i), id="inverted grey"),
        pytest.param(
            lambda i: (255 if i == 0 else i * 37 % 256, i * 91 % 256, i * 53 % 256), id="glasbey, white first"
        ),
        pytest.param(lambda i: (i & 0xE0, (i & 0x1C) << 3, (i & 3) << 6), id="3-3-2 RGB"),
        pytest.param(lambda i: (min(255, 3 * i), max(0, i - 90), i // 4), id="fire"),
    ],
)
def test_a_look_up_table_colours_labels_and_intensities_for_display_only(
    colours: Callable[[int], tuple[int, int, int]], tmp_path: Path
) -> None:
    table = np.array([colours(i) for i in range(256)], np.uint16).T * 257
    labels = LABELS.astype(np.uint8)
    path = imagej(tmp_path / "a.tif", labels, photometric="palette", colormap=table)
    assert np.array_equal(read_mask(path).array, labels)
    with open_image(path) as source:
        assert source.channels == ("0",)
        assert np.array_equal(source.read()[0], labels)


@pytest.mark.parametrize(
    ("order", "axes"),
    [
        pytest.param("", "TZC", id="none"),
        pytest.param("order=czt\n", "TZC", id="czt"),
        pytest.param("order=xyczt(default)\n", "TZC", id="default"),
        pytest.param("order=ctz\n", "ZTC", id="ctz"),
        pytest.param("order=zct\n", "TCZ", id="zct"),
        pytest.param("order=xyzct\n", "TCZ", id="xyzct"),
        pytest.param("order=ztc\n", "CTZ", id="ztc"),
        pytest.param("order=tcz\n", "ZCT", id="tcz"),
        pytest.param("order=XYTZC\n", "CZT", id="XYTZC"),
    ],
)
def test_the_order_names_the_fastest_axis_first(order: str, axes: str, tmp_path: Path) -> None:
    lengths = {"T": 2, "Z": 3, "C": 4}
    stored = np.arange(24, dtype=np.uint8).reshape([lengths[axis] for axis in axes])
    pages = np.broadcast_to(stored.reshape(24, 1, 1), (24, 5, 6))
    text = f"images=24\nchannels=4\nslices=3\nframes=2\nhyperstack=true\n{order}"
    with open_image(imagej(tmp_path / "a.tif", pages, text)) as source:
        assert source.shape == (4, 5, 6)
        for number, name in enumerate(source.planes):
            at = {part[0].upper(): int(part[1:]) for part in name.split("_")}
            for channel in range(4):
                index = tuple((at | {"C": channel})[axis] for axis in axes)
                assert source.read(plane=number, channels=[channel])[0, 0, 0] == stored[index]


def test_an_unknown_order_is_said(tmp_path: Path) -> None:
    path = imagej(tmp_path / "a.tif", np.zeros((4, 5, 6), np.uint8), "images=4\nchannels=2\nslices=2\norder=abc\n")
    with open_image(path) as source:
        assert source.notes == ("the order 'abc' in its description is unknown, czt was assumed",)


@pytest.mark.parametrize(
    ("text", "channels", "planes", "notes"),
    [
        pytest.param("slices=6\n", 1, 6, 0, id="slices without images"),
        pytest.param("channels=2\nslices=3\n", 2, 3, 0, id="channels and slices without images"),
        pytest.param("images=6\n", 1, 6, 0, id="images alone"),
        pytest.param("images=1\nchannels=3\nframes=2\n", 3, 2, 1, id="images of another number"),
        pytest.param("images=4\nslices=4\n", 1, 6, 1, id="fewer than there are"),
        pytest.param("images=60\nslices=60\n", 1, 6, 1, id="more than there are"),
        pytest.param("loop=false\n", 1, 6, 0, id="nothing"),
        pytest.param("images=\nslices=abc\nframes=-2\n", 1, 6, 0, id="nonsense"),
    ],
)
def test_the_pages_that_are_there_are_read(text: str, channels: int, planes: int, notes: int, tmp_path: Path) -> None:
    pages = np.arange(6, dtype=np.uint8).reshape(6, 1, 1).repeat(5, 1).repeat(7, 2)
    with open_image(imagej(tmp_path / "a.tif", pages, text)) as source:
        assert (source.shape[0], len(source.planes)) == (channels, planes)
        found = [source.read(plane=plane)[:, 0, 0].tolist() for plane in range(planes)]
        assert [value for plane in found for value in plane] == list(range(6))
        assert len(source.notes) == notes


@pytest.mark.parametrize(
    "text",
    [
        "images=3\nchannels=3\nslices=1\nhyperstack=true\n",
        "images=1\nchannels=3\n",
        "channels=3\nmode=composite\n",
        "images=1\n",
    ],
)
def test_the_colours_of_an_rgb_page_may_be_counted_as_channels(text: str, tmp_path: Path) -> None:
    colour = np.dstack([MASK, MASK[::-1], MASK[:, ::-1]])
    description = f"ImageJ=1.54f\n{text}"
    imwrite(tmp_path / "a.tif", colour, photometric="rgb", description=description, metadata=None)
    with open_image(tmp_path / "a.tif") as source:
        assert source.channels == ("red", "green", "blue")
        assert np.array_equal(source.read(), np.moveaxis(colour, -1, 0))


def test_a_stack_of_rgb_pages_is_one_of_colour_pictures(tmp_path: Path) -> None:
    imwrite(tmp_path / "a.tif", np.zeros((5, 20, 30, 3), np.uint8), imagej=True)
    with open_image(tmp_path / "a.tif") as source:
        assert (source.channels, len(source.planes)) == (("red", "green", "blue"), 5)


def _behind_one_directory(path: Path, stack: np.ndarray, text: str, *, cut: int = 0) -> Path:
    """Write one directory, and the data of all planes behind its own; `cut` bytes are missing at the end."""
    imwrite(path, stack[0], description=f"ImageJ=1.54f\n{text}", metadata=None)
    with TiffFile(path) as tif:
        start = tif.pages.first.dataoffsets[0]
    data = path.read_bytes()[:start] + stack.tobytes()
    path.write_bytes(data[: len(data) - cut])
    return path


@pytest.mark.parametrize("text", ["images=5\nslices=5\n", "slices=5\n", "images=5\n", "images=2\nframes=5\n"])
def test_a_stack_behind_one_directory_is_read_as_far_as_it_is_there(text: str, tmp_path: Path) -> None:
    stack = np.arange(5 * 20 * 30, dtype=np.uint16).reshape(5, 20, 30)
    path = _behind_one_directory(tmp_path / "a.tif", stack, text)
    with open_image(path) as source:
        assert len(source.planes) == 5
        assert np.array_equal(source.read(plane=4)[0], stack[4])
    path = _behind_one_directory(tmp_path / "b.tif", stack, "images=5\nslices=5\n", cut=300)
    with pytest.raises(InputError, match="declares 5 planes and it holds 4: it is cut short"):
        open_image(path)


@pytest.mark.parametrize(
    ("unit", "um"),
    [
        ("micrometers", 0.5),
        ("Micrometre", 0.5),
        ("microns", 0.5),
        ("micron", 0.5),
        ("um", 0.5),
        ("\\u00B5m", 0.5),
        ("nanometers", 0.0005),
        ("nanometres", 0.0005),
        ("millimeters", 500),
        ("mm", 500),
        ("cm", 5000),
        ("inches", 12700),
        ("inch", 12700),
        ("pixel", None),
        ("pixels", None),
        ("us", None),
        ("", None),
    ],
)
def test_units_may_be_spelt_out(unit: str, um: float | None, tmp_path: Path) -> None:
    path = imagej(tmp_path / "a.tif", MASK, f"unit={unit}\n", resolution=(2, 2), resolutionunit=1)
    with open_image(path) as source:
        assert source.pixel_size_um == (None if um is None else pytest.approx((um, um)))


@pytest.mark.parametrize(("unit", "um"), [("\u00b5m", 0.65), ("\u03bcm", 0.65), ("nm", 6.5e-4), ("pixel", None)])
def test_ome_units_are_symbols(unit: str, um: float | None, tmp_path: Path) -> None:
    sizes = {f"PhysicalSize{axis}": 0.65 for axis in "XY"} | {f"PhysicalSize{axis}Unit": unit for axis in "XY"}
    imwrite(tmp_path / "a.ome.tif", MASK, ome=True, metadata=sizes)
    with open_image(tmp_path / "a.ome.tif") as source:
        assert source.pixel_size_um == (None if um is None else pytest.approx((um, um)))


def test_a_unit_of_its_own_for_y_leaves_the_pixel_size_unknown(tmp_path: Path) -> None:
    path = imagej(tmp_path / "a.tif", MASK, "unit=um\nyunit=mm\n", resolution=(2, 2), resolutionunit=1)
    with open_image(path) as source:
        assert source.pixel_size_um is None
