"""OME-Zarr folders of both versions, as other programs write them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import zarr

if TYPE_CHECKING:
    import numpy as np

UNITS = {"T": "second", "Z": "micrometer", "Y": "micrometer", "X": "micrometer"}
TYPES = {"T": "time", "C": "channel"}


def write_ome_zarr(
    path: Path,
    levels: list[np.ndarray],
    axes: str,
    *,
    version: str = "0.5",
    size: dict[str, float] | None = None,
    units: dict[str, str] | None = None,
    channels: list[str] | None = None,
    **options: Any,  # noqa: ANN401 - what zarr takes
) -> None:
    """Write levels, full size first, with `options` for each array (chunks, shards, compressors, fill_value, order)."""
    units = UNITS if units is None else units
    described = [
        {"name": a.lower(), "type": TYPES.get(a, "space"), **({"unit": units[a]} if a in units else {})} for a in axes
    ]
    datasets = []
    for number, level in enumerate(levels):
        ratios = [n / m for n, m in zip(levels[0].shape, level.shape, strict=True)]
        scale = [(size or {}).get(a, 1.0) * ratio for a, ratio in zip(axes, ratios, strict=True)]
        steps = [{"type": "scale", "scale": scale}] if size is not None else []
        datasets.append({"path": str(number), "coordinateTransformations": steps})
    multiscale: dict[str, Any] = {"axes": described, "datasets": datasets}
    ome: dict[str, Any] = {"multiscales": [multiscale]}
    if channels:
        ome["omero"] = {"channels": [{"label": name} for name in channels]}
    if version == "0.4":
        multiscale["version"] = "0.4"
        group = zarr.open_group(path, mode="w", zarr_format=2, attributes=ome)
    else:
        group = zarr.open_group(path, mode="w", zarr_format=3, attributes={"ome": {"version": version, **ome}})
    for number, level in enumerate(levels):
        if version == "0.4":
            options = {"chunk_key_encoding": {"name": "v2", "separator": "/"}, **options}
        array = group.create_array(str(number), shape=level.shape, dtype=level.dtype, **options)
        array[...] = level
