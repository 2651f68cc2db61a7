"""Layout "ctc": a film of the Cell Tracking Challenge.

`01/t021.tif` with the outlines `01_GT/SEG/man_seg021.tif` and the tracks `01_GT/TRA/man_track.txt`, a line of label,
first frame, last frame and parent for every cell; the same for `02` and so on. Most frames of a film have no outlines,
and many outline only some of their cells: the tracks tell how many there are. The marks in `TRA` are no outlines and
are never learnt from.

References
----------
Maška et al., Bioinformatics 30, 1609 (2014); Ulman et al., Nature Methods 14, 1141 (2017).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.find import images_in, listed
from cellmonai.images.labels import read_mask
from cellmonai.images.pair import Pair, PairList
from cellmonai.images.spelling import as_spelt, folder_named

if TYPE_CHECKING:
    from pathlib import Path

_SEQUENCE = re.compile(r"[0-9]{2}")
_FRAME = re.compile(r"t([0-9]{3,4})\.tif", re.IGNORECASE)
_OUTLINES = re.compile(r"man_seg([0-9]{3,4})\.tif", re.IGNORECASE)
_LARGEST_TRACKS_BYTES = 16 * 2**20


def ctc_pairs(root: Path, images: Path | None, masks: Path | None) -> PairList:
    """Find the frames that have outlines; frames without are skipped and listed.

    Attributes are `sequence`, `frame` and `annotated`: "full" where as many cells are outlined as tracks pass through
    the frame, "part" where fewer are, "unknown" without tracks. `count` is the number of tracks.

    Raises
    ------
    InputError
        No sequence with outlines, a damaged table of tracks, or folders given that this layout does not have.
    """
    if images is not None or masks is not None:
        raise InputError(
            "this layout names its own folders", where=str(images or masks), cure="leave data.images and data.masks out"
        )
    pairs: list[Pair] = []
    skipped: list[Path] = []
    for folder in listed(root):
        truth = as_spelt(folder.with_name(f"{folder.name}_GT"))
        outlines = folder_named(truth, "SEG")
        if folder.is_dir() and _SEQUENCE.fullmatch(folder.name) and outlines is not None:
            found = _pairs_of(folder, outlines, truth)
            pairs.extend(found.pairs)
            skipped.extend(found.skipped)
    if not pairs:
        raise InputError(
            "no folder here is 01 with outlines in 01_GT/SEG", where=str(root), cure="name the folder that holds them"
        )
    return PairList(tuple(pairs), tuple(skipped))


def _pairs_of(folder: Path, outlined: Path, truth: Path) -> PairList:
    outlines = {int(m[1]): path for path in images_in(outlined) if (m := _OUTLINES.fullmatch(path.name))}
    tracks = _tracks(as_spelt(truth / "TRA" / "man_track.txt"))
    pairs, skipped = [], []
    for image in images_in(folder):
        match = _FRAME.fullmatch(image.name)
        if match is None or int(match[1]) not in outlines:
            skipped.append(image)
            continue
        frame = int(match[1])
        mask = outlines[frame]
        count = None if tracks is None else sum(first <= frame <= last for first, last in tracks)
        attributes = {"sequence": folder.name, "frame": str(frame), "annotated": _annotated(mask, count)}
        pairs.append(Pair(f"{folder.name}_{image.stem}", image, (mask,), count, attributes))
    return PairList(tuple(pairs), tuple(skipped))


def _annotated(mask: Path, count: int | None) -> str:
    if count is None:
        return "unknown"
    labels = np.unique(read_mask(mask).array)
    return "full" if np.count_nonzero(labels) >= count else "part"


def _tracks(path: Path) -> list[tuple[int, int]] | None:
    """Read first and last frame of every track; None where there is no table."""
    if not path.is_file():
        return None
    if path.stat().st_size > _LARGEST_TRACKS_BYTES:
        raise InputError("is too large for a table of tracks", where=str(path), cure="copy it again")
    try:
        rows = [line.split() for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
        return [(int(first), int(last)) for _, first, last, _ in rows]
    except ValueError as error:  # UnicodeDecodeError is one
        raise InputError(
            "is no table of label, first frame, last frame and parent", where=str(path), cure="copy it again"
        ) from error
