"""One side of an evaluation as instances: label images as they stand, masks split as `count` splits them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cellmonai.core.errors import CellmonaiError, UsageError
from cellmonai.images.find import image_stem
from cellmonai.images.labels import read_masks
from cellmonai.instances.find import find_instances
from cellmonai.instances.settings import InstanceSettings
from cellmonai.workflows.evaluating.pairs import LABEL_ENDINGS
from cellmonai.workflows.inferring.record import read_infer_record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.core.progress import Reporter
    from cellmonai.workflows.evaluating.pairs import Case
    from cellmonai.workflows.evaluating.result import AskedKind, EvaluateSettings

Kind = Literal["binary", "labels"]


@dataclass(frozen=True, slots=True)
class Instances:
    """One plane of one side.

    Parameters
    ----------
    plane : its name, "" where there is only one
    labels : integers, shape (Y, X); 0 is background
    inside : bool, shape (Y, X); the foreground as it was in the file
    removed : how many objects of a mask the area and border filters took away
    holes_filled : how many holes of a mask were filled
    """

    plane: str
    labels: NDArray[Any]
    inside: NDArray[np.bool_]
    removed: int
    holes_filled: int = 0


@dataclass(frozen=True, slots=True)
class Side:
    """How the files of one side, predictions or truth, become instances."""

    kind: Kind
    settings: InstanceSettings

    def read(self, path: Path) -> list[Instances]:
        """Give every plane of a file.

        Raises
        ------
        InputError
            The file cannot be read or is no mask or label image.
        """
        return [self._instances(plane, array, path) for plane, array in read_planes(path)]

    def _instances(self, plane: str, array: NDArray[Any], path: Path) -> Instances:
        inside = array != 0
        if self.kind == "binary":
            found = find_instances(inside, self.settings)
            return Instances(
                plane, found.labels, inside, sum(found.removed.values()), found.notes.get("holes_filled", 0)
            )
        return Instances(plane, array.astype(np.uint8) if array.dtype == np.bool_ else array, inside, 0)


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
    found = Side(decide_kind([case.prediction for case in cases], settings.kind), splitting)
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
    true = Side(decide_kind(true_files, settings.truth_kind), InstanceSettings())
    if true.kind == "binary":
        reporter.warn(
            "truth_split",
            "truth: masks, touching cells are split as count does, and a wrong split there is a wrong truth; label "
            "images are surer (where these are some: --truth-kind labels)",
        )
    else:
        reporter.note("truth: label images (else: --truth-kind binary)")
    return Sides(found, true)


def decide_kind(files: Sequence[Path], asked: AskedKind) -> Kind:
    """Decide once for all files of a side whether they are masks or label images.

    More than two values in any file means labels; so does a file called `x_labels` unless its cells are 255, since a
    label image with a single cell has two values only. A file that cannot be read decides nothing here.
    """
    if asked != "auto":
        return asked
    for file in files:
        try:
            arrays = [array for _, array in read_planes(file)]
        except CellmonaiError:
            continue  # told when the file is evaluated
        if any(_looks_labelled(array, image_stem(file)) for array in arrays):
            return "labels"
    return "binary"


def read_planes(path: Path) -> list[tuple[str, NDArray[Any]]]:
    """Give every plane of a mask or label image: (name, array of shape (Y, X))."""
    return [(mask.plane, mask.array) for mask in read_masks(path)]


def _looks_labelled(array: NDArray[Any], stem: str) -> bool:
    highest = array.max(initial=0)
    if not highest:
        return False
    if np.any((array != 0) & (array != highest)):
        return True
    return stem.lower().endswith(LABEL_ENDINGS) and array.dtype != np.bool_ and highest != 255
