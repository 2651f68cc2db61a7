"""NIfTI through nibabel: its first axis is x, so that pictures are stored (X, Y, Z, T, C)."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.axes import arrange, check_axes, plane_names, shape_of
from cellmonai.images.guard import reading
from cellmonai.images.resolution import both, micrometres
from cellmonai.images.source import ImageFacts, ImageSource, Region, default_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellmonai.core.units import PixelSize
    from cellmonai.images.budget import Budget

_AXES = "XYZTC"


def open_nifti(path: Path, budget: Budget, *, axes: str | None) -> ImageSource:
    """Open a NIfTI file; a compressed one is read whole, so that its size must fit the budget."""
    import nibabel

    with reading(path, "the NIfTI header"), _quiet():
        image: Any = nibabel.load(path)
        stored = tuple(int(n) for n in image.header.get_data_shape())
        dtype = np.dtype(image.header.get_data_dtype())
        slope, offset = image.header.get_slope_inter()
        scaled = (slope is not None and slope != 1) or bool(offset)
        size = _pixel_size(image.header)
    if dtype.kind not in "buif" or not 2 <= len(stored) <= len(_AXES):
        raise InputError(
            f"it holds {dtype} values with {len(stored)} axes", where=str(path), cure="save a picture or a stack"
        )
    axes = check_axes(axes or _AXES[: len(stored)], len(stored), path)
    shape = shape_of(stored, axes)
    decoded = prod(stored) * dtype.itemsize
    if path.name.lower().endswith(".gz"):
        budget.require(decoded, "the compressed image", where=path)
        budget.require_ratio(decoded, path.stat().st_size, where=path)
    elif decoded > path.stat().st_size:
        raise InputError("the file is cut short", where=str(path), cure="export the image again")
    facts = ImageFacts(
        stored_axes=axes,
        shape=shape,
        channels=default_names(shape[0]),
        dtype=np.dtype(np.float32) if scaled else dtype.newbyteorder("="),
        pixel_size_um=size if axes.startswith("XY") else None,
        levels=(shape[1:],),
        planes=plane_names("".join(c for c in axes), stored),
        z_step_um=_z_step(image.header) if axes.startswith("XYZ") else None,
    )
    return NiftiSource(path, facts, budget, image, scaled=scaled)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep nibabel from printing which header fields it mended; its own means to do so loses its handlers."""
    logger = logging.getLogger("nibabel.global")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _pixel_size(header: Any) -> PixelSize | None:  # noqa: ANN401 - nibabel has no types
    unit = {"micron": "um"}.get(header.get_xyzt_units()[0], header.get_xyzt_units()[0])
    x, y = (float(value) for value in header.get_zooms()[:2])
    return both(micrometres(y, unit), micrometres(x, unit))


def _z_step(header: Any) -> float | None:  # noqa: ANN401 - nibabel has no types
    unit = header.get_xyzt_units()[0]
    return micrometres(float(header.get_zooms()[2]), {"micron": "um"}.get(unit, unit))


class NiftiSource(ImageSource):
    """An open NIfTI file."""

    def __init__(self, path: Path, facts: ImageFacts, budget: Budget, image: Any, *, scaled: bool) -> None:  # noqa: ANN401
        super().__init__(path, facts, budget)
        self._image, self._scaled = image, scaled
        self._arranged: NDArray[Any] | None = None

    def _read(self, box: Region, channels: Sequence[int], level: int, plane: int) -> NDArray[Any]:
        if self._arranged is None:
            proxy = self._image.dataobj
            array = np.asanyarray(proxy) if self._scaled else np.asanyarray(proxy.get_unscaled())
            self._arranged = arrange(array, self.stored_axes)
        part = self._arranged[plane, list(channels), box[0] : box[2], box[1] : box[3]]
        return np.ascontiguousarray(part, dtype=self.dtype)
