"""The files of probability maps in OME-Zarr 0.5, made by zarr in memory: the metadata, and the chunks of any block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from zarr.core.buffer import Buffer

    from cellmonai.core.units import PixelSize
    from cellmonai.images.source import Region

MapsType = Literal["float16", "uint8"]

CHUNK = 512
"""Side of a chunk in px; blocks that begin at its multiples and end there or at the edge share none."""

BYTE_SCALE = 255.0


class MapsEncoder:
    """Turns maps into the files of one OME-Zarr folder; the same values give the same bytes, whatever the blocks.

    Parameters
    ----------
    shape : (C, Y, X)
    names : of the channels
    pixel_size_um : (y, x) or None
    dtype : "float16" keeps 11 bits of precision; "uint8" stores probabilities in steps of 1/255

    Attributes
    ----------
    metadata : content of the files that say what the maps are, by name relative to the folder
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        names: Sequence[str],
        pixel_size_um: PixelSize | None,
        dtype: MapsType,
    ) -> None:
        from zarr import open_group
        from zarr.codecs import Crc32cCodec, ZstdCodec
        from zarr.storage import MemoryStore

        self.shape, self.dtype = shape, dtype
        self._files: dict[str, Buffer] = {}
        group = open_group(
            MemoryStore(self._files), mode="w", zarr_format=3, attributes=_attributes(names, pixel_size_um, dtype)
        )
        self._array = group.create_array(
            "0",
            shape=shape,
            chunks=(1, min(CHUNK, shape[1]), min(CHUNK, shape[2])),
            dtype=dtype,
            compressors=[ZstdCodec(level=3), Crc32cCodec()],
            dimension_names=("c", "y", "x"),
            config={"write_empty_chunks": True},  # so that a missing chunk is a lost one
        )
        self.metadata = self._taken()

    def chunks(self, box: Region, maps: NDArray[np.floating[Any]]) -> dict[str, bytes]:
        """Give the chunks of a block, content by name relative to the folder, in the order of `chunk_names`.

        Parameters
        ----------
        box : as `is_whole_chunks` demands
        maps : shape (C, h, w)

        Raises
        ------
        ValueError
            The box cuts chunks, the maps do not fit it, or they lie outside [0, 1] and go to bytes.
        """
        row0, column0, row1, column1 = box
        if not is_whole_chunks(box, self.shape[1:]) or maps.shape != (self.shape[0], row1 - row0, column1 - column0):
            raise ValueError(f"maps {maps.shape} at {box} do not fit whole chunks of maps {self.shape}")
        if self.dtype == "uint8":
            if not (maps.min() >= 0 and maps.max() <= 1):
                raise ValueError("maps outside [0, 1] cannot be stored as uint8")
            self._array[:, row0:row1, column0:column1] = np.floor(maps * BYTE_SCALE + 0.5).astype(np.uint8)
        else:
            self._array[:, row0:row1, column0:column1] = maps.astype(np.float16)
        made = self._taken()
        return {name: made[name] for name in chunk_names(box, self.shape[0])}

    def _taken(self) -> dict[str, bytes]:
        """Take the files that zarr made out of its store."""
        made = {name: content.to_bytes() for name, content in self._files.items()}
        self._files.clear()
        return made


def is_whole_chunks(box: Region, shape: tuple[int, int]) -> bool:
    """Tell whether a box lies in a plane (Y, X), holds pixels, and begins and ends where chunks do or at the edge."""
    row0, column0, row1, column1 = box
    return all(
        0 <= start < end <= size and start % CHUNK == 0 and (end % CHUNK == 0 or end == size)
        for start, end, size in ((row0, row1, shape[0]), (column0, column1, shape[1]))
    )


def chunk_cells(box: Region) -> list[tuple[int, int]]:
    """Give (row, column) of each chunk that a box of whole chunks covers, in raster order."""
    row0, column0, row1, column1 = box
    return [
        (i, j) for i in range(row0 // CHUNK, -(-row1 // CHUNK)) for j in range(column0 // CHUNK, -(-column1 // CHUNK))
    ]


def chunk_names(box: Region, channels: int) -> list[str]:
    """Give the names of the chunks of a box, relative to the folder of the maps, channel by channel."""
    return [f"0/c/{channel}/{i}/{j}" for channel in range(channels) for i, j in chunk_cells(box)]


def _attributes(names: Sequence[str], pixel_size_um: PixelSize | None, dtype: MapsType) -> dict[str, Any]:
    unit = {"unit": "micrometer"} if pixel_size_um else {}
    scale = [1.0, *(float(size) for size in pixel_size_um or (1.0, 1.0))]
    axes = [{"name": "c", "type": "channel"}, *({"name": axis, "type": "space", **unit} for axis in "yx")]
    transform = [{"type": "scale", "scale": scale}]
    multiscale = {"name": "maps", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": transform}]}
    end = 255.0 if dtype == "uint8" else 1.0
    window = {"min": 0.0, "max": end, "start": 0.0, "end": end}
    channels = [{"label": name, "color": "FFFFFF", "active": True, "window": window} for name in names]
    return {
        "ome": {"version": "0.5", "multiscales": [multiscale], "omero": {"channels": channels}},
        "cellmonai": {
            "names": list(names),
            "pixel_size_um": list(pixel_size_um) if pixel_size_um else None,
            "one_is": BYTE_SCALE if dtype == "uint8" else 1.0,
        },
    }
