"""From blocks to results: the mask is made, then maps and mask get their final names.

Every step can be the last one before a kill; the next call goes on from what it finds.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cellmonai.core.errors import OutputError
from cellmonai.core.files import not_writable, refuse_existing, sync_folder
from cellmonai.core.journal import AGAIN, ANEW
from cellmonai.images.block_files import (
    MAPS,
    MASK,
    MASKS,
    REDO,
    REPLACED,
    has_mask,
    require_whole_maps,
    sum_of_file,
)
from cellmonai.images.block_masks import BlockMaskRows
from cellmonai.images.write import write_mask

if TYPE_CHECKING:
    from pathlib import Path

    from cellmonai.core.journal import Journal
    from cellmonai.images.block_records import FileSum, PlaneFacts, Progress


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of one plane.

    Parameters
    ----------
    folder : of the plane in work, beside both results
    plane, progress : what it is, and the records of all its blocks
    journal : open; closed at the end
    mask_path, maps_path : the final names
    overwrite : replace what has these names
    """

    folder: Path
    plane: PlaneFacts
    progress: Progress
    journal: Journal
    mask_path: Path
    maps_path: Path
    overwrite: bool

    def run(self) -> None:
        """Make the mask and give both results their names; older ones under these names go into the folder.

        Raises
        ------
        OutputError
            A result exists and is not to be replaced, cannot be written, or a block is damaged.
        """
        try:
            self._run()
        except OSError as error:
            raise not_writable(self.folder.parent, error, cure=AGAIN) from error

    def _run(self) -> None:
        has_maps = os.path.lexists(self.folder / MAPS)
        is_named = not os.path.lexists(self.folder / MASK) and self._is_finished(self.mask_path)
        waiting = [self.maps_path] * has_maps + [self.mask_path] * (not is_named)
        refuse_existing(waiting, overwrite=self.overwrite)
        require_whole_maps(
            self.folder / MAPS if has_maps else self.maps_path, self.plane, self.progress.records.values()
        )
        if not is_named and not self._is_finished(self.folder / MASK):
            self._make_mask(can_be_done_again=has_maps)
        self._name(has_maps=has_maps, has_mask=not is_named)
        self.journal.close()

    def _is_finished(self, path: Path) -> bool:
        """Tell whether a file is the mask that was made of all blocks."""
        return self.progress.finished is not None and sum_of_file(path) == self.progress.finished

    def _make_mask(self, *, can_be_done_again: bool) -> None:
        records = self.progress.records.values()
        damaged = [record.box for record in records if not has_mask(self.folder / MASKS, record)]
        if damaged:
            if can_be_done_again:
                self.journal.append({"damaged": [list(box) for box in damaged]})
            raise OutputError(
                "a block of the mask was damaged on the disk",
                where=str(self.folder),
                cure=REDO if can_be_done_again else ANEW,
            )
        rows, target = BlockMaskRows(self.plane.shape, self.folder / MASKS, records), self.folder / MASK
        try:
            write_mask(target, rows, pixel_size_um=self.plane.pixel_size_um, overwrite=True)
        except OutputError as error:
            raise OutputError(error.what, where=error.where, cure=AGAIN) from error
        made: FileSum | None = sum_of_file(target)
        if made is None:
            raise OutputError("the mask is gone again", where=str(target), cure=REDO)
        self.journal.append({"finished": made.as_json()})
        self.progress.finished = made

    def _name(self, *, has_maps: bool, has_mask: bool) -> None:
        """Rename, maps first and the mask last; an older mask goes before that, as it is not of these maps."""
        if has_mask:
            self._set_aside(self.mask_path)
        if has_maps:
            self._set_aside(self.maps_path)
            os.replace(self.folder / MAPS, self.maps_path)  # noqa: PTH105 - replaces on every platform
            sync_folder(self.maps_path.parent)
        if has_mask:
            os.replace(self.folder / MASK, self.mask_path)  # noqa: PTH105 - replaces on every platform
            sync_folder(self.mask_path.parent)

    def _set_aside(self, path: Path) -> None:
        if os.path.lexists(path):
            place = self.folder / REPLACED
            place.mkdir(exist_ok=True)
            path.rename(place / f"{secrets.token_hex(4)}_{path.name}")
            sync_folder(path.parent)
