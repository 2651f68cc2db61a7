"""Names of outputs, one per input: the stem where it suffices, with the folder or suffix where stems collide."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError
from cellmonai.core.files import resolved

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


_USUAL_LONGEST_NAME = 255


def require_short_names(names: Iterable[str], folder: Path, *, of: Path) -> None:
    """Refuse an input whose outputs would have longer names than the file system of `folder` takes.

    Raises
    ------
    InputError
        A name is too long; it names the input `of`, so that the others are done all the same.
    """
    longest = max(names, key=_length, default="")
    limit = _longest_name(folder)
    if _length(longest) > limit:
        raise InputError(
            f"its name is too long: that of a result, …{longest[-24:]}, would have {_length(longest)} bytes of {limit}",
            where=str(of),
            cure="give it a shorter name",
        )


def _length(name: str) -> int:
    return len(os.fsencode(name)) if os.name == "posix" else len(name)


def _longest_name(folder: Path) -> int:
    existing = next((place for place in (folder, *folder.absolute().parents) if place.is_dir()), None)
    try:
        limit = os.pathconf(existing, "PC_NAME_MAX") if existing is not None and hasattr(os, "pathconf") else 0
    except (OSError, ValueError):
        limit = 0
    return limit if limit > 0 else _USUAL_LONGEST_NAME


def distinct_names(paths: Sequence[Path], stems: Sequence[str]) -> list[str]:
    """Give each path a name that no other has, the same whatever the order of the paths.

    Parameters
    ----------
    paths : the inputs, all different
    stems : what each would be called if it were alone

    Returns
    -------
    The stems; where several are equal (also but for case, as file systems may ignore it), the parent folders are put
    in front until they differ (`plate1_a`), and files that differ in their suffix only get it at the end (`a_png`).

    Examples
    --------
    >>> from pathlib import Path
    >>> distinct_names([Path("p1/a.tif"), Path("p2/a.tif"), Path("b.tif")], ["a", "a", "b"])
    ['p1_a', 'p2_a', 'b']
    """
    names = list(stems)
    folders = [resolved(path.parent).parts[1:] for path in paths]  # of a link, where it lies
    for depth in range(1, max((len(parts) for parts in folders), default=0) + 1):
        colliding = _colliding(names)
        if not colliding:
            return names
        for i in colliding:
            names[i] = "_".join([*folders[i][-depth:], stems[i]])
    for i in _colliding(names):
        names[i] = stems[i] + "_" + paths[i].name.removeprefix(stems[i]).lstrip("._").replace(".", "_")
    while colliding := _colliding(names):
        for rank, i in enumerate(sorted(colliding, key=lambda i: str(paths[i]))):
            names[i] = f"{names[i]}_{rank + 1}"
    return names


def _colliding(names: Sequence[str]) -> list[int]:
    keys = [unicodedata.normalize("NFC", name).casefold() for name in names]
    counts = Counter(keys)
    return [i for i, key in enumerate(keys) if counts[key] > 1]
