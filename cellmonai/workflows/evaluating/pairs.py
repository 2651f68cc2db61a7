"""Which prediction belongs to which truth: files are paired by name, and none may be left over."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from cellmonai.core.errors import InputError
from cellmonai.core.files import read_ordinary
from cellmonai.core.text import nearest, printable
from cellmonai.images.find import find_images, image_stem, in_natural_order, is_folder, is_zarr_folder, searched
from cellmonai.images.left_out import tell_left_out
from cellmonai.images.spelling import folded
from cellmonai.instances.mask_kind import LABEL_ENDINGS
from cellmonai.workflows.inferring.record import read_infer_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from cellmonai.core.progress import Reporter

_MASK_ENDINGS = ("_cp_masks", "_masks", "_mask", "_seg", "_gt")
_MOST_NAMES = 5
_LARGEST_RECORD_BYTES = 256 * 2**20
_Truth = TypeVar("_Truth")


@dataclass(frozen=True, slots=True)
class Case:
    """One image to evaluate: its prediction, and its truth as a file or, by plane, as counts."""

    name: str
    prediction: Path
    truth: Path | None = None
    true_counts: Mapping[str, float] = field(default_factory=dict)


def find_cases(predictions: Path, truth: Path, reporter: Reporter, *, recursive: bool = False) -> list[Case]:
    """Pair the files of two folders, or two files, or predictions with a table of counts; sorted by name.

    Raises
    ------
    InputError
        Nothing was found, two files of a side have one name, or a file has no counterpart.
    """
    found = _files(predictions, "predictions", reporter, recursive=recursive)
    if is_table(truth):
        counts = _under_equal_names(read_true_counts(truth, with_folders=recursive), found)
        _require_counterparts(found, counts, truth)
        return [Case(name, found[name], None, counts[name]) for name in sorted(found)]
    true = _files(truth, "truth", reporter, recursive=recursive)
    if predictions.is_file() and truth.is_file():  # two files belong together whatever their names
        (name, prediction), (_, mask) = *found.items(), *true.items()
        return [Case(name, prediction, mask)]
    true = _under_equal_names(true, found)
    _require_counterparts(found, true, truth)
    return [Case(name, found[name], true[name]) for name in sorted(found)]


def _under_equal_names(truth: Mapping[str, _Truth], names: Iterable[str]) -> dict[str, _Truth]:
    """Rename what differs from a name in its capitals or the form of its accents alone."""
    known, alike = set(names), defaultdict(list)
    for name in known - set(truth):
        alike[folded(name)].append(name)
    renamed: dict[str, _Truth] = {}
    for name, value in truth.items():
        others = alike.get(folded(name), []) if name not in known else []
        renamed[others[0] if len(others) == 1 and others[0] not in renamed else name] = value
    return renamed


def is_table(truth: Path) -> bool:
    """Tell whether the truth is a table of counts, not images."""
    return truth.suffix.lower() == ".csv"


def plain_name(stem: str) -> str:
    """Take endings such as `_labels` and `_mask` off a name, so that both sides carry the image's own.

    Examples
    --------
    >>> plain_name("a01_mask_labels")
    'a01'
    """
    for ending in (*LABEL_ENDINGS, *_MASK_ENDINGS):
        if stem.lower().endswith(ending) and len(stem) > len(ending):
            return plain_name(stem[: -len(ending)])
    return stem


def read_true_counts(table: Path, *, with_folders: bool = False) -> dict[str, dict[str, float]]:
    """Read a CSV file with the columns image, count and, if there are planes, plane.

    Parameters
    ----------
    with_folders : keep the folders before the names, as `plate1/a01`

    Returns
    -------
    dict
        plain image name -> plane ("" where there is no column) -> count; counts need not be whole, as some are means
        of several annotators.

    Raises
    ------
    InputError
        The file cannot be read, a column is missing, a count is no number of cells, or an image comes twice.
    """
    counts: dict[str, dict[str, float]] = {}
    for line, row in _table_rows(table):
        where = f"{table}, line {line}"
        text = row["count"] or ""
        try:
            count = float(text)
        except ValueError:
            count = math.nan
        if not 0 <= count < math.inf:
            raise InputError(f"count is {text!r}", where=where, cure="write a number of cells, 0 or more")
        name, plane = plain_name(image_stem_of(row["image"] or "")), row.get("plane") or ""
        if with_folders and "/" in (typed := (row["image"] or "").replace("\\", "/")):
            name = f"{typed.rpartition('/')[0]}/{name}"
        if plane in counts.setdefault(name, {}):
            raise InputError(f"the image {name!r} comes twice", where=where, cure="keep one row for each image")
        counts[name][plane] = count
    if not counts:
        raise InputError("the table has no rows", where=str(table), cure="give one row for each image")
    return counts


def image_stem_of(text: str) -> str:
    """Give the stem of an image named in a table, with or without folders and suffix."""
    from pathlib import PurePosixPath

    return image_stem(PurePosixPath(text.replace("\\", "/")))  # type: ignore[arg-type] # only the name is looked at


def _table_rows(table: Path) -> Iterable[tuple[int, dict[str, str | None]]]:
    try:
        text = read_ordinary(table, _LARGEST_RECORD_BYTES).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""))
        columns = reader.fieldnames or []
        missing = [name for name in ("image", "count") if name not in columns]
        if missing:
            known = ", ".join(repr(printable(name)) for name in columns[:10]) or "none"
            raise InputError(
                f"the column {missing[0]!r} is missing (there are {known})",
                where=str(table),
                cure="name the columns image,count in the first line",
            )
        return [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError("the file is no CSV table", where=str(table), cure="save it as CSV in UTF-8") from error
    except OSError as error:
        raise InputError(
            f"the table cannot be read ({error.strerror or error})", where=str(table), cure="check the path"
        ) from error


def _files(path: Path, role: str, reporter: Reporter, *, recursive: bool) -> dict[str, Path]:
    """Give the files of one side by plain name; where a folder also holds pictures, only masks or labels.

    Files of folders inside are named with these, as `plate1/a01`.
    """
    found = find_images([path], recursive=recursive)
    if not is_folder(path) or is_zarr_folder(path):
        tell_left_out(found, reporter, how_to_search="--recursive")
        return _by_name(_chosen(found.images, [], path, role, reporter), path, "")
    files: dict[str, Path] = {}
    for folder, here in searched([path], recursive=recursive):
        recorded = _recorded(folder)
        if not recorded:
            tell_left_out(here, reporter, where=str(folder), how_to_search="--recursive")
        if here.images:
            chosen = _chosen(in_natural_order(here.images), recorded, folder, role, reporter)
            files |= _by_name(chosen, folder, "" if folder == path else f"{folder.relative_to(path).as_posix()}/")
    return files


def _chosen(every: Sequence[Path], recorded: list[Path], path: Path, role: str, reporter: Reporter) -> list[Path]:
    chosen, word = (recorded, "files of the last run") if recorded else _best_ending(every)
    if others := len(set(every) - set(chosen)):
        reporter.note(f"{role}: used of {path}: {len(chosen)} {word}; other images there: {others}")
    return chosen


def _by_name(chosen: Sequence[Path], path: Path, start: str) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for file in chosen:
        name = start + plain_name(image_stem(file))
        if name in files:
            raise InputError(
                f"{files[name].name!r} and {file.name!r} are both named {name!r} but for their endings",
                where=str(path),
                cure="keep one of them in this folder",
            )
        files[name] = file
    return files


def _recorded(folder: Path) -> list[Path]:
    """Give what `infer` or `count` say they left in a folder, where files of an older run may lie too."""
    inferred = read_infer_record(folder)
    if inferred:
        return [mask.mask for mask in inferred.masks]
    try:
        document = json.loads(read_ordinary(folder / "counts.json", _LARGEST_RECORD_BYTES))
        if not document["schema"].startswith("cellmonai.count/"):
            return []
        names = [name for row in document["images"] for name in row["outputs"] if name.endswith("_labels.tif")]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):  # not ours: ours is whole
        return []
    return [folder / name for name in names if os.path.basename(name) == name]  # noqa: PTH119 - a name, not a path


def _best_ending(files: Sequence[Path]) -> tuple[list[Path], str]:
    for endings, word in ((LABEL_ENDINGS, "label images"), (_MASK_ENDINGS, "masks")):
        chosen = [file for file in files if image_stem(file).lower().endswith(endings)]
        if chosen:
            return chosen, word
    return list(files), "images"


def _require_counterparts(predictions: Mapping[str, object], truth: Mapping[str, object], where: Path) -> None:
    without_truth = [name for name in sorted(predictions) if name not in truth]
    without_prediction = [name for name in sorted(truth) if name not in predictions]
    faults = [
        _fault("no truth for", without_truth, truth),
        _fault("no prediction for", without_prediction, predictions),
    ]
    if any(faults):
        raise InputError(
            "; ".join(fault for fault in faults if fault),
            where=str(where),
            cure="every image needs both: rename, add or take away files",
        )


def _fault(words: str, names: Sequence[str], others: Iterable[str]) -> str:
    if not names:
        return ""
    shown = []
    for name in names[:_MOST_NAMES]:
        near = nearest(name, others)
        shown.append(f"{name!r} (nearest: {near!r})" if near else repr(name))
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"{words} {', '.join(shown)}{more}"
