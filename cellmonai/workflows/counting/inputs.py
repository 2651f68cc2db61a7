"""Which files `count` counts, and what each is called."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cache
from os.path import realpath  # Path.resolve raises for links that lead in a circle
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError
from cellmonai.core.files import resolved
from cellmonai.images.find import (
    Found,
    find_images,
    image_stem,
    in_natural_order,
    is_folder,
    is_zarr_folder,
    listed,
    same_folder,
    searched,
)
from cellmonai.images.left_out import tell_left_out
from cellmonai.workflows.counting.images import with_images
from cellmonai.workflows.inferring.record import JOURNAL_NAME, RECORD_NAME, InferRecord, read_infer_record
from cellmonai.workflows.mask_names import (
    INFER_BY_PRODUCTS,
    MAPS_SUFFIX,
    bare_stem,
    is_cellpose_session,
    masks_among,
    masks_in_words,
)
from cellmonai.workflows.output_names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from cellmonai.core.progress import Reporter
    from cellmonai.core.units import PixelSize
    from cellmonai.instances.settings import InstanceSettings
    from cellmonai.workflows.counting.settings import CountSettings
    from cellmonai.workflows.inferring.record import RecordedModel


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
    made_by : the model that made the mask, as the record of `infer` names it
    channels : indices of the channels that the model saw; empty where the record does not say
    is_partial : it is of a run of `infer` that never finished
    """

    path: Path
    name: str
    image: Path | None = None
    image_plane: str = ""
    image_is_given: bool = False
    maps: Path | None = None
    operating_point: InstanceSettings | None = None
    pixel_size_um: PixelSize | None = None
    made_by: RecordedModel | None = None
    channels: tuple[int, ...] = ()
    is_partial: bool = False


@dataclass(frozen=True, slots=True)
class FoundMasks:
    """The masks to count, and image -> reason for images that `infer` could not do."""

    masks: list[MaskInput]
    failed: dict[str, str] = field(default_factory=dict)


def find_masks(inputs: Sequence[Path], settings: CountSettings, reporter: Reporter) -> FoundMasks:
    """Find every mask of files, folders and globs, each once, sorted within an input.

    Parameters
    ----------
    inputs : as typed
    settings : where the images of the masks are, whether folders inside are searched, and whether a run of `infer` that
        never finished is taken
    reporter : told which files of a folder are left alone, and why

    Raises
    ------
    InputError
        An input holds nothing to count, is of an unfinished run, holds two masks of one image, or the folder of images
        holds no image of any mask.
    """
    record_of = cache(read_infer_record)
    found: dict[str, MaskInput] = {}
    failed: dict[str, str] = {}
    left_out = Found([])
    for given in inputs:
        if _is_by_product(given, record_of(given.parent)):
            continue  # a shell's `masks/*` names these too
        for files, record in _files_of(given, settings, record_of, left_out, reporter):
            failed |= dict.fromkeys(record.failed if record else (), "cellmonai infer gave no mask of it")
            for file in files:
                mask = found.setdefault(realpath(file), _described(file, record_of(file.parent)))
                if mask.path.name != file.name:
                    reporter.warn("same_file", f"{file.name} is a link to {mask.path.name}, which is counted once")
    tell_left_out(left_out, reporter, how_to_search="--recursive")
    if not found:
        cure = "run cellmonai infer again" if failed else "name masks, or a folder of masks"
        raise InputError("no mask was left to count", where=str(inputs[0]), cure=cure)
    masks = list(found.values())
    _refuse_unfinished(masks, reporter, allow_partial=settings.allow_partial)
    _refuse_two_of_one(masks)
    with_their_images = with_images(_named(masks), settings.images, reporter, recursive=settings.recursive)
    return FoundMasks(with_their_images, failed)


def _files_of(
    given: Path,
    settings: CountSettings,
    record_of: Callable[[Path], InferRecord | None],
    left_out: Found,
    reporter: Reporter,
) -> Iterator[tuple[list[Path], InferRecord | None]]:
    """Give the masks of an input, folder by folder, with the record of `infer` where it left them."""
    is_output = same_folder(settings.output)

    def avoid(folder: Path) -> bool:  # label images of a count would be counted once more
        return is_output(folder) or (folder / "counts.json").exists()

    if not is_folder(given) or is_zarr_folder(given):
        found = find_images([given], recursive=settings.recursive, avoid=avoid)
        left_out.add(found)
        yield found.images, None
        return
    if not settings.recursive:
        if record := record_of(given):
            yield _recorded(given, record, reporter), record
            return
        _name_the_sub_folder(given)
    left_out.add(find_images([given], recursive=settings.recursive, avoid=avoid))
    for folder, here in searched([given], recursive=settings.recursive, avoid=avoid):
        if record := record_of(folder):
            yield _recorded(folder, record, reporter), record
        elif here.images:
            yield _masks_in(folder, in_natural_order(here.images), reporter), None


def _is_by_product(path: Path, record: InferRecord | None) -> bool:
    return record is not None and (path.name == RECORD_NAME or path.name.endswith(INFER_BY_PRODUCTS))


def _recorded(folder: Path, record: InferRecord, reporter: Reporter) -> list[Path]:
    reporter.note(f"{folder}: {masks_in_words(len(record.masks))} left by cellmonai infer, with its operating point")
    return [mask.mask for mask in record.masks]


def _masks_in(folder: Path, files: list[Path], reporter: Reporter) -> list[Path]:
    """Return the masks among the files of a folder."""
    masks, called = masks_among(files)
    if any(map(is_cellpose_session, files)) and not called:
        raise InputError(
            "the folder holds Cellpose sessions (_seg.npy), which are pickles and could run programs, and no masks",
            where=str(folder),
            cure="save the masks from Cellpose as TIFF or PNG (File, Save masks) and count these",
            code="pickle",
        )
    if len(masks) < len(files):
        which = f"{masks_in_words(len(masks))} called *{called}" if called else masks_in_words(len(masks))
        reporter.note(
            f"{folder}: {which}; the {len(files) - len(masks)} other files of "
            "the folder are not counted (name files one by one to count them)"
        )
    return masks


def _name_the_sub_folder(folder: Path) -> None:
    """Refuse a folder of folders with the command that fits it."""
    folders = {path.name.lower(): path for path in listed(folder) if path.is_dir()}
    masks = [folders[name] for name in ("masks", "labels", "annotations", "gt") if name in folders]
    if masks and not any(path.is_file() for path in listed(folder)):
        images = f" --images {folders['images']}" if "images" in folders else ""
        raise InputError(
            "the folder holds no masks itself, its folders do",
            where=str(folder),
            cure=f"count {masks[0]}{images}",
        )


def _described(file: Path, record: InferRecord | None) -> MaskInput:
    """Add what the record of `infer`, or a file beside, tells about a mask."""
    stem = bare_stem(image_stem(file))
    beside = file.with_name(stem + MAPS_SUFFIX)
    maps = beside if is_folder(beside) else None
    is_partial = record is None and (maps is not None or file.with_name(JOURNAL_NAME).exists())
    plain = MaskInput(file, stem, maps=maps, is_partial=is_partial)
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
        made_by=record.made_by,
        channels=inferred.channels,
        is_partial=not record.finished,
    )


def _refuse_unfinished(masks: list[MaskInput], reporter: Reporter, *, allow_partial: bool) -> None:
    """Refuse masks of a run of `infer` without a record: it writes maps beside a mask, and the record at its end."""
    folders = dict.fromkeys(mask.path.parent for mask in masks if mask.is_partial)
    for folder in folders:
        what = "cellmonai infer never finished here, so that images may be missing and its operating point is unknown"
        if not allow_partial:
            raise InputError(
                what,
                where=str(folder),
                cure="run the same infer command again, or count what is there with --allow-partial",
                code="unfinished",
            )
        reporter.warn("partial", f"{folder}: {what}; every number here is partial")
    if allow_partial and not folders:
        reporter.note("--allow-partial changes nothing, since no mask is of an unfinished run of cellmonai infer")


def _refuse_two_of_one(masks: list[MaskInput]) -> None:
    """Refuse two masks of one image: its cells would be counted twice."""
    same: dict[tuple[Path, str], list[MaskInput]] = defaultdict(list)
    for mask in masks:
        same[(resolved(mask.path.parent), mask.name)].append(mask)
    for (folder, _), several in same.items():
        if len(several) > 1:
            names = " and ".join(mask.path.name for mask in several[:3])
            which, times = ("both", "twice") if len(several) == 2 else ("all", f"{len(several)} times")
            raise InputError(
                f"{names} are {which} masks of {several[0].name}, and its cells would be counted {times}",
                where=str(folder),
                cure="count one of them, or each with an --output of its own",
                code="two_masks",
            )


def _named(masks: list[MaskInput]) -> list[MaskInput]:
    names = distinct_names([mask.path for mask in masks], [mask.name for mask in masks])
    return [replace(mask, name=name) for mask, name in zip(masks, names, strict=True)]
