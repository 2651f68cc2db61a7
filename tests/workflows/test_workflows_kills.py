"""A command that is killed before any file operation, run again, leaves what an undisturbed run leaves."""

from __future__ import annotations

import errno
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from kill_points import KILLED, contents_of, differences, run, walk
from painting import Disc, paint

from cellmonai.core.staging import NAME, is_half_placed

if TYPE_CHECKING:
    from collections.abc import Callable

    Places = Callable[..., Callable[[], Path]]

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are not told here"),
    pytest.mark.timeout(3600),  # hundreds of short runs each, on however slow a machine
]

CELLS = [Disc(14, 16, 7), Disc(14, 30, 7), Disc(36, 40, 8)]
INFER = ["infer", "images", "--method", "otsu", "--pictures", "overlay", "--quiet"]
OTHER_INFER = ["infer", "images", "--method", "otsu", "--set", "smooth_px=0", "--quiet"]
COUNT = ["count", "given", "--images", "images", "--threads", "1", "--quiet"]
OTHER_COUNT = [*COUNT, "--min-area", "1px", "--save", "geojson", "--no-report"]
FIT = ["fit", "recipe.toml", "--output", "run", "--quiet"]
RECIPE = """
data = { layout = "pairs", images = "images", masks = "given", split = { train = 0.5, validation = 0.5 } }
network = { name = "basic_unet", width = 4 }
sampling = { patch = 32, per_image = 1 }
training = { epochs = 1, batch_size = 1, workers = 0 }
"""
EVALUATE = ["evaluate", "given", "given", "--output", "evaluation", "--quiet"]


@pytest.fixture(name="places")
def _places(tmp_path: Path) -> Places:
    """Give a maker of makers: each place is a new folder with two images, their masks, and what commands left there."""
    numbers = itertools.count()

    def of(*before: list[str]) -> Callable[[], Path]:
        def make() -> Path:
            place = tmp_path / f"place{next(numbers)}"
            for name, amount in (("a", 3), ("b", 2)):
                inside = paint(CELLS[:amount], (56, 60)) > 0
                for kind in ("images", "given"):
                    (place / kind).mkdir(parents=True, exist_ok=True)
                    tifffile.imwrite(place / kind / f"{name}.tif", inside.astype(np.uint8) * 200)
            (place / "recipe.toml").write_text(RECIPE)
            for words in before:
                ended = run(words, place)
                assert ended.code == 0, ended.said
            return place

        return make

    return of


def _is_one_set(folder: Path, older: dict[str, str], newer: dict[str, str]) -> None:
    """Older results are whole, or newer ones are, or the folder says that they are just being put in place."""
    if is_half_placed(folder):
        return
    found = {name: digest for name, digest in contents_of(folder).items() if not name.startswith(".")}
    assert found in (older, newer)


@pytest.mark.parametrize("torn", [False, True], ids=["before an operation", "in a write"])
def test_infer_killed_anywhere_is_ended_by_the_same_command(places: Places, *, torn: bool) -> None:
    killed = walk(places(), INFER, folder="masks", torn=torn)
    assert killed.total() > 40
    assert {"open", "fsync", "rename", "write", "remove", "mkdir", "flock"} <= set(killed)


def test_count_killed_anywhere_is_ended_by_the_same_command(places: Places) -> None:
    killed = walk(places(), COUNT, folder="counts")
    assert killed.total() > 40
    assert {"open", "fsync", "rename", "write", "remove", "mkdir", "rmdir", "flock"} <= set(killed)


@pytest.mark.long
def test_count_killed_in_any_write_is_ended_by_the_same_command(places: Places) -> None:
    assert walk(places(), COUNT, folder="counts", torn=True).total() > 40


def test_evaluate_killed_anywhere_is_ended_by_the_same_command(places: Places) -> None:
    assert walk(places(), EVALUATE, folder="evaluation").total() > 20


def test_a_fit_killed_as_it_ends_is_ended_without_training_again(places: Places) -> None:
    place = places()()
    whole = run(FIT, place, folder="run", number=0)
    assert whole.code == 0, whole.said
    expected = contents_of(place / "run")
    last_rename = max(at for at, name in enumerate(whole.operations, 1) if name == "rename")
    place = places()()
    assert run(FIT, place, folder="run", number=last_rename).code == KILLED
    assert is_half_placed(place / "run")
    again = run(FIT, place, folder="run", number=0)
    assert again.code == 0, again.said
    assert not differences(contents_of(place / "run"), expected)
    assert len(again.operations) < len(whole.operations)
    assert run(FIT, place).code == 5


@pytest.mark.long
@pytest.mark.parametrize("first", [[], [FIT]], ids=["new", "overwriting"])
def test_fit_killed_anywhere_is_ended_by_the_same_command(first: list[list[str]], places: Places) -> None:
    words = [*FIT, "--overwrite"] if first else FIT
    assert walk(places(*first), words, folder="run").total() > 20


@pytest.mark.long
def test_a_network_killed_anywhere_is_ended_by_the_same_command(places: Places) -> None:
    words = ["infer", "images", "--model", "run", "--pictures", "overlay", "--quiet"]
    assert walk(places(FIT), words, folder="masks").total() > 60


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("first", "then", "folder"),
    [
        pytest.param(INFER, OTHER_INFER, "masks", id="infer"),
        pytest.param(COUNT, OTHER_COUNT, "counts", id="count"),
        pytest.param(EVALUATE, [*EVALUATE, "--centres", "40"], "evaluation", id="evaluate"),
    ],
)
def test_overwriting_leaves_one_whole_set_wherever_it_is_killed(
    first: list[str], then: list[str], folder: str, every: int, places: Places
) -> None:
    command = [*then, "--overwrite"]
    make = places(first)
    place = make()
    older = contents_of(place / folder)
    assert run(command, place).code == 0
    newer = contents_of(place / folder)
    assert older != newer
    assert walk(make, command, folder=folder, every=every, check=lambda at: _is_one_set(at / folder, older, newer))


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("first", "then", "folder"),
    [pytest.param(INFER, OTHER_INFER, "masks", id="infer"), pytest.param(COUNT, OTHER_COUNT, "counts", id="count")],
)
def test_a_disk_that_is_full_leaves_one_whole_set(
    first: list[str], then: list[str], folder: str, every: int, places: Places
) -> None:
    command = [*then, "--overwrite"]
    make = places(first)
    place = make()
    older = contents_of(place / folder)
    whole = run(command, place, folder=folder, number=0)
    newer = contents_of(place / folder)
    for number in range(1, len(whole.operations) + 1, every):
        place = make()
        ended = run(command, place, folder=folder, number=number, fault=errno.ENOSPC)
        assert ended.code in (0, 5), ended.said
        assert "Traceback" not in ended.said
        _is_one_set(place / folder, older, newer)
        assert run(command, place).code == 0
        assert contents_of(place / folder) == newer


def test_a_folder_whose_results_are_half_in_place_is_not_read(places: Places) -> None:
    place = places(COUNT)()
    whole = run([*OTHER_COUNT, "--overwrite"], place, folder="counts", number=0)
    last_rename = max(at for at, name in enumerate(whole.operations, 1) if name == "rename")
    place = places(COUNT)()
    run([*OTHER_COUNT, "--overwrite"], place, folder="counts", number=last_rename)
    assert is_half_placed(place / "counts")
    for words in (["evaluate", "counts", "given"], ["count", "counts", "--output", "again"]):
        ended = run(words, place)
        assert ended.code == 3
        assert "run the command that made them again, which ends that" in ended.said
    assert run([*OTHER_COUNT, "--overwrite"], place).code == 0
    assert not (place / "counts" / NAME).exists()
