"""What an earlier run left in the output folder and must go, so that results of two runs never lie side by side."""

from __future__ import annotations

import json
import re
import stat
from os.path import realpath
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import OutputError
from cellmonai.core.files import resolved
from cellmonai.workflows.counting.audit import AUDIT_FOLDER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

_MOST_BYTES = 1 << 28
_TABLES = ("counts.csv", "cells.csv", "counts.json", "run.json", "report.html", "cells.parquet", "groups.csv")
_OWN_NAME = re.compile(r".*(_labels\.tif|_overlay\.png|\.geojson|_rois\.zip)|plate(_.*_[0-9]{2,})?\.png", re.DOTALL)
_OWN_AUDIT_NAME = re.compile(r"audit\.(csv|json)|README\.txt|[0-9]{3,}(_overlay)?\.png")


def old_outputs(folder: Path, *, tables: Collection[str] = _TABLES, keep: Collection[Path] = ()) -> list[str]:
    """Give the files that an earlier run of `count` says it wrote; what nobody listed is not ours and stays.

    Parameters
    ----------
    folder : the output folder
    tables : files that this run writes under fixed names, which go whether they are listed or not
    keep : files that this run reads, which stay whoever wrote them

    Returns
    -------
    names relative to the folder, with forward slashes

    Notes
    -----
    `counts.json` may be damaged or made up. Only regular files go, which lie in the folder itself and are called as
    `count` calls its own; links are not followed. An audit goes with the count that it was drawn from, unless somebody
    has begun to fill its sheet.
    """
    kept = {realpath(path) for path in keep}
    with_audit = _audit_is_untouched(folder / AUDIT_FOLDER)
    found = []
    for name in dict.fromkeys((*_listed(folder), *map(PurePosixPath, tables))):
        if _is_own(name, with_audit=with_audit):
            path = folder / name
            if _is_plain(path, folder) and realpath(path) not in kept:
                found.append(name.as_posix())
    return found


def _listed(folder: Path) -> Iterator[PurePosixPath]:
    """Give the outputs of the earlier run, relative to the folder, which may have been moved since."""
    outputs: Any = None
    record = folder / "counts.json"
    try:
        if stat.S_ISREG(record.lstat().st_mode) and record.stat().st_size < _MOST_BYTES:
            outputs = json.loads(record.read_text("utf-8"))["outputs"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return
    paths = [PurePosixPath(path) for path in outputs if isinstance(path, str)] if isinstance(outputs, list) else []
    base = next((path.parent for path in paths if path.name == "counts.json"), None)
    for path in paths:
        if base is not None and path.is_relative_to(base):
            yield path.relative_to(base)


def _is_own(name: PurePosixPath, *, with_audit: bool) -> bool:
    if len(name.parts) == 1:
        return name.name in _TABLES or _OWN_NAME.fullmatch(name.name) is not None
    is_audit = name.parts[:-1] in ((AUDIT_FOLDER,), (AUDIT_FOLDER, "overlays"))
    return is_audit and with_audit and _OWN_AUDIT_NAME.fullmatch(name.name) is not None


def _is_plain(path: Path, folder: Path) -> bool:
    """Tell whether it is a regular file in the folder, reached without any link below the folder."""
    try:
        inside = resolved(path.parent) == resolved(folder) / path.parent.relative_to(folder)
        return inside and stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def _audit_is_untouched(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    from cellmonai.workflows.auditing.draw import refuse_audit_in_the_way

    try:
        refuse_audit_in_the_way(folder, overwrite=True)
    except OutputError:
        return False
    return True
