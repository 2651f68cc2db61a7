"""Work on many parts by several threads, with results in order and few parts in memory."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


def ordered_map(work: Callable[[_Part], _Result], parts: Iterable[_Part], *, threads: int) -> Iterator[_Result]:
    """Give work(part) for every part, in order.

    Parameters
    ----------
    work : gains from threads when it spends its time in compiled code
    parts : taken one by one, at most as many ahead of the results as there are threads
    threads : 1 works in the calling thread
    """
    if threads <= 1:
        yield from map(work, parts)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque = deque()  # type: ignore[type-arg]
        try:
            for part in parts:
                waiting.append(pool.submit(work, part))
                if len(waiting) >= threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
