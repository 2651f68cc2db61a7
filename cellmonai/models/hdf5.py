"""Arrays of an HDF5 file of a stranger: nothing outside the file is opened and nothing is read before it is checked."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from cellmonai.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MOST_ENTRIES = 1_000
_DEEPEST = 6  # groups within groups below a layer


@contextmanager
def open_hdf5(path: Path, *, cure: str) -> Iterator[Any]:
    """Open a file to read; gives the `h5py.File`.

    Raises
    ------
    InputError
        The file cannot be read or is no HDF5 file; `cure` says what to do for one that is another kind of file.
    """
    _refuse_other_kinds(path, cure)
    import h5py  # here, so that models are read without it

    try:
        file = h5py.File(path, "r")
    except (OSError, RuntimeError) as error:
        raise InputError(
            "is damaged: it begins as an HDF5 file and cannot be opened", where=str(path), cure=cure
        ) from error
    try:
        with file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        reason = str(error.args[0] if error.args else error)[:200]  # a KeyError quotes its own text
        raise InputError(f"is damaged ({reason})", where=str(path), cure="copy it again") from error


def child(group: Any, name: str, path: Path) -> Any:  # noqa: ANN401 - h5py has no types
    """Give a member of a group, None where there is none.

    Raises
    ------
    InputError
        The member is a link to another place or file.
    """
    import h5py

    key = name.encode("utf-8", "surrogateescape")
    if not group.id.links.exists(key):
        return None
    # looked at without following it: following an external link would open another file
    if group.id.links.get_info(key).type != h5py.h5l.TYPE_HARD:
        raise InputError(
            f"holds a link instead of an array at {group.name}/{name}",
            where=str(path),
            cure="save the model in one file, without links",
        )
    return group[name]


def arrays_below(group: Any, path: Path) -> dict[str, Any]:  # noqa: ANN401 - h5py has no types
    """Give the datasets below a group, at any depth, by the last part of their name without `:0`.

    Raises
    ------
    InputError
        A link, too many entries, or two datasets of one name: it would not be clear which is meant.
    """
    import h5py

    found: dict[str, Any] = {}
    waiting = [(group, 0)]
    while waiting:
        place, depth = waiting.pop()
        for name in names_in(place, path):
            member = child(place, name, path)
            if isinstance(member, h5py.Dataset):
                short = name.removesuffix(":0")
                if short in found:
                    raise InputError(
                        f"holds two arrays named {short} in {group.name}",
                        where=str(path),
                        cure="save the model again, so that it is clear which is meant",
                    )
                found[short] = member
            elif isinstance(member, h5py.Group) and depth < _DEEPEST:
                waiting.append((member, depth + 1))
    return found


def names_in(group: Any, path: Path) -> list[str]:  # noqa: ANN401 - h5py has no types
    """Give the names in a group, refusing what is no group or holds more than a model does."""
    import h5py

    if not isinstance(group, h5py.Group):
        raise InputError(
            f"holds an array at {group.name}, expected a group", where=str(path), cure="save the model again"
        )
    if len(group) > _MOST_ENTRIES:
        raise InputError(
            f"holds {len(group)} entries in {group.name}, more than {_MOST_ENTRIES}",
            where=str(path),
            cure="give the file of one model",
        )
    names = list(group)
    if not all(isinstance(name, str) for name in names):  # h5py gives bytes for what is no UTF-8
        raise InputError(f"holds names that are no text in {group.name}", where=str(path), cure="copy it again")
    return names


def read_floats(dataset: Any, shape: tuple[int, ...], path: Path) -> NDArray[np.float32]:  # noqa: ANN401
    """Read a dataset of `shape` as float32.

    Raises
    ------
    InputError
        Its values lie in another file, it has another shape, other than floating-point values, or values that are not
        finite. The shape is checked before anything is read, so that a file cannot ask for memory without end.
    """
    where, cure = str(path), "give the file of a c-ResUnet as Keras saved it"
    name, found = dataset.name, shape_of(dataset, path)
    if found != shape:
        raise InputError(f"{name} has the shape {found}, expected {shape}", where=where, cure=cure)
    if dataset.dtype.kind != "f":
        raise InputError(f"{name} holds {dataset.dtype}, expected floating-point numbers", where=where, cure=cure)
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite and is refused
        values = np.ascontiguousarray(dataset[()], dtype=np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"{name} holds values that are not finite", where=where, cure=cure)
    return values


def shape_of(dataset: Any, path: Path) -> tuple[int, ...]:  # noqa: ANN401 - h5py has no types
    """Give the shape of a dataset, refusing one that keeps its values in another file; one without values has none."""
    if dataset.is_virtual or dataset.external:
        raise InputError(
            f"keeps the values of {dataset.name} in another file",
            where=str(path),
            cure="save the model in one file",
        )
    return tuple(int(length) for length in dataset.shape or ())


def _refuse_other_kinds(path: Path, cure: str) -> None:
    """Say what a file is that is no HDF5 file; a pickle above all, because reading one runs what it holds."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe would be waited for
            head = b""
        else:
            with path.open("rb") as stream:
                head = stream.read(len(_SIGNATURE))
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot be read ({reason})", where=str(path), cure="check the path of the file") from error
    if head == _SIGNATURE:
        return
    what = "is no HDF5 file"
    if (head[:1] == b"\x80" and head[1:2] <= b"\x05") or path.suffix.lower() in {".pkl", ".pickle"}:
        what = "is a pickle, which is not opened because reading one runs whatever code it holds"
    elif head[:4] == b"PK\x03\x04":
        what = "is a zip archive, as Keras 3 (.keras) and torch.save write, not an HDF5 file"
    raise InputError(what, where=str(path), cure=cure)
