"""Open an image of any known kind, after the checks that a hostile or damaged file must not pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError
from cellmonai.images.budget import budget_of
from cellmonai.images.find import FAMILIES, family_of, is_zarr_folder
from cellmonai.images.guard import kind_of_content, require_regular_file
from cellmonai.images.mask_view import as_mask
from cellmonai.images.orientation import as_shown
from cellmonai.images.source import stamp_of

if TYPE_CHECKING:
    from pathlib import Path

    from cellmonai.images.budget import Budget
    from cellmonai.images.source import ImageSource


def open_image(
    path: Path, *, memory: int | None = None, axes: str | None = None, as_stored: bool = False
) -> ImageSource:
    """Open an image; its header is checked, its pixels are not read yet.

    Parameters
    ----------
    path : a TIFF (also BigTIFF, OME, ImageJ, Aperio, Hamamatsu, Akoya), PNG, JPEG, BMP, npy, npz or NIfTI file, or an
        OME-Zarr folder
    memory : bytes that reading may take; half of what is free by default
    axes : one letter per stored axis (C channel, Y row, X column, Z, T, P planes) where the file does not say, or
        instead of what it says
    as_stored : whether an orientation tag is left alone, where it is applied otherwise

    Returns
    -------
    ImageSource
        Close it, or use it in a `with` block.

    Raises
    ------
    InputError
        The file is missing, a folder, a link to nothing or no regular file, of an unknown kind, damaged, named for
        another kind, complex, without pixels, or declares what it does not hold.
    MemoryBudgetError
        The least that can be read of it is over the budget.
    """
    source = _open(path, memory=memory, axes=axes, as_index=False)
    return source if as_stored else as_shown(source)


def open_indexed(path: Path, *, memory: int | None = None, as_stored: bool = False) -> ImageSource:
    """As `open_image` for masks: palettes and alpha give what they mean in a mask, and an npz gives its mask.

    Raises
    ------
    InputError
        As `open_image`; or a palette or alpha leaves it unclear what is background.
    """
    source = _open(path, memory=memory, axes=None, as_index=True)
    try:
        mask = as_mask(source)
    except BaseException:
        source.close()
        raise
    return mask if as_stored else as_shown(mask)


def _open(path: Path, *, memory: int | None, axes: str | None, as_index: bool) -> ImageSource:
    budget = budget_of(memory)
    if is_zarr_folder(path):
        from cellmonai.images.ome_zarr import open_ome_zarr

        return open_ome_zarr(path, budget, axes=axes)
    stamp = stamp_of(path)
    require_regular_file(path)
    source = _open_file(path, budget, axes=axes, as_index=as_index)
    source.stamp = stamp
    return source


def _open_file(path: Path, budget: Budget, *, axes: str | None, as_index: bool) -> ImageSource:
    family = _checked_family(path)
    match family:
        case "TIFF":
            from cellmonai.images.tiff import open_tiff

            return open_tiff(path, budget, axes=axes, as_index=as_index)
        case "PNG" | "JPEG" | "BMP":
            from cellmonai.images.bitmap import open_bitmap

            return open_bitmap(path, budget, kind=family, axes=axes, as_index=as_index)
        case "npy":
            from cellmonai.images.numpy_files import open_npy

            return open_npy(path, budget, axes=axes)
        case "npz":
            from cellmonai.images.numpy_files import open_npz

            return open_npz(path, budget, axes=axes, of_mask=as_index)
        case _:
            from cellmonai.images.nifti import open_nifti

            return open_nifti(path, budget, axes=axes)


def _checked_family(path: Path) -> str:
    """Give the family that the name says, when the content is of it too."""
    family = family_of(path)
    if family is None:
        known = ", ".join(sorted({family for family, _ in FAMILIES}))
        raise InputError(
            f"{path.suffix or 'a file without a suffix'} is no image format that is read",
            where=str(path),
            cure=f"save it as one of {known}",
        )
    found = kind_of_content(path)
    expected = {"npz": {"zip"}, "NIfTI": {"NIfTI", "gzip"}}.get(family, {family})
    if found not in expected:
        real = "no known image" if found == "unknown" else f"{found} data"
        article = "an" if family[0] in "nNO" else "a"
        raise InputError(
            f"it is named as {article} {family} file and holds {real}",
            where=str(path),
            cure=f"rename it, or save it as {family}",
        )
    return family
