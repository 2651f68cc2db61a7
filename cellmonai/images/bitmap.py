"""PNG, JPEG and BMP through Pillow, after the header's size was compared with the budget."""

from __future__ import annotations

import warnings
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError
from cellmonai.images.axes import check_axes
from cellmonai.images.channels import RGB_NAMES
from cellmonai.images.exif import orientation_in
from cellmonai.images.guard import reading
from cellmonai.images.resolution import from_resolution
from cellmonai.images.source import ImageFacts, ImageSource, Looks, Region, default_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image, ImageFile

    from cellmonai.core.units import PixelSize
    from cellmonai.images.budget import Budget

_CHANNELS = {"1": 1, "L": 1, "LA": 1, "La": 1, "P": 3, "PA": 3, "RGB": 3, "RGBA": 3, "RGBX": 3, "RGBa": 3}
_WITH_ALPHA = {"LA", "RGBA"}
_CHANNELS |= {"I;16": 1, "I;16B": 1, "I;16L": 1, "I;16N": 1, "I": 1, "F": 1}


def open_bitmap(path: Path, budget: Budget, *, kind: str, axes: str | None, as_index: bool) -> ImageSource:
    """Open a PNG, JPEG or BMP; alpha is left out and a palette applied, or both kept for masks with `as_index`."""
    with reading(path, f"the {kind} header"), _opened(path, kind) as image:
        (width, height), mode = image.size, image.mode
        frames = getattr(image, "n_frames", 1) if kind == "PNG" else 1
        resolution = image.info.get("dpi") if kind == "PNG" else None
        orientation = orientation_in(path, image, kind)
        is_clear_rgb = as_index and mode == "RGB" and "transparency" in image.info
        is_indexed = as_index and (mode == "P" or (mode == "L" and isinstance(image.info.get("transparency"), int)))
    if mode not in _CHANNELS:
        raise InputError(f"its colours are {mode}", where=str(path), cure="save it as grey or RGB")
    if frames > 1:
        raise InputError(
            f"it is an animation of {frames} frames", where=str(path), cure="save each in a file of its own"
        )
    if 0 in (width, height):
        raise InputError("the image has no pixels", where=str(path), cure="export it again")
    deep = _is_deep_colour(path) if kind == "PNG" else False
    channels = _channel_count(mode, path, deep=deep, as_index=as_index)
    dtype = np.dtype(np.uint16 if deep else _dtype(mode))
    decoded = width * height * (4 if channels == 3 else 1) * dtype.itemsize
    budget.require(decoded, f"an image of {width} x {height} px", where=path)
    budget.require_ratio(decoded, path.stat().st_size, where=path)
    stored = "YX" if channels == 1 else "YXS"
    if axes is not None and check_axes(axes, len(stored), path).replace("C", "S") != stored:
        raise InputError(
            f"its axes are {stored}, not {axes}", where=str(path), cure=f"leave --axes out or say {stored}"
        )
    with reading(path, "the pixels"):
        palette = _palette_of(path, kind) if is_indexed else None
    has_alpha = as_index and (mode in _WITH_ALPHA or (is_clear_rgb and not deep))
    names = RGB_NAMES if channels == 3 else default_names(1)
    facts = ImageFacts(
        stored_axes=stored,
        shape=(channels + has_alpha, height, width),
        channels=(*names, "alpha") if has_alpha else names,
        dtype=dtype,
        pixel_size_um=_pixel_size(resolution),
        levels=((height, width),),
        notes=_notes(mode, as_index=as_index),
        looks=Looks(orientation, palette, has_alpha=has_alpha),
    )
    return BitmapSource(path, facts, budget, kind, deep=deep, as_index=as_index)


@contextmanager
def _opened(path: Path, kind: str) -> Iterator[Image.Image]:
    """Open with one decoder only. Pillow's limit of 179 megapixels stays; its warning from 89 on is ours to judge."""
    from PIL import Image

    with warnings.catch_warnings(action="ignore"):
        try:
            with Image.open(path, formats=[kind]) as image:
                if kind == "BMP":
                    _mend_bits(image, path)
                yield image
        except Image.DecompressionBombError as error:
            raise InputError(
                f"a {kind} of more than 179 megapixels is not decoded whole",
                where=str(path),
                cure="save it as a tiled TIFF",
            ) from error


def _mend_bits(image: ImageFile.ImageFile, path: Path) -> None:
    """Correct how Pillow unpacks a BMP of 4 or 8 bits whose palette is grey: it takes 2 greys for single bits.

    Raises
    ------
    InputError
        It has 4 bits, which Pillow would take for other ones.
    """
    with path.open("rb") as stream:
        head = stream.read(30)
    at = 24 if head[14] == 12 else 28  # OS/2 has a shorter header
    bits = int.from_bytes(head[at : at + 2], "little")
    if image.mode not in {"1", "L"} or bits == {"1": 1, "L": 8}[image.mode]:
        return
    tile = image.tile[0]
    if bits != 8 or tile.codec_name != "raw" or not isinstance(tile.args, tuple):
        raise InputError(f"it is a grey BMP of {bits} bits", where=str(path), cure="save it as PNG or with 8 bits")
    image.tile = [tile._replace(args=("1;8", *tile.args[1:]))]


def _is_deep_colour(path: Path) -> bool:
    """Whether a PNG holds more than one 16-bit sample per pixel, of which Pillow keeps only the upper half."""
    with path.open("rb") as stream:
        start = stream.read(26)
    return len(start) == 26 and start[24] == 16 and start[25] in {2, 4, 6}


def _channel_count(mode: str, path: Path, *, deep: bool, as_index: bool) -> int:
    if deep:  # grey with alpha shows as RGBA
        with path.open("rb") as stream:
            return 1 if stream.read(26)[25] == 4 else 3
    return 1 if mode == "P" and as_index else _CHANNELS[mode]


def _dtype(mode: str) -> type[np.generic]:
    if mode == "1":
        return np.bool_
    if mode.startswith("I;16"):
        return np.uint16
    return {"I": np.int32, "F": np.float32}.get(mode, np.uint8)


def _pixel_size(dpi: object) -> PixelSize | None:
    """Read a PNG's pixels per metre, which Pillow gives as dpi, where they are a microscope's."""
    if not isinstance(dpi, tuple) or len(dpi) != 2 or min(dpi) <= 0:
        return None
    x, y = (0.0254 / float(value) for value in dpi)
    return from_resolution(y, x, "m")


def _notes(mode: str, *, as_index: bool) -> tuple[str, ...]:
    if as_index:
        return ()
    notes = ("alpha channel left out",) if mode in {"LA", "La", "PA", "RGBA", "RGBa"} else ()
    return (*notes, "palette applied") if mode in {"P", "PA"} else notes


def _palette_of(path: Path, kind: str) -> NDArray[np.uint16]:
    """Give red, green, blue and alpha by index; grey levels are a palette of their own."""
    with _opened(path, kind) as image:
        clear = image.info.get("transparency")
        colours = np.repeat(np.arange(256), 3).reshape(-1, 3)
        if image.mode == "P":
            image.load()
            colours = np.asarray(image.getpalette("RGB") or [], np.int64).reshape(-1, 3)[:256]
    alpha = np.full((len(colours), 1), 255)
    if isinstance(clear, int) and clear < len(alpha):
        alpha[clear] = 0
    elif isinstance(clear, bytes):
        alpha[: len(clear), 0] = list(clear[: len(alpha)])
    return np.concatenate([colours, alpha], axis=1).astype(np.uint16)


class BitmapSource(ImageSource):
    """A bitmap, decoded whole at the first read and kept: these formats cannot be read in parts."""

    def __init__(self, path: Path, facts: ImageFacts, budget: Budget, kind: str, *, deep: bool, as_index: bool) -> None:
        super().__init__(path, facts, budget)
        self._kind, self._deep, self._as_index = kind, deep, as_index
        self._pixels: NDArray[Any] | None = None

    def _read(self, box: Region, channels: Sequence[int], level: int, plane: int) -> NDArray[Any]:
        if self._pixels is None:
            pixels = self._deep_pixels() if self._deep else self._decoded()
            if pixels.shape != self.shape:
                raise InputError(
                    f"the pixels are {pixels.shape}, the header says {self.shape}",
                    where=str(self.path),
                    cure="the file is damaged",
                )
            self._pixels = pixels
        return np.ascontiguousarray(self._pixels[list(channels), box[0] : box[2], box[1] : box[3]])

    def _decoded(self) -> NDArray[Any]:
        if self._kind == "PNG":
            _check_chunks(self.path.read_bytes(), self.path)
        with _opened(self.path, self._kind) as image:
            image.load()
            if image.mode == "P" and not self._as_index:
                return _with_palette(image)
            array = np.asarray(image.convert("RGBA") if self.shape[0] > len(image.getbands()) else image)
        if array.dtype == np.bool_:
            array = array.view(np.uint8) != 0  # Pillow's True is the byte 255, and kernels take it for the number
        if array.ndim == 2:
            array = array[..., np.newaxis]
        return np.moveaxis(array[..., : self.shape[0]], -1, 0).astype(self.dtype, copy=False)

    def _deep_pixels(self) -> NDArray[Any]:
        from imagecodecs import png_decode

        data = self.path.read_bytes()
        _check_chunks(data, self.path)
        array = np.asarray(png_decode(data))
        return np.moveaxis(array[..., : self.shape[0]], -1, 0).astype(self.dtype, casting="no")


def _check_chunks(data: bytes, path: Path) -> None:
    """Compare a PNG's checksums, which one decoder only prints about and the other does not look at to the end."""
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        stored = int.from_bytes(data[at + 8 + length : at + 12 + length])
        if zlib.crc32(data[at + 4 : at + 8 + length]) != stored:
            break
        if data[at + 4 : at + 8] == b"IEND":
            return
        at += 12 + length
    raise InputError("its checksums are wrong or it is cut short", where=str(path), cure="export the image again")


def _with_palette(image: Image.Image) -> NDArray[np.uint8]:
    colours = np.zeros((256, 3), np.uint8)
    given = np.asarray(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    colours[: len(given)] = given[:256]
    pixels: NDArray[np.uint8] = np.moveaxis(colours[np.asarray(image)], -1, 0)
    return pixels
