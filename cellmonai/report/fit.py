"""What a finished training shows on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table


def fit_table(document: Mapping[str, Any]) -> Table:
    """Give the summary of a `cellmonai.fit/1` document."""
    from rich.table import Table
    from rich.text import Text

    validation, best = document["validation"], document["best"]
    rows = {
        "model": document["model"],
        "best epoch": f"{best['epoch']} of {document['epochs']}",
        "threshold": f"{document['operating_point']['threshold']:g}",
        "F1 at IoU 0.5": _number(validation["f1_50"]),
        "Dice": _number(validation["dice"]),
        "count error": f"{_number(validation['count_mae'], 2)} cells per image",
    }
    table = Table(title="trained", title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column()
    for name, value in rows.items():
        table.add_row(name, Text(str(value), overflow="fold"))
    table.caption = "on whole validation images"
    table.caption_justify = "left"
    return table


def _number(value: float | None, digits: int = 3) -> str:
    return "undefined" if value is None else f"{value:.{digits}f}"
