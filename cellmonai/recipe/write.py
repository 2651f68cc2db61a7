"""A recipe as text again, and its digest."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

if TYPE_CHECKING:
    from cellmonai.recipe.schema import Recipe


def resolved_toml(recipe: Recipe) -> str:
    """Give the recipe with every value written out; loading it gives an equal recipe."""
    return tomli_w.dumps(recipe_document(recipe))


def recipe_document(recipe: Recipe) -> dict[str, Any]:
    """Give the recipe as the plain document that TOML and JSON hold; values that are not set are left out."""
    document = recipe.model_dump(mode="json", exclude_none=True)
    if recipe.normalise.method in ("zscore", "none"):  # these have no bounds, and the schema refuses some
        document["normalise"] = {"method": recipe.normalise.method, "scope": recipe.normalise.scope}
    document["augment"] = [{"name": row.name} | _plain(row.parameters) for row in recipe.augment]
    return document


def digest_of(recipe: Recipe) -> str:
    """Give the SHA-256 of the recipe's canonical JSON, in hexadecimal.

    The data's root is left out and paths inside it are relative, because where a disk is mounted changes no result;
    what lies there is told by the data's own fingerprint.
    """
    document = recipe_document(recipe)
    data = document["data"]
    folders = {key: Path(data[key]) for key in ("images", "masks") if key in data}
    parents = [folder.parent for folder in folders.values()] or [Path()]
    root = Path(data.pop("root", None) or os.path.commonpath(parents))
    data |= {key: _inside(folder, root) for key, folder in folders.items()}
    data["tables"] = [_inside(Path(table), root) for table in data["tables"]]
    if artefacts := document["sampling"].get("artefacts"):
        artefacts["model"] = Path(artefacts["model"]).name
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _inside(path: Path, root: Path) -> str:
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def _plain(parameters: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in parameters.items()}
