"""Layout "bbbc005": simulated cells of the Broad Bioimage Benchmark Collection, whose file names state the count.

`SIMCEPImages_A01_C1_F1_s01_w1.TIF`: well, cells, blur, sample, stain. One field was rendered at several blurs and in
two stains; its masks are given for the image in focus (F1) only and hold for the blurred twins of the same stain.

References
----------
Ljosa et al., Nature Methods 9, 637 (2012); BBBC005 version 1.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError
from cellmonai.images.find import image_stem, images_in
from cellmonai.images.pair import Pair, PairList, some_names
from cellmonai.images.spelling import folder_named

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"(?:SIMCEPImages_)?([A-Z][0-9]{2})_C([0-9]+)_F([0-9]+)_s([0-9]+)_w([0-9]+)", re.IGNORECASE)
_IN_FOCUS = 1


def bbbc005_pairs(root: Path, images: Path | None, masks: Path | None) -> PairList:
    """Find images with the counts in their names and, where they exist, the masks of their in-focus twins.

    Raises
    ------
    InputError
        No images, or names that do not state the count.
    """
    pictures = images or folder_named(root, "images") or root
    masks = masks or folder_named(root, "masks")
    truths = _masks_in_focus(masks) if masks is not None else {}
    pairs, odd = [], []
    for image in images_in(pictures):
        match = _NAME.fullmatch(image_stem(image))
        if match is None:
            odd.append(image)
        else:
            pairs.append(_pair(image, match, truths))
    if odd:
        raise InputError(
            f"{some_names(odd)} not named as SIMCEPImages_A01_C1_F1_s01_w1.TIF",
            where=str(pictures),
            cure="keep only BBBC005 images in this folder, or use the layout 'pairs'",
        )
    return PairList(tuple(pairs))


def _masks_in_focus(folder: Path) -> dict[tuple[int, int, int], Path]:
    """Masks by (count, sample, stain)."""
    found = {}
    for path in images_in(folder):
        match = _NAME.fullmatch(image_stem(path))
        if match is not None and int(match[3]) == _IN_FOCUS:
            found[int(match[2]), int(match[4]), int(match[5])] = path
    return found


def _pair(image: Path, match: re.Match[str], truths: dict[tuple[int, int, int], Path]) -> Pair:
    count, blur, sample, stain = (int(text) for text in match.groups()[1:])
    mask = truths.get((count, sample, stain))
    return Pair(
        name=image_stem(image),
        image=image,
        masks=(mask,) if mask is not None else (),
        count=count,
        attributes={
            "well": match[1].upper(),
            "count": str(count),
            "blur": str(blur),
            "sample": str(sample),
            "stain": f"w{stain}",
            "field": f"C{count}_s{sample:02d}",
        },
    )
