"""Which files a file, a folder or a pattern means."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellmonai.core.errors import InputError
from cellmonai.images.find import IMAGE_SUFFIXES, find_images, image_stem


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a10.tif", "a2.tif", "b.PNG", ".hidden.tif", "notes.txt", ".1f.tmp.tif", "c.nii.gz"):
        (tmp_path / name).touch()
    (tmp_path / "inner.tif").mkdir()
    (tmp_path / ".ipynb_checkpoints").mkdir()
    return tmp_path


def test_a_folder_means_the_images_in_it_in_natural_order(folder: Path) -> None:
    assert [path.name for path in find_images([folder])] == ["a2.tif", "a10.tif", "b.PNG", "c.nii.gz"]


def test_a_pattern_and_a_file_may_name_the_same_image_once(folder: Path) -> None:
    found = find_images([Path(f"{folder}/a*.tif"), folder / "a2.tif", folder / "b.PNG"])
    assert [path.name for path in found] == ["a2.tif", "a10.tif", "b.PNG"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a[1].tif").touch()
    assert find_images([tmp_path / "a[1].tif"]) == [tmp_path / "a[1].tif"]


def test_a_link_in_a_folder_is_listed_so_that_opening_refuses_it(tmp_path: Path) -> None:
    (tmp_path / "a.tif").symlink_to(tmp_path / "gone.tif")
    assert find_images([tmp_path]) == [tmp_path / "a.tif"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.tif", "no such file or folder"),
        ("x*.tif", "no image fits this pattern"),
        ("empty", "holds no image .it is empty"),
        ("texts", r"holds no image .it holds a\.txt, deep; its folders are not searched"),
    ],
)
def test_where_nothing_is_found_the_reason_says_what_is_there(name: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts" / "deep").mkdir(parents=True)
    (tmp_path / "texts" / "a.txt").touch()
    with pytest.raises(InputError, match=reason):
        find_images([tmp_path / name])


def test_nothing_named_is_refused() -> None:
    with pytest.raises(InputError, match="no image was named"):
        find_images([])


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.tif", "a"),
        ("a.ome.tif", "a"),
        ("a.OME.TIFF", "a"),
        ("x.nii.gz", "x"),
        ("a.b.png", "a.b"),
        ("noext", "noext"),
        (".tif", ".tif"),
    ],
)
def test_a_stem_is_the_name_without_its_image_suffix(name: str, stem: str) -> None:
    assert image_stem(Path(name)) == stem


def test_a_folder_without_images_is_told_every_suffix_that_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        find_images([tmp_path])
    assert all(suffix in caught.value.cure for suffix in IMAGE_SUFFIXES)
