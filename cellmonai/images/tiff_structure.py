"""The skeleton of a TIFF file: its image file directories (IFDs), walked before a library is let at them.

tifffile notices a loop of directories only at some lengths and follows loops of sub-directories without end;
here every offset is visited once, and nothing is allocated that the file does not hold.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from cellmonai.core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

MAX_DIRECTORIES = 100_000
MAX_DEPTH = 8
MAX_TAGS = 4096

_WIDTH, _LENGTH, _SUBFILE, _SAMPLES, _TILE_WIDTH, _SUBIFDS = 256, 257, 254, 277, 322, 330
_MAGNIFICATION, _DEPTH = 65421, 65424  # of Hamamatsu
_WANTED = {_WIDTH, _LENGTH, _SUBFILE, _SAMPLES, _TILE_WIDTH, _SUBIFDS, _MAGNIFICATION, _DEPTH}
_FORMATS = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4), 9: ("i", 4), 11: ("f", 4), 13: ("I", 4), 16: ("Q", 8), 18: ("Q", 8)}


@dataclass(frozen=True, slots=True)
class Directory:
    """What one IFD says about its picture: size in pixels, samples per pixel, role, and its sub-directories.

    `magnification` and `depth` stand in slide scans of Hamamatsu only.
    """

    width: int
    height: int
    samples: int
    subfile: int
    tiled: bool
    children: tuple[Directory, ...]
    magnification: float | None = None
    depth: int = 0

    @property
    def reduced(self) -> bool:
        """Whether it is marked as a smaller copy, a label picture or a transparency mask."""
        return bool(self.subfile & 0b1101)


def is_smaller_copy(small: Directory, large: Directory) -> bool:
    """Tell whether `small` has the samples and the proportions of `large` at a lower resolution."""
    if small.samples != large.samples or not 0 < small.width < large.width or not 0 < small.height <= large.height:
        return False
    factor = large.width / small.width
    return factor >= 1.2 and abs(small.height - large.height / factor) <= 1.5


@dataclass(frozen=True, slots=True)
class _Format:
    """Byte order, and how wide offsets are: Hamamatsu's classic files have 64-bit offsets from directory to directory.

    https://openslide.org/formats/hamamatsu/
    """

    order: str
    big: bool
    hamamatsu: bool = False

    @property
    def offset(self) -> str:
        return self.order + ("Q" if self.big else "I")

    @property
    def following(self) -> str:
        return self.order + ("Q" if self.big or self.hamamatsu else "I")


class _Walk:
    """One walk over the directories of an open file."""

    def __init__(self, stream: BinaryIO, path: Path, *, hamamatsu: bool) -> None:
        self.stream, self.path, self.hamamatsu = stream, path, hamamatsu
        self.size = stream.seek(0, 2)
        self.seen: set[int] = set()

    def directories(self) -> tuple[Directory, ...]:
        self.format, first = self._header()
        found, offset = [], first
        while offset:
            directory, offset = self._directory(offset, depth=0)
            found.append(directory)
        if not found:
            raise self._broken("the file holds no picture")
        return tuple(found)

    def _header(self) -> tuple[_Format, int]:
        start = self._bytes(0, 8)
        order = "<" if start[:2] == b"II" else ">"
        big = struct.unpack(order + "H", start[2:4])[0] == 43
        form = _Format(order, big, self.hamamatsu and not big)
        where = 8 if big else 4
        return form, self._following(form, where)

    def _following(self, form: _Format, where: int) -> int:
        return int(struct.unpack(form.following, self._bytes(where, struct.calcsize(form.following)))[0])

    def _directory(self, offset: int, *, depth: int) -> tuple[Directory, int]:
        if offset in self.seen:
            raise self._broken("its directories form a loop")
        if depth > MAX_DEPTH or len(self.seen) >= MAX_DIRECTORIES:
            raise self._broken(f"it has more than {MAX_DIRECTORIES} directories or {MAX_DEPTH} levels of them")
        self.seen.add(offset)
        big, order = self.format.big, self.format.order
        counted = 8 if big else 2
        tags = struct.unpack(order + ("Q" if big else "H"), self._bytes(offset, counted))[0]
        if not 0 < tags <= MAX_TAGS:
            raise self._broken(f"a directory claims {tags} tags")
        entry = 20 if big else 12
        block = self._bytes(offset + counted, tags * entry)
        facts: dict[int, tuple[Any, ...]] = {}
        for i in range(0, len(block), entry):
            self._tag(block[i : i + entry], facts)
        return self._made(facts, depth), self._following(self.format, offset + counted + len(block))

    def _made(self, facts: dict[int, tuple[Any, ...]], depth: int) -> Directory:
        children = [self._directory(child, depth=depth + 1)[0] for child in facts.get(_SUBIFDS, ()) if child]
        hamamatsu = self.format.hamamatsu
        return Directory(
            width=_first(facts, _WIDTH, 0),
            height=_first(facts, _LENGTH, 0),
            samples=_first(facts, _SAMPLES, 1),
            subfile=_first(facts, _SUBFILE, 0),
            tiled=_TILE_WIDTH in facts,
            children=tuple(children),
            magnification=float(facts[_MAGNIFICATION][0]) if hamamatsu and facts.get(_MAGNIFICATION) else None,
            depth=_first(facts, _DEPTH, 0) if hamamatsu else 0,
        )

    def _tag(self, entry: bytes, facts: dict[int, tuple[Any, ...]]) -> None:
        code, kind = struct.unpack(self.format.order + "HH", entry[:4])
        if code not in _WANTED or kind not in _FORMATS:
            return
        count = struct.unpack(self.format.offset, entry[4:12] if self.format.big else entry[4:8])[0]
        letter, size = _FORMATS[kind]
        if count > (MAX_TAGS if code == _SUBIFDS else 16):
            raise self._broken(f"tag {code} claims {count} values")
        inline = entry[12:] if self.format.big else entry[8:]
        if count * size > len(inline):
            inline = self._bytes(struct.unpack(self.format.offset, inline)[0], count * size)
        facts[code] = struct.unpack(f"{self.format.order}{count}{letter}", inline[: count * size])

    def _bytes(self, offset: int, count: int) -> bytes:
        if offset + count > self.size:
            raise self._broken("it is cut short, or a directory lies beyond its end")
        self.stream.seek(offset)
        return self.stream.read(count)

    def _broken(self, what: str) -> InputError:
        return InputError(f"the TIFF structure is damaged: {what}", where=str(self.path), cure="export the image again")


def _first(facts: dict[int, tuple[Any, ...]], code: int, default: int) -> int:
    values = facts.get(code, ())
    return int(values[0]) if values else default


def directories_of(path: Path, *, hamamatsu: bool = False) -> tuple[Directory, ...]:
    """Give the IFDs of a TIFF or BigTIFF, or of Hamamatsu's own kind, in the order of the file.

    Raises
    ------
    InputError
        Directories or sub-directories that form a loop, lie beyond the end of the file, or are too many.
    """
    with path.open("rb") as stream:
        return _Walk(stream, path, hamamatsu=hamamatsu).directories()
