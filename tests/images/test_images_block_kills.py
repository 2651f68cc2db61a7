"""A plane whose writer is killed, at any instant and however often, has the bytes of one that was left in peace."""

from __future__ import annotations

import time
from ast import literal_eval
from typing import TYPE_CHECKING

import numpy as np
import pytest
from plane_writer import (
    HEADER,
    NARROW,
    SQUARE,
    boxes_of,
    digests_of,
    finish,
    kill_self_at,
    open_store,
    put,
    start,
    work_folder,
    write_rest,
)

from cellmonai.images.block_store import PlaneStore, is_unfinished

if TYPE_CHECKING:
    from pathlib import Path

    from cellmonai.images.source import Region

SMALL = (520, 600)
KILLED = -9


def acknowledged(told: Path) -> set[Region]:
    """The boxes that a writer said are done; the last line may be torn."""
    lines = told.read_text().splitlines(keepends=True) if told.exists() else []
    return {literal_eval(line) for line in lines if line.endswith("\n")}


def left_in_peace(place: Path, shape: tuple[int, int]) -> tuple[dict[str, str], float]:
    """The digests of the plane, and the seconds that it took."""
    write_once = start(write_rest, place / "warm", (1, 1))
    write_once.join()
    began = time.monotonic()
    process = start(write_rest, place / "peace", shape)
    process.join()
    assert process.exitcode == 0
    return digests_of(place / "peace"), time.monotonic() - began


@pytest.mark.parametrize(
    ("shape", "kills"),
    [pytest.param(NARROW, 10, id="10 kills"), pytest.param(SQUARE, 50, marks=pytest.mark.long, id="50 kills")],
)
def test_a_plane_of_64_blocks_killed_at_random_instants_ends_with_the_same_bytes(
    shape: tuple[int, int], kills: int, tmp_path: Path
) -> None:
    assert len(boxes_of(shape)) == 64
    expected, seconds = left_in_peace(tmp_path, shape)
    instants = np.random.default_rng(kills).uniform(0, seconds, kills)
    landed, planes = 0, 0
    while landed < kills:
        planes += 1
        output, told = tmp_path / f"out{planes}", tmp_path / f"told{planes}"
        while True:
            process = start(write_rest, output, shape, planes, told)
            if landed < kills:
                process.join(instants[landed])
                process.kill()
            process.join()
            if process.exitcode == 0:
                break
            assert process.exitcode == KILLED
            landed += 1
            if is_unfinished(work_folder(output)):
                with PlaneStore.resume(work_folder(output), header=HEADER) as store:
                    assert store.done >= acknowledged(told)
                    assert store.damaged == ()
        assert digests_of(output) == expected


def _write_and_die(output: Path, number: int) -> None:
    kill_self_at(number, output)
    write_rest(output, SMALL)


def _finish_over_and_die(output: Path, number: int) -> None:
    kill_self_at(number, output)
    with open_store(output, SMALL) as store:
        finish(store, output, overwrite=True)


@pytest.mark.parametrize("every", [23, pytest.param(1, marks=pytest.mark.long)])
def test_a_kill_before_any_file_is_touched_loses_nothing(every: int, tmp_path: Path) -> None:
    expected, _ = left_in_peace(tmp_path, SMALL)
    number, code = 0, KILLED
    while code == KILLED:
        output = tmp_path / f"out{number}"
        process = start(_write_and_die, output, number)
        process.join()
        code = process.exitcode or 0
        write_rest(output, SMALL)
        assert digests_of(output) == expected, f"killed before access {number}"
        number += every
    assert code == 0
    assert number > 70


@pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.long)])
def test_older_and_newer_results_are_never_mixed_by_a_kill(every: int, tmp_path: Path) -> None:
    expected, _ = left_in_peace(tmp_path, SMALL)
    number, code = 0, KILLED
    while code == KILLED:
        output = tmp_path / f"out{number}"
        output.mkdir()
        (output / "x_mask.tif").write_text("older")
        (output / "x_maps.zarr").mkdir()
        (output / "x_maps.zarr" / "older").write_text("")
        with open_store(output, SMALL) as store:
            for box in boxes_of(SMALL):
                put(store, box)
        process = start(_finish_over_and_die, output, number)
        process.join()
        code = process.exitcode or 0
        found = digests_of(output)
        newer = {name for name in expected if found.get(name) == expected[name]}
        assert newer in (set(), {"x_maps.zarr"}, set(expected))
        assert not newer or "x_mask.tif" in newer or "x_mask.tif" not in found
        if is_unfinished(work_folder(output)):
            with open_store(output, SMALL) as store:
                finish(store, output, overwrite=True)
        assert digests_of(output) == expected, f"killed before access {number}"
        number += every
    assert code == 0
    assert number > 20
