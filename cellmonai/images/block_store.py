"""The results of one plane, written block by block, so that a killed run loses a few seconds and no more.

Maps and bits of the mask lie in a hidden folder beside the final names until all blocks are there. A journal in it says
which blocks are on the disk, and with which digests (`core.journal`). What comes out does not depend on the order of
the blocks, on their sizes, or on how often the run was killed.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from cellmonai.core.errors import OutputError
from cellmonai.core.files import not_writable
from cellmonai.core.journal import AGAIN, CANNOT_CONTINUE
from cellmonai.core.many_files import sync_all, write_files
from cellmonai.images.block_encode import encode_block, encode_skipped
from cellmonai.images.block_files import MAPS, MASKS, remove
from cellmonai.images.block_finish import Finish
from cellmonai.images.block_masks import BlockMaskRows
from cellmonai.images.block_open import begin, is_unfinished, take_up
from cellmonai.images.block_records import BlockRecord, PlaneFacts
from cellmonai.images.map_encoding import chunk_cells, is_whole_chunks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from cellmonai.core.units import PixelSize
    from cellmonai.images.block_encode import EncodedBlock
    from cellmonai.images.block_open import Opened
    from cellmonai.images.map_encoding import MapsType
    from cellmonai.images.source import Region

__all__ = ["PlaneStore", "is_unfinished"]

GROUP_BLOCKS = 64
GROUP_SECONDS = 2.0
"""Blocks are synced and journaled together when they are so many, or when the last time is so long ago."""


class PlaneStore:
    """A plane in work; `create`, `resume` or `open_or_create` make it, `finish` or a `with` block ends it.

    One thread at a time may use it, and only while it holds the lock of the output folder (`core.locks`).

    Attributes
    ----------
    folder, plane : where it lies, and what is written
    damaged : boxes that were journaled and found damaged at `resume`; they are to be done again
    """

    def __init__(self, folder: Path, opened: Opened) -> None:
        self.folder, self.plane, self.damaged = folder, opened.plane, opened.damaged
        self._journal, self._progress = opened.journal, opened.progress
        self._encoder = self.plane.encoder()
        self._cells = {cell for box in self._progress.records for cell in chunk_cells(box)}
        self._waiting: list[BlockRecord] = []
        self._unsynced: list[Path] = []
        self._last_round = time.monotonic()

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        shape: tuple[int, int],
        names: Sequence[str],
        maps_dtype: MapsType,
        pixel_size_um: PixelSize | None,
        header: Mapping[str, Any],
        overwrite: bool = False,
    ) -> Self:
        """Begin a plane.

        Parameters
        ----------
        folder : where it lies while in work, beside the final names; made here
        shape : (Y, X)
        names, maps_dtype, pixel_size_um : as in `write_maps`
        header : what else the result depends on, as JSON: digests of image and model, settings, engine, versions, grid
        overwrite : begin anew where an unfinished run lies

        Raises
        ------
        OutputError
            An unfinished run lies there, or files that no run wrote, or it cannot be written.
        """
        if is_unfinished(folder) and not overwrite:
            raise OutputError(
                "an unfinished run lies here", where=str(folder), cure="run the same command again, or add --overwrite"
            )
        return cls(folder, begin(folder, PlaneFacts(shape, tuple(names), maps_dtype, pixel_size_um), header))

    @classmethod
    def resume(cls, folder: Path, *, header: Mapping[str, Any], verify: bool = True) -> Self:
        """Continue a plane that a run left unfinished; blocks that are not what the journal says are in `damaged`.

        Parameters
        ----------
        folder, header : as they were for `create`
        verify : look at the digests of all blocks, which takes far less time than to make them; else of those written
            last, and at the lengths of the others

        Raises
        ------
        OutputError
            There is no unfinished run, its header differs, its journal is damaged, the folder holds what no run wrote,
            or it cannot be written.
        """
        return cls(folder, take_up(folder, header, plane=None, verify=verify))

    @classmethod
    def open_or_create(
        cls,
        folder: Path,
        *,
        shape: tuple[int, int],
        names: Sequence[str],
        maps_dtype: MapsType,
        pixel_size_um: PixelSize | None,
        header: Mapping[str, Any],
        overwrite: bool = False,
    ) -> Self:
        """Continue a plane where there is one, else begin it; parameters and errors are those of both.

        With `overwrite`, a run that differs or is damaged gives way; the same run is continued all the same.
        """
        plane = PlaneFacts(shape, tuple(names), maps_dtype, pixel_size_um)
        if is_unfinished(folder):
            try:
                return cls(folder, take_up(folder, header, plane=plane, verify=True))
            except OutputError as error:
                if not (overwrite and error.code == CANNOT_CONTINUE):
                    raise
        return cls(folder, begin(folder, plane, header))

    @property
    def done(self) -> frozenset[Region]:
        """Boxes of the blocks that are on the disk and journaled: no kill takes them away."""
        return frozenset(self._progress.records)

    @property
    def skipped(self) -> frozenset[Region]:
        """Those of `done` that hold no signal."""
        return frozenset(box for box, record in self._progress.records.items() if record.mask is None)

    @property
    def foreground_px(self) -> int:
        """Pixels of the mask that are set, in `done`."""
        return sum(record.foreground_px for record in self._progress.records.values())

    def mask_rows(self) -> BlockMaskRows:
        """Give the mask of the blocks that are done, row by row; what is not done is False."""
        return BlockMaskRows(self.plane.shape, self.folder / MASKS, self._progress.records.values())

    def write(self, box: Region, maps: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
        """Write a block; it is in `done` after the next `commit`, which comes by itself every few seconds.

        Parameters
        ----------
        box : whole chunks of 512 px, as far as the plane goes, that no other block holds
        maps : shape (K, h, w)
        mask : shape (h, w)

        Raises
        ------
        OutputError
            It cannot be written; blocks before it are safe.
        ValueError
            Box, maps and mask do not fit the plane or each other, or the block is there already.
        """
        self.put(encode_block(self._encoder, box, maps, mask))

    def skip(self, box: Region) -> None:
        """Record a block without signal: its maps and mask are zero; errors are those of `write`."""
        self.put(encode_skipped(self._encoder, box))

    def put(self, block: EncodedBlock) -> None:
        """Write a block that was encoded, here or in another process; errors are those of `write`."""
        box = block.record.box
        cells = chunk_cells(box)
        if not is_whole_chunks(box, self.plane.shape) or not self._cells.isdisjoint(cells):
            raise ValueError(f"block {box} is no free part of whole chunks of a plane of {self.plane.shape}")
        try:
            self._unsynced += write_files(self.folder / MAPS, block.chunks)
            if block.bits is not None:
                self._unsynced += write_files(self.folder / MASKS, {block.record.mask_name: block.bits})
        except OSError as error:
            raise not_writable(self.folder, error, cure=AGAIN) from error
        self._cells.update(cells)
        self._waiting.append(block.record)
        if len(self._waiting) >= GROUP_BLOCKS or time.monotonic() - self._last_round >= GROUP_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Bring the blocks that were written to the disk and into the journal.

        Raises
        ------
        OutputError
            The disk refuses; the same command continues with the blocks of earlier rounds.
        """
        if not self._waiting:
            return
        records, paths = self._waiting, self._unsynced
        self._waiting, self._unsynced = [], []  # a failed round is not tried again: the disk may tell of it only once
        try:
            sync_all(paths, below=self.folder)
        except OSError as error:
            raise not_writable(self.folder, error, cure=AGAIN) from error
        self._journal.append({"blocks": [record.as_json() for record in records]})
        self._progress.add(records)
        self._last_round = time.monotonic()

    @property
    def is_named(self) -> bool:
        """Whether the maps have left the folder for their final name, as when a run was killed while it finished."""
        return not os.path.lexists(self.folder / MAPS)

    @property
    def told(self) -> dict[str, Any] | None:
        """What `tell` was given by this run or one before, None where blocks were written or found damaged since."""
        return self._progress.told

    def tell(self, facts: Mapping[str, Any]) -> None:
        """Journal facts about the whole plane, JSON, which cannot be found again when maps and mask have their names.

        Raises
        ------
        OutputError
            The disk refuses.
        """
        self.commit()
        self._journal.append({"told": dict(facts)})
        self._progress.told = dict(facts)

    def finish(self, mask_path: Path, maps_path: Path, *, overwrite: bool) -> None:
        """Do what `give_names` does, and take the folder away; parameters and errors are the same."""
        self.give_names(mask_path, maps_path, overwrite=overwrite)
        try:
            remove(self.folder)
        except OSError as error:
            raise not_writable(self.folder, error, cure=AGAIN) from error

    def give_names(self, mask_path: Path, maps_path: Path, *, overwrite: bool) -> None:
        """Make the mask, and give maps and mask their final names, the mask last.

        A kill in between leaves a plane that `resume` and `finish` end; `is_unfinished` tells of it. So does the folder
        after it, until `block_files.remove` takes it away.

        Parameters
        ----------
        mask_path, maps_path : in the folder that holds `folder`
        overwrite : replace what has these names

        Raises
        ------
        OutputError
            A result exists and is not to be replaced, cannot be written, or a block was damaged since it was written.
        ValueError
            Blocks are missing, or the final names lie elsewhere.
        """
        if {mask_path.parent, maps_path.parent} != {self.folder.parent}:
            raise ValueError(f"results at {mask_path} and {maps_path} do not lie beside {self.folder}")
        self.commit()
        covered = sum((box[2] - box[0]) * (box[3] - box[1]) for box in self._progress.records)
        missing = self.plane.shape[0] * self.plane.shape[1] - covered
        if missing:
            raise ValueError(f"{missing} pixels of the plane are in no block")
        Finish(self.folder, self.plane, self._progress, self._journal, mask_path, maps_path, overwrite).run()

    def close(self) -> None:
        """Journal what was written and free the journal; what is done stays for `resume`.

        Raises
        ------
        OutputError
            The disk refuses the last blocks.
        """
        try:
            self.commit()
        finally:
            self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with suppress(*([] if kind is None else [OutputError])):  # the first failure is the one to tell
            self.close()
