"""An image that is written to while it is read is refused: its pixels would be of two images."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tifffile import imwrite
from zarr_files import write_ome_zarr

from cellmonai.core.errors import InputError
from cellmonai.images.labels import open_mask, read_mask_strip
from cellmonai.images.open import open_image
from cellmonai.images.rescale import at_resolution
from cellmonai.images.source import CHANGED

IMAGE = np.random.default_rng(3).integers(0, 200, (64, 48)).astype(np.uint8)


def _written(folder: Path, suffix: str) -> Path:
    path = folder / f"a{suffix}"
    if suffix == ".tif":
        imwrite(path, IMAGE, tile=(16, 16))
    elif suffix == ".zarr":
        write_ome_zarr(path, [IMAGE], "YX", chunks=(16, 16))
    elif suffix == ".npy":
        np.save(path, IMAGE)
    elif suffix == ".npz":
        np.savez(path, image=IMAGE)
    elif suffix in {".nii", ".nii.gz"}:
        import nibabel

        nibabel.save(nibabel.Nifti1Image(IMAGE.T.copy(), np.eye(4)), path)
    else:
        from PIL import Image

        Image.fromarray(IMAGE).save(path)
    return path


def _file_of(path: Path) -> Path:
    """Give a file that holds pixels of the first rows."""
    return path / "0/c/0/0" if path.is_dir() else path


def _rewritten_with_its_time(path: Path) -> None:
    before, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def _replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


CHANGES = [
    pytest.param(_rewritten_with_its_time, id="one bit, with the old length and time"),
    pytest.param(lambda path: path.write_bytes(path.read_bytes() + b"\0"), id="longer"),
    pytest.param(lambda path: os.truncate(path, path.stat().st_size // 2), id="cut"),
    pytest.param(_replaced, id="replaced by a copy"),
    pytest.param(Path.unlink, id="gone"),
]
SUFFIXES = [".tif", ".png", ".jpg", ".bmp", ".npy", ".npz", ".nii", ".nii.gz", ".zarr"]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_change_while_an_image_is_open_is_noticed(
    tmp_path: Path, suffix: str, change: Callable[[Path], None]
) -> None:
    path = _written(tmp_path, suffix)

    def read() -> None:
        with open_image(path) as source:
            source.read((0, 0, 8, 48))
            change(_file_of(path))
            source.read((40, 0, 64, 48))

    with pytest.raises(InputError, match="it was changed while it was read") as caught:
        read()
    assert caught.value.code == CHANGED
    assert path.name in str(caught.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_image_that_stays_as_it_is_can_be_read_and_hashed(tmp_path: Path, suffix: str) -> None:
    with open_image(_written(tmp_path, suffix)) as source:
        source.read((0, 0, 8, 48))
        assert len(source.fingerprint) == 64
        source.read()


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".png"])
def test_a_mask_that_is_changed_is_noticed_at_the_next_strip(tmp_path: Path, suffix: str) -> None:
    path = _written(tmp_path, suffix)
    source = open_mask(path)
    read_mask_strip(source, 0, 0, 8)
    _rewritten_with_its_time(path)
    with pytest.raises(InputError, match="it was changed while it was read"):
        read_mask_strip(source, 0, 40, 48)
    source.close()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("0/c/3/2", id="a chunk that was not read"),
        pytest.param("0/c/1/0", id="a chunk that will be"),
        pytest.param("zarr.json", id="the description"),
        pytest.param("0/zarr.json", id="the header of the array"),
    ],
)
def test_a_change_between_the_digest_of_a_folder_and_its_pixels_is_noticed(tmp_path: Path, name: str) -> None:
    path = _written(tmp_path, ".zarr")
    with open_image(path) as source:
        assert source.fingerprint
        _rewritten_with_its_time(path / name)
        with pytest.raises(InputError, match="it was changed while it was read"):
            source.require_unchanged()
        source.require_unchanged = lambda: None  # type: ignore[method-assign]  # told once


def test_a_chunk_that_appears_is_noticed(tmp_path: Path) -> None:
    path = _written(tmp_path, ".zarr")
    content = (path / "0/c/0/1").read_bytes()
    (path / "0/c/0/1").unlink()

    def read() -> None:
        with open_image(path) as source:
            source.read()
            (path / "0/c/0/1").write_bytes(content)

    with pytest.raises(InputError, match="it was changed while it was read"):
        read()


def test_a_reduced_image_is_as_its_source(tmp_path: Path) -> None:
    path = _written(tmp_path, ".tif")
    with pytest.raises(InputError, match="it was changed while it was read"), open_image(path) as source:
        reduced = at_resolution(source, level=0)
        reduced.read((0, 0, 8, 48))
        _rewritten_with_its_time(path)
        reduced.require_unchanged()
