"""What a mask file means: a binary mask, a label image, or something that would be counted wrongly and is refused.

`count`, `evaluate`, `fit` and `recipe init` all decide it here, so that what one refuses, all refuse. `look_at_mask`
gathers what the decision needs, `decide_kind` takes it once for all files of a folder, and `refuse_unclear` refuses the
files whose values are neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.mask_values import MaskValues, values_of
from cellmonai.images.rows import strips
from cellmonai.instances.basin_graph import strip_components
from cellmonai.instances.holes import MOSTLY_FOREGROUND
from cellmonai.instances.join import ComponentJoiner
from cellmonai.instances.regions import AREA, BOTTOM, FIRST_PIXEL, LEFT, RIGHT, TOP

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from cellmonai.images.rows import Rows

Kind = Literal["binary", "labels"]
AskedKind = Literal["auto", "binary", "labels"]

LABEL_ENDINGS = ("_label", "_labels")
"""Files called so are label images even where a single cell has the number 1."""

_LEAST_SHARE = 0.1  # a piece below this share of the largest one of its value is a crumb
_MANY_PIECES = 5  # of one cell there are hardly ever so many pieces of like size
_SEVERAL_PIECES = 3  # so many are of different cells where they also lie far apart
_MOST_BESIDE_VOID = 128  # labels rise from 1; 255 far above all others marks what has no label
_MOST_DOT_SHARE = 0.8
_LARGEST_DOT_PX = 13  # a disc of radius 2
_LEAST_DOTS = 5  # fewer of more than a pixel may be small cells
_MOST_EXTRA_PIECES = 2  # per label; a photograph taken for a label image has hundreds
_EXTRA_PIECES_ALLOWED = 50
_LEAST_PIECES = 100  # fewer are not taken for noise
_NOISE = ((0.5, 2.0), (0.9, 4.0))  # so much foreground in pieces of so many px at most, on average, is no label image
_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class Ways:
    """How a user of a command says what a mask means; `{}` stands for the values."""

    cell_values: str = "--cell-values {}"
    labels: str = "--kind labels"
    binary: str = "--kind binary"
    threshold: str = "--mask-threshold {}"


COMMAND = Ways()
TRUTH = Ways("--truth-cell-values {}", "--truth-kind labels", "--truth-kind binary", "--truth-mask-threshold {}")
INIT = Ways(labels='data.mask_kind = "labels" in a recipe', binary='data.mask_kind = "binary" in a recipe')
RECIPE = Ways(
    "data.cell_values = [{}]", 'data.mask_kind = "labels"', 'data.mask_kind = "binary"', "data.mask_threshold = {}"
)


@dataclass(frozen=True, slots=True)
class ValuePieces:
    """The 8-connected pieces of one value: how many, how many that are no crumbs, and whether these lie scattered."""

    value: int
    pieces: int
    substantial: int
    is_scattered: bool


@dataclass(frozen=True, slots=True)
class MaskLook:
    """What one plane of a mask shows.

    Parameters
    ----------
    values : which values it holds
    pieces : of each value but 0; empty where the decision does not need them
    is_named_labels : its file is called as a label image
    """

    values: MaskValues
    pieces: tuple[ValuePieces, ...] = ()
    is_named_labels: bool = False

    @property
    def is_labels(self) -> bool:
        """Whether the plane by itself is a label image.

        More than two values make one, and so does a single value that no mask uses, as 7: the label of one cell. A
        value in scattered pieces is the foreground of a mask, whatever its number.
        """
        values = self.values
        if values.is_blurred:
            return False
        if values.is_label_like:
            return True
        by_name = self.is_named_labels and values.low == 0 and values.high == 1 and not values.is_stored_bool
        if values.odd_value is None and not by_name:
            return False
        return not any(piece.is_scattered for piece in self.pieces)


def look_at_mask(plane: Rows, *, stem: str = "") -> MaskLook:
    """Read a plane once or, where it holds few values, thrice.

    Parameters
    ----------
    plane : (Y, X), bool or integer
    stem : name of its file without suffix
    """
    values = values_of(plane)
    is_named_labels = stem.lower().endswith(LABEL_ENDINGS)
    unclear = values.is_label_like or values.odd_value is not None or (is_named_labels and values.high == 1)
    if values.distinct is None or not unclear or values.is_blurred:
        return MaskLook(values, (), is_named_labels)
    return MaskLook(values, _pieces_by_value(plane), is_named_labels)


def decide_kind(looks: Iterable[tuple[str, MaskLook]], asked: AskedKind = "auto") -> tuple[Kind, str]:
    """Decide once for all masks of a set, and name the one that made them label images, "" where none did.

    Planes of one file come under one name; values that differ from plane to plane are labels too.
    """
    if asked != "auto":
        return asked, ""
    values: dict[str, set[int]] = {}
    for name, look in looks:
        seen = values.setdefault(name, {0})
        seen |= {look.values.low, look.values.high}
        if look.is_labels or (len(seen) > 2 and look.values.low == 0):
            return "labels", name
    return "binary", ""


def refuse_unclear(look: MaskLook, kind: Kind, asked: AskedKind, *, where: str, ways: Ways = COMMAND) -> None:
    """Refuse a plane whose values are neither a clear mask nor clear labels.

    Parameters
    ----------
    look : what the plane shows
    kind : what all masks of the set were decided to be
    asked : what the user said they are
    where, ways : for the message

    Raises
    ------
    InputError
        Its borders are grey, it is unclear which value is the background, or its values are classes and not cells.
    """
    values = look.values
    if values.is_blurred and asked != "labels":
        share = 100 * values.grey_px / values.pixels
        raise InputError(
            f"the mask is blurred: {share:.1f} % of its pixels lie between 0 and {values.high}, as JPEG, resizing or "
            "antialiasing leaves them",
            where=where,
            cure="export it as PNG or TIFF where it was made, or cut it at half its height with "
            + ways.threshold.format(round(values.high / 2)),
            code="blurred_mask",
        )
    if asked != "auto":
        return
    if not values.is_label_like and 0 < values.low < values.high:
        raise InputError(
            f"the values are {values.low} and {values.high}, and it is unclear which one is the background",
            where=where,
            cure=f"save the background as 0, or name the value of cells with {ways.cell_values.format(values.high)}",
            code="unclear_background",
        )
    if kind == "labels" and values.is_label_like and values.distinct is not None:
        _refuse_classes(look, values.distinct, where, ways)


def _refuse_classes(look: MaskLook, distinct: Sequence[int], where: str, ways: Ways) -> None:
    values = look.values
    cells = [value for value in distinct if value != 0]
    scattered = [piece for piece in look.pieces if piece.is_scattered]
    shown = ", ".join(map(str, distinct[:_MOST_NAMED])) + (" …" if len(distinct) > _MOST_NAMED else "")
    name = ways.cell_values.format(scattered[0].value if scattered else cells[0])
    cure = f"name the values of cells, for example {name}, or say {ways.labels} if each value is one cell"
    many = [piece for piece in scattered if piece.substantial >= _MANY_PIECES]
    if (many and 2 * len(many) >= len(cells)) or len(scattered) == len(cells):
        of = ", ".join(f"{piece.value} in {piece.pieces:,}" for piece in scattered[:_MOST_NAMED])
        raise InputError(
            f"its values are {shown}, and they lie in many pieces ({of}), as classes do and cells do not",
            where=where,
            cure=cure,
            code="class_mask",
        )
    beside = cells[-2] if len(cells) > 1 else 0
    if values.high in (255, 65535) and 0 < beside <= _MOST_BESIDE_VOID:
        raise InputError(
            f"its values are {shown}, and {values.high} marks what has no class in masks of classes, as Pascal VOC's",
            where=where,
            cure=cure,
            code="class_mask",
        )
    if values.low > 0:
        raise InputError(
            f"its values are {shown} without a 0, and it is unclear which one is the background",
            where=where,
            cure=f"save the background as 0, or {cure}",
            code="unclear_background",
        )


def is_mask_among_labels(look: MaskLook, extra: int) -> bool:
    """Return whether a file among label images is a binary mask all the same.

    Its only value is 255, 65,535 or true, or is in more pieces than a cell is.

    Parameters
    ----------
    look : what the plane shows
    extra : pieces beyond one for each value
    """
    values = look.values
    if values.is_label_like or values.low != 0 or not values.high:
        return False
    if values.odd_value is not None:
        return any(piece.is_scattered for piece in look.pieces)
    return values.high != 1 or values.is_stored_bool or extra > _MOST_EXTRA_PIECES


def is_picture(values: MaskValues, labels: int, extra: int) -> bool:
    """Return whether a plane is a photograph and no label image: many pieces per label, or hardly any background.

    Parameters
    ----------
    values : of the plane
    labels, extra : how many values it has, and pieces beyond one for each of them
    """
    pieces = labels + extra
    share, mean_px = values.foreground_px / max(values.pixels, 1), values.foreground_px / max(pieces, 1)
    is_noise = any(share > least and mean_px <= most for least, most in _NOISE)
    return (is_noise and pieces >= _LEAST_PIECES) or extra > _MOST_EXTRA_PIECES * labels + _EXTRA_PIECES_ALLOWED


def refuse_picture(values: MaskValues, labels: int, extra: int, *, where: str, ways: Ways = COMMAND) -> None:
    """Refuse a photograph taken for a label image; parameters as for `is_picture`.

    Raises
    ------
    InputError
        It is one.
    """
    if is_picture(values, labels, extra):
        raise InputError(
            f"looks like a picture, not like a label image: {labels:,} values lie in {labels + extra:,} pieces",
            where=where,
            cure=f"give masks or label images, or say {ways.labels} or {ways.binary} if it is one",
            code="photograph",
        )


def is_mostly_foreground(values: MaskValues, kind: Kind) -> bool:
    """Return whether a binary mask is nearly all foreground, as an inverted one is."""
    return kind == "binary" and values.foreground_px > MOSTLY_FOREGROUND * values.pixels


def are_dots(areas_px: NDArray[np.integer]) -> bool:
    """Return whether objects of these areas mark places of cells: nearly all are a pixel, or of one tiny area."""
    if not areas_px.size:
        return False
    usual = int(np.bincount(np.minimum(areas_px, _LARGEST_DOT_PX + 1)).argmax())
    if usual > _LARGEST_DOT_PX or (usual > 1 and areas_px.size < _LEAST_DOTS):
        return False
    return bool(np.count_nonzero(areas_px == usual) >= _MOST_DOT_SHARE * areas_px.size)


def _pieces_by_value(plane: Rows) -> tuple[ValuePieces, ...]:
    joiner = ComponentJoiner(plane.shape[1], diagonal=True)
    for top, bottom in strips(plane.shape):
        joiner.add(strip_components(_as_numbers(plane.rows(top, bottom)), top, diagonal=True))
    table = joiner.finish().table
    value = _values_at(plane, table[:, FIRST_PIXEL])
    return tuple(_summary(int(one), table[value == one]) for one in np.unique(value))


def _as_numbers(part: NDArray[np.generic]) -> NDArray[np.int32]:
    return np.ascontiguousarray(part, np.int32)


def _values_at(plane: Rows, pixels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the values at raster indices that rise, as first pixels of regions do."""
    value = np.zeros(pixels.size, np.int64)
    columns = plane.shape[1]
    for top, bottom in strips(plane.shape):
        first, last = np.searchsorted(pixels, (top * columns, bottom * columns))
        if first < last:
            value[first:last] = plane.rows(top, bottom).reshape(-1)[pixels[first:last] - top * columns]
    return value


def _summary(value: int, table: NDArray[np.int64]) -> ValuePieces:
    areas = table[:, AREA]
    boxes = table[areas >= _LEAST_SHARE * areas.max()][:, [TOP, LEFT, BOTTOM, RIGHT]]
    number = len(boxes)
    scattered = number >= _MANY_PIECES or (number >= _SEVERAL_PIECES and _lie_apart(boxes))
    return ValuePieces(value, len(areas), number, scattered)


def _lie_apart(boxes: NDArray[np.int64]) -> bool:
    """Return whether most boxes are farther from their nearest neighbour than they are wide; boxes are few."""
    low, high = boxes[:, :2], boxes[:, 2:]
    between = np.maximum(low[:, None] - high[None], low[None] - high[:, None]).max(axis=2)
    np.fill_diagonal(between, np.iinfo(np.int64).max)
    return bool(np.median(between.min(axis=1)) > np.median((high - low).max(axis=1)))
