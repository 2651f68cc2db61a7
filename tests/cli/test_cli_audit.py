"""What an audit shows on the console."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from rich.console import Console

from cellmonai.cli.audit import audit_steps, render_audit
from cellmonai.workflows.auditing.draw import AuditDraw
from cellmonai.workflows.auditing.frame import AuditFrame
from cellmonai.workflows.auditing.reading import result_of
from cellmonai.workflows.auditing.record import AuditRecord

if TYPE_CHECKING:
    from cellmonai.workflows.auditing.result import AuditResult

HOSTILE = "=cmd|'\n\u202e\udcff<b>[red]\x1b[31m"


def record(
    *, units: int = 400, drawn: int = 30, bound: int = 20, name: str = "plate 1", seed_given: bool = False
) -> AuditRecord:
    """Give a draw of tiles with 30 predicted cells each, the first ones of the list drawn."""
    boxes = np.array([[0, 0, 10 * i, 10, 10 * i + 10] for i in range(units)])
    frame = AuditFrame(((name, "", 10, 10 * units),), boxes, np.full(units, 30), np.zeros(units, np.int64))
    return AuditRecord(frame, "tiles", 1, seed_given, (drawn,), (bound,), tuple(range(drawn)))


def audited(errors: list[int], **settings: object) -> AuditResult:
    drawn = record(**settings)  # type: ignore[arg-type] # the settings of `record`
    return result_of(Path("audit.csv"), drawn, {i: 30 + error for i, error in enumerate(errors, start=1)})


def shown(result: AuditResult, width: int = 80) -> str:
    stream = StringIO()
    Console(file=stream, width=width, highlight=False, markup=False, emoji=False).print(render_audit(result))
    return stream.getvalue()


def words(result: AuditResult) -> str:
    return " ".join(shown(result).split())


NO_ERROR = [0] * 30
SOME = [0] * 20 + [1, -1, 2, 3, -2, 5, 1, 1, 4, -1]


@pytest.mark.parametrize("errors", [NO_ERROR, SOME, SOME[:12], [*SOME[:29], 25]], ids=["none", "some", "early", "void"])
def test_everything_fits_80_columns(errors: list[int]) -> None:
    text = shown(audited(errors, name="x" * 300))
    assert max(map(len, text.splitlines())) <= 80
    assert "counted by the computer" in text


def test_both_intervals_are_shown_and_the_normal_one_is_labelled() -> None:
    result = audited(SOME)
    assert result.interval is not None
    assert result.normal is not None
    text = words(result)
    assert "12,000 cells in 400 tiles, 30 of them counted by hand" in text
    assert f"corrected total {result.total:,.0f} +173, +1.4 %" in text
    assert f"95 % interval {result.interval[0]:,} - {result.interval[1]:,} holds if no tile" in text
    assert "is off by more than 20" in text
    assert f"normal interval {result.normal[0]:,.0f} - {result.normal[1]:,.0f} approximate, too short when" in text
    assert f"tiles with an error 10 of 30 at most {result.most_wrong} of all 400 may have" in text
    assert "for a total known to tiles to count" in text


def test_no_error_seen_is_not_called_none() -> None:
    text = words(audited(NO_ERROR))
    assert "0 of 30 none seen is not none: at most 36 of all 400 may have one (95 %)" in text
    assert "as counted by the computer" in text


def test_a_void_interval_says_why() -> None:
    text = words(audited([*SOME[:29], 25]))
    assert "95 % interval void see below" in text
    assert "void: tile 30 is off by 25 cells, beyond the bound of 20 that was declared" in text


def test_an_unfinished_count_says_what_is_left() -> None:
    assert "18 of the 30 tiles drawn are not counted yet" in words(audited(SOME[:12]))


def test_a_seed_chosen_by_hand_is_told() -> None:
    assert "The seed was chosen by hand" in words(audited(NO_ERROR, seed_given=True))


def test_the_worst_tiles_come_first_and_the_others_are_counted() -> None:
    lines = shown(audited([3, -7] + [1] * 20 + [0] * 8)).splitlines()
    rows = [line.split() for line in lines if "plate 1" in line]
    assert [row[:4] for row in rows[:2]] == [["2", "30", "23", "-7"], ["1", "30", "33", "+3"]]
    assert len(rows) == 12
    assert any("10 more with smaller errors" in line for line in lines)


def test_counting_everything_leaves_no_doubt_to_show() -> None:
    text = words(audited([1] * 30, units=30))
    assert "95 % interval 930 - 930 every cell counted" in text
    assert "normal interval" not in text
    assert "tiles to count" not in text


def test_hostile_names_are_harmless() -> None:
    text = shown(audited(SOME, name=HOSTILE))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[red]" in text
    text.encode("utf-8")


def test_what_to_do_next_can_be_pasted() -> None:
    draw = AuditDraw(Path("my counts") / "audit", record(), 100.0, ())
    by_hand, command = audit_steps(draw)
    assert "README.txt" in by_hand
    assert command.startswith("cellmonai count --audit-result ")
    assert "my counts" in command
    assert command.endswith(("'", '"'))
