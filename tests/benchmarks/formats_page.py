"""Write examples/formats.md: which formats are read, and what becomes of every file of a collection of real ones.

    python tests/benchmarks/formats_page.py DATA

DATA holds `formats/` with a MANIFEST.csv that states axes, type and size of each file.
"""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "images"))

from hostile import all_hostile

from cellmonai.core.errors import CellmonaiError
from cellmonai.images.find import FAMILIES
from cellmonai.images.open import open_image

PAGE = Path(__file__).parents[2] / "examples" / "formats.md"

_READ = {
    "TIFF": "tiles and strips that overlap the region; see below",
    "OME-Zarr": "chunks that overlap the region, also out of shards",
    "PNG": "whole, once; up to 179 megapixels",
    "JPEG": "whole, once; up to 179 megapixels; never as a mask",
    "BMP": "whole, once; up to 179 megapixels",
    "npy": "read where it lies; no pickles",
    "npz": "whole, once; no pickles",
    "NIfTI": "read where it lies; `.nii.gz` whole, once, with its checksum",
}

_HEAD = """# Formats: what is read, how much of it at a time, and what is refused

`cellmonai infer`, `count`, `fit` and `check` open the same formats. A file is opened by its suffix, and its first
bytes must agree. Every size is taken from the header and compared with `--memory` before anything is decoded.

"""

_TIFF = """
## Folders, patterns and links

A folder means the images directly in it, in natural order, without hidden and temporary ones; `--recursive` searches
the folders inside too, each once; `infer` passes over folders of results, `count` over those of other counts. What is
left out is said: files of other kinds by suffix and number, folders that were not searched by name. Where these are
images (`.czi`, `.lif`, `.nd2`, `.gif`, …), it is a warning with the code `left_out`, which stands in `--json` and
`run.json` too; export them as OME-TIFF. A pattern in quotes works as in a shell; `**` is refused. A link to a file or a
folder is followed; a link to nothing, to itself, to a pipe or a device is refused by name. Links inside a Zarr folder
are never followed.

## TIFF

| kind | planes and channels | resolutions | pixel size |
|---|---|---|---|
| plain, BigTIFF | pages are planes, or what `--axes` says | smaller copies in sub-directories or behind the page | \
resolution tags, where they are a microscope's and no dpi |
| OME-TIFF | from its XML, with names of channels; files that the XML names are not opened | sub-directories | \
PhysicalSize |
| ImageJ | from its description, in its `order`; where that contradicts itself or the file, the pages that are there, \
with a note | | its unit, also spelt out, and the resolution tags |
| tifffile's arrays | from its axes; 3 planes without axes are red, green and blue and 4 are channels; in a mask, \
planes | sub-directories | resolution tags |
| Aperio `.svs` | one picture; label, macro and thumbnail left out | smaller tiled pages | MPP |
| Hamamatsu `.ndpi` | depths are planes; macro and map left out; 64-bit offsets | pages of lower magnification | \
resolution tags |
| Akoya `.qptiff` | one channel per page, named by biomarker; thumbnail and macro left out | groups of smaller pages | \
resolution tags |

NDPI and QPTIFF were tested on files laid out as the scanners' software does it, not on real ones, of which no small
one was found.

| stored as | read at a time |
|---|---|
| tiles, in any compression that imagecodecs decodes | a tile |
| strips without compression | a row |
| strips of deflate above 8 MiB | bands of 1 MiB, from top to bottom in one pass |
| other strips (LZW, PackBits, Zstandard, LZMA, JPEG, …) | a strip, decoded once; over the memory budget it is refused \
with exit code 8 and the advice to save a tiled TIFF |

## How values are meant

| stored | read in an image | read in a mask |
|---|---|---|
| white as 0 (min-is-white) | turned round; refused for floats | as in an image |
| ImageJ's inverting or coloured look-up table | as stored: it is for display only | as stored |
| a palette | its colours | black is 0; other greys are grey levels; other colours stay labels, also where two are \
equal; refused where no colour in use is black |
| alpha | left out | left out where it is constant or transparent is what is black; the mask itself where only alpha \
varies; else refused |
| an orientation tag (EXIF in JPEG and PNG, tag 274 in TIFF) | turned as viewers show it | turned as viewers show it |

What was done stands under `notes` in `run.json`. ImageJ, Bio-Formats and tifffile do not turn TIFFs by their tag, and a
mask that was drawn there lies as its image is stored. Where the sizes say so, `fit`, `recipe init` and `count` take it
so; where a mask without a tag could lie both ways (square images, and those that are only mirrored or upside down), it
is taken as the image is shown, with a warning.

## OME-Zarr

Versions 0.4 (Zarr 2) and 0.5 (Zarr 3, shards too), with any of the axes t, c, z before y and x. Names of channels come
from `omero`, the pixel size from the scale of the axes and their units. A folder that bioformats2raw wrote is its only
image; of a plate or several images, one is named, as `plate.zarr/A/1/0`. A chunk that is not stored reads as the fill
value, as Zarr has it; `infer` and `count` warn how many there are, because a lost chunk looks the same. Compressions:
blosc, bz2, gzip, lz4, zlib, zstd. The fingerprint of a folder is the SHA-256 of the names and digests of all files in
it. The maps that `infer` leaves (`x_maps.zarr`) are no images: they are left out of a folder, and refused by name.

## Another resolution

`--level N` reads a stored resolution. `--um-per-px X` takes the coarsest one that is at least as fine, within one per
cent, and averages its pixels by area down to X; where even the full size is coarser it is interpolated linearly, up to
16 times. A pixel has the same value in whatever window it is read.
"""


def families() -> str:
    """Give the table of suffixes."""
    rows = [f"| {family} | {' '.join(f'`{s}`' for s in suffixes)} | {_READ[family]} |" for family, suffixes in FAMILIES]
    return "\n".join(["| format | suffixes | what is decoded for a region |", "|---|---|---|", *rows]) + "\n"


def hostile_files() -> str:
    """Give the table of files that are built to do harm."""
    rows = [
        f"| {file.fault} | `{file.name}` | {file.what} | "
        f"{'refused' if file.reason else 'only what the file itself declares and holds is read'} |"
        for file in all_hostile()
    ]
    return "\n".join(["| built for | file | what it is | result |", "|---|---|---|---|", *rows]) + "\n"


def collection(folder: Path) -> tuple[str, int, int]:
    """Open every file of the collection; give the table, and how many were opened and refused."""
    with (folder / "MANIFEST.csv").open(encoding="utf-8", newline="") as stream:
        rows = [_row(folder, row) for row in csv.DictReader(stream)]
    opened = sum(row.endswith("opens |") for row in rows)
    head = ["| file | kind | stored as | result |", "|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n", opened, len(rows) - opened


def _row(folder: Path, row: dict[str, str]) -> str:
    kind, (about, result) = row["format"].rstrip("?"), _outcome(folder / row["file"])
    layout = ", ".join(part for part in (row["compression"], row["tiled"]) if part and part != "1")
    return f"| {row['file']} | {kind} | {', '.join(part for part in (about, layout) if part)} | {result} |"


def _outcome(path: Path) -> tuple[str, str]:
    """Say what an image is as it was opened, and whether all its pixels could be read."""
    about = ""
    try:
        with open_image(path) as source:
            height, width = source.shape[1:]
            about = f"{source.stored_axes} {width} x {height} {source.dtype}"
            about += f", {len(source.levels)} levels" if len(source.levels) > 1 else ""
            if source.pixel_size_um:
                about += f", {source.pixel_size_um[1]:.4g} um"
            for plane in range(len(source.planes)):
                source.read(plane=plane)
    except CellmonaiError as error:
        reason = re.sub(r"\s*\(.*\)$", "", error.what).replace("|", "/")
        return about, f"refused: {reason}"
    return about, "opens"


def page(folder: Path) -> str:
    """Give the whole page."""
    table, opened, refused = collection(folder)
    return (
        f"{_HEAD}{families()}{_TIFF}\n## Hostile files\n\n"
        "`tests/images/hostile.py FOLDER` writes them. Each is refused, or gives what it declares and holds itself,"
        " within\na second and 200 MB beyond what importing takes, measured in a process of its own by\n"
        "`pytest -m long tests/images/test_images_hostile.py`.\n\n"
        f"{hostile_files()}\n## Real files\n\n"
        f"{opened + refused} files, most of them from the test suites of other projects: {opened} open with the axes,"
        f" type and size that other\nprograms find, {refused} are refused for the reason that stands there. Written by"
        " `tests/benchmarks/formats_page.py`.\n\n"
        f"{table}"
    )


if __name__ == "__main__":
    PAGE.write_text(page(Path(sys.argv[1]) / "formats"), encoding="utf-8")
