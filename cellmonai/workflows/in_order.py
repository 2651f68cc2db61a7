"""Tasks on all cores whose results come in order, as if they had run one after the other."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from cellmonai.core.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from cellmonai.core.progress import Reporter, Warned

Given = TypeVar("Given")
Result = TypeVar("Result")


def cores() -> int:
    """Give the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(work: Callable[[Given], Result], items: Sequence[Given], *, threads: int) -> Iterator[Result]:
    """Give `work(item)` for every item, in the order of the items.

    Parameters
    ----------
    work : safe to run for several items at once; it reads and decodes, and so mostly runs outside Python's lock
    items : what is to be done
    threads : how many run at a time; 1 stays in this thread

    Notes
    -----
    No more than twice `threads` results wait, so that many items need no more memory than a few. When the caller stops
    early, or one item raises, those that have not begun are dropped and those at work are waited for.
    """
    if threads <= 1 or len(items) <= 1:
        yield from map(work, items)
        return
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(threads, thread_name_prefix="cellmonai")
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


class Heard(Silent):
    """A Reporter that keeps what a task says until its turn comes."""

    def __init__(self) -> None:
        super().__init__()
        self._said: list[str | Warned] = []

    def note(self, text: str) -> None:
        """Keep a fact."""
        self._said.append(text)

    def warn(self, code: str, message: str, image: str | None = None) -> None:
        """Keep a warning."""
        super().warn(code, message, image)
        self._said.append(self.warnings[-1])

    def as_json(self) -> list[Any]:
        """Give all that was said: a text for a note, code, message and image for a warning."""
        return [words if isinstance(words, str) else [words.code, words.message, words.image] for words in self._said]

    @classmethod
    def of(cls, said: Sequence[Any]) -> Heard:
        """Give what `as_json` gave, said again."""
        heard = cls()
        for words in said:
            if isinstance(words, str):
                heard.note(words)
            else:
                heard.warn(*words)
        return heard

    def repeat_to(self, reporter: Reporter) -> None:
        """Say everything again, in the same order."""
        for words in self._said:
            if isinstance(words, str):
                reporter.note(words)
            else:
                reporter.warn(words.code, words.message, words.image)
