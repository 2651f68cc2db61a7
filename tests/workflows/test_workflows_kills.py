"""A command that is killed before any file operation, run again, leaves what an undisturbed run leaves."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from kill_points import run, walk
from painting import Disc, paint

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are not told here")

CELLS = [Disc(14, 16, 7), Disc(14, 30, 7), Disc(36, 40, 8)]
INFER = ["infer", "images", "--method", "otsu", "--pictures", "overlay", "--quiet"]
COUNT = ["count", "masks", "--images", "images", "--threads", "1", "--quiet"]


@pytest.fixture(name="places")
def _places(tmp_path: Path) -> Callable[..., Callable[[], Path]]:
    """Give a maker of places: each a new folder with two images and their masks, and what commands left there before."""
    numbers = itertools.count()

    def of(*before: list[str], cells: int = 3) -> Callable[[], Path]:
        def make() -> Path:
            place = tmp_path / f"place{next(numbers)}"
            for name, amount in (("a", cells), ("b", 2)):
                labels = paint(CELLS[:amount], (56, 60))
                for kind, pixels in (("images", labels > 0), ("masks_given", labels > 0)):
                    (place / kind).mkdir(parents=True, exist_ok=True)
                    tifffile.imwrite(place / kind / f"{name}.tif", pixels.astype(np.uint8) * 200)
            for words in before:
                ended = run(words, place, folder=".")
                assert ended.code == 0, ended.said
            return place

        return make

    return of


def test_infer_by_a_method_killed_anywhere_is_ended_by_the_same_command(
    places: Callable[..., Callable[[], Path]],
) -> None:
    killed = walk(places(), INFER, folder="masks")
    print(dict(killed))
    assert killed.total() > 60
