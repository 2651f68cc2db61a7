"""ZIP archives of very many small files, stored as they are; `zipfile` takes longer over each than its content does."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from typing import BinaryIO

# PKWARE APPNOTE 6.3.10: 4.3.7 local header, 4.3.12 central header, 4.3.14 to 4.3.16 ends; 4.5.3 the extra field
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_LARGE_OFFSET = struct.Struct("<2HQ")
_LARGE_END = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_END = struct.Struct("<4s4H2IH")
_VERSION, _LARGE_VERSION = 20, 45
_STORED = 0
_TIME, _DATE = 0, 1 << 5 | 1  # midnight of 1 January 1980, the earliest: equal content, equal files
_MAX_SHORT, _MAX_LONG = 0xFFFF, 0xFFFFFFFF


class StoredZip:
    """A ZIP that grows by one file after the other; `close` makes it complete.

    Parameters
    ----------
    stream : opened for writing, at its start
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._offset = 0
        self._count = 0
        self._directory = bytearray()

    def add(self, name: str, content: bytes) -> None:
        """Add a file of less than 4 GiB; its name is in ASCII and not checked against those before it."""
        encoded, size = name.encode("ascii"), len(content)
        if size >= _MAX_LONG:
            raise ValueError(f"{name} has {size} bytes, and a file here has less than 4 GiB")
        facts = (0, _STORED, _TIME, _DATE, crc32(content), size, size, len(encoded))
        self._stream.write(b"".join([_LOCAL.pack(b"PK\3\4", _VERSION, *facts, 0), encoded, content]))
        is_far = self._offset >= _MAX_LONG
        extra = _LARGE_OFFSET.pack(1, 8, self._offset) if is_far else b""
        version = _LARGE_VERSION if is_far else _VERSION
        place = min(self._offset, _MAX_LONG)
        self._directory += _CENTRAL.pack(b"PK\1\2", version, version, *facts, len(extra), 0, 0, 0, 0, place)
        self._directory += encoded + extra
        self._offset += _LOCAL.size + len(encoded) + size
        self._count += 1

    def close(self) -> None:
        """Write the directory, in the large form where there are many files or bytes; the stream stays open."""
        self._stream.write(self._directory)
        count, size, start = self._count, len(self._directory), self._offset
        if count >= _MAX_SHORT or max(size, start) >= _MAX_LONG:
            versions = (_LARGE_VERSION, _LARGE_VERSION)
            rest = _LARGE_END.size - 12
            self._stream.write(_LARGE_END.pack(b"PK\6\6", rest, *versions, 0, 0, count, count, size, start))
            self._stream.write(_LOCATOR.pack(b"PK\6\7", 0, start + size, 1))
        short = min(count, _MAX_SHORT)
        self._stream.write(_END.pack(b"PK\5\6", 0, 0, short, short, min(size, _MAX_LONG), min(start, _MAX_LONG), 0))
