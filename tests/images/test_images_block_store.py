"""A plane that is written block by block is the one that is written at once; what breaks on the way is found."""

from __future__ import annotations

import resource
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from plane_writer import (
    HEADER,
    LEVEL,
    SIZE_UM,
    boxes_of,
    digests_of,
    finish,
    is_empty,
    maps_in,
    open_store,
    put,
    start,
    tell_failure,
    work_folder,
    write_rest,
)
from tifffile import TiffFile
from waiting import wait_for_end

from cellmonai.core.errors import LockedError, OutputError
from cellmonai.core.locks import folder_lock
from cellmonai.images import block_store
from cellmonai.images.block_store import PlaneStore, is_unfinished
from cellmonai.images.write import write_maps, write_mask

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.synchronize import Event

SHAPE = (520, 1030)
"""Six blocks of 512 px, those at the lower and right edge smaller; the last one is skipped."""


def write_all(store: PlaneStore, *, side: int = 512) -> None:
    for box in boxes_of(SHAPE, side):
        put(store, box)


def expected(folder: Path, shape: tuple[int, int] = SHAPE, dtype: str = "float16") -> dict[str, str]:
    """The digests of what `write_maps` and `write_mask` make of the whole plane."""
    folder.mkdir()
    whole = maps_in((0, 0, *shape))
    names = ("foreground", "border")
    path = folder / "x_maps.zarr"
    write_maps(path, whole, names=names, pixel_size_um=SIZE_UM, dtype=dtype, overwrite=False)  # type: ignore[arg-type]
    write_mask(folder / "x_mask.tif", whole[0] > LEVEL, pixel_size_um=SIZE_UM, overwrite=False)
    return digests_of(folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digests of the plane written at once."""
    return expected(tmp_path_factory.mktemp("whole") / "out")


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """An output folder whose plane was left after four blocks in two rounds."""
    with open_store(tmp_path, SHAPE) as store:
        for number, box in enumerate(boxes_of(SHAPE)[:4]):
            put(store, box)
            if number == 2:
                store.commit()
    return tmp_path


@pytest.mark.parametrize("dtype", ["float16", "uint8"])
@pytest.mark.parametrize("shape", [(1, 1), (300, 700), (512, 1024), SHAPE], ids=str)
def test_blocks_in_any_order_give_the_bytes_of_the_whole_plane(
    shape: tuple[int, int], dtype: str, tmp_path: Path
) -> None:
    found = expected(tmp_path / "whole", shape, dtype)
    for seed in range(2):
        out = tmp_path / f"out{seed}"
        with open_store(out, shape, maps_dtype=dtype) as store:
            for number in np.random.default_rng(seed).permutation(len(boxes_of(shape))):
                put(store, boxes_of(shape)[number])
            finish(store, out)
        assert digests_of(out) == found


@pytest.mark.parametrize("side", [1024, 2048])
def test_blocks_of_any_size_give_the_same_bytes(side: int, whole: dict[str, str], tmp_path: Path) -> None:
    with open_store(tmp_path, SHAPE) as store:
        write_all(store, side=side)
        finish(store, tmp_path)
    assert digests_of(tmp_path) == whole


def test_a_skipped_block_is_one_of_zeros_and_is_known_as_skipped(whole: dict[str, str], tmp_path: Path) -> None:
    with open_store(tmp_path, SHAPE) as store:
        for box in boxes_of(SHAPE):
            store.write(box, maps_in(box), maps_in(box)[0] > LEVEL)
        store.commit()
        assert store.skipped == set()
        finish(store, tmp_path)
    assert digests_of(tmp_path) == whole
    with open_store(tmp_path / "other", SHAPE) as store:
        write_all(store)
    with PlaneStore.resume(work_folder(tmp_path / "other"), header=HEADER) as store:
        assert store.skipped == {box for box in boxes_of(SHAPE) if is_empty(box)}
        assert len(store.skipped) == 1
        assert store.foreground_px == np.count_nonzero(maps_in((0, 0, *SHAPE))[0] > LEVEL)


def test_a_block_is_done_when_its_round_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = boxes_of(SHAPE)
    monkeypatch.setattr(block_store, "GROUP_SECONDS", 1e9)
    monkeypatch.setattr(block_store, "GROUP_BLOCKS", 3)
    with open_store(tmp_path, SHAPE) as store:
        for number, done in enumerate([0, 0, 3, 3]):
            put(store, boxes[number])
            assert store.done == set(boxes[:done])
        monkeypatch.setattr(block_store, "GROUP_SECONDS", 0)
        put(store, boxes[4])
        assert store.done == set(boxes[:5])
        monkeypatch.undo()
        put(store, boxes[5])
    assert PlaneStore.resume(work_folder(tmp_path), header=HEADER).done == set(boxes[:6])


def test_the_same_command_continues_and_ends_with_the_same_bytes(half: Path, whole: dict[str, str]) -> None:
    assert is_unfinished(work_folder(half))
    assert set(digests_of(half)) == {".x.work"}
    with open_store(half, SHAPE) as store:
        assert store.done == set(boxes_of(SHAPE)[:4])
        assert store.damaged == ()
    write_rest(half, SHAPE)
    assert digests_of(half) == whole
    assert not is_unfinished(work_folder(half))


def test_with_overwrite_the_same_run_is_still_continued(half: Path) -> None:
    with open_store(half, SHAPE, overwrite=True) as store:
        assert len(store.done) == 4


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"header": HEADER | {"precision": "bf16"}}, "used precision f32, this one bf16; repeat it as it was"),
        ({"header": HEADER | {"image": "00" * 32}}, "used image abababababab…, this one 000000000000…"),
        ({"header": HEADER | {"model": "00" * 32}}, "used model cdcdcdcdcdcd…, this one 000000000000…"),
        ({"header": HEADER | {"versions": {"zarr": "3.2"}}}, "used versions.zarr 3.1.6, this one 3.2"),
        ({"header": HEADER | {"tta": "d4"}}, "used tta nothing, this one d4"),
        ({"maps_dtype": "uint8"}, "used maps_dtype float16, this one uint8"),
        ({"pixel_size_um": None}, r"used pixel_size_um \[0.5, 0.25\], this one null"),
        ({"names": ("foreground", "centre")}, "used names .*, this one .*centre"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_another_run_is_refused_until_it_may_start_anew(half: Path, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(OutputError, match=f"{sentence}.*; --overwrite starts anew") as caught:
        open_store(half, SHAPE, **change)
    assert caught.value.exit_code == 5
    with open_store(half, SHAPE) as store:
        assert len(store.done) == 4
    with open_store(half, SHAPE, **change, overwrite=True) as store:
        assert store.done == set()
        put(store, boxes_of(SHAPE)[0])


def test_create_and_resume_say_what_lies_there(half: Path, tmp_path: Path) -> None:
    facts: dict[str, Any] = {
        "shape": SHAPE,
        "names": ("a",),
        "maps_dtype": "uint8",
        "pixel_size_um": None,
        "header": {},
    }
    with pytest.raises(OutputError, match="an unfinished run lies here; run the same command again, or add"):
        PlaneStore.create(work_folder(half), **facts)
    with PlaneStore.create(work_folder(half), **facts, overwrite=True) as store:
        assert store.plane.names == ("a",)
    with pytest.raises(OutputError, match="no unfinished run lies here"):
        PlaneStore.resume(tmp_path / "nothing", header={})


def _chunk(folder: Path) -> Path:
    return folder / "maps.zarr/0/c/1/0/1"


def _lose(path: Path) -> None:
    path.unlink()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [_lose, _cut, _flip])
@pytest.mark.parametrize("name", ["maps.zarr/0/c/1/0/1", "masks/0_512.bits"], ids=["chunk", "mask"])
def test_a_damaged_block_is_told_and_done_again(
    name: str, damage: Callable[[Path], None], half: Path, whole: dict[str, str]
) -> None:
    box = (0, 512, 512, 1024)
    damage(work_folder(half) / name)
    with open_store(half, SHAPE) as store:
        assert store.damaged == (box,)
        assert store.done == set(boxes_of(SHAPE)[:4]) - {box}
    with PlaneStore.resume(work_folder(half), header=HEADER, verify=False) as store:  # it stays known as damaged
        assert box not in store.done
    write_rest(half, SHAPE)
    assert digests_of(half) == whole


def test_without_verify_digests_of_the_last_round_and_all_lengths_are_looked_at(half: Path) -> None:
    earlier, last = work_folder(half) / "masks/0_512.bits", work_folder(half) / "masks/512_0.bits"
    _flip(earlier)
    with PlaneStore.resume(work_folder(half), header=HEADER, verify=False) as store:
        assert store.damaged == ()
    _flip(last)
    _cut(earlier)
    with PlaneStore.resume(work_folder(half), header=HEADER, verify=False) as store:
        assert set(store.damaged) == {(0, 512, 512, 1024), (512, 0, 520, 512)}


@pytest.mark.parametrize("damage", [_lose, _cut, _flip])
@pytest.mark.parametrize("name", ["maps.zarr/zarr.json", "maps.zarr/0/zarr.json"])
def test_damaged_metadata_is_written_again(
    name: str, damage: Callable[[Path], None], half: Path, whole: dict[str, str]
) -> None:
    damage(work_folder(half) / name)
    write_rest(half, SHAPE)
    assert digests_of(half) == whole


def test_all_blocks_lost_are_all_done_again(half: Path, whole: dict[str, str]) -> None:
    shutil.rmtree(work_folder(half) / "maps.zarr")
    shutil.rmtree(work_folder(half) / "masks")
    with open_store(half, SHAPE) as store:
        assert (len(store.damaged), store.done) == (4, set())
    write_rest(half, SHAPE)
    assert digests_of(half) == whole


def test_a_block_damaged_while_the_run_goes_on_is_found_at_the_end(half: Path, whole: dict[str, str]) -> None:
    for name, damage, sentence in [
        ("masks/0_512.bits", _flip, "a block of the mask was damaged"),
        ("maps.zarr/0/c/1/0/1", _cut, "maps.zarr/0/c/1/0/1 was lost, changed or added"),
    ]:
        with open_store(half, SHAPE) as store:
            for box in set(boxes_of(SHAPE)) - store.done:
                put(store, box)
            damage(work_folder(half) / name)
            with pytest.raises(
                OutputError, match=f"{sentence}.*run the same command again, which does again"
            ) as caught:
                finish(store, half)
            assert caught.value.exit_code == 5
        assert set(digests_of(half)) == {".x.work"}
        with PlaneStore.resume(work_folder(half), header=HEADER, verify=False) as store:
            assert (0, 512, 512, 1024) not in store.done
    write_rest(half, SHAPE)
    assert digests_of(half) == whole


def _add_file(folder: Path) -> Path:
    (folder / "maps.zarr" / "notes.txt").write_text("mine")
    return folder / "maps.zarr" / "notes.txt"


def _add_folder(folder: Path) -> Path:
    (folder / "mine").mkdir()
    return folder / "mine"


def _add_link(folder: Path) -> Path:
    _chunk(folder).rename(folder.parent / "real")
    _chunk(folder).symlink_to(folder.parent / "real")
    return _chunk(folder)


@pytest.mark.parametrize("add", [_add_file, _add_folder, _add_link])
def test_what_no_run_wrote_is_refused_and_never_removed(
    add: Callable[[Path], Path], half: Path, whole: dict[str, str]
) -> None:
    added = add(work_folder(half))
    for overwrite in (False, True):
        with pytest.raises(
            OutputError, match=f"holds {added.name}, which no run wrote; move it away and run"
        ) as caught:
            open_store(half, SHAPE, overwrite=overwrite)
        assert caught.value.exit_code == 5
        assert added.is_symlink() or added.exists()
    added.rename(half.parent / f"{half.name}_away")
    (half / "real").unlink(missing_ok=True)
    write_rest(half, SHAPE)
    assert digests_of(half) == whole


def test_a_chunk_too_many_never_gets_into_the_results(half: Path) -> None:
    extra = work_folder(half) / "maps.zarr/0/c/0/9/9"
    extra.parent.mkdir()
    extra.write_bytes(b"")
    with pytest.raises(OutputError, match=r"maps\.zarr/0/c/0/9/9 was lost, changed or added"):
        write_rest(half, SHAPE)
    assert not (half / "x_maps.zarr").exists()


def test_a_link_in_place_of_the_folder_is_refused(half: Path) -> None:
    work_folder(half).rename(half / "elsewhere")
    found = digests_of(half)
    work_folder(half).symlink_to(half / "elsewhere")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="a link or a file is in the way"):
            open_store(half, SHAPE, overwrite=overwrite)
    work_folder(half).unlink()
    assert digests_of(half) == found


@pytest.mark.parametrize(
    ("entry", "how"),
    [({"blocks": [{"box": [0, 0, 7, 7]}]}, "box"), ({"other": 1}, "kind"), ({"damaged": [[1]]}, "numbers")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_whole_journal_of_something_else_is_refused(half: Path, entry: dict[str, Any], how: str) -> None:
    from cellmonai.core.journal import Journal, read_journal

    path = work_folder(half) / "journal.jsonl"
    with Journal.reopen(path, read_journal(path)) as journal:
        journal.append(entry)
    with pytest.raises(OutputError, match="its journal is not one of a plane; run it with --overwrite"):
        open_store(half, SHAPE)
    with Journal.create(path, {"format": 1, "plane": {"shape": how}}):
        pass
    with pytest.raises(OutputError, match="its journal is not one of a plane; run it with --overwrite"):
        open_store(half, SHAPE)


def test_results_that_exist_are_refused_or_replaced_together(half: Path, whole: dict[str, str]) -> None:
    (half / "x_mask.tif").write_text("older")
    with open_store(half, SHAPE) as store:
        for box in set(boxes_of(SHAPE)) - store.done:
            put(store, box)
        with pytest.raises(OutputError, match="the output exists already"):
            finish(store, half)
    (half / "x_mask.tif").rename(half / "x_maps.zarr")
    with open_store(half, SHAPE) as store, pytest.raises(OutputError, match="the output exists already"):
        finish(store, half)
    assert (half / "x_maps.zarr").read_text() == "older"
    (half / "x_mask.tif").symlink_to(half / "nowhere")
    with open_store(half, SHAPE) as store:
        finish(store, half, overwrite=True)
    assert digests_of(half) == whole


def test_a_caller_who_mixes_things_up_is_told(tmp_path: Path) -> None:
    box, wrong = (0, 0, 512, 512), (0, 0, 512, 500)
    maps, mask = maps_in(box), maps_in(box)[0] > LEVEL
    with open_store(tmp_path, SHAPE) as store:
        with pytest.raises(ValueError, match="whole chunks"):
            store.write(wrong, maps[:, :, :500], mask[:, :500])
        with pytest.raises(ValueError, match="whole chunks"):
            store.skip((512, 1024, 1024, 1030))
        with pytest.raises(ValueError, match="expected bool"):
            store.write(box, maps, maps[0])  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="do not fit whole chunks"):
            store.write(box, maps[:1], mask)
        store.write(box, maps, mask)
        with pytest.raises(ValueError, match="whole chunks"):
            store.skip((0, 0, 520, 512))
        with pytest.raises(ValueError, match="273456 pixels of the plane are in no block"):
            finish(store, tmp_path)
        with pytest.raises(ValueError, match="do not lie beside"):
            store.finish(tmp_path / "deep" / "a.tif", tmp_path / "a.zarr", overwrite=False)
    assert set(digests_of(tmp_path)) == {".x.work"}


def _with_files_of(limit: int, output: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    with open_store(output, SHAPE, overwrite=True) as store:
        for box in set(boxes_of(SHAPE)) - store.done:
            put(store, box)
        finish(store, output)


@pytest.mark.parametrize("limit", [400, 20_000], ids=["at once", "with the first block"])
def test_a_full_disk_is_one_sentence_and_the_same_command_continues(
    limit: int, half: Path, whole: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    told = tmp_path_factory.mktemp("told") / "sentence"
    process = start(tell_failure, told, _with_files_of, limit, half)
    assert wait_for_end(process) == 5
    (line,) = told.read_text().splitlines()
    assert line.startswith(str(work_folder(half)))
    assert line.endswith("cannot be written (File too large); make room or allow writing, then run the same command "
                         "again, which continues.")  # fmt: skip
    with PlaneStore.resume(work_folder(half), header=HEADER) as store:
        assert (len(store.done) >= 4, store.damaged) == (True, ())
    write_rest(half, SHAPE)
    assert digests_of(half) == whole


def _as_nobody(output: Path) -> None:
    import os

    if os.geteuid() == 0:  # to whom nothing is read-only
        os.setegid(65534)
        os.seteuid(65534)
    with open_store(output, SHAPE) as store:
        put(store, boxes_of(SHAPE)[0])
        store.commit()


def test_a_folder_without_permission_is_one_sentence(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as made:
        output = Path(made)
        output.chmod(stat.S_IRUSR | stat.S_IXUSR | stat.S_IROTH | stat.S_IXOTH)
        process = start(tell_failure, tmp_path / "told", _as_nobody, output)
        code = wait_for_end(process)
        output.chmod(stat.S_IRWXU)
        assert code == 5
        (line,) = (tmp_path / "told").read_text().splitlines()
        assert "cannot be written (Permission denied)" in line
        assert list(output.iterdir()) == []


def _write_and_wait(output: Path, begun: Event, end: Event) -> None:
    with folder_lock(output), open_store(output, SHAPE) as store:
        put(store, boxes_of(SHAPE)[0])
        begun.set()
        end.wait(60)


def test_a_second_writer_is_refused_while_the_first_one_lives(tmp_path: Path) -> None:
    import multiprocessing

    context = multiprocessing.get_context("forkserver")
    begun, end = context.Event(), context.Event()
    process = start(_write_and_wait, tmp_path, begun, end)
    assert begun.wait(60)
    with pytest.raises(LockedError, match="another run is writing here") as caught:
        write_rest(tmp_path, SHAPE)
    assert caught.value.exit_code == 6
    process.kill()
    wait_for_end(process)
    write_rest(tmp_path, SHAPE)
    assert set(digests_of(tmp_path)) == {"x_mask.tif", "x_maps.zarr"}


def _write_and_weigh(output: Path, side: int) -> None:
    with open_store(output, (side, side)) as store:
        for box in boxes_of((side, side), 1024):
            put(store, box)
        finish(store, output)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (output / "peak").write_text(str(peak_kib))


@pytest.mark.long
def test_memory_does_not_grow_with_the_plane(tmp_path: Path) -> None:
    peaks_mib = []
    for side in (5_120, 20_480):
        process = start(_write_and_weigh, tmp_path / str(side), side)
        assert wait_for_end(process, longest_s=3600) == 0
        peaks_mib.append(int((tmp_path / str(side) / "peak").read_text()) / 1024)
    assert peaks_mib[1] - peaks_mib[0] < 24, peaks_mib  # rows of the mask, 256 at a time, are four times as wide
    with TiffFile(tmp_path / "20480" / "x_mask.tif") as tif:
        assert [level.shape[0] for level in tif.series[0].levels] == [20480, 10240, 5120, 2560, 1280, 640]
