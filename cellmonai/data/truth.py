"""The truth of pairs as label images, decided and refused as `count` does it."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.find import image_stem
from cellmonai.images.labels import AS_STORED
from cellmonai.images.layouts import read_pair_mask
from cellmonai.images.rows import ArrayRows
from cellmonai.instances.find import find_instances, keep_labels
from cellmonai.instances.mask_kind import (
    RECIPE,
    are_dots,
    decide_kind,
    is_mask_among_labels,
    is_mostly_foreground,
    look_at_mask,
    refuse_picture,
    refuse_unclear,
)
from cellmonai.instances.settings import InstanceSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from cellmonai.core.progress import Reporter
    from cellmonai.images.labels import ValueChoice
    from cellmonai.images.layouts import Pair
    from cellmonai.instances.mask_kind import AskedKind, Kind, MaskLook, Ways

_UNFILTERED = InstanceSettings(min_area_px=0)
_MOST_TOLD = 5


class TruthNote(NamedTuple):
    """Something that the reader of a truth wants to be told: a code, a sentence, and the name of the pair."""

    code: str
    message: str
    name: str


class TruthReader:
    """Reads the truth of pairs; all masks of a set are read in one way.

    Parameters
    ----------
    asked : what the user said the masks are
    choice : values that the user named as cells
    ways : how the user says so, for messages

    Attributes
    ----------
    kind : what the masks are; None until `decide_kind` ran
    notes : what was found in the masks that were read, and may make the truth wrong
    """

    def __init__(self, asked: AskedKind = "auto", choice: ValueChoice = AS_STORED, ways: Ways = RECIPE) -> None:
        self.asked, self.choice, self.ways = asked, choice, ways
        self.kind: Kind | None = None
        self.notes: list[TruthNote] = []

    def decide_kind(self, pairs: Sequence[Pair], check: Callable[[], None] = lambda: None) -> Kind:
        """Decide once for the whole set whether the masks are label images or binary.

        A label image with a single cell may look binary, so one file that holds several labels decides for all.

        Parameters
        ----------
        pairs : all that will be read
        check : called before every pair; it may raise to stop

        Raises
        ------
        InputError
            A mask cannot be read, or its values are neither a clear mask nor clear labels.
        """

        def looks() -> list[tuple[str, MaskLook]]:
            found: list[tuple[str, MaskLook]] = []
            for pair in pairs:
                check()
                if pair.one_per_object:
                    return [*found, ("", _PAINTED)]
                look = _look(read_pair_mask(pair, self.choice).array, pair)
                found.append((pair.name, look))
                if look.is_labels:
                    break
            return found

        self.kind, _ = decide_kind(looks() if self.asked == "auto" else [], self.asked)
        return self.kind

    def read(self, pair: Pair) -> NDArray[np.int32]:
        """Return the label image of a pair, (Y, X); touching cells of binary masks are split as `count` splits them.

        Raises
        ------
        InputError
            As `decide_kind`; or its objects are dots, which have no outline to learn from.
        """
        if self.kind is None:
            self.decide_kind([pair])
        mask = read_pair_mask(pair, self.choice)
        stored = mask.array
        if mask.is_unsure:
            message = (
                "the image has an orientation tag and its mask has none; both were taken as they are shown. If "
                "the mask was drawn in ImageJ, remove the tag"
            )
            self.notes.append(TruthNote("orientation_unsure", message, pair.name))
        if pair.one_per_object:
            return stored.astype(np.int32)
        where = str(pair.masks[0])
        look = _look(stored, pair)
        refuse_unclear(look, self.kind or "binary", self.asked, where=where, ways=self.ways)
        labels = self._labels(stored, look, pair, where)
        if are_dots(np.bincount(labels.ravel())[1:]):
            raise InputError(
                "the mask marks cells by dots of a few pixels, which have no outline to learn from",
                where=where,
                cure="give masks that cover the cells, or use dots as a truth with cellmonai evaluate --centres 40",
                code="dots",
            )
        return labels

    def refuse_without_cells(self, labels: Iterable[NDArray[np.int32]], where: str) -> None:
        """Refuse a set in which the values that the user named occur nowhere.

        Raises
        ------
        InputError
            Values were named, and no label image holds a cell.
        """
        if self.choice.is_given and not any(image.any() for image in labels):
            raise InputError(
                f"no pixel of any mask {self.choice.words}",
                where=where,
                cure="look at the values of the masks and name those of cells",
                code="no_such_value",
            )

    def tell(self, reporter: Reporter) -> None:
        """Warn of everything in `notes`, of each code for the first few pairs."""
        for code, several in groupby(sorted(self.notes), key=lambda note: note.code):
            notes = list(several)
            for note in notes[:_MOST_TOLD]:
                reporter.warn(code, note.message, note.name)
            if len(notes) > _MOST_TOLD:
                reporter.warn(code, f"the same holds for {len(notes) - _MOST_TOLD:,} more masks")

    def _labels(self, stored: NDArray[np.generic], look: MaskLook, pair: Pair, where: str) -> NDArray[np.int32]:
        if self.kind == "binary":
            if is_mostly_foreground(look.values, self.kind):
                message = "nearly all of the mask is foreground; is it inverted?"
                self.notes.append(TruthNote("mostly_foreground", message, pair.name))
            if self.asked == "auto" and look.values.odd_value is not None:
                message = f"its only value, {look.values.high}, lies in pieces and is taken for a mask's foreground"
                self.notes.append(TruthNote("odd_value", message, pair.name))
            return find_instances(stored != 0, _UNFILTERED).labels
        found = keep_labels(stored.astype(np.int32), _UNFILTERED)
        extra = found.notes.get("extra_pieces", 0)
        if self.asked == "auto" and is_mask_among_labels(look, extra):
            message = f"its only value, {look.values.high}, is that of a mask among label images; it is read as a mask"
            self.notes.append(TruthNote("mixed_kinds", message, pair.name))
            return find_instances(stored != 0, _UNFILTERED).labels
        if self.asked == "auto" and look.values.is_label_like:
            refuse_picture(look.values, found.count, extra, where=where, ways=self.ways)
        if extra:
            labels, pieces = found.notes["labels_in_pieces"], found.notes["pieces_of_labels"]
            lie = "label lies" if labels == 1 else "labels lie"
            message = f"{labels:,} {lie} in {pieces:,} separate pieces; each label is taken for one cell"
            self.notes.append(TruthNote("extra_pieces", message, pair.name))
        return found.labels


def _look(stored: NDArray[np.generic], pair: Pair) -> MaskLook:
    return look_at_mask(ArrayRows(stored), stem=image_stem(pair.masks[0]))


_PAINTED = look_at_mask(ArrayRows(np.array([[0, 1, 2]], np.int32)))
"""What a label image looks like that was painted from one mask per object."""
