"""One side of an evaluation as instances: label images as they stand, masks split as `count` splits them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import CellmonaiError, InputError, UsageError
from cellmonai.images.find import image_stem
from cellmonai.images.labels import AS_STORED, ValueChoice, read_masks
from cellmonai.images.rows import ArrayRows
from cellmonai.instances.components import label_components
from cellmonai.instances.find import find_instances, keep_labels
from cellmonai.instances.mask_kind import (
    COMMAND,
    TRUTH,
    Ways,
    are_dots,
    decide_kind,
    is_mask_among_labels,
    is_mostly_foreground,
    look_at_mask,
    refuse_picture,
    refuse_unclear,
)
from cellmonai.instances.settings import InstanceSettings
from cellmonai.workflows.inferring.record import read_infer_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.core.progress import Reporter
    from cellmonai.instances.mask_kind import AskedKind, Kind, MaskLook
    from cellmonai.workflows.evaluating.pairs import Case
    from cellmonai.workflows.evaluating.result import EvaluateSettings

_NO_FILTERS = InstanceSettings(min_area_px=0)


@dataclass(frozen=True, slots=True)
class Instances:
    """One plane of one side.

    Parameters
    ----------
    plane : its name, "" where there is only one
    labels : integers, shape (Y, X); 0 is background
    inside : bool, shape (Y, X); the foreground as it was in the file
    removed : how many objects of a mask the area and border filters took away
    notes : of a label image how many labels lie in several pieces, of a mask how many holes were filled, as
        `Found.notes`
    """

    plane: str
    labels: NDArray[Any]
    inside: NDArray[np.bool_]
    removed: int
    notes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Side:
    """How the files of one side, predictions or truth, become instances.

    Parameters
    ----------
    kind : what the files are
    settings : how touching cells of binary masks are split
    asked : what the user said the files are
    choice : values that the user named as cells
    ways : how the user says so
    are_dots : single pixels mark cells; each is an instance and nothing is filtered
    """

    kind: Kind
    settings: InstanceSettings
    asked: AskedKind = "auto"
    choice: ValueChoice = AS_STORED
    ways: Ways = COMMAND
    are_dots: bool = False

    def read(self, path: Path) -> list[Instances]:
        """Give every plane of a file.

        Raises
        ------
        InputError
            The file cannot be read or is no clear mask or label image.
        """
        return [self._instances(mask.plane, mask.array, path) for mask in read_masks(path, choice=self.choice)]

    def _instances(self, plane: str, array: NDArray[Any], path: Path) -> Instances:
        look = look_at_mask(ArrayRows(array), stem=image_stem(path))
        refuse_unclear(look, self.kind, self.asked, where=str(path), ways=self.ways)
        inside = array != 0
        if self.are_dots:
            return Instances(plane, label_components(inside) if self.kind == "binary" else array, inside, 0)
        if self.kind == "binary":
            found = find_instances(inside, self.settings)
            inverted = {"mostly_foreground": int(is_mostly_foreground(look.values, self.kind))}
            return Instances(plane, found.labels, inside, sum(found.removed.values()), {**found.notes, **inverted})
        labels = array.astype(np.uint8) if array.dtype == np.bool_ else array
        notes = keep_labels(labels, _NO_FILTERS).notes
        extra = notes.get("extra_pieces", 0)
        if self.asked == "auto" and is_mask_among_labels(look, extra):
            found = find_instances(inside, self.settings)
            return Instances(plane, found.labels, inside, sum(found.removed.values()), found.notes)
        if self.asked == "auto" and look.values.is_label_like:
            refuse_picture(look.values, len(np.unique(labels[labels != 0])), extra, where=str(path), ways=self.ways)
        return Instances(plane, labels, inside, 0, notes)


@dataclass(frozen=True, slots=True)
class Sides:
    """How both sides are read; `true` is None where the truth is a table of counts."""

    found: Side
    true: Side | None

    def as_json(self) -> dict[str, Any]:
        """Give what `auto` became, and how masks are split."""
        found, true = self.found, self.true
        return {
            "kind": found.kind,
            "truth_kind": true.kind if true else "table",
            "splitting": found.settings.as_json() if found.kind == "binary" else None,
            "truth_splitting": true.settings.as_json() if true and true.kind == "binary" else None,
        }


def decide_sides(predictions: Path, cases: Sequence[Case], settings: EvaluateSettings, reporter: Reporter) -> Sides:
    """Decide how both sides become instances, and say it.

    Masks that `infer` left are split at the operating point in its record, others as `count` splits them.

    Raises
    ------
    UsageError
        A kind of truth or a match of centres was asked for and the truth is a table.
    """
    record = read_infer_record(predictions if predictions.is_dir() else predictions.parent)
    splitting = record.operating_point if record else InstanceSettings()
    looks = _looks([case.prediction for case in cases], settings.choice)
    found = Side(decide_kind(looks, settings.kind)[0], splitting, settings.kind, settings.choice)
    if found.kind == "binary":
        how = "at the operating point that cellmonai infer recorded" if record else "as count does"
        reporter.note(f"predictions: masks, touching cells are split {how} (else: --kind labels)")
    else:
        reporter.note("predictions: label images (else: --kind binary)")
    true_files = [case.truth for case in cases if case.truth is not None]
    if not true_files:
        if settings.truth_kind != "auto":
            raise UsageError("the truth is a table of counts", where="--truth-kind", cure="leave the option out")
        if settings.centres is not None:
            raise UsageError(
                "the truth is a table of counts, which has no centres",
                where="--centres",
                cure="leave the option out, or give masks or label images",
            )
        reporter.note("truth: a table, so only count errors are defined")
        return Sides(found, None)
    return Sides(found, _true_side(true_files, settings, reporter))


def _true_side(files: Sequence[Path], settings: EvaluateSettings, reporter: Reporter) -> Side:
    looks = _looks(files, settings.truth_choice)
    kind, _ = decide_kind(looks, settings.truth_kind)
    true = Side(kind, InstanceSettings(), settings.truth_kind, settings.truth_choice, TRUTH)
    if _are_dots(files, kind, settings.truth_choice):
        if settings.centres is None:
            raise InputError(
                "the truth is dots: single pixels, which have a place and no outline",
                where=str(files[0].parent),
                cure="compare places with --centres 40, a distance in px",
                code="dots",
            )
        reporter.note("truth: dots, one pixel per cell, so only counts and centres are compared")
        return replace(true, are_dots=True)
    if kind == "binary":
        reporter.warn(
            "truth_split",
            "truth: masks, touching cells are split as count does, and a wrong split there is a wrong truth; label "
            "images are surer (where these are some: --truth-kind labels)",
        )
    else:
        reporter.note("truth: label images (else: --truth-kind binary)")
    return true


def _looks(files: Sequence[Path], choice: ValueChoice) -> list[tuple[str, MaskLook]]:
    """Look at every file that can be read; what cannot is told when it is evaluated."""
    looks = []
    for file in files:
        with suppress(CellmonaiError):
            masks = read_masks(file, choice=choice)
            looks += [(file.name, look_at_mask(ArrayRows(mask.array), stem=image_stem(file))) for mask in masks]
    if choice.is_given and looks and not any(look.values.foreground_px for _, look in looks):
        raise InputError(
            f"no pixel of any mask {choice.words}",
            where=str(files[0].parent),
            cure="look at the values of the masks and name those of cells",
            code="no_such_value",
        )
    return looks


def _are_dots(files: Sequence[Path], kind: Kind, choice: ValueChoice) -> bool:
    """Return whether the objects of all files together are dots."""
    areas = [np.zeros(0, np.int64)]
    for file in files:
        with suppress(CellmonaiError):
            for mask in read_masks(file, choice=choice):
                labels = label_components(mask.array != 0) if kind == "binary" else mask.array
                areas.append(np.unique(labels[labels != 0], return_counts=True)[1])
    return are_dots(np.concatenate(areas))
