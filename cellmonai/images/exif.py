"""The orientation that EXIF in a JPEG or PNG tells of; damaged EXIF tells of none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

_ORIENTATION = 274
_MOST_EXIF_BYTES = 1 << 20


def orientation_in(path: Path, image: Image.Image, kind: str) -> int:
    """Give the orientation of an open picture, 1 to 8; 1 where nothing else is said.

    Parameters
    ----------
    image : with its header read
    kind : PNG, JPEG or BMP
    """
    try:
        tag = image.getexif().get(_ORIENTATION, 1) if kind == "JPEG" else _of_png(path) if kind == "PNG" else 1
    except Exception:  # noqa: BLE001 - parsers of EXIF raise anything, and the pixels are well without it
        return 1
    return tag if isinstance(tag, int) and 1 <= tag <= 8 else 1


def _of_png(path: Path) -> object:
    """Read the eXIf chunk, which may stand behind the pixels, without decoding these."""
    from PIL import Image

    with path.open("rb") as stream:
        stream.seek(8)
        while len(head := stream.read(8)) == 8:
            length, name = int.from_bytes(head[:4]), head[4:]
            if name == b"eXIf" and length <= _MOST_EXIF_BYTES:
                exif = Image.Exif()
                exif.load(b"Exif\0\0" + stream.read(length).removeprefix(b"Exif\0\0"))
                return exif.get(_ORIENTATION, 1)
            if name == b"IEND":
                break
            stream.seek(length + 4, 1)
    return 1
