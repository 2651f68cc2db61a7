"""A Zarr array opened with the library of that name, on a store that hands out nothing it has not looked at."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from zarr import open_array
from zarr.abc.codec import BytesBytesCodec
from zarr.abc.store import RangeByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.registry import register_codec
from zarr.storage import LocalStore

from cellmonai.core.errors import InputError
from cellmonai.images.source import Stamp, changed_while_read, stamp_in, stamp_of
from cellmonai.images.zarr_header import INFLATE
from cellmonai.images.zarr_inflate import inflate

if TYPE_CHECKING:
    from zarr import Array
    from zarr.abc.store import ByteRequest
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, BufferPrototype

    from cellmonai.images.zarr_header import ZarrArray

MOST_STAMPS = 200_000
"""Files of one array whose change is noticed; each takes some 200 bytes of memory."""


def open_zarr(array: ZarrArray) -> tuple[Array[Any], GuardedStore]:
    """Open an array whose header was checked, for reading; the store remembers which files were read."""
    register_codec(INFLATE, BoundedInflate)
    store = GuardedStore(array)
    return open_array(store, mode="r", zarr_format=3), store


class GuardedStore(LocalStore):
    """The files of one array: no links, no other folders, no file or part that is longer than a chunk can be.

    The header is the one that was checked, not the one in the folder.
    """

    def __init__(self, array: ZarrArray) -> None:
        super().__init__(array.folder, read_only=True)
        self._array = array
        self._header = json.dumps(array.header).encode()
        self._known_folders: set[str] = set()
        self.stamps: dict[str, Stamp | None] = {}

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Give what lies under a key, or None where nothing does."""
        if key == "zarr.json":
            return (prototype or default_buffer_prototype()).buffer.from_bytes(self._header)
        self._check(key, byte_range)
        return await super().get(key, prototype, byte_range)

    def get_sync(
        self, key: str, *, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """As `get`; not every release of the library asks in this way."""
        if key == "zarr.json":
            return (prototype or default_buffer_prototype()).buffer.from_bytes(self._header)
        self._check(key, byte_range)
        return super().get_sync(key, prototype=prototype, byte_range=byte_range)

    def _check(self, key: str, byte_range: ByteRequest | None) -> None:
        parts = key.split("/")
        if ".." in parts or key.startswith("/"):
            raise self._refused(f"the key {key[:60]!r} leads out of the folder")
        for end in range(1, len(parts) + 1):
            name = "/".join(parts[:end])
            if name in self._known_folders:
                continue
            try:
                status = os.lstat(self.root / name)
            except OSError:  # not stored
                self._remember(key, None)
                return
            if stat.S_ISDIR(status.st_mode):
                self._known_folders.add(name)
            elif not stat.S_ISREG(status.st_mode):
                raise self._refused(f"{name!r} in it is a link or a device, which are not followed")
            elif status.st_size > self._array.most_file_bytes:
                raise self._refused(f"{name!r} has {status.st_size:,} bytes, more than a chunk of it can have")
            else:
                self._remember(key, stamp_in(status))
        if isinstance(byte_range, RangeByteRequest):
            asked = byte_range.end - byte_range.start
            if asked > max(self._array.most_stored_bytes, 16 * self._array.shard_parts + 4096):
                raise self._refused(f"a part of {key!r} claims {asked:,} bytes")

    def _remember(self, key: str, stamp: Stamp | None) -> None:
        if len(self.stamps) < MOST_STAMPS:
            self.stamps.setdefault(key, stamp)

    def require_unchanged(self) -> None:
        """Refuse what was read when a file that it was read from was written to meanwhile.

        Raises
        ------
        InputError
            A file is another one, was changed, has appeared or is gone.
        """
        for key, stamp in self.stamps.items():
            if stamp_of(self.root / key) != stamp:
                raise changed_while_read(self.root / key)

    def _refused(self, what: str) -> InputError:
        return InputError(what, where=str(self.root), cure="export the image again")


@dataclass(frozen=True)
class BoundedInflate(BytesBytesCodec):
    """Decompress into a buffer of known size.

    Parameters
    ----------
    kind : one of `INFLATABLE`
    most : bytes that the content may have
    """

    kind: str
    most: int
    is_fixed_size = False

    @classmethod
    def from_dict(cls, data: Any) -> Self:  # noqa: ANN401 - JSON
        """Make it from its entry in the header."""
        return cls(**data["configuration"])

    def to_dict(self) -> dict[str, Any]:
        """Give its entry in the header."""
        return {"name": INFLATE, "configuration": {"kind": self.kind, "most": self.most}}

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> Buffer:
        content = await asyncio.to_thread(inflate, self.kind, chunk_data.to_bytes(), self.most)
        return chunk_spec.prototype.buffer.from_bytes(content)

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Unknown before compressing, and nothing is written with it."""
        raise NotImplementedError
