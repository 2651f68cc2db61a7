"""PNG, JPEG, BMP, npy, npz and NIfTI as images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cellmonai.core.errors import InputError
from cellmonai.images.channels import is_grey_rgb, to_channels
from cellmonai.images.open import open_image

if TYPE_CHECKING:
    from pathlib import Path

GREY = np.random.default_rng(1).integers(0, 250, (20, 30)).astype(np.uint8)
COLOUR = np.random.default_rng(2).integers(0, 250, (20, 30, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("array", "channels"),
    [
        pytest.param(GREY, ("0",), id="grey"),
        pytest.param(GREY > 100, ("0",), id="1 bit"),
        pytest.param(GREY.astype(np.uint16) * 200, ("0",), id="16 bit"),
        pytest.param(COLOUR, ("red", "green", "blue"), id="colour"),
    ],
)
def test_a_png_is_read_as_it_is(array: np.ndarray, channels: tuple[str, ...], tmp_path: Path) -> None:
    Image.fromarray(array).save(tmp_path / "a.png")
    with open_image(tmp_path / "a.png") as source:
        expected = array[np.newaxis] if array.ndim == 2 else np.moveaxis(array, -1, 0)
        assert source.channels == channels
        assert source.dtype == array.dtype
        assert source.pixel_size_um is None
        assert np.array_equal(source.read(), expected)
        assert np.array_equal(source.read((2, 3, 9, 8)), expected[:, 2:9, 3:8])


def test_a_png_with_16_bits_of_colour_keeps_them(tmp_path: Path) -> None:
    from imagecodecs import png_encode

    deep = COLOUR.astype(np.uint16) * 257 + 1
    (tmp_path / "a.png").write_bytes(png_encode(deep))
    with open_image(tmp_path / "a.png") as source:
        assert np.array_equal(source.read(), np.moveaxis(deep, -1, 0))
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[60] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    with open_image(tmp_path / "a.png") as source, pytest.raises(InputError, match="checksums"):
        source.read()


@pytest.mark.parametrize("name", ["a.bmp", "a.jpg"])
def test_other_bitmaps_are_read(name: str, tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / name)
    with open_image(tmp_path / name) as source:
        assert source.read().shape == (3, 20, 30)


def test_a_palette_png_becomes_colour_and_alpha_is_left_out(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).convert("P").save(tmp_path / "p.png")
    Image.fromarray(np.dstack([COLOUR, GREY])).save(tmp_path / "a.png")
    with open_image(tmp_path / "p.png") as source:
        expected = np.asarray(Image.open(tmp_path / "p.png").convert("RGB"))
        assert np.array_equal(source.read(), np.moveaxis(expected, -1, 0))
    with open_image(tmp_path / "a.png") as source:
        assert source.notes == ("alpha channel left out",)
        assert np.array_equal(source.read(), np.moveaxis(COLOUR, -1, 0))


def test_cmyk_is_refused(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).convert("CMYK").save(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="its colours are CMYK"):
        open_image(tmp_path / "a.jpg")


def test_text_in_a_png_does_no_harm(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("a", "x" * 100_000, zip=True)
    Image.fromarray(GREY).save(tmp_path / "a.png", pnginfo=info)
    with open_image(tmp_path / "a.png") as source:
        assert np.array_equal(source.read()[0], GREY)


@pytest.mark.parametrize(
    ("dpi", "expected"), [(72, None), (300, None), (25400 / 0.5, 0.5)], ids=["72 dpi", "300 dpi", "a microscope's"]
)
def test_a_screen_resolution_in_a_png_is_no_pixel_size(dpi: float, expected: float | None, tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png", dpi=(dpi, dpi))
    with open_image(tmp_path / "a.png") as source:
        assert source.pixel_size_um == (None if expected is None else pytest.approx((expected, expected), rel=1e-3))


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [
        pytest.param((20, 30), None, (1, 20, 30), id="two axes"),
        pytest.param((1, 20, 30), None, (1, 20, 30), id="an axis of length 1"),
        pytest.param((1, 1, 30), None, (1, 1, 30), id="one row"),
        pytest.param((20, 30, 3), "YXC", (3, 20, 30), id="channels last"),
        pytest.param((3, 20, 30), "CYX", (3, 20, 30), id="channels first"),
        pytest.param((30, 20), "XY", (1, 20, 30), id="transposed"),
        pytest.param((4, 20, 30), "ZYX", (1, 20, 30), id="depths"),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint16, ">u2", np.float32])
def test_arrays_are_read_with_their_axes(
    shape: tuple[int, ...], axes: str | None, expected: tuple[int, ...], dtype: type, tmp_path: Path
) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", image=array, other=array)
    for name in ("a.npy", "a.npz"):
        with open_image(tmp_path / name, axes=axes) as source:
            assert source.shape == expected
            found = source.read(plane=len(source.planes) - 1)
            assert found.shape == expected
            assert found.dtype.isnative
            assert found.max() == array.max()


def test_several_arrays_without_a_name_for_the_image_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", first=GREY, second=GREY)
    with pytest.raises(InputError, match=r"2 arrays \(first, second\) and none is called 'image'"):
        open_image(tmp_path / "a.npz")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_is_read_with_x_first_and_millimetres(suffix: str, tmp_path: Path) -> None:
    import nibabel

    volume = np.random.default_rng(0).integers(0, 99, (30, 20, 2)).astype(np.uint8)
    image = nibabel.Nifti1Image(volume, np.eye(4))
    image.header.set_zooms((0.0005, 0.00025, 0.002))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, tmp_path / f"a{suffix}")
    with open_image(tmp_path / f"a{suffix}") as source:
        assert source.shape == (1, 20, 30)
        assert source.planes == ("z0", "z1")
        assert source.pixel_size_um == pytest.approx((0.25, 0.5), rel=1e-5)
        assert np.array_equal(source.read((1, 2, 9, 8), plane=1)[0], volume[2:8, 1:9, 1].T)


def test_a_nifti_header_that_nibabel_mends_is_not_printed_about(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import nibabel

    nibabel.save(nibabel.Nifti1Image(np.zeros((30, 20), np.uint8), np.eye(4)), tmp_path / "a.nii")
    data = bytearray((tmp_path / "a.nii").read_bytes())
    data[254:256] = b"\x00\x7f"  # a code of the coordinate system that does not exist
    (tmp_path / "a.nii").write_bytes(data)
    with open_image(tmp_path / "a.nii") as source:
        assert source.shape == (1, 20, 30)
    assert capfd.readouterr().err == ""


def test_a_grey_picture_stored_as_colour_serves_a_model_with_one_channel() -> None:
    grey = np.stack([GREY] * 3)
    assert is_grey_rgb(grey)
    assert np.array_equal(to_channels(grey, 1), grey[:1])
    assert to_channels(grey, 3) is grey


@pytest.mark.parametrize(("found", "wanted"), [(3, 1), (2, 1), (1, 3), (3, 2)])
def test_channels_are_never_changed_silently(found: int, wanted: int) -> None:
    array = np.arange(found * 4).reshape(found, 2, 2)
    with pytest.raises(InputError, match=rf"{wanted} channels? (is|are) expected"):
        to_channels(array, wanted, where="a.tif")


@pytest.mark.parametrize(
    ("gains", "expected"),
    [((1, 1, 1), "red"), ((0.1, 1, 0.2), "green"), ((0, 0.3, 1), "blue"), ((0.95, 1, 0), "red"), ((0, 0, 0), "red")],
)
def test_the_channel_with_the_signal_is_named(gains: tuple[float, ...], expected: str) -> None:
    noise = np.random.default_rng(0).random((3, 20, 30)) * np.array(gains)[:, np.newaxis, np.newaxis]
    noise[0, 0, 0] += 1e-3  # so that they are not all equal
    with pytest.raises(InputError, match="1 channel is expected") as caught:
        to_channels(noise, 1)
    assert caught.value.cure == f"choose one, as --channel {expected}, which varies most"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16], ids=["8 bits", "16 bits"])
def test_no_damage_to_a_png_gives_other_pixels(tmp_path: Path, dtype: type[np.generic]) -> None:
    image = np.random.default_rng(7).integers(0, 999, (40, 48)).astype(dtype)
    Image.fromarray(image).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    for place in range(8, len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        (tmp_path / "a.png").write_bytes(changed)
        with pytest.raises(InputError), open_image(tmp_path / "a.png") as source:
            source.read()
