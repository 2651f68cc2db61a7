"""A plane whose writer is killed, at any instant and however often, has the bytes of one that was left in peace."""

from __future__ import annotations

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
from waiting import wait_for_end

from cellmonai.images.block_store import PlaneStore, is_unfinished

if TYPE_CHECKING:
    from pathlib import Path

    from cellmonai.images.source import Region

SMALL = (520, 600)
KILLED = -9
MOST_ACCESSES = 1000
"""A bound: the small plane takes about a hundred."""


def acknowledged(told: Path) -> set[Region]:
    """The boxes that a writer said are done; the last line may be torn."""
    lines = told.read_text().splitlines(keepends=True) if told.exists() else []
    return {literal_eval(line) for line in lines if line.endswith("\n")}


def left_in_peace(place: Path, shape: tuple[int, int]) -> dict[str, str]:
    """The digests of the plane."""
    assert wait_for_end(start(write_rest, place / "peace", shape)) == 0
    return digests_of(place / "peace")


def _write_rest_and_die(output: Path, shape: tuple[int, int], seed: int, told: Path, number: int) -> None:
    kill_self_at(number, output)
    write_rest(output, shape, seed, told)


@pytest.mark.parametrize(
    ("shape", "planes"),
    [pytest.param(NARROW, 5, id="10 kills"), pytest.param(SQUARE, 25, marks=pytest.mark.long, id="50 kills")],
)
def test_a_plane_of_64_blocks_killed_at_random_accesses_ends_with_the_same_bytes(
    shape: tuple[int, int], planes: int, tmp_path: Path
) -> None:
    assert len(boxes_of(shape)) == 64
    expected = left_in_peace(tmp_path, shape)
    # a plane takes more than 200 accesses, so that each of these lies within what is left of it
    accesses = np.random.default_rng(planes).integers(0, 100, (planes, 2))
    for plane in range(planes):
        output, told = tmp_path / f"out{plane}", tmp_path / f"told{plane}"
        for number in accesses[plane].tolist():
            process = start(_write_rest_and_die, output, shape, plane, told, number)
            assert wait_for_end(process) == KILLED
            if is_unfinished(work_folder(output)):
                with PlaneStore.resume(work_folder(output), header=HEADER) as store:
                    assert store.done >= acknowledged(told)
                    assert store.damaged == ()
        assert wait_for_end(start(write_rest, output, shape, plane, told)) == 0
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
    expected = left_in_peace(tmp_path, SMALL)
    code = KILLED
    for number in range(0, MOST_ACCESSES, every):
        output = tmp_path / f"out{number}"
        process = start(_write_and_die, output, number)
        code = wait_for_end(process)
        write_rest(output, SMALL)
        assert digests_of(output) == expected, f"killed before access {number}"
        if code != KILLED:
            break
    assert code == 0
    assert number > 70


@pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.long)])
def test_older_and_newer_results_are_never_mixed_by_a_kill(every: int, tmp_path: Path) -> None:
    expected = left_in_peace(tmp_path, SMALL)
    code = KILLED
    for number in range(0, MOST_ACCESSES, every):
        output = tmp_path / f"out{number}"
        output.mkdir()
        (output / "x_mask.tif").write_text("older")
        (output / "x_maps.zarr").mkdir()
        (output / "x_maps.zarr" / "older").write_text("")
        with open_store(output, SMALL) as store:
            for box in boxes_of(SMALL):
                put(store, box)
        process = start(_finish_over_and_die, output, number)
        code = wait_for_end(process)
        found = digests_of(output)
        newer = {name for name in expected if found.get(name) == expected[name]}
        assert newer in (set(), {"x_maps.zarr"}, set(expected))
        assert not newer or "x_mask.tif" in newer or "x_mask.tif" not in found
        if is_unfinished(work_folder(output)):
            with open_store(output, SMALL) as store:
                finish(store, output, overwrite=True)
        assert digests_of(output) == expected, f"killed before access {number}"
        if code != KILLED:
            break
    assert code == 0
    assert number > 20
