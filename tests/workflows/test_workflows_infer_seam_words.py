"""What a run says of its seams on the screen."""

from __future__ import annotations

from cellmonai.workflows.inferring.seam_words import seams_note, seams_warning

NONE = {"windows": 0, "largest_difference": 0.0, "mask_px": 0, "objects": 0, "bound": 1e-5, "holds": True}
SOME = NONE | {"windows": 3, "largest_difference": 3.1e-7, "mask_px": 2, "objects": 1}
WORSE = NONE | {"windows": 1, "largest_difference": 0.2, "mask_px": 5, "holds": False}


def test_all_planes_are_told_in_one_line_by_their_worst() -> None:
    assert seams_note([NONE, SOME, WORSE], stitch="exact") == (
        "seams: 4 windows run again across seams differ by at most 0.2 in probability, 7 px of the mask and 1 object"
    )
    assert "between those used" in str(seams_note([SOME], stitch="gaussian"))


def test_where_no_windows_meet_nothing_is_said() -> None:
    assert seams_note([NONE], stitch="exact") is None
    assert seams_note([], stitch="gaussian") is None


def test_a_warning_says_by_how_much_and_what_to_do() -> None:
    assert seams_warning(WORSE, stitch="exact", tile_exact=True).endswith("and please report it")
    assert "leave --stitch out" in seams_warning(WORSE, stitch="gaussian", tile_exact=True)
    assert "without instance norm" in seams_warning(WORSE, stitch="gaussian", tile_exact=False)
