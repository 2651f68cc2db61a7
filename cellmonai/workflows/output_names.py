"""Names of outputs, one per input: the stem where it suffices, with the folder or suffix where stems collide."""

from __future__ import annotations

import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

from cellmonai.core.files import resolved

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


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
    folders = [resolved(path).parent.parts[1:] for path in paths]
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
