"""The JSON files of a Zarr folder, read with a limit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import InputError
from cellmonai.images.guard import reading, require_regular_file

if TYPE_CHECKING:
    from pathlib import Path

MAX_HEADER_BYTES = 16 * 2**20


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from an ordinary file of at most 16 MiB.

    Raises
    ------
    InputError
        Missing, a link, too large, no JSON, or no object.
    """
    size = require_regular_file(path, follow_links=False)
    if size > MAX_HEADER_BYTES:
        raise refused("is larger than 16 MiB", path)
    with reading(path, "the Zarr header"):
        document = json.loads(path.read_bytes())
    if not isinstance(document, dict):
        raise refused("is no JSON object", path)
    return document


def refused(what: str, path: Path) -> InputError:
    """Give the error about a header that cannot be used."""
    return InputError(
        f"the Zarr header {what}", where=str(path), cure="write the image again as OME-Zarr 0.4 or 0.5, or as OME-TIFF"
    )
