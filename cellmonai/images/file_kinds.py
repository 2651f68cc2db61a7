"""Kinds of files that are not read: which of them are images all the same, and which are notes and tables."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from cellmonai.core.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

OTHER_IMAGES = frozenset(
    {
        # microscopes, scanners and their programs
        *(".czi", ".zvi", ".lsm", ".lif", ".lof", ".xlef", ".nd2", ".nd", ".stk", ".oib", ".oif", ".oir", ".vsi"),
        *(".ets", ".dv", ".r3d", ".ims", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide", ".sld", ".sldy", ".flex"),
        *(".mvd2", ".c01", ".dib", ".ipl", ".ipw", ".ics", ".ids", ".mrc", ".rec", ".st", ".dm3", ".dm4", ".ser"),
        *(".emd", ".sis", ".zip.czi", ".afi", ".tnb", ".klb", ".isyntax", ".ptif", ".ptiff"),
        # arrays and medical images
        *(".h5", ".hdf5", ".hdf", ".n5", ".mat", ".dcm", ".dicom", ".mha", ".mhd", ".nrrd", ".img", ".raw", ".fits"),
        # pictures and films
        *(".gif", ".webp", ".heic", ".heif", ".avif", ".jp2", ".j2k", ".jpx", ".jxl", ".jxr", ".jfif", ".exr", ".ico"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".psd", ".xcf", ".svg", ".pdf", ".eps", ".dng", ".cr2", ".nef"),
        *(".avi", ".mp4", ".mov", ".mkv", ".wmv", ".mpg"),
    }
)
"""Suffixes of images that must be exported before they can be read."""

_NOTES = frozenset(
    {
        *(".csv", ".tsv", ".xls", ".xlsx", ".ods", ".json", ".jsonl", ".geojson", ".parquet", ".toml", ".yaml", ".yml"),
        *(".txt", ".md", ".rst", ".log", ".html", ".htm", ".xml", ".ini", ".cfg", ".pickle", ".pkl", ".safetensors"),
        *(".py", ".ipynb", ".m", ".r", ".sh", ".bat", ".ijm", ".roi", ".lock", ".zip", ".partial"),
    }
)
_SYSTEM = frozenset({"thumbs.db", "desktop.ini", "icon\r"})
_MOST_KINDS = 8


def suffix_of(path: Path) -> str:
    """Return the suffix in small letters, "no suffix" where there is none."""
    return path.suffix.lower() or "no suffix"


def is_other_image(path: Path) -> bool:
    """Tell whether the file is an image, by its name, of a kind that is not read."""
    return path.suffix.lower() in OTHER_IMAGES


def is_note(path: Path) -> bool:
    """Tell whether the file is a table, a note or what a system or cellmonai itself leaves beside images."""
    return path.suffix.lower() in _NOTES or path.name.lower() in _SYSTEM


def kinds_in_words(paths: Sequence[Path]) -> str:
    """Say how many files there are of other kinds, and which.

    Examples
    --------
    >>> from pathlib import Path
    >>> kinds_in_words([Path("a.czi"), Path("b.CZI"), Path("c.lif")])
    '3 files of other kinds: .czi (2), .lif'
    """
    numbers = Counter(suffix_of(path) for path in paths)
    shown = [f"{printable(kind)} ({number:,})" if number > 1 else printable(kind) for kind, number in numbers.items()]
    if len(paths) > 1 and len(numbers) == 1:
        shown = [printable(kind) for kind in numbers]
    more = f" and {len(shown) - _MOST_KINDS} more kinds" if len(shown) > _MOST_KINDS else ""
    noun = "file of another kind" if len(paths) == 1 else "files of other kinds"
    return f"{len(paths):,} {noun}: {', '.join(sorted(shown)[:_MOST_KINDS])}{more}"
