"""A journal: what a run has finished, line by line on disk, so that a killed run goes on where it was.

A line is canonical JSON, a tab, 16 digits and a line feed. The digits are SHA-256 over those of the line before and the
JSON, which makes a line that is lost, changed or moved visible. The first line, the header, holds what the run is. Each
line is on the disk before the next one is written, so that a kill or a power cut can only tear the last one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from cellmonai.core.errors import OutputError
from cellmonai.core.files import atomic_file, not_writable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

AGAIN = "make room or allow writing, then run the same command again, which continues"
ANEW = "run it with --overwrite, which starts anew"
CANNOT_CONTINUE = "cannot_continue"
"""Code of the failures that only starting anew cures: with a full disk or without permission, nothing is lost yet."""

_DIGITS = 16
_LINE = re.compile(rb"(\{[ -~]*\})\t([0-9a-f]{16})\n")
_MOST_DIFFERENCES = 6
_MISSING = "nothing"
_DIGEST = re.compile(r"[0-9a-f]{32,}")


@dataclass(frozen=True, slots=True)
class Contents:
    """What a journal holds.

    Parameters
    ----------
    header : what the run is
    entries : the lines after it
    digits : of the last good line, which the next one continues
    length : bytes up to the end of the last good line; what lies behind is torn
    """

    header: dict[str, Any]
    entries: tuple[dict[str, Any], ...]
    digits: str
    length: int


def line_of(entry: Mapping[str, Any], before: str) -> tuple[bytes, str]:
    """Give the line of an entry and its digits; `before` are those of the line before, empty for the header."""
    body = json.dumps(entry, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")
    digits = _digits(body, before)
    return body + b"\t" + digits.encode("ascii") + b"\n", digits


def _digits(body: bytes, before: str) -> str:
    return hashlib.sha256(before.encode("ascii") + body).hexdigest()[:_DIGITS]


def contents_of(lines: Iterable[bytes], *, where: Path) -> Contents:
    """Read the lines of a journal up to a torn end.

    Raises
    ------
    OutputError
        The header is damaged, or a line that others follow: no kill does that.
    """
    found: list[dict[str, Any]] = []
    digits, length, torn = "", 0, False
    for line in lines:
        match = _LINE.fullmatch(line)
        if torn and match:
            raise _damaged(where, f"line {len(found) + 1} of its journal")
        if match is None or _digits(match[1], digits) != match[2].decode("ascii"):
            torn = True
            continue
        found.append(json.loads(match[1]))
        digits, length = match[2].decode("ascii"), length + len(line)
    if not found:
        raise _damaged(where, "the first line of its journal")
    return Contents(found[0], tuple(found[1:]), digits, length)


def read_journal(path: Path) -> Contents:
    """Read a journal up to a torn end, and change nothing.

    Raises
    ------
    OutputError
        It cannot be read, or is damaged elsewhere than at its end; the second has the code `CANNOT_CONTINUE`.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise _damaged(path.parent, "its journal")
    try:
        with path.open("rb") as stream:
            return contents_of(stream, where=path.parent)
    except OSError as error:
        raise OutputError(
            f"its journal cannot be read ({error.strerror})", where=str(path.parent), cure="check the disk"
        ) from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path.parent, "its journal") from error


def _damaged(where: Path, what: str) -> OutputError:
    return OutputError(
        f"the unfinished run cannot be continued, {what} is damaged",
        where=str(where),
        cure=ANEW,
        code=CANNOT_CONTINUE,
    )


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """Compare two headers field by field.

    Returns
    -------
    (field, value before, value now) of each difference in order of names, fields of fields as "versions.torch"; digests
    are shortened
    """
    old, new = (dict(_flat(json.loads(json.dumps(facts, allow_nan=False)))) for facts in (before, now))
    pairs = ((name, old.get(name, _MISSING), new.get(name, _MISSING)) for name in sorted({*old, *new}))
    return tuple((name, _shown(was), _shown(now_is)) for name, was, now_is in pairs if was != now_is)


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in facts.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return f"{text[:12]}…" if _DIGEST.fullmatch(text) else text


def require_same(before: Mapping[str, Any], now: Mapping[str, Any], *, where: Path) -> None:
    """Refuse to continue a run that is not this one.

    Parameters
    ----------
    before, now : the facts in the header of the unfinished run, and of this one
    where : its folder

    Raises
    ------
    OutputError
        They differ; the sentence names each field with both values, the code is `CANNOT_CONTINUE`.
    """
    found = differences(before, now)
    if not found:
        return
    shown = [f"{name} {old}, this one {new}" for name, old, new in found[:_MOST_DIFFERENCES]]
    more = f"; and {len(found) - len(shown)} more" if len(found) > len(shown) else ""
    raise OutputError(
        f"the unfinished run used {'; '.join(shown)}{more}",
        where=str(where),
        cure="repeat it as it was to continue it; --overwrite starts anew",
        code=CANNOT_CONTINUE,
    )


class Journal:
    """A journal that is open for writing; `create` or `reopen` make it, `close` or a `with` block ends it."""

    def __init__(self, path: Path, *, digits: str, length: int) -> None:
        self.path = path
        self._digits, self._length, self._failed = digits, length, False
        flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        try:
            self._descriptor: int | None = os.open(path, flags)
        except OSError as error:
            raise not_writable(path, error, cure=AGAIN) from error

    @classmethod
    def create(cls, path: Path, header: Mapping[str, Any]) -> Self:
        """Begin a journal, in place of one that exists; a journal that is there has its whole header.

        Raises
        ------
        OutputError
            It cannot be written.
        """
        line, digits = line_of(header, "")
        with atomic_file(path, overwrite=True) as temporary:
            temporary.write_bytes(line)
        return cls(path, digits=digits, length=len(line))

    @classmethod
    def reopen(cls, path: Path, contents: Contents) -> Self:
        """Continue a journal that was read, after cutting its torn end.

        Raises
        ------
        OutputError
            It cannot be written.
        """
        journal = cls(path, digits=contents.digits, length=contents.length)
        try:
            os.truncate(path, contents.length)
            os.fsync(journal._open())
        except OSError as error:
            journal.close()
            raise not_writable(path, error, cure=AGAIN) from error
        return journal

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add a line; what it tells has happened for good once this returns.

        Raises
        ------
        OutputError
            It cannot be written, another program wrote into it, or an earlier line could not be written: once the disk
            refused a line, the state of the file is unknown until it is read again.
        """
        if self._failed:
            raise OutputError("its journal could not be written", where=str(self.path.parent), cure=AGAIN)
        line, digits = line_of(entry, self._digits)
        self._failed = True
        try:
            self._write(line)
        except OSError as error:
            raise not_writable(self.path, error, cure=AGAIN) from error
        self._digits, self._length, self._failed = digits, self._length + len(line), False

    def _write(self, line: bytes) -> None:
        descriptor = self._open()
        if os.fstat(descriptor).st_size != self._length:
            raise OutputError(
                "another program has written into its journal",
                where=str(self.path.parent),
                cure="let one run at a time write here",
            )
        if os.write(descriptor, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)

    def _open(self) -> int:
        if self._descriptor is None:
            raise ValueError("the journal is closed")
        return self._descriptor

    def close(self) -> None:
        """Free the file; every line that was added is in it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
