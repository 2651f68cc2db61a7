"""How objects are called in files that other programs show: by their label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def object_names(labels: NDArray[Any]) -> list[str]:
    """Give each label with leading zeros, all of one length, so that sorted names are sorted labels.

    Parameters
    ----------
    labels : whole numbers from 1 on, shape (N,)
    """
    width = len(str(int(labels.max(initial=1))))
    return [f"{label:0{width}d}" for label in labels.tolist()]
