"""What `count --audit` and `count --audit-result` show: what to do next by hand, and what the counts by hand say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.core.errors import UsageError
from cellmonai.core.text import printable
from cellmonai.measure.audits.estimates import NORMAL_LABEL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import typer
    from rich.console import RenderableType
    from rich.table import Table

    from cellmonai.workflows.auditing.draw import AuditDraw
    from cellmonai.workflows.auditing.result import AuditResult

_WIDTH = 78
_MOST_ROWS = 12


_BESIDE_A_RESULT = ("masks", "audit_result", "audit_half_width", "level", "json", "quiet", "debug")
"""Parameters of `count` that mean something to an audit that was drawn already."""


def show_audit(
    context: typer.Context,
    masks: Sequence[Path] | None,
    sheet: Path | None,
    *,
    half_width: str | None,
    level: float,
    as_json: bool,
) -> None:
    """Print the audited total with its intervals.

    Raises
    ------
    UsageError
        Masks are named too, no sheet is, an option is given that counts or draws, the level is none of those of
        `count`, or the wished half-width is no positive number.
    InputError
        The sheet or its record cannot be read, or do not belong together.
    """
    if sheet is None:
        raise UsageError("is for --audit-result", where="--audit-half-width", cure="add --audit-result FILE")
    if masks:
        raise UsageError(
            "reads the counts of a drawn audit and counts nothing itself",
            where="--audit-result",
            cure="leave the masks out",
        )
    _refuse_beside_a_result(context)
    from cellmonai.measure.intervals.conformal import LEVELS

    if level not in LEVELS:
        levels = ", ".join(f"{one:g}" for one in LEVELS)
        raise UsageError(f"the level is {level:g}", where="--level", cure=f"give one of {levels}")
    from cellmonai.cli.console import print_json, print_table
    from cellmonai.workflows.auditing.reading import read_audit

    result = read_audit(sheet, half_width=half_width, level=level)
    if as_json:
        print_json(result.as_json())
    else:
        print_table(render_audit(result))


def _refuse_beside_a_result(context: typer.Context) -> None:
    """Refuse what was typed and would change nothing."""
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name not in _BESIDE_A_RESULT and source is not None and source.name == "COMMANDLINE":
            raise UsageError(
                "changes nothing about an audit that was drawn and counted",
                where=parameter.opts[0],
                cure="leave it out beside --audit-result",
            )


def audit_steps(draw: AuditDraw) -> tuple[str, str]:
    """Give the two next steps after a draw: what to do by hand, then the command to paste."""
    from cellmonai.cli.console import quoted

    by_hand = f"count the cells in {draw.folder}, as README.txt there says, into {draw.sheet.name}"
    return by_hand, f"cellmonai count --audit-result {quoted(draw.sheet)}"


def render_audit(result: AuditResult) -> RenderableType:
    """Give an audit as tables of 80 columns: the total with its intervals, wrong units, and what more would give."""
    from rich.console import Group
    from rich.text import Text

    unit = result.record.unit
    heading = f"{result.ai_total:,} cells in {result.units:,} {unit}, {len(result.counted):,} of them counted by hand"
    parts: list[RenderableType] = [Text(heading, style="bold"), _summary(result)]
    parts += [_paragraph(text, style="yellow") for text in _cautions(result)]
    if result.wrong:
        parts.append(_units(result))
    if result.sizes:
        parts.append(_sizes(result))
    return Group(*parts)


def _summary(result: AuditResult) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    one = result.record.unit.removesuffix("s")
    table = Table(box=box.SIMPLE, show_header=False, width=_WIDTH)
    table.add_column("what", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True, style="bold cyan")
    table.add_column("remark", overflow="fold")
    table.add_row("counted by the computer", f"{result.ai_total:,}", "")
    table.add_row("corrected total", f"{result.total:,.0f}", _change(result))
    bounds = " / ".join(f"{bound:,}" for bound in dict.fromkeys(result.record.bounds))
    if result.interval is None:
        table.add_row(f"{_percent(result.level)} interval", Text("void", style="bold yellow"), "see below")
    else:
        remark = f"holds if no {one} is off by more than {bounds}"
        table.add_row(
            f"{_percent(result.level)} interval",
            _range(*result.interval),
            "every cell counted" if _census(result) else remark,
        )
    if result.normal is not None and not _census(result):
        table.add_row("normal interval", Text(_range(*result.normal), style="dim"), NORMAL_LABEL)
    table.add_row(f"{result.record.unit} with an error", f"{result.wrong:,} of {len(result.counted):,}", _wrong(result))
    return table


def _cautions(result: AuditResult) -> list[str]:
    words = []
    if result.interval_reason:
        words.append(f"No guaranteed interval, {result.interval_reason}.")
    if result.partial:
        left = len(result.record.drawn) - len(result.counted)
        words.append(
            f"{left:,} of the {len(result.record.drawn):,} {result.record.unit} drawn are not counted yet: the "
            "interval holds, and gets narrower with each."
        )
    if result.record.seed_given:
        words.append("The seed was chosen by hand: the draw is only as fair as that choice.")
    return words


def _units(result: AuditResult) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    wrong = sorted((unit for unit in result.counted if unit.error), key=lambda unit: (-abs(unit.error), unit.number))
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", width=_WIDTH)
    for name in (result.record.unit.removesuffix("s"), "computer", "by hand", "error"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("image", overflow="fold")
    for unit in wrong[:_MOST_ROWS]:
        place = printable(f"{unit.image} {unit.plane}".strip())
        table.add_row(str(unit.number), f"{unit.ai_count:,}", f"{unit.true_count:,}", f"{unit.error:+,}", Text(place))
    if len(wrong) > _MOST_ROWS:
        table.add_row("…", "", "", "", Text(f"{len(wrong) - _MOST_ROWS:,} more with smaller errors", style="dim"))
    return table


def _sizes(result: AuditResult) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, header_style="bold")
    table.add_column("for a total known to", justify="right")
    table.add_column(f"{result.record.unit} to count", justify="right", style="bold cyan")
    table.add_column("normal approximation", justify="right", style="dim")
    for size in result.sizes:
        share = f" ({100 * size.half_width / result.total:.2g} %)" if result.total > 0 else ""
        needed = ["-" if number is None else f"{number:,}" for number in (size.betting, size.normal)]
        table.add_row(f"±{size.half_width:,.0f}{share}", *needed)
    return table


def _wrong(result: AuditResult) -> str:
    if _census(result):
        return ""
    none = "none seen is not none: " if not result.wrong else ""
    most = "any" if result.most_wrong == result.units else f"at most {result.most_wrong:,}"
    return f"{none}{most} of all {result.units:,} may have one ({_percent(result.level)})"


def _change(result: AuditResult) -> str:
    error = result.total - result.ai_total
    share = f", {100 * error / result.ai_total:+.1f} %" if result.ai_total else ""
    return f"{error:+,.0f}{share}" if round(error) else "as counted by the computer"


def _census(result: AuditResult) -> bool:
    return len(result.counted) == result.units


def _percent(level: float) -> str:
    return f"{100 * level:g} %"


def _range(low: float, high: float) -> str:
    return f"{low:,.0f} - {high:,.0f}"


def _paragraph(words: str, *, style: str) -> RenderableType:
    from rich.padding import Padding
    from rich.text import Text

    return Padding(Text(printable(words), style=style), (0, 2, 1, 2))
