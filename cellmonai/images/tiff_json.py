"""Arrays that tifffile wrote: the axes that its JSON names, and planes that it stored as if they were colours."""

from __future__ import annotations

import json
from math import prod
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError
from cellmonai.images.tiff_frames import Frame, StoredFrames, declared_frames

if TYPE_CHECKING:
    from pathlib import Path

    from cellmonai.images.tiff_frames import FirstPage

_LEAST_SIDE = 8
"""Images are at least so high and wide, in px, where 2 to 4 columns are taken for channels."""


def tifffile_layout(
    pages: list[int], description: str, path: Path, first: FirstPage, *, of_mask: bool
) -> StoredFrames | None:
    """Read the axes that tifffile's writer notes; None where the pages say all there is.

    Arrays of 3 and 4 planes are stored as one page of 3 or 4 samples. Where the description names their axes, these
    are followed. Where it does not, 3 are red, green and blue and 4 are channels, as there is no telling; masks have
    no colours, and theirs are planes.

    Raises
    ------
    InputError
        More planes declared than stored, or planes that were mixed up with colours.
    """
    shape, axes = _facts(description)
    if shape is None:
        shape = (len(pages), *first.shape) if len(pages) > 1 else first.shape
    inside = len(first.shape)
    if shape[-inside:] != first.shape:
        note = f"its description tells of an array of {_words(shape)}, unlike its pages, which were read"
        return StoredFrames("P", (len(pages),), [Frame(i) for i in pages], notes=(note,))
    if not axes:
        _require_wide_pages(shape, path, first)
        return _without_axes(pages, shape[:-inside], path, first, of_mask=of_mask)
    if not axes.endswith("YX" if first.axes != "YXS" else ("YX", "YXS", "YXC")):
        raise InputError(
            f"its description names the axes {axes} and its pages are stored as {first.axes}",
            where=str(path),
            cure="save it again with photometric='minisblack', or with the axes Y and X last",
        )
    if first.axes == "YXS" and axes.endswith("YX"):
        raise InputError(
            f"its description names the axes {axes}, and their last {first.shape[-1]} columns are stored as colours",
            where=str(path),
            cure="save it again with photometric='minisblack'",
        )
    cut = len(axes) - inside
    lead, sizes = _letters(axes[:cut]), shape[:cut]
    notes: tuple[str, ...] = ()
    if prod(sizes) < len(pages):
        notes = () if prod(sizes) == 1 else (f"its description tells of {prod(sizes)} of its {len(pages)} pages",)
        lead, sizes = "P", (len(pages),)
    stored = StoredFrames(lead, sizes, declared_frames(pages, prod(sizes), path, first), notes=notes)
    if first.axes == "SYX" and axes[cut] != "S":
        stored = by_sample(stored, axes[cut] if axes[cut] in "CTZ" else "P", first.samples)
    return _merged(stored) if stored.lead else None


def by_sample(stored: StoredFrames, letter: str, samples: int) -> StoredFrames:
    """Make each sample of the pages a plane or channel of its own, along the axis `letter`."""
    frames = [Frame(f.directory, f.skip, sample) for f in stored.frames for sample in range(samples)]
    return StoredFrames(stored.lead + letter, (*stored.sizes, samples), frames, stored.unit, notes=stored.notes)


def _facts(description: str) -> tuple[tuple[int, ...] | None, str]:
    """Give the shape and the axes of the JSON, None and "" where it names none."""
    try:
        facts = json.loads(description)
    except (ValueError, RecursionError):
        return None, ""
    shape = facts.get("shape") if isinstance(facts, dict) else None
    if not isinstance(shape, list) or not all(isinstance(n, int) and n > 0 for n in shape) or not 2 <= len(shape) <= 8:
        return None, ""
    axes = facts.get("axes")
    return tuple(shape), axes.upper() if isinstance(axes, str) and len(axes) == len(shape) else ""


def _require_wide_pages(shape: tuple[int, ...], path: Path, first: FirstPage) -> None:
    """Refuse an array whose channels come last and were stored as columns, rows as planes."""
    if first.axes == "YX" and len(shape) > 2 and 2 <= shape[-1] <= 4 and min(shape[-3:-1]) >= _LEAST_SIDE:
        raise InputError(
            f"its {shape[-3]} planes are {shape[-1]} px wide: an array of {_words(shape)} whose channels come last was "
            "stored as planes",
            where=str(path),
            cure="save it again with the channels first and the axes named, as metadata={'axes': 'CYX'}",
        )


def _without_axes(
    pages: list[int], lead: tuple[int, ...], path: Path, first: FirstPage, *, of_mask: bool
) -> StoredFrames | None:
    count = prod(lead)
    if not first.is_array:
        several = 1 < count != len(pages) == 1
        return StoredFrames("P", (count,), declared_frames(pages, count, path, first)) if several else None
    if not of_mask and first.samples == 3:
        return None
    stored = StoredFrames("P", (len(pages),), [Frame(i) for i in pages])
    if not of_mask:
        return by_sample(stored, "C", first.samples)
    expanded = _merged(by_sample(stored, "P", first.samples))
    note = f"its {first.samples} planes are stored as colours and were read as planes"
    may_be_colours = len(expanded.frames) == 3
    return StoredFrames(expanded.lead, expanded.sizes, expanded.frames, notes=(note,), may_be_colours=may_be_colours)


def _letters(axes: str) -> str:
    return "".join(letter if letter in "CTZ" else "P" for letter in axes)


def _merged(stored: StoredFrames) -> StoredFrames:
    """Make one axis of neighbours with the same letter, and of all axes where a letter is left twice."""
    lead, sizes = "", list[int]()
    for letter, size in zip(stored.lead, stored.sizes, strict=True):
        if lead.endswith(letter) and lead:
            sizes[-1] *= size
        else:
            lead += letter
            sizes.append(size)
    if len(set(lead)) != len(lead):
        lead, sizes = "P", [prod(sizes)]
    return StoredFrames(lead, tuple(sizes), stored.frames, stored.unit, notes=stored.notes)


def _words(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape)
