"""What names of files tell: which are masks among pictures, and which image a mask is of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.images.find import image_stem

if TYPE_CHECKING:
    from pathlib import Path

# in a folder that mixes them, files of the first of these kinds are counted; Cellpose saves x_cp_masks
_MASK_SUFFIXES = (("_cp_masks", "_mask", "_masks"), ("_label", "_labels"))
MAPS_SUFFIX = "_maps.zarr"
INFER_BY_PRODUCTS = ("_overlay.png", "_heatmap.png", MAPS_SUFFIX)
"""What `infer` leaves beside its masks."""

# drawn by cellmonai, Cellpose and StarDist beside what is counted; none of them is a mask
_PICTURE_SUFFIXES = ("_overlay", "_heatmap", "_flows", "_cp_output", "_cp_outlines", "_outlines", "_prob")


def bare_stem(stem: str) -> str:
    """Give the name of the image that a mask of this name is of.

    Examples
    --------
    >>> bare_stem("a_cp_masks"), bare_stem("b_mask"), bare_stem("c")
    ('a', 'b', 'c')
    """
    for suffix in (suffix for suffixes in _MASK_SUFFIXES for suffix in suffixes):
        if stem.lower().endswith(suffix) and len(stem) > len(suffix):
            return stem[: -len(suffix)]
    return stem


def masks_among(files: list[Path]) -> tuple[list[Path], str]:
    """Give the masks among the files of a folder, and by what name they were told from the others, "" where by none.

    Where files are called `x_mask`, only these are masks; else drawn pictures, as `x_overlay`, are left out.
    """
    for suffixes in _MASK_SUFFIXES:
        masks = [file for file in files if image_stem(file).lower().endswith(suffixes)]
        if masks:
            return masks, suffixes[-1][:-1]
    return [file for file in files if not image_stem(file).lower().endswith(_PICTURE_SUFFIXES)], ""


def is_cellpose_session(path: Path) -> bool:
    """Tell whether this is what the Cellpose window saves: a pickle, which is not opened."""
    return path.name.lower().endswith("_seg.npy")


def masks_in_words(count: int) -> str:
    """Write `1 mask`, `2 masks`."""
    return f"{count:,} mask" + ("" if count == 1 else "s")
