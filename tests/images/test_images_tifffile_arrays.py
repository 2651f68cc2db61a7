"""Arrays that tifffile wrote with its defaults, also those of 3 and 4 planes, which it stores like colours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tifffile import TiffWriter, imwrite

from cellmonai.core.errors import InputError
from cellmonai.images.labels import read_mask, read_masks
from cellmonai.images.open import open_image

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")


def stack(*shape: int, dtype: type = np.uint16) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.int64).reshape(shape).astype(dtype)


def channels_of(path: Path) -> tuple[tuple[str, ...], tuple[str, ...], list[np.ndarray]]:
    with open_image(path) as source:
        return source.channels, source.planes, [source.read(plane=i) for i in range(len(source.planes))]


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}], ids=["raw", "deflate", "tiles"])
def test_named_channels_are_channels(count: int, dtype: type, options: dict[str, Any], tmp_path: Path) -> None:
    array = stack(count, 20, 30, dtype=dtype)
    imwrite(tmp_path / "a.tif", array, metadata={"axes": "CYX"}, **options)
    channels, planes, pixels = channels_of(tmp_path / "a.tif")
    assert (len(channels), planes) == (count, ("",))
    assert np.array_equal(pixels[0], array)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("axes", "letter"), [("ZYX", "z"), ("TYX", "t"), ("QYX", "p"), ("IYX", "p"), ("RYX", "p"), ("PYX", "p")]
)
def test_named_planes_are_planes(count: int, axes: str, letter: str, tmp_path: Path) -> None:
    array = stack(count, 20, 30)
    imwrite(tmp_path / "a.tif", array, metadata={"axes": axes})
    channels, planes, pixels = channels_of(tmp_path / "a.tif")
    assert channels == ("0",)
    assert planes == tuple(f"{letter}{i}" for i in range(count))
    assert all(np.array_equal(found[0], plane) for found, plane in zip(pixels, array, strict=True))


@pytest.mark.parametrize("inner", [2, 3, 4])
@pytest.mark.parametrize("axes", ["TCYX", "ZCYX", "CZYX", "TZYX", "QCYX"])
def test_two_axes_in_front_are_planes_of_channels(inner: int, axes: str, tmp_path: Path) -> None:
    array = stack(5, inner, 12, 14)
    imwrite(tmp_path / "a.tif", array, metadata={"axes": axes})
    channels, planes, pixels = channels_of(tmp_path / "a.tif")
    expected = array.swapaxes(0, 1) if axes[0] == "C" else array if axes[1] == "C" else array.reshape(-1, 1, 12, 14)
    assert (len(planes), len(channels)) == expected.shape[:2]
    assert np.array_equal(np.stack(pixels), expected)


@pytest.mark.parametrize("metadata", [{}, None], ids=["shape only", "no description"])
def test_three_planes_without_axes_are_colours_and_four_are_channels(
    metadata: dict[str, str] | None, tmp_path: Path
) -> None:
    imwrite(tmp_path / "3.tif", stack(3, 20, 30), metadata=metadata)
    imwrite(tmp_path / "4.tif", stack(4, 20, 30), metadata=metadata)
    assert channels_of(tmp_path / "3.tif")[0] == ("red", "green", "blue")
    channels, _, pixels = channels_of(tmp_path / "4.tif")
    assert channels == ("0", "1", "2", "3")
    assert np.array_equal(pixels[0], stack(4, 20, 30))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_a_stack_of_labels_is_read_plane_by_plane(count: int, dtype: type, tmp_path: Path) -> None:
    labels = stack(count, 9, 11, dtype=np.int32) % 7
    imwrite(tmp_path / "a.tif", labels.astype(dtype), compression="zlib", compressionargs={"level": 1})
    masks = read_masks(tmp_path / "a.tif")
    assert [np.array_equal(mask.array, plane) for mask, plane in zip(masks, labels, strict=True)] == [True] * count


@pytest.mark.parametrize("shape", [(5, 9, 11), (5, 3, 9, 11), (2, 4, 9, 11)])
@pytest.mark.parametrize("letters", ["TC", "ZT"])
def test_arrays_behind_one_directory_are_read_from_there(shape: tuple[int, ...], letters: str, tmp_path: Path) -> None:
    array, axes = stack(*shape), letters[: len(shape) - 2] + "YX"
    imwrite(tmp_path / "a.tif", array, metadata={"axes": axes}, truncate=True)
    _, _, pixels = channels_of(tmp_path / "a.tif")
    assert np.array_equal(np.stack(pixels).reshape(shape), array)


def test_pages_written_one_by_one_are_planes(tmp_path: Path) -> None:
    with TiffWriter(tmp_path / "a.tif") as writer:
        for page in stack(4, 20, 30):
            writer.write(page, metadata={"axes": "YX"}, contiguous=False)
    assert [int(found[0, 0, 0]) for found in channels_of(tmp_path / "a.tif")[2]] == [0, 600, 1200, 1800]


def test_a_grey_mask_stored_as_three_colour_planes_is_one_plane(tmp_path: Path) -> None:
    labels = stack(9, 11) % 7
    imwrite(tmp_path / "a.tif", np.stack([labels] * 3), photometric="rgb", planarconfig="separate")
    mask = read_mask(tmp_path / "a.tif")
    assert mask.plane == ""
    assert np.array_equal(mask.array, labels)


def test_channels_are_no_mask(tmp_path: Path) -> None:
    imwrite(tmp_path / "a.tif", stack(3, 9, 11) % 7, metadata={"axes": "CYX"})
    with pytest.raises(InputError, match="the mask has 3 channels"):
        read_mask(tmp_path / "a.tif")


def test_columns_that_are_stored_as_colours_are_refused(tmp_path: Path) -> None:
    imwrite(tmp_path / "a.tif", stack(5, 7, 3), metadata={"axes": "ZYX"})
    with pytest.raises(InputError, match=r"axes ZYX, and their last 3 columns are stored as colours"):
        open_image(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("shape", "axes"), [((30, 40, 2), None), ((5, 30, 40, 2), None), ((30, 40, 2), "YXC"), ((5, 30, 40, 2), "ZYXC")]
)
def test_channels_that_come_last_are_not_taken_for_columns(
    shape: tuple[int, ...], axes: str | None, tmp_path: Path
) -> None:
    imwrite(tmp_path / "a.tif", stack(*shape), metadata={"axes": axes} if axes else {})
    with pytest.raises(InputError, match=r"whose channels come last|names the axes"):
        open_image(tmp_path / "a.tif")


def test_a_description_of_another_array_is_not_believed(tmp_path: Path) -> None:
    text = json.dumps({"shape": [5, 100, 100], "axes": "ZYX"})
    imwrite(tmp_path / "a.tif", stack(20, 30), description=text, metadata=None)
    with open_image(tmp_path / "a.tif") as source:
        assert source.planes == ("",)
        assert source.notes == (
            "its description tells of an array of 5 x 100 x 100, unlike its pages, which were read",
        )


def test_named_axes_reach_planes_that_are_stored_as_colours(tmp_path: Path) -> None:
    imwrite(tmp_path / "a.tif", stack(3, 20, 30))
    with open_image(tmp_path / "a.tif", axes="ZYX") as source:
        assert source.planes == ("z0", "z1", "z2")
        assert np.array_equal(source.read((3, 4, 9, 8), plane=2)[0], stack(3, 20, 30)[2, 3:9, 4:8])
