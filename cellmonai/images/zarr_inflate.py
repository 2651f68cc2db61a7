"""A chunk of a Zarr array back from its compressed form, into a buffer that was measured before.

The usual decoders believe the size that the compressed data claim: 30 kB of zstd can ask for a gigabyte.
"""

from __future__ import annotations

import bz2
import zlib

INFLATABLE = ("blosc", "bz2", "gzip", "lz4", "zlib", "zstd")
"""Compressions that are read, as numcodecs names them."""


def inflate(kind: str, data: bytes, most: int) -> bytes:
    """Decompress `data`, or fail without having made room for more than `most` bytes.

    Parameters
    ----------
    kind : one of `INFLATABLE`

    Raises
    ------
    ValueError
        The content is longer than `most` bytes.
    Exception
        The data are damaged; each decoder has an error of its own.
    """
    match kind:
        case "gzip" | "zlib":
            stream = zlib.decompressobj(47)  # either header
            content = stream.decompress(data, most + 1)
            return _complete(content, most, at_end=stream.eof)
        case "bz2":
            unzip = bz2.BZ2Decompressor()
            content = unzip.decompress(data, most + 1)
            return _complete(content, most, at_end=unzip.eof)
        case "lz4":
            if int.from_bytes(data[:4], "little") > most:
                raise ValueError(f"a chunk claims to be more than {most} bytes")
            from imagecodecs import lz4_decode

            return bytes(lz4_decode(data, header=True))
        case "blosc":
            if int.from_bytes(data[4:8], "little") > most:
                raise ValueError(f"a chunk claims to be more than {most} bytes")
            if len(data) < 16 or int.from_bytes(data[12:16], "little") != len(data):
                raise ValueError("a chunk is not as long as it claims")  # the decoder believes it, and reads on
            from imagecodecs import blosc_decode

            return bytes(blosc_decode(data, out=most))
        case _:
            from imagecodecs import zstd_decode

            return bytes(zstd_decode(data, out=most))


def _complete(content: bytes, most: int, *, at_end: bool) -> bytes:
    if len(content) > most:
        raise ValueError(f"a chunk inflates to more than {most} bytes")
    if not at_end:
        raise ValueError("a chunk is cut short")
    return content
