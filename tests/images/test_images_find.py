"""Which files a file, a folder or a pattern means."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellmonai.core.errors import InputError
from cellmonai.images.find import IMAGE_SUFFIXES, find_images, image_stem, same_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a10.tif", "a2.tif", "b.PNG", ".hidden.tif", "notes.txt", ".1f.tmp.tif", "c.nii.gz"):
        (tmp_path / name).touch()
    (tmp_path / "inner.tif").mkdir()
    (tmp_path / ".ipynb_checkpoints").mkdir()
    return tmp_path


def test_a_folder_means_the_images_in_it_in_natural_order(folder: Path) -> None:
    assert [path.name for path in find_images([folder]).images] == ["a2.tif", "a10.tif", "b.PNG", "c.nii.gz"]


def test_a_pattern_and_a_file_may_name_the_same_image_once(folder: Path) -> None:
    found = find_images([Path(f"{folder}/a*.tif"), folder / "a2.tif", folder / "b.PNG"]).images
    assert [path.name for path in found] == ["a2.tif", "a10.tif", "b.PNG"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a[1].tif").touch()
    assert find_images([tmp_path / "a[1].tif"]).images == [tmp_path / "a[1].tif"]


def test_a_link_to_nothing_is_listed_so_that_opening_refuses_it(tmp_path: Path) -> None:
    (tmp_path / "a.tif").symlink_to(tmp_path / "gone.tif")
    assert find_images([tmp_path]).images == [tmp_path / "a.tif"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.tif", "no such file or folder"),
        ("x*.tif", "no image fits this pattern"),
        ("empty", "holds no image .it is empty"),
        ("slides", r"holds no image .it holds 3 files of other kinds: \.czi \(2\), \.lif\)"),
        ("slides", "export these as OME-TIFF, or name a folder that holds .tif"),
        ("slides/*", r"no image fits this pattern \(it holds 3 files of other kinds: \.czi \(2\), \.lif\)"),
        ("texts", "add --recursive, or name a folder"),
        ("**/a.tif", "patterns with .. are not understood; name the folder and add --recursive"),
        ("x" * 300 + ".tif", "no such file or folder"),
        ("texts", r"holds no image .it holds 1 file of another kind: \.txt and folders that are not searched: deep"),
    ],
)
def test_where_nothing_is_found_the_reason_says_what_is_there(name: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "slides").mkdir()
    for slide in ("a.czi", "b.CZI", "c.lif"):
        (tmp_path / "slides" / slide).touch()
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


def test_folders_inside_are_searched_where_asked_for(tmp_path: Path) -> None:
    for name in ("a.tif", "p10/a.tif", "p2/deep/b.tif", ".hidden/c.tif", "notes/n.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_images([tmp_path], recursive=True)
    assert [path.relative_to(tmp_path).as_posix() for path in found.images] == ["a.tif", "p2/deep/b.tif", "p10/a.tif"]
    assert not found.unsearched
    flat = find_images([tmp_path])
    assert [path.name for path in flat.images] == ["a.tif"]
    assert [path.name for path in flat.unsearched] == ["notes", "p10", "p2"]


def test_links_that_lead_in_circles_are_searched_once(tmp_path: Path) -> None:
    (tmp_path / "p1").mkdir()
    (tmp_path / "p1" / "a.tif").touch()
    for name in ("p1/up", "p1/again", "alias"):
        (tmp_path / name).symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "also").symlink_to(tmp_path / "p1", target_is_directory=True)
    assert find_images([tmp_path], recursive=True).images == [tmp_path / "p1" / "a.tif"]


def test_an_avoided_folder_is_neither_searched_nor_listed(tmp_path: Path) -> None:
    for name in ("a.tif", "masks/a_mask.tif", "deep/masks/b.tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    avoid = same_folder(tmp_path / "deep" / ".." / "masks")
    found = find_images([tmp_path], recursive=True, avoid=avoid)
    assert [path.name for path in found.images] == ["a.tif", "b.tif"]
    assert [path.name for path in find_images([tmp_path], avoid=avoid).unsearched] == ["deep"]
    assert [path.name for path in find_images([tmp_path / "masks"], avoid=avoid).images] == ["a_mask.tif"]


@pytest.mark.parametrize(
    ("pattern", "recursive", "expected", "unsearched"),
    [
        pytest.param("p*", False, ["p1/a.tif", "p2/b.tif"], ["deep"], id="folders alone, as a shell gives them"),
        pytest.param("*", False, ["x.tif"], ["p1", "p2"], id="files and folders"),
        pytest.param("*", True, ["p1/a.tif", "p1/deep/c.tif", "p2/b.tif", "x.tif"], [], id="with the option"),
    ],
)
def test_a_pattern_may_fit_folders(
    pattern: str, recursive: object, expected: list[str], unsearched: list[str], tmp_path: Path
) -> None:
    for name in ("x.tif", "p1/a.tif", "p2/b.tif", "p1/deep/c.tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_images([tmp_path / pattern], recursive=bool(recursive))
    assert [path.relative_to(tmp_path).as_posix() for path in found.images] == expected
    assert [path.name for path in found.unsearched] == unsearched


def test_one_file_under_two_spellings_is_one_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p1").mkdir()
    Path("p1/a.tif").touch()
    Path("also").symlink_to("p1", target_is_directory=True)
    found = find_images([Path("p1/a.tif"), tmp_path / "p1", Path("p1/../p1/a.tif"), Path("also")])
    assert len(found.images) == 1
