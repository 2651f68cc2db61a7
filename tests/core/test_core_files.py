"""Files appear whole or not at all, and only where they may."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from cellmonai.core import locks
from cellmonai.core.errors import InterruptedRunError, LockedError, OutputError
from cellmonai.core.files import (
    atomic_file,
    atomic_folder,
    refuse_existing,
    remove_orphans,
    sha256_of,
    write_json,
    write_text,
)
from cellmonai.core.interrupts import stop_wish
from cellmonai.core.locks import folder_lock
from cellmonai.core.progress import Silent
from cellmonai.core.record import RunRecord


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "counts.csv"
    with atomic_file(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
    assert target.read_text() == "half"
    assert [path.name for path in target.parent.iterdir()] == ["counts.csv"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_nothing_behind_and_the_old_file_untouched(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(error), atomic_file(target, overwrite=True) as temporary:
        temporary.write_text("new")
        raise error
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_appears_whole_and_replaces_an_old_one(tmp_path: Path) -> None:
    target = tmp_path / "maps.zarr"
    for text in ("one", "two"):
        with atomic_folder(target, overwrite=True) as temporary:
            (temporary / "chunk").write_text(text)
    assert (target / "chunk").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["maps.zarr"]


def test_what_a_killed_run_left_goes_and_nothing_else(tmp_path: Path) -> None:
    ours, theirs, linked = tmp_path / "out", tmp_path / "theirs", "audit_link"
    (ours / "audit").mkdir(parents=True)
    theirs.mkdir()
    orphans = [f".{'0a' * 8}.tmp.csv", f".{'f1' * 8}.tmp", f".{'01' * 8}.tmp.t\nif"]
    for folder in (ours, ours / "audit", theirs):
        for name in orphans:
            (folder / name).write_text("half")
    (ours / linked).symlink_to(theirs)
    stay = [".0a.tmp.csv", f".{'0A' * 8}.tmp.csv", f"{'0a' * 8}.tmp.csv", f".{'0a' * 8}.tmp.csv.gz",
            f".{'0a' * 8}.tmpx", f"x.{'0a' * 8}.tmp"]  # fmt: skip
    for name in stay:
        (ours / name).write_text("mine")
    (ours / f".{'02' * 8}.tmp.zarr").mkdir()
    (ours / f".{'03' * 8}.tmp.csv").symlink_to(theirs / orphans[0])
    remove_orphans(ours, "audit", linked, "missing")
    assert {path.name for path in ours.iterdir()} == {
        "audit", linked, f".{'02' * 8}.tmp.zarr", f".{'03' * 8}.tmp.csv", *stay
    }  # fmt: skip
    assert list((ours / "audit").iterdir()) == []
    assert len(list(theirs.iterdir())) == 3


def test_the_name_of_a_temporary_file_is_known_again(tmp_path: Path) -> None:
    for name in ("a.csv", "a", "a.ome.tif", "a.b c", "a.\udce9"):
        with atomic_file(tmp_path / name) as temporary:
            temporary.write_text("half")
            remove_orphans(tmp_path)
            assert not temporary.exists()
            temporary.write_text("whole")


def test_an_existing_output_is_refused_even_as_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="choose another --output or add --overwrite"):
        refuse_existing([tmp_path / "link"], overwrite=False)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        write_text(tmp_path / "file" / "out.txt", "x")


def test_json_refuses_numbers_that_json_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not list(tmp_path.iterdir())


def test_digests_of_folders_depend_on_names_and_content(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "a").write_text("x")
    (tmp_path / "two" / "a").write_text("x")
    (tmp_path / "three" / "b").write_text("x")
    digests = [sha256_of(tmp_path / name) for name in ("one", "two", "three")]
    assert digests[0] == digests[1] != digests[2]


def _hold(folder: Path, ready: multiprocessing.synchronize.Event) -> None:
    with folder_lock(folder):
        ready.set()
        signal.pause()


def test_a_lock_keeps_others_out_and_dies_with_its_process(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(tmp_path / "out", ready))
    process.start()
    assert ready.wait(30)
    with pytest.raises(LockedError, match="another run is writing here"), folder_lock(tmp_path / "out"):
        pass
    process.kill()
    process.join(60)
    with folder_lock(tmp_path / "out"):
        pass


def test_a_file_system_without_locks_does_not_stop_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, **_: bool) -> None:
        raise OSError(errno.ENOLCK, "no locks here")

    monkeypatch.setattr(locks, "_lock", refuse)
    with folder_lock(tmp_path / "out") as is_held:
        assert not is_held
        (tmp_path / "out" / "file").write_text("")
    assert (tmp_path / "out" / "file").exists()


def test_a_lock_takes_away_the_folder_it_made_when_nothing_came_into_it(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "empty"):
        assert (tmp_path / "empty").is_dir()
    assert not (tmp_path / "empty").exists()
    with folder_lock(tmp_path / "used"):
        (tmp_path / "used" / "file").write_text("")
    assert (tmp_path / "used" / "file").exists()


def test_the_first_ctrl_c_is_a_wish_and_the_second_an_end() -> None:
    with pytest.raises(KeyboardInterrupt), stop_wish() as wish:
        assert not wish.asked
        os.kill(os.getpid(), signal.SIGINT)
        assert wish.asked
        with pytest.raises(InterruptedRunError, match=r"stopped by Ctrl-C; the rest is kept\."):
            wish.check("the rest is kept")
        os.kill(os.getpid(), signal.SIGINT)


def test_the_record_says_what_ran(tmp_path: Path) -> None:
    record = RunRecord("count", {"split": "auto"}, facts={"model": "none"})
    reporter = Silent()
    reporter.warn("odd", "strange", "a.tif")
    record.write(tmp_path / "run.json", reporter.warnings)
    document = json.loads((tmp_path / "run.json").read_text())
    assert document["schema"] == "cellmonai.run.count/1"
    assert document["warnings"] == [{"code": "odd", "message": "strange", "image": "a.tif"}]
    assert document["versions"]["numpy"]
    assert document["started"].endswith("+00:00")
