"""What is refused or warned of before a wrong number is printed: blurred masks, pictures, labels that ran over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.instances.holes import MOSTLY_FOREGROUND
from cellmonai.instances.mask_kind import is_mask_among_labels, refuse_picture, refuse_unclear
from cellmonai.report.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cellmonai.core.progress import Reporter
    from cellmonai.instances.find import FoundRows
    from cellmonai.instances.mask_kind import Kind
    from cellmonai.instances.volume import FoundVolume
    from cellmonai.workflows.counting.settings import CountSettings
    from cellmonai.workflows.counting.survey import PlaneJob

_MOST_OF_AN_IMAGE = 0.5
_MOST_DOT_PX, _LEAST_DOTS = 13, 5  # fewer objects of more than a pixel may be anything
_MOST_FILLED = 0.2


def refuse_unclear_values(job: PlaneJob, kind: Kind, settings: CountSettings) -> None:
    """Refuse a plane whose values are no clear mask.

    Raises
    ------
    InputError
        Its borders are blurred, so that values are neither foreground nor background, or none of its two values is 0.
    """
    if settings.threshold is None:  # else the mask itself is not counted
        refuse_unclear(job.look, kind, settings.kind, where=str(job.mask.path))


def warn_of_values(job: PlaneJob, kind: Kind, settings: CountSettings, reporter: Reporter) -> None:
    """Warn of a single value that masks do not use, where it was taken for one."""
    value = job.values.odd_value
    if settings.kind == "auto" and kind == "binary" and value is not None:
        reporter.warn(
            "odd_value",
            f"its only value, {value}, lies in pieces as the foreground of a mask does, and is counted as one "
            "(a single cell: --kind labels)",
            job.mask.name,
        )


def warn_of_dots(job: PlaneJob, found: FoundRows, reporter: Reporter) -> None:
    """Warn where the filter of areas removed single pixels, which mark places of cells."""
    removed = found.removed.get("min_area", 0)
    most = _MOST_DOT_PX if removed >= _LEAST_DOTS else 1
    if removed and not found.count and found.foreground_px <= most * removed:
        reporter.warn(
            "dots",
            f"{counted(removed, 'object')} of {found.foreground_px / removed:.3g} px on average were removed as too "
            "small; if they are dots that mark cells, count them with --min-area 1px --split none",
            job.mask.name,
        )


def warn_of_foreground(job: PlaneJob, found: FoundRows, reporter: Reporter) -> None:
    """Warn of a mask that is nearly all foreground, before its holes are filled: it may be inverted."""
    foreground_px = found.foreground_px - found.notes.get("holes_px", 0)
    if foreground_px > MOSTLY_FOREGROUND * job.pixels:
        share = 100 * foreground_px / job.pixels
        reporter.warn("mostly_foreground", f"{share:.0f} % is foreground; is the mask inverted?", job.mask.name)


def warn_of_holes(job: PlaneJob, found: FoundRows, reporter: Reporter) -> None:
    """Warn where what was filled is much of the foreground: such holes may be the gaps of a network of cells."""
    filled_px = found.notes.get("holes_px", 0)
    if filled_px > _MOST_FILLED * found.foreground_px:
        share = 100 * filled_px / found.foreground_px
        reporter.warn(
            "holes_filled",
            f"filled holes make up {share:.0f} % of the foreground; if they are gaps between cells, use --keep-holes",
            job.mask.name,
        )


def tell_filled_holes(filled: Sequence[int], reporter: Reporter) -> None:
    """Say how many holes were filled over all planes, and how to leave them open."""
    if total := sum(filled):
        where = counted(sum(number > 0 for number in filled), "mask")
        verb = "was" if total == 1 else "were"
        reporter.note(f"{counted(total, 'hole')} in {where} {verb} filled (else: --keep-holes)")


def check_labels(job: PlaneJob, found: FoundRows | FoundVolume, settings: CountSettings, reporter: Reporter) -> None:
    """Refuse a photograph taken for a label image; warn of labels lost on saving or in pieces, and of masks among them.

    Raises
    ------
    InputError
        Many pieces per label, or hardly any background and pieces of a few pixels.
    """
    extra = found.notes.get("extra_pieces", 0)
    labels = found.count + sum(found.removed.values())
    has_one_value = job.values.low == 0 and not job.values.is_label_like
    if settings.kind == "auto" and not has_one_value:
        refuse_picture(job.values, labels, extra, where=str(job.mask.path))
    largest = {"uint8": 2**8 - 1, "uint16": 2**16 - 1}.get(job.dtype.name)
    is_full = largest == job.values.high == labels
    name = job.mask.name
    if is_full and extra:
        reporter.warn(
            "labels_wrapped",
            f"all {labels:,} labels of {job.dtype} are used and lie in {labels + extra:,} pieces: the numbers ran over "
            "and began anew, so that cells share a number. Each number is counted as one cell, and the others are "
            "lost; save the labels as 32-bit TIFF",
            name,
        )
    elif is_full:
        reporter.warn(
            "labels_full",
            f"exactly {labels} labels, the most that {job.dtype} holds; some cells may have been lost on saving, save "
            "the labels as 32-bit TIFF",
            name,
        )
    elif has_one_value and settings.kind == "auto" and is_mask_among_labels(job.look, labels - 1):
        reporter.warn(
            "mixed_kinds",
            f"its only value, {job.values.high}, is that of a binary mask, and other inputs are label images: it is "
            "counted as a mask, and touching cells are split; count masks and label images separately to be sure",
            name,
        )
        return
    else:
        warn_of_pieces(name, found.notes, reporter)
    if job.values.high > labels:
        reporter.note(
            f"{name}: {counted(labels, 'label')} with gaps up to {job.values.high:,}; cells are numbered anew"
        )


def warn_of_pieces(name: str, notes: Mapping[str, int], reporter: Reporter) -> None:
    """Warn of counted labels that lie in several pieces: they may be several cells."""
    if in_pieces := notes.get("labels_in_pieces", 0):
        reporter.warn(
            "extra_pieces",
            f"{in_pieces:,} label{'s lie' if in_pieces != 1 else ' lies'} in {notes['pieces_of_labels']:,} separate "
            "pieces; each label is counted as one cell (if the values are classes: --cell-values)",
            name,
        )


def warn_of_cover(job: PlaneJob, areas_px: NDArray[np.int64], reporter: Reporter) -> None:
    """Warn of a label that covers most of its image: it may be the background, which other programs save as 1."""
    if areas_px.size and (largest := int(areas_px.max())) > _MOST_OF_AN_IMAGE * job.pixels:
        reporter.warn(
            "label_covers_image",
            f"one label covers {100 * largest / job.pixels:.0f} % of the image and is counted as a cell; if it is the "
            "background, save the background as 0",
            job.mask.name,
        )
