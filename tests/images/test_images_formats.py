"""Every file of the format collection opens as listed, or is refused for a stated reason."""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cellmonai.core.errors import InputError
from cellmonai.images.open import open_image

if TYPE_CHECKING:
    from cellmonai.images.source import ImageSource

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import formats_page

_COLOURS = "its colours are"
_SIZES = "different sizes"
_KIND = "is no image format that is read"

# files that another program opens and cellmonai refuses, with the words of the reason
REFUSED = {
    "generated/float32_with_nan_inf.tif": "NaN or infinite",
    "hms-dbmi_viv/bioformats-zarr/data.zarr": "is OME-Zarr 0.1",
    "generated/multipage_mixed_sizes.tif": _SIZES,
    "image-rs_image-tiff/cmyk-3c-16b.tiff": _COLOURS,
    "image-rs_image-tiff/cmyk-3c-32b-float.tiff": _COLOURS,
    "image-rs_image-tiff/cmyk-3c-8b.tiff": _COLOURS,
    "image-rs_image-tiff/cmyk-4c-8b.tiff": _COLOURS,
    "image-rs_image-tiff/seq/seq-4c-8b-cmyk-352ac1da.tiff": _COLOURS,
    "python-pillow_Pillow/10ct_32bit_128.tiff": "white is stored as the smallest value",
    "python-pillow_Pillow/hopper.Lab.tif": _COLOURS,
    "python-pillow_Pillow/multipage.tiff": _SIZES,
    "python-pillow_Pillow/multipage_out_of_order.tiff": _SIZES,
    "python-pillow_Pillow/multipage_multiple_frame_loop.tiff": "form a loop",
    "python-pillow_Pillow/tiff_strip_cmyk_jpeg.tif": _COLOURS,
    "python-pillow_Pillow/tiff_tiled_cmyk_jpeg.tif": _COLOURS,
}
# damaged files, and kinds that no library here decodes
BROKEN = {
    "generated/broken/empty.tif": "the file is empty",
    "generated/broken/jpeg_named.tif": "holds JPEG data",
    "generated/broken/text_not_image.tif": "holds text data",
    "generated/broken/truncated.png": "its checksums are wrong or it is cut short",
    "generated/broken/truncated_half.tif": "cut short",
    "image-rs_image-tiff/logluv-3c-16b.tiff": _COLOURS,
    "libvips_libvips/ojpeg-strip.tif": "cannot read the pixels",
    "libvips_libvips/ojpeg-tile.tif": "cannot read the pixels",
    "libvips_libvips/subsampled.tif": _COLOURS,
    "libvips_libvips/truncated.jpg": "cannot read the pixels",
    "openslide_openslide-python/unopenable.tiff": "cannot read the pixels",
    "openslide_openslide-python/unreadable.svs": "cannot read the pixels",
    "python-pillow_Pillow/crash-2020-10-test.tif": "structure is damaged",
    "python-pillow_Pillow/libtiff_segfault.tif": "needs 23 strips or tiles and it holds 1",
    "python-pillow_Pillow/seek_too_large.tif": "structure is damaged",
}


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "formats" / "MANIFEST.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _listed() -> list[str]:
    """Names for the test ids; none where the data is not there, and then the fixture skips."""
    folder = os.environ.get("CELLMONAI_DATA")
    return [row["file"] for row in _rows(Path(folder))] if folder else ["the collection"]


@pytest.mark.parametrize("name", _listed())
def test_a_file_opens_as_listed_or_is_refused_for_a_reason(name: str, data_folder: Path) -> None:
    row = next(row for row in _rows(data_folder) if row["file"] == name)
    path = data_folder / "formats" / name
    reason = {**REFUSED, **BROKEN}.get(name) or (_KIND if not row["width"] else None)
    if reason is not None:
        with pytest.raises(InputError, match=reason), open_image(path) as source:
            source.read()
        return
    with open_image(path) as source:
        stored = (int(row["height"]), int(row["width"]))
        assert source.shape[1:] == (stored[::-1] if source.orientation > 4 else stored)
        _check_axes_and_type(source, row)
        assert len(source.levels) == _levels(row, name)
        _check_pixel_size(source.pixel_size_um, row)
        values = [source.read(plane=plane) for plane in range(len(source.planes))]
        assert all(array.shape == source.shape for array in values)
        if row["min"] and not _is_changed(row, source.notes, source.dtype):
            low, high = _number(row["min"]), _number(row["max"])
            tolerance = 1e-3 if source.dtype == np.float16 else 1e-6  # the list rounds
            assert min(float(a.min()) for a in values) == pytest.approx(low, rel=tolerance)
            assert max(float(a.max()) for a in values) == pytest.approx(high, rel=tolerance)


def _levels(row: dict[str, str], name: str) -> int:
    if name == "python-pillow_Pillow/child_ifd.tiff":
        return 3  # tifffile lists its smaller copies as series of their own
    return int(row["levels"] or 1)


def _check_axes_and_type(source: ImageSource, row: dict[str, str]) -> None:
    """Compare what the list states; of a PNG it states Pillow's mode, and palettes are applied when read."""
    if row["format"] == "PNG":
        mode = row["dtype"]
        assert source.stored_axes == ("YXS" if mode in {"RGB", "P"} or source.shape[0] == 3 else "YX")
        deep = row["file"].endswith("16.png") or mode == "I;16"
        assert source.dtype == {"1": np.bool_}.get(mode, np.uint16 if deep else np.uint8)
        return
    stated = row["axes"].upper().replace("I", "P")
    if row["format"] == "OME-TIFF":  # its XML tells which page is which, in any order
        assert sorted(source.stored_axes) == sorted(stated)
    else:
        assert source.stored_axes == stated
    if "palette applied" not in source.notes:
        assert source.dtype == np.dtype(row["dtype"].split()[0])


def _number(text: str) -> float:
    return float(text == "True") if text in {"False", "True"} else float(text)


def _is_changed(row: dict[str, str], notes: tuple[str, ...], dtype: np.dtype) -> bool:
    """Whether what is read is not what is stored, or the list was made otherwise."""
    palette = any("palette" in note or "alpha" in note for note in notes)
    deep_png = row["format"] == "PNG" and dtype == np.uint16 and row["dtype"] != "uint16"
    first_page_only = row["axes"].startswith("I")
    return palette or row["photometric"] == "MINISWHITE" or deep_png or first_page_only


def _check_pixel_size(found: tuple[float, float] | None, row: dict[str, str]) -> None:
    stated, unit = row["pixel_size"], row["pixel_size_unit"]
    if row["format"].startswith("OME-Zarr"):
        known = unit.endswith("micrometer,micrometer")
        assert found == (tuple(json.loads(stated)[-2:]) if known else None)
        return
    imagej = row["format"] == "ImageJ TIFF" and stated  # the unit stands in the description
    real = unit in {"OME PhysicalSizeX", "um (Aperio MPP)"} or imagej
    if real or (unit == "um (from cm)" and float(stated) < 21):
        assert found == pytest.approx((float(stated), float(stated)), rel=1e-6)
    else:
        assert found is None


def test_every_exception_is_still_in_the_collection(data_folder: Path) -> None:
    assert {**REFUSED, **BROKEN}.keys() <= {row["file"] for row in _rows(data_folder)}


@pytest.mark.parametrize(
    "name",
    [
        "generated/zstd_tiled_uint16.tif",
        "generated/planar_rgb_separate_zlib.tif",
        "generated/pyramid_subifd_zlib_tiled.ome.tif",
        "generated/lzw_predictor_stripped_bigendian_uint16.tif",
        "generated/jpeg2000_lossless.tif",
        "image-rs_image-tiff/rgb-3c-16b.tiff",
        "python-pillow_Pillow/tiff_tiled_planar_lzw.tiff",
        "libvips_libvips/CMU-1-Small-Region.svs",
    ],
)
def test_pixels_are_those_that_tifffile_reads(name: str, data_folder: Path) -> None:
    from tifffile import imread

    path = data_folder / "formats" / name
    expected = imread(path, key=0)
    with open_image(path) as source:
        found = source.read()
        if expected.ndim == 3 and source.stored_axes.endswith("S"):
            expected = np.moveaxis(expected, -1, 0)
        assert np.array_equal(found if expected.ndim == 3 else found[0], expected)
        height, width = source.shape[1:]
        region = (height // 3, width // 4, height // 3 + 57, width // 4 + 61)
        assert np.array_equal(source.read(region), found[:, region[0] : region[2], region[1] : region[3]])


def test_the_page_of_formats_tells_what_is_read_and_which_hostile_files_are_refused() -> None:
    page = formats_page.PAGE.read_text(encoding="utf-8")
    assert formats_page.families() in page
    assert formats_page.hostile_files() in page


def test_the_page_of_formats_is_what_its_script_writes(data_folder: Path) -> None:
    written = formats_page.page(data_folder / "formats")
    assert formats_page.PAGE.read_text(encoding="utf-8") == written, "run tests/benchmarks/formats_page.py DATA again"
