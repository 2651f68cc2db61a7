"""Tiled slides of noise, and the digests of what `infer` makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from cellmonai.core.files import sha256_of


def write_slide(name: str, rows: int, columns: int, *, seed: int = 0) -> Path:
    """Write 8-bit noise as a tiled, compressed TIFF with pixels of 0.5 µm."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (rows, columns), np.uint8)
    tifffile.imwrite(path, pixels, tile=(256, 256), compression="deflate", resolution=(20000, 20000), resolutionunit=3)
    return path


def digests_in(folder: str) -> dict[str, str]:
    """Give the digest of every result in an output folder, but for its record and its lock."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    names = [path for path in files if path.name not in ("run.json", ".cellmonai.lock")]
    return {str(path.relative_to(folder)): sha256_of(path) for path in names}
