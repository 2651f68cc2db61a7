"""What a journal says has happened, has happened; a torn end is cut, and damage anywhere else is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cellmonai.core.errors import OutputError
from cellmonai.core.journal import CANNOT_CONTINUE, Journal, differences, line_of, read_journal, require_same

if TYPE_CHECKING:
    from pathlib import Path

HEADER = {"precision": "f32", "image": "ab" * 32, "versions": {"zarr": "3.1.6"}}
ENTRIES = tuple({"blocks": [number], "names": "µ\udce9"} for number in range(4))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of four entries."""
    with Journal.create(tmp_path / "journal.jsonl", HEADER) as journal:
        for entry in ENTRIES:
            journal.append(entry)
    return tmp_path / "journal.jsonl"


def test_what_was_added_is_read_back_in_order(path: Path) -> None:
    contents = read_journal(path)
    assert contents.header == HEADER
    assert contents.entries == ENTRIES
    with Journal.reopen(path, contents) as journal:
        journal.append({"more": 1})
    assert read_journal(path).entries == (*ENTRIES, {"more": 1})


def test_every_line_is_json_with_digits_that_continue_those_before(path: Path) -> None:
    before = ""
    for line, entry in zip(path.read_bytes().splitlines(keepends=True), (HEADER, *ENTRIES), strict=True):
        expected, before = line_of(entry, before)
        assert line == expected
        assert json.loads(line.split(b"\t")[0]) == entry


def test_a_line_torn_at_any_byte_is_cut_and_the_journal_goes_on(path: Path) -> None:
    whole = path.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    for kept in range(len(last)):
        path.write_bytes(whole[: len(whole) - len(last) + kept])
        contents = read_journal(path)
        assert contents.entries == ENTRIES[:3]
        with Journal.reopen(path, contents) as journal:
            journal.append(ENTRIES[3])
        assert path.read_bytes() == whole


def test_a_flipped_bit_is_refused_or_costs_the_last_lines_and_never_changes_one(path: Path) -> None:
    whole = path.read_bytes()
    ends = [i for i, byte in enumerate(whole) if byte == ord("\n")]
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        if place < ends[-2]:
            with pytest.raises(OutputError, match=r"is damaged; run it with --overwrite, which starts anew\."):
                read_journal(path)
        else:
            assert read_journal(path).entries == ENTRIES[: 2 if place == ends[-2] else 3]


@pytest.mark.parametrize(
    "order",
    [(0, 1, 3, 4), (0, 2, 1, 3, 4), (0, 1, 1, 2, 3), (1, 2, 3, 4)],
    ids=["lost", "swapped", "twice", "no header"],
)
def test_lines_in_another_order_are_refused(path: Path, order: tuple[int, ...]) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[i] for i in order))
    with pytest.raises(OutputError, match="journal is damaged") as caught:
        read_journal(path)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"{}\n"], ids=["empty", "zeros", "foreign"])
def test_what_is_no_journal_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(OutputError, match="journal is damaged") as caught:
        read_journal(path)
    assert caught.value.code == CANNOT_CONTINUE


def test_a_journal_that_cannot_be_read_is_not_one_to_start_anew(path: Path) -> None:
    path.unlink()
    with pytest.raises(OutputError, match="its journal cannot be read") as caught:
        read_journal(path)
    assert caught.value.code != CANNOT_CONTINUE


def test_another_run_is_refused_with_every_difference(tmp_path: Path) -> None:
    other = {"precision": "bf16", "image": "cd" * 32, "versions": {"zarr": "3.1.6"}, "window": [512, 512]}
    assert differences(HEADER, HEADER) == ()
    assert [field for field, _, _ in differences(HEADER, other)] == ["image", "precision", "window"]
    with pytest.raises(OutputError) as caught:
        require_same(other, HEADER, where=tmp_path)
    assert caught.value.sentence == (
        f"{tmp_path}: the unfinished run used image cdcdcdcdcdcd…, this one abababababab…; "
        "precision bf16, this one f32; window [512, 512], this one nothing; "
        "repeat it as it was to continue it; --overwrite starts anew."
    )


def test_many_differences_are_told_in_part(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"f 1, this one 2; and 3 more; repeat"):
        require_same(dict.fromkeys("abcdefghi", 1), dict.fromkeys("abcdefghi", 2), where=tmp_path)


def test_tuples_and_lists_are_the_same_to_a_journal() -> None:
    require_same({"grid": [512, 512]}, {"grid": (512, 512)}, where=None)  # type: ignore[arg-type]


def test_two_writers_of_one_journal_are_noticed(path: Path) -> None:
    contents = read_journal(path)
    with Journal.reopen(path, contents) as one, Journal.reopen(path, contents) as other:
        one.append({"by": "one"})
        with pytest.raises(OutputError, match="another program has written into its journal"):
            other.append({"by": "other"})
        with pytest.raises(OutputError, match="run the same command again"):
            other.append({"by": "other"})
    assert read_journal(path).entries[-1] == {"by": "one"}


def test_a_closed_journal_takes_nothing_more(path: Path) -> None:
    journal = Journal.reopen(path, read_journal(path))
    journal.close()
    journal.close()
    with pytest.raises(ValueError, match="closed"):
        journal.append({})
