"""What is refused or warned of before a wrong number is printed: blurred masks, pictures, labels that ran over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError
from cellmonai.report.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cellmonai.core.progress import Reporter
    from cellmonai.instances.find import FoundRows
    from cellmonai.workflows.counting.settings import CountSettings
    from cellmonai.workflows.counting.survey import Kind, PlaneJob

_MOSTLY_FOREGROUND = 0.9
_MOST_EXTRA_PIECES = 2  # per label; a photograph taken for a label image has hundreds
_EXTRA_PIECES_ALLOWED = 50
_LEAST_PIECES = 100  # fewer are not taken for noise
_NOISE = ((0.5, 2.0), (0.9, 4.0))  # so much foreground in pieces of so many px at most, on average, is no label image
_MOST_OF_AN_IMAGE = 0.5


def refuse_unclear_values(job: PlaneJob, kind: Kind, settings: CountSettings) -> None:
    """Refuse a plane whose values are no clear mask.

    Raises
    ------
    InputError
        Its borders are blurred, so that values are neither foreground nor background, or none of its two values is 0.
    """
    values = job.values
    if values.is_blurred and settings.kind != "labels":
        share = 100 * values.grey_px / values.pixels
        raise InputError(
            f"the mask is blurred: {share:.1f} % of its pixels lie between 0 and 255, as JPEG or resizing leaves them",
            where=str(job.mask.path),
            cure="export it as PNG or TIFF where it was made, or cut it at half its height and save that",
            code="blurred_mask",
        )
    unclear = kind == "binary" and settings.threshold is None and not values.is_label_like
    if unclear and settings.kind == "auto" and values.low != 0 and values.low != values.high:
        raise InputError(
            f"the values are {values.low} and {values.high}, and it is unclear which one is the background",
            where=str(job.mask.path),
            cure="save the background as 0",
            code="unclear_background",
        )


def warn_of_foreground(job: PlaneJob, foreground_px: int, reporter: Reporter) -> None:
    """Warn of a mask that is nearly all foreground: it may be inverted."""
    if foreground_px > _MOSTLY_FOREGROUND * job.pixels:
        share = 100 * foreground_px / job.pixels
        reporter.warn("mostly_foreground", f"{share:.0f} % is foreground; is the mask inverted?", job.mask.name)


def warn_of_preset_pieces(job: PlaneJob, found: FoundRows, preset: str | None, reporter: Reporter) -> None:
    """Warn where a published system gave one number to several regions, each of which is counted here."""
    if preset is not None and (extra := found.notes.get("extra_pieces", 0)):
        reporter.warn(
            "preset_pieces",
            f"{preset} itself counts {extra:,} fewer before the filters: it gives one number to regions that lie apart",
            job.mask.name,
        )


def tell_filled_holes(filled: Sequence[int], reporter: Reporter) -> None:
    """Say how many holes were filled over all planes, and how to leave them open."""
    if total := sum(filled):
        where = counted(sum(number > 0 for number in filled), "mask")
        verb = "was" if total == 1 else "were"
        reporter.note(f"{counted(total, 'hole')} in {where} {verb} filled (else: --keep-holes)")


def check_labels(job: PlaneJob, found: FoundRows, settings: CountSettings, reporter: Reporter) -> None:
    """Refuse a photograph taken for a label image; warn of labels lost on saving and of masks among label images.

    Raises
    ------
    InputError
        Many pieces per label, or hardly any background and pieces of a few pixels.
    """
    extra = found.notes.get("extra_pieces", 0)
    labels = found.count + sum(found.removed.values()) - extra
    has_one_value = job.values.low == 0 and not job.values.is_label_like
    if settings.kind == "auto" and not has_one_value and _is_picture(job, labels, extra):
        raise InputError(
            f"looks like a picture, not like a label image: {labels:,} values lie in {labels + extra:,} pieces",
            where=str(job.mask.path),
            cure="give masks or label images, or say --kind labels or --kind binary if it is one",
            code="photograph",
        )
    largest = {"uint8": 2**8 - 1, "uint16": 2**16 - 1}.get(job.dtype.name)
    is_full = largest == job.values.high == labels
    name = job.mask.name
    if is_full and extra:
        reporter.warn(
            "labels_wrapped",
            f"all {labels} labels of {job.dtype} are used and {extra} pieces lie apart from their label: the numbers "
            "ran over and began anew. Each piece is counted, but cells numbered 0, or beside one of equal number, are "
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
    elif extra and has_one_value and settings.kind == "auto":
        reporter.warn(
            "mixed_kinds",
            f"one value lies in {extra + 1:,} pieces, as in a binary mask, and other inputs are label images: each "
            "piece is counted as a cell and none is split; count binary masks and label images separately",
            name,
        )
    elif extra:
        reporter.warn(
            "extra_pieces",
            f"{labels} label{'s lie' if labels != 1 else ' lies'} in {labels + extra} separate pieces; each piece is "
            "counted as a cell",
            name,
        )
    if job.values.high > labels:
        reporter.note(
            f"{name}: {counted(labels, 'label')} with gaps up to {job.values.high:,}; cells are numbered anew"
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


def _is_picture(job: PlaneJob, labels: int, extra: int) -> bool:
    pieces = labels + extra
    share, mean_px = job.values.foreground_px / job.values.pixels, job.values.foreground_px / max(pieces, 1)
    is_noise = any(share > least and mean_px <= most for least, most in _NOISE)
    return (is_noise and pieces >= _LEAST_PIECES) or extra > _MOST_EXTRA_PIECES * labels + _EXTRA_PIECES_ALLOWED
