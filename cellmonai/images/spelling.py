"""Folders and files opened as they are spelt on disk: `images` finds `Images` where capitals make a difference."""

from __future__ import annotations

import os
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def folded(name: str) -> str:
    """Return a name without capitals and with accents in one form, for comparison."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def as_spelt(path: Path) -> Path:
    """Return `path` as it is spelt on disk; unchanged where it exists, or where none or several are spelt alike."""
    if os.path.lexists(path) or path == path.parent:
        return path
    parent = as_spelt(path.parent)
    try:
        alike = [name for name in os.listdir(parent) if folded(name) == folded(path.name)]  # noqa: PTH208 - names alone
    except OSError:
        return path
    return parent / alike[0] if len(alike) == 1 else path


def folder_named(parent: Path, name: str) -> Path | None:
    """Return the folder `name` of `parent` as it is spelt on disk, None where there is none."""
    found = as_spelt(parent / name)
    return found if found.is_dir() else None
