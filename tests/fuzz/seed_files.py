"""Small valid files of every kind that is read, as bytes: what damage is done to."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1] / "images"))

import numpy as np
from slide_files import write_ndpi
from zarr_files import write_ome_zarr

if TYPE_CHECKING:
    from collections.abc import Callable

Files = dict[str, bytes]
"""Content by name relative to the folder; a file that is an image by itself has one name."""

_NOISE = np.random.default_rng(7)
GREY = _NOISE.integers(0, 9, (40, 48)).astype(np.uint8)
DEEP = _NOISE.integers(0, 999, (40, 48)).astype(np.uint16)
COLOUR = np.repeat(GREY[..., None], 3, axis=2)
BITS = GREY > 4
STACK = _NOISE.integers(0, 99, (4, 24, 32)).astype(np.uint16)


def _tiffs(folder: Path) -> None:
    from tifffile import imwrite

    imwrite(folder / "raw.tif", DEEP)
    imwrite(folder / "big_endian.tif", DEEP, byteorder=">")
    imwrite(folder / "tiled.tif", DEEP, tile=(16, 16))
    imwrite(folder / "strips.tif", DEEP, rowsperstrip=7)
    imwrite(folder / "bigtiff.tif", DEEP, bigtiff=True, tile=(16, 16), compression="zlib")
    imwrite(folder / "float.tif", GREY.astype(np.float32), compression="zlib", predictor=True)
    palette = np.stack([np.arange(256, dtype=np.uint16) * 257] * 3)
    imwrite(folder / "palette.tif", GREY, photometric="palette", colormap=palette)
    imwrite(folder / "colour.tif", COLOUR, photometric="rgb", planarconfig="contig", rowsperstrip=16)
    imwrite(folder / "planar.tif", COLOUR.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    for name, code in (
        ("lzw", "lzw"),
        ("deflate", "zlib"),
        ("packbits", "packbits"),
        ("zstd", "zstd"),
        ("lzma", "lzma"),
    ):
        imwrite(folder / f"{name}.tif", GREY, compression=code, rowsperstrip=16)
    imwrite(
        folder / "jpeg.tif", np.repeat(np.arange(64, dtype=np.uint8)[None], 48, 0), compression="jpeg", tile=(16, 16)
    )
    imwrite(
        folder / "ome.ome.tif", STACK.reshape(2, 2, 24, 32), metadata={"axes": "TZYX", "PhysicalSizeX": 0.5}, ome=True
    )
    imwrite(folder / "imagej.tif", STACK, imagej=True, metadata={"axes": "ZYX", "unit": "um"}, resolution=(2, 2))
    imwrite(folder / "pages.tif", STACK, photometric="minisblack", metadata=None)
    imwrite(folder / "shaped.tif", STACK)
    ramp = np.repeat(np.arange(128, dtype=np.uint8)[None, :, None], 16, 0).repeat(3, 2)
    write_ndpi(folder / "scan.ndpi", [{"pixels": ramp, "lens": 20.0}, {"pixels": ramp[:8, :64], "lens": 10.0}])


def _pictures(folder: Path) -> None:
    from PIL import Image

    Image.fromarray(GREY).save(folder / "grey.png")
    Image.fromarray(DEEP.astype(np.uint16)).save(folder / "deep.png")
    Image.fromarray(COLOUR).save(folder / "colour.png")
    Image.fromarray(BITS).save(folder / "bits.png")
    Image.fromarray(BITS).save(folder / "bits.tif")
    Image.fromarray(BITS).save(folder / "group4.tif", compression="group4")
    indexed = Image.fromarray(GREY).convert("P")
    indexed.save(folder / "palette.png")
    Image.fromarray(np.dstack([COLOUR, np.full(GREY.shape, 255, np.uint8)])).save(folder / "alpha.png")
    Image.fromarray(GREY).save(folder / "grey.jpg")
    Image.fromarray(COLOUR).save(folder / "colour.jpg")
    Image.fromarray(GREY).save(folder / "grey.bmp")
    Image.fromarray(COLOUR).save(folder / "colour.bmp")


def _arrays(folder: Path) -> None:
    import nibabel

    np.save(folder / "a.npy", DEEP)
    np.save(folder / "fortran.npy", np.asfortranarray(DEEP))
    np.savez(folder / "a.npz", image=GREY, mask=GREY)
    np.savez_compressed(folder / "packed.npz", image=GREY, mask=GREY)
    for name, kind in (("one", nibabel.Nifti1Image), ("two", nibabel.Nifti2Image)):
        for suffix in ("nii", "nii.gz"):
            nibabel.save(kind(STACK.T.copy(), np.eye(4)), folder / f"{name}.{suffix}")


def _zarrs(folder: Path) -> None:
    from numcodecs import Blosc, Zstd
    from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

    options: dict[str, Any] = {"size": {"Y": 0.5, "X": 0.5}, "chunks": (1, 16, 16)}
    write_ome_zarr(folder / "new.zarr", [STACK], "ZYX", compressors=[ZstdCodec(), Crc32cCodec()], **options)
    write_ome_zarr(folder / "blosc.zarr", [STACK], "ZYX", compressors=[BloscCodec()], **options)
    write_ome_zarr(folder / "plain.zarr", [STACK], "ZYX", compressors=None, **options)
    write_ome_zarr(folder / "old.zarr", [STACK], "ZYX", version="0.4", compressors=Blosc(), **options)
    write_ome_zarr(folder / "old_zstd.zarr", [STACK], "ZYX", version="0.4", compressors=Zstd(), **options)
    write_ome_zarr(folder / "sharded.zarr", [STACK], "ZYX", shards=(1, 32, 32), compressors=[ZstdCodec()], **options)


def _maps(folder: Path) -> None:
    from cellmonai.images.maps import write_maps

    maps = _NOISE.random((2, 40, 48)).astype(np.float32)
    for kind in ("float16", "uint8"):
        target = folder / f"{kind}_maps.zarr"
        write_maps(target, maps, names=("foreground", "border"), pixel_size_um=(1, 1), dtype=kind, overwrite=True)


def _models(folder: Path) -> None:
    from cellmonai.images.normalise import Normalisation
    from cellmonai.models.file import ModelCard, write_model

    card = ModelCard(
        network="basic_unet",
        parameters={"width": 8},
        channels=1,
        channel_names=("grey",),
        normalisation=Normalisation(),
        operating_point={"threshold": 0.5, "split": "auto"},
        radius_px=70,
        divisor=16,
        tile_exact=True,
        pixel_size_um=(0.5, 0.5),
        object_diameter_px=12.0,
    )
    tensors = {"a": _NOISE.random((8, 8)).astype(np.float32), "b": np.zeros((), np.int64)}
    write_model(folder / "a.safetensors", card, tensors, overwrite=True)


WRITERS: tuple[Callable[[Path], None], ...] = (_tiffs, _pictures, _arrays, _zarrs, _maps, _models)


def seed_files() -> dict[str, Files]:
    """Write every kind once and give its files, by the name of the image.

    They are written by a process of its own: one that has threads, as zarr begins them, must not fork afterwards.
    """
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if not (child := os.fork()):
            code = 1
            try:
                for write in WRITERS:
                    write(folder)
                code = 0
            finally:
                os._exit(code)
        if os.waitpid(child, 0)[1]:
            raise RuntimeError("the seed files could not be written")
        return {path.name: _taken(path) for path in sorted(folder.iterdir())}


def _taken(path: Path) -> Files:
    if not path.is_dir():
        return {"": path.read_bytes()}
    inside = sorted(each for each in path.rglob("*") if each.is_file())
    return {each.relative_to(path).as_posix(): each.read_bytes() for each in inside}


def put(files: Files, path: Path) -> None:
    """Write the files of one image."""
    if list(files) == [""]:
        path.write_bytes(files[""])
        return
    for name, content in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
