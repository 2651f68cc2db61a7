"""Reading ahead and writing behind: in order, one step apart, and what fails is raised."""

from __future__ import annotations

import threading

import pytest

from cellmonai.inference.beside import read_ahead, write_behind


def _fail_at(number: int) -> int:
    if number == 2:
        raise OSError("the disk is gone")
    return number


def test_everything_is_read_in_order_and_one_ahead() -> None:
    read: list[int] = []

    def reading(place: int) -> int:
        read.append(place)
        return 10 * place

    with read_ahead(reading, range(4)) as found:
        assert read == []
        for number, value in enumerate(found):
            assert value == 10 * number
            assert len(read) <= number + 2
    assert read == [0, 1, 2, 3]


def test_nothing_to_read_gives_nothing() -> None:
    with read_ahead(_fail_at, ()) as found:
        assert list(found) == []


def test_what_cannot_be_read_is_raised_in_its_place() -> None:
    with read_ahead(_fail_at, range(4)) as found:
        assert [next(found), next(found)] == [0, 1]
        with pytest.raises(OSError, match="the disk is gone"):
            next(found)


def test_everything_is_written_in_order_from_another_thread() -> None:
    written: list[tuple[int, str]] = []
    threads: set[int] = set()

    def write(place: int, what: str) -> None:
        written.append((place, what))
        threads.add(threading.get_ident())

    with write_behind(write) as put:
        for number in range(5):
            put(number, str(number))
    assert written == [(number, str(number)) for number in range(5)]
    assert threading.get_ident() not in threads


def test_what_cannot_be_written_is_raised_at_the_end_at_the_latest() -> None:
    with pytest.raises(OSError, match="the disk is gone"), write_behind(lambda place, what: _fail_at(place)) as put:
        put(2, None)
