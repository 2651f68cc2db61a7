"""Files that are built to exhaust, to hang or to escape: one of each fault that readers of images are known for.

    python tests/images/hostile.py FOLDER

writes them all.
"""

from __future__ import annotations

import json
import lzma
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from imagecodecs import lzw_encode, zstd_encode
from numcodecs import Blosc, Zstd
from tifffile import imwrite

CUT, SIZE, CLAIM, BOMB = "cut short", "absurd size", "claims more than it holds", "inflates beyond its size"
LOOP, TAGS, XML, PLANES = "loop", "lying tags", "XML", "absurd planes"
OTHERS, PNG, ZARR, ARRAYS = "other files", "PNG, JPEG", "Zarr", "arrays"

MEGA = 2**20
INFLATED = 256 * MEGA
SPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


@dataclass(frozen=True, slots=True)
class Hostile:
    """One file.

    Parameters
    ----------
    fault : which kind of harm it is built for
    name : of the file or folder
    what : what is wrong with it, in words
    write : makes it
    reason : regular expression that the refusal matches; "" where the file may be opened: one plane of zeros, which is
        all that it declares and holds itself
    """

    fault: str
    name: str
    what: str
    write: Callable[[Path], None]
    reason: str


def tiff(tags: dict[int, tuple[int, int, int]], *, tail: bytes = b"", following: int = 0) -> bytes:
    """Write a TIFF with one directory at byte 8 by hand: code to (type, count, value); `tail` follows the directory."""
    block = b"".join(struct.pack("<HHII", code, *tags[code]) for code in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + block + struct.pack("<I", following) + tail


def picture(width: int, height: int, **changes: int) -> dict[int, tuple[int, int, int]]:
    """Tags of a grey 8-bit picture in one strip, whose data follow the directory."""
    facts = {"compression": 1, "rows": height, "count": 8, "samples": 1, "offset": 8 + 2 + 12 * 9 + 4} | changes
    return {
        256: (4, 1, width),
        257: (4, 1, height),
        258: (3, 1, 8),
        259: (3, 1, facts["compression"]),
        262: (3, 1, 1),
        273: (4, 1, facts["offset"]),
        277: (3, 1, facts["samples"]),
        278: (4, 1, facts["rows"]),
        279: (4, 1, facts["count"]),
    }


@cache
def deflated_zeros(count: int) -> bytes:
    """Compress zeros without holding them."""
    squeeze = zlib.compressobj(9)
    return b"".join(squeeze.compress(bytes(MEGA)) for _ in range(count // MEGA)) + squeeze.flush()


PACKED: dict[str, tuple[int, Callable[[], bytes]]] = {
    "zlib": (8, lambda: deflated_zeros(INFLATED)),
    "LZW": (5, lambda: lzw_encode(bytes(INFLATED))),
    "PackBits": (32773, lambda: b"\x81\0" * (INFLATED // 128)),
    "Zstandard": (50000, lambda: zstd_encode(bytes(INFLATED))),
    "LZMA": (34925, lambda: lzma.compress(bytes(INFLATED), preset=0)),
}
"""Compressions: their number in a TIFF, and what many zeros become."""


def with_strip(compression: str, width: int, height: int) -> Callable[[Path], None]:
    """Write a picture whose only strip inflates to 256 MiB."""

    def write(path: Path) -> None:
        code, packed = PACKED[compression]
        data = packed()
        path.write_bytes(tiff(picture(width, height, compression=code, count=len(data)), tail=data))

    return write


def cut(path: Path, share: float, **options: Any) -> None:  # noqa: ANN401 - what tifffile takes
    image = np.random.default_rng(2).integers(0, 255, (512, 512)).astype(np.uint8)
    imwrite(path, image, **options)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def described(text: str) -> Callable[[Path], None]:
    """Write a picture of 8 x 8 px with an image description."""
    return lambda path: imwrite(path, np.zeros((8, 8), np.uint8), description=text, metadata=None)


def ome(body: str, *, before: str = "") -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>{before}<OME xmlns="{SPACE}">{body}</OME>'


def pixels(inner: str = "", **sizes: int) -> str:
    text = " ".join(f'Size{axis}="{n}"' for axis, n in ({"C": 1, "Z": 1, "T": 1} | sizes).items())
    return f'<Image ID="Image:0"><Pixels DimensionOrder="XYCZT" SizeX="8" SizeY="8" {text}>{inner}</Pixels></Image>'


def elsewhere(name: str) -> str:
    """Describe two depths, of which the second lies in another file."""
    here = '<TiffData IFD="0" FirstZ="0"><UUID FileName="own.ome.tif">urn:uuid:0</UUID></TiffData>'
    return ome(pixels(here + f'<TiffData FirstZ="1"><UUID FileName="{name}">urn:uuid:1</UUID></TiffData>', Z=2))


def points_at(name: str) -> Callable[[Path], None]:
    """Write own.ome.tif in a folder of its own, whose second plane lies at `name`."""

    def write(path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        secret = path.parent.parent / "secret.tif"
        if name == "pipe.tif":
            os.mkfifo(path.with_name(name))
        elif not secret.exists():
            imwrite(secret, np.full((8, 8), 200, np.uint8))
        described(elsewhere(name.replace("ABSOLUTE", str(secret))))(path)

    return write


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png_head(width: int, height: int) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)


def jpeg_head(side: int) -> bytes:
    frame = struct.pack(">HBHHB", 11, 8, side, side, 1) + b"\x01\x11\x00"
    scan = b"\x00\x08\x01\x01\x00\x00\x3f\x00"
    return b"\xff\xd8\xff\xe0\x00\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xc0" + frame + b"\xff\xda" + scan + b"\xff\xd9"


def zarr_folder(change: Callable[[Path], None], **options: Any) -> Callable[[Path], None]:  # noqa: ANN401 - of zarr
    """Write an OME-Zarr 0.5 picture of 1024 x 1024 px in four chunks, then spoil it."""

    def write(path: Path) -> None:
        axes = [{"name": axis, "type": "space"} for axis in "yx"]
        multiscale = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": []}]}
        group = zarr.open_group(path, mode="w", attributes={"ome": {"version": "0.5", "multiscales": [multiscale]}})
        array = group.create_array("0", shape=(1024, 1024), dtype="u1", **{"chunks": (512, 512), **options})
        array[...] = np.random.default_rng(1).integers(1, 255, (1024, 1024))
        change(path)

    return write


def in_header(name: str, *keys: str | int, to: object) -> Callable[[Path], None]:
    """Change one value of a JSON file in the folder."""

    def change(path: Path) -> None:
        document = place = json.loads((path / name).read_text())
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to
        (path / name).write_text(json.dumps(document))

    return change


def chunk(data: Callable[[], bytes]) -> Callable[[Path], None]:
    return lambda path: (path / "0/c/0/0").write_bytes(data()) and None


def linked_chunk(path: Path) -> None:
    secret = path.parent / "secret.bin"
    secret.write_bytes(b"secret" * 200)
    (path / "0/c/0/0").unlink()
    (path / "0/c/0/0").symlink_to(secret)


def piped_chunk(path: Path) -> None:
    (path / "0/c/0/0").unlink()
    os.mkfifo(path / "0/c/0/0")


def blosc_that_lies() -> bytes:
    data = bytearray(Blosc(cname="lz4").encode(bytes(1024)))
    data[4:8] = struct.pack("<I", 2**31 - 1)
    return bytes(data)


def shard_that_lies(path: Path) -> None:
    index = np.tile(np.array([0, 2**40], "<u8"), 16).tobytes()
    in_header("0/zarr.json", "codecs", 0, "configuration", "index_codecs", to=["bytes"])(path)  # without a checksum
    (path / "0/c/0/0").write_bytes(index)


def npz_bomb(path: Path) -> None:
    header = np.lib.format.header_data_from_array_1_0(np.zeros((1, 1), np.uint8)) | {"shape": (400, MEGA)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("image.npy", "w") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for _ in range(400):
            stream.write(bytes(MEGA))


def npy_of(shape: tuple[int, ...]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        header = np.lib.format.header_data_from_array_1_0(np.zeros((1, 1), np.uint8)) | {"shape": shape}
        with path.open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, header)

    return write


def nifti_bomb(path: Path) -> None:
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 2, 20_000, 20_000, 1, 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, 2, 8)
    struct.pack_into("<f", head, 108, 352.0)
    head[344:348] = b"n+1\0"
    squeeze = zlib.compressobj(9, wbits=31)
    data = squeeze.compress(bytes(head))
    path.write_bytes(data + b"".join(squeeze.compress(bytes(MEGA)) for _ in range(382)) + squeeze.flush())


def raw(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


_BOMB = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
_LAUGHS = f'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">{_BOMB}]>'
_QUADRATIC = f'<!DOCTYPE x [<!ENTITY a "{"a" * 50_000}">]>'
_OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
_SUB_LOOP = picture(8, 8, offset=8) | {330: (4, 1, 8)}
_TILES_OF_0 = picture(8, 8) | {322: (4, 1, 0), 323: (4, 1, 0)}
_DEEP = b'{"a":' * 200_000


def _nested_directories(depth: int) -> bytes:
    """Directories each of which is a sub-directory of the one before."""
    size = 2 + 12 * 10 + 4
    data = b"II*\0" + struct.pack("<I", 8)
    for level in range(depth):
        tags = picture(8, 8, offset=8) | {330: (4, 1, 8 + size * (level + 1) if level + 1 < depth else 0)}
        data += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", c, *tags[c]) for c in sorted(tags))
        data += struct.pack("<I", 0)
    return data


def hostile_tiffs() -> list[Hostile]:
    """Structure and sizes."""
    inflating = [
        Hostile(BOMB, f"inflates_{name}.tif", f"100 x 100 px whose {name} strip inflates to 256 MiB",
                with_strip(name, 100, 100), "" if name in ("LZW", "LZMA") else "cannot read the pixels|damaged")
        for name in PACKED  # those two stop at the size that was declared
    ]  # fmt: skip
    return [
        Hostile(CUT, "empty.tif", "no byte", raw(b""), "the file is empty"),
        Hostile(CUT, "five_bytes.tif", "five bytes", raw(b"II*\0\x08"), "structure is damaged"),
        Hostile(CUT, "text.tif", "text named tif", raw(b"this is no image\n"), "holds text"),
        Hostile(CUT, "half_raw.tif", "half of a raw picture", lambda p: cut(p, 0.5), "cut short|damaged"),
        Hostile(CUT, "half_tiled.tif", "half of a tiled one",
                lambda p: cut(p, 0.5, tile=(64, 64), compression="zlib"), "cut short|damaged"),
        Hostile(SIZE, "million_square.tif", "claims 1,000,000 x 1,000,000 px", raw(tiff(picture(10**6, 10**6))),
                "cut short"),
        Hostile(CLAIM, "empty_strip.tif", "1.6 Gpx in a strip of no bytes",
                raw(tiff(picture(40_000, 40_000, compression=8, count=0, offset=0))), "claim to be"),
        Hostile(CLAIM, "deflated_zeros.tif", "256 Mpx of zeros in 260 kB", with_strip("zlib", 16_384, 16_385),
                "claim to be"),
        *inflating,
        Hostile(LOOP, "loop.tif", "a directory that follows itself", raw(tiff(picture(8, 8), following=8)),
                "form a loop"),
        Hostile(LOOP, "sub_loop.tif", "a directory that is its own sub-directory", raw(tiff(_SUB_LOOP)),
                "form a loop"),
        Hostile(LOOP, "nested.tif", "sub-directories 2,000 deep", raw(_nested_directories(2000)), "levels of them"),
        Hostile(TAGS, "long_text.tif", "a description that claims 4 GiB",
                raw(tiff(picture(8, 8) | {270: (2, 2**32 - 1, 8)})), "cut short"),
        Hostile(TAGS, "many_strips.tif", "1,000,000,000 strips",
                raw(tiff(picture(8, 8) | {273: (4, 10**9, 8), 279: (4, 10**9, 8)})), "cannot read|damaged"),
        Hostile(TAGS, "no_rows_per_strip.tif", "strips of 0 rows", raw(tiff(picture(8, 8, rows=0))), "have no pixels"),
        Hostile(TAGS, "no_columns.tif", "0 px wide", raw(tiff(picture(0, 8))), "no pixels"),
        Hostile(TAGS, "no_tiles.tif", "tiles of 0 px", raw(tiff(_TILES_OF_0)), "have no pixels"),
        Hostile(TAGS, "high.tif", "16,711,744 rows of 8 px", raw(tiff(picture(8, 16_711_744, rows=8))),
                "strips or tiles and it holds|cut short"),
        Hostile(TAGS, "samples.tif", "65,535 samples per pixel", raw(tiff(picture(8, 8, samples=65_535))),
                "cut short|cannot read"),
    ]  # fmt: skip


def hostile_descriptions() -> list[Hostile]:
    """What XML and other descriptions promise."""
    no_dtd, foreign = "document type definition", ""
    return [
        Hostile(XML, "laughs.tif", "XML entities that unfold to 3 GB", described(ome(pixels(), before=_LAUGHS)),
                no_dtd),
        Hostile(XML, "quadratic.tif", "an XML entity of 50 kB named over and over",
                described(ome(pixels("&a;" * 10_000), before=_QUADRATIC)), no_dtd),
        Hostile(XML, "external.tif", "an XML entity that is another file",
                described(ome(pixels("&a;"), before=_OUTSIDE)), no_dtd),
        Hostile(PLANES, "ome_planes.tif", "OME-XML of 30,000,000 planes", described(ome(pixels(C=30_000, Z=1000))),
                "declares 30000000 planes"),
        Hostile(PLANES, "ome_more_planes.tif", "OME-XML of 10^12 planes", described(ome(pixels(T=10**6, Z=10**6))),
                "declares 1000000000000 planes"),
        Hostile(PLANES, "imagej_planes.tif", "an ImageJ stack of 10^8 planes",
                described("ImageJ=1.54f\nimages=100000000\nslices=100000000\n"), "declares 100000000 planes"),
        Hostile(OTHERS, "relative/own.ome.tif", "a plane in ../secret.tif", points_at("../secret.tif"), foreign),
        Hostile(OTHERS, "absolute/own.ome.tif", "a plane under an absolute path", points_at("ABSOLUTE"), foreign),
        Hostile(OTHERS, "missing/own.ome.tif", "a plane in a file that is not there", points_at("gone.tif"), foreign),
        Hostile(OTHERS, "pipe/own.ome.tif", "a plane in a pipe, which would hang", points_at("pipe.tif"), foreign),
    ]  # fmt: skip


def hostile_others() -> list[Hostile]:
    """PNG, JPEG, OME-Zarr, npy, npz, NIfTI."""
    text = (b"zTXt", b"k\0\0" + zlib.compress(bytes(64 * MEGA), 9))
    grid = ("0/zarr.json", "chunk_grid", "configuration", "chunk_shape")
    path_of_level = ("zarr.json", "attributes", "ome", "multiscales", 0, "datasets", 0, "path")
    shards = {"shards": (1024, 1024), "chunks": (256, 256)}
    return [
        Hostile(PNG, "billion.png", "claims 10^9 px", raw(png(png_head(50_000, 20_000), (b"IDAT", b""))),
                "megapixels"),
        Hostile(PNG, "billion.jpg", "claims 65,000 x 65,000 px", raw(jpeg_head(65_000)), "megapixels"),
        Hostile(PNG, "text.png", "64 MiB of text in 65 kB", raw(png(png_head(8, 8), text, (b"IEND", b""))),
                "cannot read"),
        Hostile(ZARR, "chunk_shape.zarr", "one chunk of 1,000,000 x 1,000,000 px",
                zarr_folder(in_header(*grid, to=[10**6, 10**6])), "one chunk of it needs"),
        Hostile(ZARR, "shape.zarr", "claims 1,000,000 x 1,000,000 px",
                zarr_folder(in_header("0/zarr.json", "shape", to=[10**6, 10**6])), "declares 1,000,000,000,000 pixels"),
        Hostile(ZARR, "bomb.zarr", "a chunk of 30 kB that inflates to 1 GB",
                zarr_folder(chunk(lambda: bytes(Zstd(level=1).encode(bytes(1000 * MEGA))))),
                "cannot read the pixels .*Destination buffer is too small"),
        Hostile(ZARR, "blosc.zarr", "a chunk that claims 2 GiB",
                zarr_folder(chunk(blosc_that_lies), compressors=zarr.codecs.BloscCodec()), "cannot read the pixels"),
        Hostile(ZARR, "dots.zarr", "a level at ../", zarr_folder(in_header(*path_of_level, to="../shape.zarr/0")),
                "outside of the folder"),
        Hostile(ZARR, "link.zarr", "a chunk that is a link", zarr_folder(linked_chunk), "there is a link in it"),
        Hostile(ZARR, "pipe.zarr", "a chunk that is a pipe, which would hang", zarr_folder(piped_chunk),
                "a link or a device"),
        Hostile(ZARR, "shard.zarr", "a shard whose index claims 1 TiB", zarr_folder(shard_that_lies, **shards),
                "a part of 'c/0/0' claims"),
        Hostile(ZARR, "pickle.zarr", "chunks that are pickles",
                zarr_folder(in_header("0/zarr.json", "codecs", 1, to={"name": "numcodecs.pickle"})), "is not read"),
        Hostile(ZARR, "deep.zarr", "JSON nested 200,000 deep",
                zarr_folder(lambda p: (p / "zarr.json").write_bytes(_DEEP) and None), "cannot read"),
        Hostile(ARRAYS, "million_square.npy", "claims 1,000,000 x 1,000,000 px", npy_of((10**6, 10**6)), "cut short"),
        Hostile(ARRAYS, "pickle.npy", "a pickle, which could run programs",
                lambda p: np.save(p, np.array({"a": 1}, object), allow_pickle=True), "pickle"),
        Hostile(ARRAYS, "bomb.npz", "400 MiB of zeros in 400 kB", npz_bomb, "claim to be"),
        Hostile(ARRAYS, "bomb.nii.gz", "400 MB of zeros in 400 kB", nifti_bomb, "claim to be"),
    ]  # fmt: skip


def all_hostile() -> list[Hostile]:
    """Give every hostile file."""
    return [*hostile_tiffs(), *hostile_descriptions(), *hostile_others()]


def write_all(folder: Path) -> list[Hostile]:
    """Write every file below `folder`."""
    files = all_hostile()
    for file in files:
        file.write(folder / file.name)
    return files


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    write_all(Path(sys.argv[1]))
