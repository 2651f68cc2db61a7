"""One block of a plane as the files that hold it, so that another process can make them and send them as bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellmonai.images.bits import packed
from cellmonai.images.block_files import sum_of_bytes
from cellmonai.images.block_records import BlockRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cellmonai.images.map_encoding import MapsEncoder
    from cellmonai.images.source import Region


@dataclass(frozen=True, slots=True)
class EncodedBlock:
    """A finished block: what the journal says of it, its chunks by name, the bits of its mask or None where skipped."""

    record: BlockRecord
    chunks: Mapping[str, bytes]
    bits: bytes | None


def encode_block(encoder: MapsEncoder, box: Region, maps: NDArray[np.float32], mask: NDArray[np.bool_]) -> EncodedBlock:
    """Encode a block.

    Parameters
    ----------
    encoder : of the plane; one thread at a time may use it
    box : whole chunks of 512 px, as far as the plane goes
    maps : shape (K, h, w)
    mask : shape (h, w)

    Raises
    ------
    ValueError
        Box, maps and mask do not fit the plane or each other.
    """
    if mask.dtype != np.bool_ or mask.shape != (box[2] - box[0], box[3] - box[1]):
        raise ValueError(f"mask is {mask.dtype} {mask.shape}, expected bool and the size of {box}")
    bits = packed(mask)
    chunks = encoder.chunks(box, maps)
    record = BlockRecord(box, sum_of_bytes(chunks.values()), sum_of_bytes([bits]), int(np.count_nonzero(mask)))
    return EncodedBlock(record, chunks, bits)


def encode_skipped(encoder: MapsEncoder, box: Region) -> EncodedBlock:
    """Encode a block without signal: its maps and mask are zero."""
    maps = np.broadcast_to(np.float32(0), (encoder.shape[0], box[2] - box[0], box[3] - box[1]))
    chunks = encoder.chunks(box, maps)
    return EncodedBlock(BlockRecord(box, sum_of_bytes(chunks.values()), None, 0), chunks, None)
