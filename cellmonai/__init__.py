"""Segment and count cells in microscopy images, on MONAI.

The commands as functions: `fit`, `infer`, `count` and `evaluate`, each loaded at first use, so that
`cellmonai.count([Path("masks")]).total` needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cellmonai.workflows.count import count as count
    from cellmonai.workflows.evaluate import evaluate as evaluate
    from cellmonai.workflows.fit import fit as fit
    from cellmonai.workflows.infer import infer as infer

__all__ = ["count", "evaluate", "fit", "infer"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a function of the Python API
    if name in __all__:
        return getattr(import_module(f"cellmonai.workflows.{name}"), name)
    raise AttributeError(f"module 'cellmonai' has no attribute {name!r}")
