"""NIfTI: what nibabel writes reads as nibabel reads it, and no field of a header is believed."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from cellmonai.core.errors import InputError, MemoryBudgetError
from cellmonai.images.open import open_image

RANDOM = np.random.default_rng(5)
VOLUME = RANDOM.integers(0, 99, (30, 20, 3)).astype(np.int16)


def _saved(path: Path, volume: np.ndarray = VOLUME, kind: Any = nibabel.Nifti1Image, **scaling: float) -> Path:  # noqa: ANN401
    image = kind(volume, np.eye(4))
    if scaling:
        image.header.set_slope_inter(scaling["slope"], scaling["inter"])
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image], ids=["version 1", "version 2"])
@pytest.mark.parametrize(
    "shape",
    [(30, 20), (30, 20, 3), (30, 20, 3, 2), (30, 20, 1, 1, 2), (7, 300)],
    ids=["picture", "stack", "stacks over time", "channels", "narrow"],
)
@pytest.mark.parametrize("dtype", [np.uint8, ">i2", np.float32])
def test_pixels_are_those_that_nibabel_reads(
    tmp_path: Path,
    suffix: str,
    kind: Any,  # noqa: ANN401 - nibabel has no types
    shape: tuple[int, ...],
    dtype: Any,  # noqa: ANN401 - any type
) -> None:
    volume = RANDOM.integers(0, 99, shape).astype(dtype)
    path = _saved(tmp_path / f"a{suffix}", volume, kind)
    expected = np.asanyarray(nibabel.load(path).dataobj).reshape((*shape, 1, 1, 1)[:5])
    with open_image(path) as source:
        assert len(source.planes) == expected.shape[2] * expected.shape[3]
        for plane in range(len(source.planes)):
            z, t = divmod(plane, expected.shape[3])
            assert np.array_equal(source.read(plane=plane), expected[:, :, z, t].transpose(2, 1, 0))
        assert np.array_equal(source.read((2, 1, 19, 6))[0], expected[1:6, 2:19, 0, 0, 0].T)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(("slope", "inter"), [(2.0, 0.0), (0.5, -3.0), (1.0, 7.0)])
def test_scaled_values_are_those_that_nibabel_reads(tmp_path: Path, suffix: str, slope: float, inter: float) -> None:
    path = _saved(tmp_path / f"a{suffix}")
    _edit(path, 112, "<ff", slope, inter)
    with open_image(path) as source:
        assert source.dtype == np.float32
        assert np.allclose(source.read(plane=1)[0], VOLUME[:, :, 1].T * slope + inter)


def _edit(path: Path, at: int, form: str, *values: Any) -> None:  # noqa: ANN401 - what struct takes
    packed = path.name.endswith(".gz")
    content = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
    struct.pack_into(form, content, at, *values)
    path.write_bytes(gzip.compress(content) if packed else content)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    ("at", "form", "values", "reason"),
    [
        pytest.param(0, "<i", (349,), "sizeof_hdr|holds .* data|holds no known", id="another length of the header"),
        pytest.param(40, "<4h", (3, -30, 20, 3), "size -30", id="a negative size"),
        pytest.param(40, "<4h", (3, 30, 0, 3), "size 0", id="a size of 0"),
        pytest.param(40, "<h", (9,), r"dim\[0\] is 9", id="nine axes"),
        pytest.param(40, "<h", (-1,), r"dim\[0\] is -1", id="minus one axis"),
        pytest.param(40, "<6h", (5, 1, 1, 32767, 32767, 1), "planes", id="a billion planes"),
        pytest.param(40, "<4h", (3, 32767, 32767, 3), "cut short|budget|claim", id="a billion pixels"),
        pytest.param(40, "<4h", (3, 30, 20, 2), "follow the pixels", id="fewer planes than there are"),
        pytest.param(40, "<4h", (3, 20, 20, 3), "follow the pixels", id="shorter rows than there are"),
        pytest.param(70, "<h", (999,), "unread type 999", id="an unknown type"),
        pytest.param(70, "<h", (128,), "colours", id="colours"),
        pytest.param(70, "<h", (32,), "complex", id="complex numbers"),
        pytest.param(70, "<h", (2,), "bitpix is 16", id="a type that does not fit its bits"),
        pytest.param(108, "<f", (float("nan"),), "vox_offset is nan", id="an offset of NaN"),
        pytest.param(108, "<f", (float("inf"),), "vox_offset is inf", id="an infinite offset"),
        pytest.param(108, "<f", (1e30,), "vox_offset", id="an offset beyond any file"),
        pytest.param(108, "<f", (-352.0,), "vox_offset", id="a negative offset"),
        pytest.param(108, "<f", (352.5,), "vox_offset is 352.5", id="half a byte"),
        pytest.param(108, "<f", (100000.0,), "cut short|follow", id="an offset beyond this file"),
        pytest.param(112, "<ff", (float("inf"), 0.0), "scl_slope is inf", id="an infinite slope"),
        pytest.param(112, "<ff", (float("nan"), 5.0), "scl_slope is nan", id="a slope of NaN with an intercept"),
        pytest.param(112, "<ff", (2.0, float("nan")), "scl_inter is nan", id="an intercept of NaN"),
        pytest.param(112, "<ff", (1e38, 1e38), "NaN or infinite", id="values beyond float32"),
        pytest.param(344, "4s", (b"ni1\0",), "another file", id="pixels in another file"),
    ],
)
def test_a_header_that_lies_is_refused(
    tmp_path: Path, suffix: str, at: int, form: str, values: tuple[Any, ...], reason: str
) -> None:
    path = _saved(tmp_path / f"a{suffix}")
    _edit(path, at, form, *values)
    tracemalloc.start()
    with pytest.raises((InputError, MemoryBudgetError), match=rf"a\.nii.*({reason})"), open_image(path) as source:
        source.read()
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_no_damage_to_a_compressed_file_gives_other_pixels(tmp_path: Path) -> None:
    path = _saved(tmp_path / "a.nii.gz", VOLUME[:12, :10])
    content = path.read_bytes()
    refused = 0
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            with open_image(path) as source:
                assert np.array_equal(source.read(plane=2)[0], VOLUME[:12, :10, 2].T)
        except InputError:
            refused += 1
    assert refused > 0.95 * len(content)  # the time and the name in its header decide nothing


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda content: content[:-9], id="without its end"),
        pytest.param(lambda content: content[: len(content) // 2], id="cut in half"),
        pytest.param(lambda content: content + b"garbage", id="with something behind"),
        pytest.param(lambda content: content + gzip.compress(bytes(4096)), id="with more behind"),
        pytest.param(lambda content: content[:20], id="cut in its header"),
    ],
)
def test_a_compressed_file_must_end_where_its_pixels_do(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    path = _saved(tmp_path / "a.nii.gz")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=r"a\.nii\.gz"), open_image(path) as source:
        source.read()


def test_a_file_of_several_compressed_parts_is_read(tmp_path: Path) -> None:
    path = _saved(tmp_path / "a.nii.gz")
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(b"".join(gzip.compress(content[at : at + 500]) for at in range(0, len(content), 500)) + bytes(30))
    with open_image(path) as source:
        assert np.array_equal(source.read(plane=2)[0], VOLUME[:, :, 2].T)


def test_a_compressed_bomb_stops_where_the_pixels_should_end(tmp_path: Path) -> None:
    path = _saved(tmp_path / "a.nii.gz")
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + bytes(256 << 20), 1))
    tracemalloc.start()
    with pytest.raises(InputError, match="follow the pixels"), open_image(path) as source:
        source.read()
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("axes", ["ZTYX", "TZYX", "PYXC"])
def test_more_planes_than_an_image_has_are_refused_before_they_are_named(tmp_path: Path, axes: str) -> None:
    path = tmp_path / "a.npy"
    shape = (600, 600, 1, 1) if axes != "PYXC" else (200_000, 1, 1, 1)
    np.save(path, np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match=r"a\.npy: it declares [0-9,]+ planes, and 100,000 are the most"):
        open_image(path, axes=axes)
