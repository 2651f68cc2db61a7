"""Parts of one run, done by jobs that know nothing of each other: `--shard 3/16`.

Every part takes each N-th image, writes its results into the common folder, and leaves a record of its own under
`.shards/`. Whichever part sees the records of all others at its end joins them into the record of the whole folder, so
that it reads like the folder of one run.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellmonai.core.errors import InputError, OutputError
from cellmonai.core.files import make_folder, read_ordinary, write_json
from cellmonai.core.locks import folder_lock
from cellmonai.images.find import in_natural_order
from cellmonai.workflows.inferring.record import JOURNAL_NAME, RECORD_NAME, SHARDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cellmonai.core.progress import Reporter
    from cellmonai.workflows.inferring.settings import InferSettings

_ALIKE = ("operating_point", "method", "engine", "precision", "stitch", "inputs")
"""What all parts of a run share, beside the parameters."""

_LARGEST_RECORD_BYTES = 256 * 2**20
_OWN = ("output", "shard", "workers", "scheduler", "memory", "device")
"""Parameters in which parts may differ."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one command does of a run: all of it, or the part `number` of `of`; `folder` is that of the results."""

    folder: Path
    number: int = 1
    of: int = 1

    @classmethod
    def asked(cls, settings: InferSettings) -> Share:
        """Give the share that the settings ask for."""
        return cls(settings.output, *(settings.shard or (1, 1)))

    @property
    def is_all(self) -> bool:
        """Whether it is the whole run."""
        return self.of == 1

    @property
    def record(self) -> Path:
        """Where the record of this share goes."""
        return self.folder / RECORD_NAME if self.is_all else self._hidden(f"{self._name}.json")

    @property
    def journal(self) -> Path:
        """Where this share notes which planes are finished."""
        return self.folder / JOURNAL_NAME if self.is_all else self._hidden(f"{self._name}.journal")

    def of_images(self, paths: Sequence[Path]) -> list[Path]:
        """Give the images of this share."""
        return list(paths[self.number - 1 :: self.of])

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Hold the folder alone, or together with the other parts; tells whether nobody else writes there.

        Raises
        ------
        LockedError
            Another run holds the folder, or another job the same part.
        OutputError
            The folder cannot be written.
        """
        if self.is_all:
            with folder_lock(self.folder) as is_held:
                yield is_held
            return
        with folder_lock(self.folder, shared=True):
            make_folder(self._hidden())
            with folder_lock(self._hidden(), name=f"{self._name}.lock"):
                yield False

    @property
    def is_done(self) -> bool:
        """Whether this share, or the whole run, has left its record."""
        return self.record.exists() or (self.folder / RECORD_NAME).exists()

    def withdraw(self) -> None:
        """Take away records that would describe what is written anew: of this share, of the run, and of other cuts."""
        if self.is_all:
            for path in self._hidden().glob("*-of-*.json"):
                path.unlink(missing_ok=True)
            self.record.unlink(missing_ok=True)
            return
        with folder_lock(self._hidden(), name="join.lock", wait=True):
            for path in self._hidden().glob("*-of-*.json"):
                if not path.stem.endswith(f"-of-{self.of:05}"):
                    path.unlink(missing_ok=True)
            (self.folder / RECORD_NAME).unlink(missing_ok=True)
            self.record.unlink(missing_ok=True)

    def join(self, reporter: Reporter, *, overwrite: bool) -> bool:
        """Write the record of the whole folder where this was the last part; tells whether there is one now.

        With `overwrite`, records that differ from that of this part are taken for older ones, still to be replaced.

        Raises
        ------
        OutputError
            Parts were done by another model or with other settings, or the record cannot be written.
        """
        if self.is_all:
            return True
        with folder_lock(self._hidden(), name="join.lock", wait=True):
            missing = self.missing()
            there = {number: _read(self._of(number)) for number in range(1, self.of + 1) if number not in missing}
            if overwrite and self.number in there:
                missing += [number for number, one in there.items() if _differs(one, there[self.number])]
            if missing:
                left = f"{len(missing)} of {self.of} parts are still to come"
                reporter.note(f"{left} ({_numbers(sorted(missing))}); the last one joins the records")
                return False
            write_json(self.folder / RECORD_NAME, _joined(list(there.values()), self.folder), overwrite=True)
        reporter.note(f"all {self.of} parts are there: their records are joined in {RECORD_NAME}")
        return True

    def missing(self) -> list[int]:
        """Give the numbers of the parts that have no record yet."""
        return [number for number in range(1, self.of + 1) if not self._of(number).is_file()]

    @property
    def _name(self) -> str:
        return f"{self.number:05}-of-{self.of:05}"

    def _of(self, number: int) -> Path:
        return self._hidden(f"{number:05}-of-{self.of:05}.json")

    def _hidden(self, name: str = "") -> Path:
        return self.folder / SHARDS / name


def _joined(documents: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Join the records of all parts into one."""
    done = [document for document in documents if _has_done(document)]
    first = done[0] if done else documents[0]
    for document in done:
        if name := _differs(document, first):
            raise OutputError(
                f"parts of this run differ in {name}, so they are not joined",
                where=str(folder / SHARDS),
                cure="run all parts with the same command and --overwrite",
            )
    peaks = [document["peak_memory_bytes"] for document in documents if document.get("peak_memory_bytes")]
    return {
        **first,
        "parameters": first["parameters"] | {"shard": None},
        "started": min(document["started"] for document in documents),
        "ended": max(document["ended"] for document in documents),
        "seconds": round(sum(document["seconds"] for document in documents), 3),
        "peak_memory_bytes": max(peaks, default=None),
        "shards": len(documents),
        "images": _in_order([image for document in documents for image in document["images"]]),
        "warnings": [warning for document in documents for warning in document["warnings"]],
    }


def _has_done(document: dict[str, Any]) -> bool:
    return any(image.get("status") == "done" for image in document["images"])


def _differs(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Give the name of what two parts do not share, "" where nothing is or one of them made nothing."""
    if not (_has_done(one) and _has_done(other)):
        return ""
    mine, others = _decisive(one), _decisive(other)
    return next((name for name in mine if mine[name] != others.get(name)), "")


def _decisive(document: dict[str, Any]) -> dict[str, Any]:
    """Give what decides results: what was done, then what was asked for."""
    asked = {f"the setting {name}": value for name, value in document["parameters"].items() if name not in _OWN}
    model = document.get("model")
    made = {name: document.get(name) for name in _ALIKE}
    return {"model": model.get("sha256") if isinstance(model, dict) else model, **made, **asked}


def _in_order(images: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put images in natural order; the planes of one stay as they were."""
    paths = in_natural_order(list(dict.fromkeys(Path(str(image["image"])) for image in images)))
    rank = {path: place for place, path in enumerate(paths)}
    return sorted(images, key=lambda image: rank[Path(str(image["image"]))])


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(read_ordinary(path, _LARGEST_RECORD_BYTES))
        images, started = document["images"], document["started"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError("is no record of a part", where=str(path), cure="run that part again") from error
    is_list = isinstance(images, list) and all(isinstance(image, dict) and "image" in image for image in images)
    if not isinstance(document, dict) or not is_list or not isinstance(started, str):
        raise InputError("is no record of a part", where=str(path), cure="run that part again")
    return document


def _numbers(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:8])
    return shown + (", …" if len(numbers) > 8 else "")
