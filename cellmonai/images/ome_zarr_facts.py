"""What the metadata of an OME-Zarr 0.4 or 0.5 folder say: axes, resolutions, channel names, pixel size.

https://ngff.openmicroscopy.org/0.5/ : version 0.4 keeps them in `.zattrs`, 0.5 in `zarr.json` under "ome".
"""

from __future__ import annotations

import math
import os
import stat
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import InputError
from cellmonai.images.resolution import both, micrometres
from cellmonai.images.zarr_json import read_json, refused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cellmonai.core.units import PixelSize

MAX_LEVELS = 64


@dataclass(frozen=True, slots=True)
class OmeZarr:
    """One multiscale image.

    Parameters
    ----------
    axes : as "TCZYX", slowest first
    levels : folders of its arrays, full size first
    channels : names, () where there are none
    pixel_size_um : (y, x) of the first level, or None
    notes : what was left out, in words
    z_step_um : from one depth to the next, or None
    """

    axes: str
    levels: tuple[Path, ...]
    channels: tuple[str, ...]
    pixel_size_um: PixelSize | None
    notes: tuple[str, ...]
    z_step_um: float | None = None


def read_ome_zarr(folder: Path) -> OmeZarr:
    """Read the metadata of an image; a folder of bioformats2raw with one image in it is that image.

    Raises
    ------
    InputError
        No or damaged metadata, another version, a plate or several images, a path that leads out of the folder, a link,
        or probability maps of cellmonai.
    """
    attributes = attributes_of(folder)
    if "cellmonai" in attributes:
        raise InputError(
            "these are the probability maps of cellmonai infer, not an image",
            where=str(folder),
            cure="name the images, or count the masks beside it",
            code="maps",
        )
    ome = attributes.get("ome") if (folder / "zarr.json").exists() else attributes
    if not isinstance(ome, dict):
        raise _nothing(folder)
    if "multiscales" not in ome:
        return read_ome_zarr(_only_series(folder, ome))
    multiscales = ome["multiscales"]
    if not isinstance(multiscales, list) or not multiscales or not isinstance(multiscales[0], dict):
        raise refused("has damaged multiscales", folder)
    first = multiscales[0]
    version = str(ome.get("version") or first.get("version") or ("0.5" if ome is not attributes else "0.4"))
    if not version.startswith(("0.4", "0.5")):
        raise InputError(
            f"it is OME-Zarr {version[:20]}, and 0.4 and 0.5 are read", where=str(folder), cure="convert it to 0.5"
        )
    axes, units = _axes(first, folder)
    datasets = first.get("datasets")
    if not isinstance(datasets, list) or not 0 < len(datasets) <= MAX_LEVELS:
        raise refused("names no datasets, or too many", folder)
    scale = _scale(first, datasets[0], len(axes))
    others = len(multiscales) - 1
    return OmeZarr(
        axes=axes,
        levels=tuple(_level(folder, dataset) for dataset in datasets),
        channels=_channels(ome.get("omero")),
        pixel_size_um=_pixel_size(axes, units, scale),
        z_step_um=micrometres(scale[axes.index("Z")], units[axes.index("Z")]) if scale and "Z" in axes else None,
        notes=(f"{others} further multiscale images left out",) if others else (),
    )


def is_maps_folder(folder: Path) -> bool:
    """Tell whether `folder` holds probability maps that `write_maps` wrote."""
    try:
        return "cellmonai" in attributes_of(folder)
    except InputError:
        return False


def attributes_of(folder: Path) -> dict[str, Any]:
    """Read the attributes of a Zarr group, of either version.

    Raises
    ------
    InputError
        It has none, or they are damaged.
    """
    new, old = folder / "zarr.json", folder / ".zattrs"
    if os.path.lexists(new):
        document = read_json(new)
        attributes = document.get("attributes", {})
        if document.get("node_type") != "group" or not isinstance(attributes, dict):
            raise _nothing(folder)
        return attributes
    if os.path.lexists(old):
        return read_json(old)
    raise _nothing(folder)


def _nothing(folder: Path) -> InputError:
    return InputError(
        "this Zarr folder has no metadata of an OME-Zarr image, so that its axes are unknown",
        where=str(folder),
        cure="write it again as OME-Zarr 0.4 or 0.5, or as OME-TIFF",
    )


def _only_series(folder: Path, ome: dict[str, Any]) -> Path:
    """Give the only image of a collection, or say how to name one of them."""
    if "plate" in ome or "well" in ome:
        kind, example = ("plate", "A/1/0") if "plate" in ome else ("well", "0")
        raise InputError(
            f"it is a {kind} of many images", where=str(folder), cure=f"name one field, as {folder.name}/{example}"
        )
    if isinstance(ome.get("labels"), list):
        names = ", ".join(str(name) for name in ome["labels"][:3])
        raise InputError("it is a folder of label images", where=str(folder), cure=f"name one of them: {names}")
    if "bioformats2raw.layout" not in ome:
        raise _nothing(folder)
    series = [inside(folder, str(i)) for i in range(2) if (folder / str(i)).is_dir()]
    if len(series) != 1:
        raise InputError("it holds several images or none", where=str(folder), cure=f"name one, as {folder.name}/0")
    if "multiscales" not in (attributes_of(series[0]).get("ome") or attributes_of(series[0])):
        raise _nothing(series[0])
    return series[0]


def inside(folder: Path, name: object) -> Path:
    """Give the folder `name` in `folder`.

    Raises
    ------
    InputError
        The name leads out of the folder, or over a link.
    """
    path = PurePosixPath(name) if isinstance(name, str) and name and "\\" not in name and "\0" not in name else None
    if path is None or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise refused(f"names a place outside of the folder ({str(name)[:60]!r})", folder)
    place = folder
    for part in path.parts:
        place = place / part
        if place.is_symlink() or not stat.S_ISDIR(_mode(place)):
            raise refused(f"names {str(path)!r}, which is no folder in it (links are not followed)", folder)
    return place


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except OSError:
        return 0


def _level(folder: Path, dataset: object) -> Path:
    if not isinstance(dataset, dict):
        raise refused("has damaged datasets", folder)
    return inside(folder, dataset.get("path"))


def _axes(multiscale: dict[str, Any], folder: Path) -> tuple[str, tuple[str, ...]]:
    """Give the letters of the axes and their units ("" for none)."""
    axes = multiscale.get("axes")
    if not isinstance(axes, list) or not 2 <= len(axes) <= 5 or not all(isinstance(axis, dict) for axis in axes):
        raise refused("names no axes, or in a way that is not of version 0.4 or 0.5", folder)
    names = [str(axis.get("name", "")).upper() for axis in axes]
    if not {"X", "Y"} <= set(names) <= set("TCZYX") or len(set(names)) != len(names):
        raise refused(f"names the axes {', '.join(names)[:60]}, expected some of t, c, z and y, x", folder)
    return "".join(names), tuple(str(axis.get("unit") or "") for axis in axes)


def _scale(multiscale: dict[str, Any], dataset: object, count: int) -> Sequence[float]:
    """Give the step along each axis, or () where it is not written or no number."""
    steps = _scale_in(dataset, count)
    whole = _scale_in(multiscale, count) or [1.0] * count
    return [a * b for a, b in zip(steps, whole, strict=True)] if steps else ()


def _scale_in(described: object, count: int) -> list[float]:
    transformations = described.get("coordinateTransformations") if isinstance(described, dict) else None
    for step in transformations if isinstance(transformations, list) else []:
        scale = step.get("scale") if isinstance(step, dict) and step.get("type") == "scale" else None
        if isinstance(scale, list) and len(scale) == count and all(_is_length(value) for value in scale):
            return [float(value) for value in scale]
    return []


def _is_length(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value > 0  # type: ignore[arg-type, operator]


def _pixel_size(axes: str, units: Sequence[str], scale: Sequence[float]) -> PixelSize | None:
    if not scale:
        return None
    y, x = axes.index("Y"), axes.index("X")
    return both(micrometres(scale[y], units[y]), micrometres(scale[x], units[x]))


def _channels(omero: object) -> tuple[str, ...]:
    channels = omero.get("channels") if isinstance(omero, dict) else None
    if not isinstance(channels, list):
        return ()
    labels = [channel.get("label") if isinstance(channel, dict) else None for channel in channels]
    return tuple(str(label) for label in labels) if all(label not in (None, "") for label in labels) else ()
