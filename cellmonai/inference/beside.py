"""Reading and writing beside the network: one thread reads ahead, one writes behind by one step."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_What = TypeVar("_What")
_Where = TypeVar("_Where")


@contextmanager
def read_ahead(
    read: Callable[[_Where], _What], places: Iterable[_Where], *, ahead: int = 1
) -> Iterator[Iterator[_What]]:
    """Give what is read at the places, in order, up to so many `ahead` of the one in work; what fails raises there."""
    with ThreadPoolExecutor(1) as reader:

        def reading() -> Iterator[_What]:
            todo = iter(places)
            coming = deque(reader.submit(read, place) for place in islice(todo, ahead))
            while coming:
                now = coming.popleft().result()
                coming.extend(reader.submit(read, place) for place in islice(todo, 1))
                yield now

        yield reading()


@contextmanager
def write_behind(write: Callable[[_Where, _What], None]) -> Iterator[Callable[[_Where, _What], None]]:
    """Give what writes one thing while the next is made; at most one waits, and what fails raises at the next."""
    with ThreadPoolExecutor(1) as writer:
        writing: Future[None] | None = None

        def put(place: _Where, what: _What) -> None:
            nonlocal writing
            if writing is not None:
                writing.result()
            writing = writer.submit(write, place, what)

        yield put
        if writing is not None:
            writing.result()
