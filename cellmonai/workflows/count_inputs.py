"""Which files `count` counts, what each is called, and which image it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError, UsageError
from cellmonai.images.find import find_images, image_stem, is_image_name
from cellmonai.workflows.infer_record import RECORD_NAME, InferRecord, read_infer_record
from cellmonai.workflows.output_names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from cellmonai.core.progress import Reporter
    from cellmonai.core.units import PixelSize
    from cellmonai.instances.settings import InstanceSettings

# in a folder that mixes them, files of the first of these kinds are counted
_MASK_SUFFIXES = (("_mask", "_masks"), ("_label", "_labels"))
_MAPS_SUFFIX = "_maps.zarr"
_BY_PRODUCTS = ("_overlay.png", "_heatmap.png", _MAPS_SUFFIX)  # of `infer`, beside its masks


@dataclass(frozen=True, slots=True)
class MaskInput:
    """One file to count.

    Parameters
    ----------
    path : the mask or label image
    name : what tables and outputs call it; no other input has it
    image, image_plane : the image it belongs to and the plane of it, where known
    image_is_given : the user named the image, so it must fit; one found by ourselves is left out when it does not
    maps : probability maps of the model, where they are
    operating_point : what the model that made the mask was tuned to, where known
    pixel_size_um : from the record of `infer`, where the mask itself may not say
    """

    path: Path
    name: str
    image: Path | None = None
    image_plane: str = ""
    image_is_given: bool = False
    maps: Path | None = None
    operating_point: InstanceSettings | None = None
    pixel_size_um: PixelSize | None = None


def find_masks(
    inputs: Sequence[Path], *, images: Path | None, reporter: Reporter
) -> tuple[list[MaskInput], dict[str, str]]:
    """Find every mask of files, folders and globs, each once, sorted within an input.

    Parameters
    ----------
    inputs : as typed
    images : a folder with the images of the masks, equal in name
    reporter : told which files of a folder are left alone, and why

    Returns
    -------
    The masks, and image -> reason for images that `infer` could not do

    Raises
    ------
    InputError
        An input holds nothing to count, or `images` holds no image of any mask.
    """
    record_of = cache(read_infer_record)
    found: dict[Path, MaskInput] = {}
    failed: dict[str, str] = {}
    for given in inputs:
        if _is_by_product(given, record_of(given.parent)):
            continue  # a shell's `masks/*` names these too
        if given.is_dir():
            record = record_of(given)
            failed |= dict.fromkeys(record.failed if record else (), "cellmonai infer gave no mask of it")
            files = _files_in(given, record, reporter)
        else:
            files = find_images([given])
        for file in files:
            found.setdefault(file.resolve(), _described(file, record_of(file.parent)))
    if not found:
        cure = "run cellmonai infer again" if failed else "name masks, or a folder of masks"
        raise InputError("no mask was left to count", where=str(inputs[0]), cure=cure)
    return _with_images(_named(list(found.values())), images, reporter), failed


def _is_by_product(path: Path, record: InferRecord | None) -> bool:
    return record is not None and (path.name == RECORD_NAME or path.name.endswith(_BY_PRODUCTS))


def _files_in(folder: Path, record: InferRecord | None, reporter: Reporter) -> list[Path]:
    if record is None:
        return _masks_among(find_images([folder]), folder, reporter)
    reporter.note(f"{folder}: {_masks(len(record.masks))} left by cellmonai infer, with its operating point")
    return [mask.mask for mask in record.masks]


def _described(file: Path, record: InferRecord | None) -> MaskInput:
    """Add what the record of `infer`, or a file beside, tells about a mask."""
    stem = _bare(image_stem(file))
    beside = file.with_name(stem + _MAPS_SUFFIX)
    plain = MaskInput(file, stem, maps=beside if beside.is_dir() else None)
    inferred = next((mask for mask in record.masks if mask.mask.name == file.name), None) if record else None
    if record is None or inferred is None:
        return plain
    return replace(
        plain,
        image=inferred.image if inferred.image.exists() else None,
        image_plane=inferred.plane,
        maps=inferred.maps if inferred.maps and inferred.maps.exists() else None,
        operating_point=record.operating_point,
        pixel_size_um=inferred.pixel_size_um,
    )


def _masks_among(files: list[Path], folder: Path, reporter: Reporter) -> list[Path]:
    """Leave out pictures that lie beside masks: where files are called `x_mask`, only these are counted."""
    for suffixes in _MASK_SUFFIXES:
        masks = [file for file in files if image_stem(file).lower().endswith(suffixes)]
        if masks and len(masks) < len(files):
            reporter.note(
                f"{folder}: {_masks(len(masks))} called *{suffixes[0]}; the {len(files) - len(masks)} other files of "
                "the folder are not counted (name files one by one to count them)"
            )
        if masks:
            return masks
    return files


def _named(masks: list[MaskInput]) -> list[MaskInput]:
    names = distinct_names([mask.path for mask in masks], [mask.name for mask in masks])
    return [replace(mask, name=name) for mask, name in zip(masks, names, strict=True)]


def _with_images(masks: list[MaskInput], folder: Path | None, reporter: Reporter) -> list[MaskInput]:
    """Give each mask its image: from the folder that was named, else from the record, else one beside the mask."""
    if folder is None:
        beside = cache(_images_by_stem)
        return [mask if mask.image else _with_image_beside(mask, beside(mask.path.parent)) for mask in masks]
    by_stem = _by_stem(find_images([folder]))
    chosen = [(mask, _image_for(mask, by_stem)) for mask in masks]
    if not any(image for _, image in chosen):
        raise InputError(
            f"none of the {_masks(len(masks))} has an image of its name here",
            where=str(folder),
            cure=f"name images as the masks, for example {masks[0].name}.tif",
        )
    for mask, image in chosen:
        if image is None:
            reporter.warn("image_missing", f"no image of this name in {folder}", mask.name)
    return [replace(mask, image=image, image_is_given=image is not None) for mask, image in chosen]


def _with_image_beside(mask: MaskInput, by_stem: dict[str, list[Path]]) -> MaskInput:
    stem = _bare(image_stem(mask.path))
    beside = by_stem.get(stem, []) if stem != image_stem(mask.path) else []
    return replace(mask, image=beside[0]) if len(beside) == 1 else mask


def _images_by_stem(folder: Path) -> dict[str, list[Path]]:
    return _by_stem(path for path in folder.iterdir() if is_image_name(path) and path.is_file())


def _by_stem(files: Iterable[Path]) -> dict[str, list[Path]]:
    stems: dict[str, list[Path]] = {}
    for file in sorted(files):
        stems.setdefault(image_stem(file), []).append(file)
    return stems


def _image_for(mask: MaskInput, by_stem: dict[str, list[Path]]) -> Path | None:
    for stem in (_bare(image_stem(mask.path)), image_stem(mask.path)):
        candidates = by_stem.get(stem, [])
        if len(candidates) > 1:
            raise UsageError(
                f"{candidates[0].name} and {candidates[1].name} could both be the image of {mask.path.name}",
                where="--images",
                cure="keep one of them in the folder",
            )
        if candidates:
            return candidates[0]
    return None


def _bare(stem: str) -> str:
    for suffix in (suffix for suffixes in _MASK_SUFFIXES for suffix in suffixes):
        if stem.lower().endswith(suffix) and len(stem) > len(suffix):
            return stem[: -len(suffix)]
    return stem


def _masks(count: int) -> str:
    return f"{count:,} mask" + ("" if count == 1 else "s")
