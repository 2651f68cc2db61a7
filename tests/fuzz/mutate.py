"""Damage: what disks, networks and attackers do to a file, the same for the same seed and number."""

from __future__ import annotations

import gzip
import io
import random
import re
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from seed_files import Files

EXTREMES = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    0x7FFFFFFFFFFFFFFF,
    2**64 - 1,
)
WORDS = (
    b"0",
    b"-1",
    b"1",
    b"65536",
    b"4294967296",
    b"1e999",
    b"NaN",
    b"null",
    b"1" * 400,
    b'"x"',
    b"[]",
    b"{}",
    b"[" * 5000,
    b"true",
)
SEALED = (".gz", ".npz", ".png", ".safetensors")
"""Kinds with a checksum over everything; some damage is done under a new one."""

HEAD = 512
"""Bytes at the beginning, and at the end, where headers mostly are."""


def mutated(seeds: Mapping[str, Files], name: str, number: int, *, seed: int) -> tuple[Files, str]:
    """Give the files of an image, damaged, and what was done."""
    rng = random.Random(f"{seed}/{name}/{number}")
    files = dict(seeds[name])
    victim = rng.choice(sorted(files))
    if len(files) > 1 and rng.random() < 0.03:
        del files[victim]
        return files, f"{victim} removed"
    other = seeds[rng.choice(sorted(seeds))]
    donor = other[rng.choice(sorted(other))]
    content, done = files[victim], []
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        how = rng.choice(HOW)
        if rng.random() < 0.3 and name.endswith(SEALED):
            content = _inside(name, content, how, rng, donor)
            done.append("sealed_" + how.__name__.strip("_"))
        else:
            content = how(content, rng, donor)
            done.append(how.__name__.strip("_"))
    files[victim] = content
    return files, f"{victim} {'+'.join(done)}".strip()


def _inside(name: str, content: bytes, how: Callable[..., bytes], rng: random.Random, donor: bytes) -> bytes:
    """Damage what lies under compression and checksums, so that the damage is not found by those alone."""
    try:
        if name.endswith(".gz"):
            return gzip.compress(how(gzip.decompress(content), rng, donor), mtime=0)
        if name.endswith(".npz"):
            return _zip_with(content, how, rng, donor)
        if name.endswith(".png"):
            return _with_checksums(how(content, rng, donor))
    except Exception:  # noqa: BLE001 - it was damaged before
        pass
    return how(content, rng, donor)


def _zip_with(content: bytes, how: Callable[..., bytes], rng: random.Random, donor: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        names = old.namelist()
        victim = rng.choice(names)
        for each in names:
            data = old.read(each)
            new.writestr(each, how(data, rng, donor) if each == victim else data)
    return out.getvalue()


def _with_checksums(content: bytes) -> bytes:
    """Give a PNG whose chunks have the checksums of what is in them now."""
    data, at = bytearray(content), 8
    while at + 12 <= len(data):
        length = struct.unpack_from(">I", data, at)[0]
        if at + 12 + length > len(data):
            break
        struct.pack_into(">I", data, at + 8 + length, zlib.crc32(bytes(data[at + 4 : at + 8 + length])))
        at += 12 + length
    return bytes(data)


def _place(content: bytes, rng: random.Random) -> int:
    """Give a place, mostly near the beginning or the end."""
    if not content:
        return 0
    where, size = rng.random(), len(content)
    if where < 0.5:
        return rng.randrange(min(HEAD, size))
    if where < 0.7:
        return size - 1 - rng.randrange(min(HEAD, size))
    return rng.randrange(size)


def _bits(content: bytes, rng: random.Random, donor: bytes) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8)) if data else 0):
        data[_place(content, rng)] ^= 1 << rng.randrange(8)
    return bytes(data)


def _run(content: bytes, rng: random.Random, donor: bytes) -> bytes:
    at, length = _place(content, rng), rng.choice((1, 2, 4, 8, 64))
    filling = {0: bytes(length), 1: b"\xff" * length}.get(rng.randrange(3), rng.randbytes(length))
    return content[:at] + filling + content[at + length :]


def _cut(content: bytes, rng: random.Random, donor: bytes) -> bytes:
    return content[
        : rng.choice((rng.randrange(len(content) + 1), len(content) - rng.randrange(min(9, len(content) + 1))))
    ]


def _taken_out(content: bytes, rng: random.Random, donor: bytes) -> bytes:
    at = _place(content, rng)
    return content[:at] + content[at + rng.choice((1, 2, 4, 16, 256)) :]


def _put_in(content: bytes, rng: random.Random, donor: bytes) -> bytes:
    at, start = _place(content, rng), rng.randrange(len(donor) + 1)
    return content[:at] + donor[start : start + rng.choice((1, 2, 4, 16, 256))] + content[at:]


def _splice(content: bytes, rng: random.Random, donor: bytes) -> bytes:
    at = _place(content, rng)
    start, length = rng.randrange(len(donor) + 1), rng.choice((8, 32, 256, 4096))
    return content[:at] + donor[start : start + length] + content[at + length :]


def _twice(content: bytes, rng: random.Random, donor: bytes) -> bytes:
    start = rng.randrange(len(content) + 1)
    part = content[start : start + rng.choice((4, 12, 64, 1024))]
    at = _place(content, rng)
    return content[:at] + part + content[at:]


def _number(content: bytes, rng: random.Random, donor: bytes) -> bytes:
    """Put an extreme number where a field of a header may be."""
    size, order = rng.choice((1, 2, 2, 4, 4, 4, 8)), rng.choice(("little", "big"))
    at = _place(content, rng)
    at -= at % min(size, 2)
    value = rng.choice((*EXTREMES, rng.randrange(2 ** (8 * size)), len(content))) % 2 ** (8 * size)
    return content[:at] + value.to_bytes(size, order) + content[at + size :]  # type: ignore[arg-type]


def _text(content: bytes, rng: random.Random, donor: bytes) -> bytes:
    """Put another word in the place of a number or a quoted word in a text."""
    found = list(re.finditer(rb'-?\d+(?:\.\d+)?|"[^"]{0,60}"', content))
    if not found:
        return _number(content, rng, donor)
    match = rng.choice(found)
    return content[: match.start()] + rng.choice(WORDS) + content[match.end() :]


HOW: tuple[Callable[[bytes, random.Random, bytes], bytes], ...] = (
    *(_bits, _bits, _run, _cut, _taken_out, _put_in, _splice, _twice, _number, _number, _number, _text),
)
