"""What lies beside images and is not taken is said once, and what is worth no word is not said."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellmonai.core.progress import Silent
from cellmonai.images.find import find_images
from cellmonai.images.left_out import beside, tell_left_out


class Listening(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def told(root: Path, *names: str, recursive: bool = False) -> tuple[list[str], list[str]]:
    """Warnings and notes about a folder with an image and these files."""
    for name in ("a.tif", *names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    reporter = Listening()
    tell_left_out(find_images([root], recursive=recursive), reporter, how_to_search="--recursive")
    assert all(warning.code == "left_out" for warning in reporter.warnings)
    return [warning.message for warning in reporter.warnings], reporter.notes


@pytest.mark.parametrize(
    ("names", "words"),
    [
        pytest.param(
            ["b.czi", "c.lif", "d.nd2"], "3 files of other kinds left out: .czi, .lif, .nd2; export", id="three"
        ),
        pytest.param(["b.LSM"], "1 file of another kind left out: .lsm; export it as OME-TIFF", id="capitals"),
        pytest.param(["b.oib", "c.oib", "d.heic"], "3 files of other kinds left out: .heic, .oib (2);", id="numbers"),
        pytest.param(["b.h5", "notes.txt", "c.xyz"], "2 files of other kinds left out: .h5, .xyz;", id="with others"),
    ],
)
def test_images_of_other_kinds_are_a_warning_with_the_cure(names: list[str], words: str, tmp_path: Path) -> None:
    (warning,), notes = told(tmp_path, *names)
    assert warning.startswith(words)
    assert not notes


def test_other_files_are_a_note(tmp_path: Path) -> None:
    assert told(tmp_path, "b.xyz", "README") == ([], ["2 files of other kinds left out: .xyz, no suffix"])


@pytest.mark.parametrize(
    "name", ["run.json", "counts.csv", "recipe.toml", "Thumbs.db", "notes.txt", ".hidden.czi", ".DS_Store", "._b.tif"]
)
def test_tables_notes_and_hidden_files_are_worth_no_word(name: str, tmp_path: Path) -> None:
    assert told(tmp_path, name) == ([], [])


@pytest.mark.parametrize("inside", ["plate2/b.tif", "plate2/deep/b.PNG", "plate2/b.czi", "plate2/c.zarr/zarr.json"])
def test_a_folder_with_images_inside_is_a_warning(inside: str, tmp_path: Path) -> None:
    if "zarr" in inside:
        (tmp_path / "plate2" / "b.tif").parent.mkdir()
        (tmp_path / "plate2" / "b.tif").touch()
    assert told(tmp_path, inside) == (["1 folder not searched: plate2 (--recursive takes them)"], [])


def test_folders_without_images_are_a_note_and_are_not_said_once_they_are_searched(tmp_path: Path) -> None:
    names = ("p1/n.txt", "p2/n.txt", "p3/n.txt", "p4/n.txt")
    assert told(tmp_path, *names) == ([], ["4 folders not searched: p1, p2, p3 and 1 more (--recursive takes them)"])
    assert told(tmp_path, recursive=True) == ([], [])


def test_what_lies_beside_the_files_of_a_data_set_is_found(tmp_path: Path) -> None:
    told(tmp_path, "images/a.tif", "images/b.nd2", "masks/a.tif", "masks/old/a.tif")
    found = beside([tmp_path / "images" / "a.tif", tmp_path / "masks" / "a.tif", tmp_path / "gone" / "a.tif"])
    assert [path.name for path in found.others] == ["b.nd2"]
    assert [path.name for path in found.unsearched] == ["old"]
