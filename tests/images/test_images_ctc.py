"""Films of the Cell Tracking Challenge: which frames have outlines, and whether those are of all their cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from painting import Disc, paint

from cellmonai.core.errors import InputError
from cellmonai.images.layouts import find_pairs, read_pair_mask

THREE = paint([Disc(10, 10, 5), Disc(30, 30, 6), Disc(50, 12, 5)], (64, 64)).astype(np.uint16)


def _film(root: Path, *, tracks: str | None = "1 0 9 0\n2 0 9 0\n3 2 9 1\n", sequence: str = "01") -> Path:
    folder, truth = root / sequence, root / f"{sequence}_GT"
    for path in (folder, truth / "SEG", truth / "TRA"):
        path.mkdir(parents=True)
    for frame in (1, 2, 3, 4):
        tifffile.imwrite(folder / f"t{frame:03}.tif", (THREE > 0).astype(np.uint8) * 90)
    tifffile.imwrite(truth / "SEG" / "man_seg001.tif", np.where(THREE == 3, 0, THREE))
    tifffile.imwrite(truth / "SEG" / "man_seg002.tif", np.where(THREE == 1, 7, THREE))
    tifffile.imwrite(truth / "SEG" / "man_seg003.tif", np.where(THREE == 1, 0, THREE))
    if tracks is not None:
        (truth / "TRA" / "man_track.txt").write_text(tracks)
    return root


def test_only_frames_with_outlines_are_found_and_told_whether_all_cells_are_outlined(tmp_path: Path) -> None:
    found = find_pairs("ctc", _film(tmp_path))
    assert [(pair.name, pair.count, pair.attributes["annotated"]) for pair in found] == [
        ("01_t001", 2, "full"),
        ("01_t002", 3, "full"),  # one label is 7: labels may have gaps
        ("01_t003", 3, "part"),
    ]
    assert [path.name for path in found.skipped] == ["t004.tif"]
    assert found.pairs[0].attributes["sequence"] == "01"
    assert set(np.unique(read_pair_mask(found.pairs[1]).array).tolist()) == {0, 2, 3, 7}


def test_without_tracks_nobody_knows_whether_all_cells_are_outlined(tmp_path: Path) -> None:
    found = find_pairs("ctc", _film(tmp_path, tracks=None))
    assert {pair.attributes["annotated"] for pair in found} == {"unknown"}
    assert all(pair.count is None for pair in found)


def test_a_damaged_table_of_tracks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no table of label, first frame, last frame and parent"):
        find_pairs("ctc", _film(tmp_path, tracks="1 0 nine 0\n"))


def test_a_folder_without_a_sequence_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder here is 01 with outlines"):
        find_pairs("ctc", tmp_path)


def test_folders_of_ones_own_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this layout names its own folders"):
        find_pairs("ctc", _film(tmp_path), masks=tmp_path / "01_GT")


def test_of_the_twelve_outlined_frames_of_gowt1_seven_are_whole(data_folder: Path) -> None:
    found = find_pairs("ctc", data_folder / "ctc_gowt1" / "Fluo-N2DH-GOWT1")
    assert len(found) == 12
    full = [pair for pair in found if pair.attributes["annotated"] == "full"]
    assert [pair.name for pair in full] == [
        "01_t021",
        "01_t031",
        "01_t033",
        "01_t039",
        "02_t052",
        "02_t055",
        "02_t072",
    ]
    assert all(len(np.unique(read_pair_mask(pair).array)) - 1 == pair.count for pair in full)
