"""Older results or newer ones are whole, wherever the run that replaces them is killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kill_points import KILLED, Watch, start
from waiting import wait_for_end

from cellmonai.core.errors import InputError, OutputError
from cellmonai.core.staging import NAME, RECORD, Staging, end_placing, is_half_placed, refuse_half_placed, staged

OLDER = {"a.txt": "older", "stale.txt": "older", "maps/0": "older", "maps/gone": "older", "turns": "older"}
NEWER = {"a.txt": "newer", "maps/0": "newer", "deep/b.txt": "newer", "turns/0": "newer", "run.json": "newer"}
NAMES = ["a.txt", "maps", "deep/b.txt", "turns", "run.json"]
WHAT = {"command": "test"}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def read(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and NAME not in path.parts and not path.name.startswith(".")
    }


def replace(output: Path) -> None:
    staging = Staging(output, WHAT)
    if staging.open() is None:
        write(staging.folder, NEWER)
    staging.place(NAMES, stale=["stale.txt"], facts={"epochs": 3})


def replace_and_die(output: Path, number: int) -> None:
    Watch(output, number, torn=False, told=None).begin()
    replace(output)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are not told here")
@pytest.mark.parametrize("ends", ["the same run", "any run"])
def test_results_are_of_one_run_wherever_it_is_killed(tmp_path: Path, ends: str) -> None:
    codes, placing = [], 0
    for number in range(1, 200):
        output = tmp_path / str(number)
        write(output, OLDER)
        codes.append(wait_for_end(start(replace_and_die, output, number)))
        if is_half_placed(output):
            placing += 1
            with pytest.raises(InputError, match="which ends that"):
                refuse_half_placed(output)
            if ends == "the same run":
                assert Staging(output, WHAT).open() == {"epochs": 3}
            else:
                assert end_placing(output)
                assert not (output / NAME).exists()
        else:
            assert read(output) in (OLDER, NEWER)
        replace(output)
        assert read(output) == NEWER
        assert not (output / NAME).exists()
        if codes[-1] == 0:
            break
    assert set(codes[:-1]) == {KILLED}
    assert codes[-1] == 0
    assert placing > 10


def test_another_run_ends_what_was_begun_and_begins_anew(tmp_path: Path) -> None:
    write(tmp_path, OLDER)
    first = Staging(tmp_path, WHAT)
    assert first.open() is None
    write(first.folder, NEWER)
    (tmp_path / RECORD).write_text(
        json.dumps({"format": 1, "what": WHAT, "names": NAMES, "stale": ["stale.txt"], "facts": {}})
    )
    other = Staging(tmp_path, {"command": "other"})
    assert other.open() is None
    assert read(tmp_path) == NEWER
    assert list(other.folder.iterdir()) == []


def test_what_a_failure_leaves_is_taken_away_and_older_results_stay(tmp_path: Path) -> None:
    write(tmp_path, OLDER)

    def fail() -> None:
        with staged(tmp_path, WHAT, refuse=lambda: None) as (staging, _):
            write(staging.folder, NEWER)
            raise OutputError("no space")

    with pytest.raises(OutputError):
        fail()
    assert read(tmp_path) == OLDER
    assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", NAME, 3, ""])
def test_a_record_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: object) -> None:
    (tmp_path / NAME).mkdir()
    record = {"format": 1, "what": WHAT, "names": [name], "stale": [], "facts": {}}
    (tmp_path / RECORD).write_text(json.dumps(record))
    with pytest.raises(OutputError, match="is damaged; remove it"):
        Staging(tmp_path, WHAT).open()


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="a link or a file is in the way"):
        Staging(tmp_path, WHAT).open()
