"""What the journal of a plane in work tells: which plane, which blocks lie on disk with which digests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, get_args

from cellmonai.core.errors import OutputError
from cellmonai.core.journal import ANEW, CANNOT_CONTINUE
from cellmonai.images.map_encoding import MapsEncoder, MapsType, chunk_names, is_whole_chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from cellmonai.core.units import PixelSize
    from cellmonai.images.source import Region


@dataclass(frozen=True, slots=True)
class PlaneFacts:
    """The plane that is written.

    Parameters
    ----------
    shape : (Y, X)
    names : of the maps, the model's outputs
    maps_dtype : as in `write_maps`
    pixel_size_um : (y, x) or None
    """

    shape: tuple[int, int]
    names: tuple[str, ...]
    maps_dtype: MapsType
    pixel_size_um: PixelSize | None

    def as_json(self) -> dict[str, Any]:
        """Give the facts as they stand in the journal's header."""
        size = self.pixel_size_um
        return {
            "shape": list(self.shape),
            "names": list(self.names),
            "maps_dtype": self.maps_dtype,
            "pixel_size_um": [float(side) for side in size] if size else None,
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """Read the facts of a header.

        Raises
        ------
        KeyError, TypeError, ValueError
            They are not what `as_json` gives.
        """
        (height, width), size, dtype = facts["shape"], facts["pixel_size_um"], facts["maps_dtype"]
        if dtype not in get_args(MapsType):
            raise ValueError(f"maps of type {dtype}")
        pixel_size_um = (float(size[0]), float(size[1])) if size else None
        return cls((int(height), int(width)), tuple(str(name) for name in facts["names"]), dtype, pixel_size_um)

    def encoder(self) -> MapsEncoder:
        """Give what turns maps of this plane into files."""
        shape = (len(self.names), *self.shape)
        return MapsEncoder(shape, names=self.names, pixel_size_um=self.pixel_size_um, dtype=self.maps_dtype)


@dataclass(frozen=True, slots=True)
class FileSum:
    """What lies in one file, or in some one after the other: the length of each in bytes and the SHA-256 of all."""

    lengths: tuple[int, ...]
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """Give the sum as it stands in the journal."""
        return {"bytes": list(self.lengths), "sha256": self.sha256}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """Read what `as_json` gave."""
        return cls(tuple(int(length) for length in facts["bytes"]), str(facts["sha256"]))


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """A block that lies on disk.

    Parameters
    ----------
    box : of whole chunks
    maps : of its chunks, in the order of `chunk_names`
    mask : of its bits; None where the block was skipped, its maps and mask are zero
    foreground_px : pixels of the mask that are set
    """

    box: Region
    maps: FileSum
    mask: FileSum | None
    foreground_px: int

    @property
    def mask_name(self) -> str:
        """The file of the block's bits, relative to the folder of the masks."""
        return f"{self.box[0]}_{self.box[1]}.bits"

    def map_lengths(self, channels: int) -> dict[str, int]:
        """Give the bytes of each chunk by its name relative to the folder of the maps."""
        return dict(zip(chunk_names(self.box, channels), self.maps.lengths, strict=True))

    def as_json(self) -> dict[str, Any]:
        """Give the record as it stands in the journal."""
        mask = {"mask": self.mask.as_json(), "foreground_px": self.foreground_px} if self.mask else {"skipped": True}
        return {"box": list(self.box), "maps": self.maps.as_json(), **mask}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any], plane: PlaneFacts) -> Self:
        """Read what `as_json` gave.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is not that, or does not fit the plane.
        """
        mask = None if facts.get("skipped") else FileSum.from_json(facts["mask"])
        maps = FileSum.from_json(facts["maps"])
        record = cls(box_from_json(facts["box"]), maps, mask, int(facts["foreground_px"]) if mask else 0)
        if not is_whole_chunks(record.box, plane.shape):
            raise ValueError(f"a block at {record.box}")
        record.map_lengths(len(plane.names))
        return record


def box_from_json(values: Iterable[Any]) -> Region:
    """Read a box that the journal holds as a list."""
    row0, column0, row1, column1 = (int(value) for value in values)
    return row0, column0, row1, column1


@dataclass(slots=True)
class Progress:
    """How far a plane is.

    Parameters
    ----------
    records : of the blocks on disk
    last_round : those that came last
    finished : the mask, once it was made of all blocks and before it and the maps got their final names
    told : what the caller wants to know when all blocks are there, see `PlaneStore.tell`
    """

    records: dict[Region, BlockRecord] = field(default_factory=dict)
    last_round: tuple[Region, ...] = ()
    finished: FileSum | None = None
    told: dict[str, Any] | None = None

    def add(self, records: Iterable[BlockRecord]) -> None:
        """Take in a round of blocks; a mask that was made before is no longer the one of all blocks."""
        new = {record.box: record for record in records}
        self.records |= new
        self.last_round, self.finished, self.told = tuple(new), None, None

    def forget(self, boxes: Iterable[Region]) -> None:
        """Drop blocks that are damaged."""
        for box in boxes:
            self.records.pop(box, None)
        self.finished, self.told = None, None


def progress_of(entries: Iterable[Mapping[str, Any]], plane: PlaneFacts, *, where: Path) -> Progress:
    """Tell from the lines of a journal how far its plane is.

    Raises
    ------
    OutputError
        A line is whole, but not one that a plane has.
    """
    progress = Progress()
    try:
        for entry in entries:
            _advance(progress, entry, plane)
    except (KeyError, TypeError, ValueError) as error:
        raise not_of_a_plane(where) from error
    return progress


def not_of_a_plane(where: Path) -> OutputError:
    """Give the failure to raise where a journal is whole and tells of something else."""
    return OutputError("its journal is not one of a plane", where=str(where), cure=ANEW, code=CANNOT_CONTINUE)


def _advance(progress: Progress, entry: Mapping[str, Any], plane: PlaneFacts) -> None:
    match entry:
        case {"blocks": blocks}:
            progress.add(BlockRecord.from_json(block, plane) for block in blocks)
        case {"damaged": boxes}:
            progress.forget(box_from_json(box) for box in boxes)
        case {"finished": mask}:
            progress.finished = FileSum.from_json(mask)
        case {"told": dict(facts)}:
            progress.told = facts
        case _:
            raise ValueError("an entry of an unknown kind")
