"""What a finished demo shows on the screen: every test image, its painted cells and those that were counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellmonai.core.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table


def demo_table(document: Mapping[str, Any]) -> Table:
    """Give the table of a `cellmonai.demo/1` document: image, true count, counted, difference, F1, and the total."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    true, counted = document["true_total"], document["predicted_total"]
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, footer_style="bold", header_style="bold")
    table.add_column("image", "total", overflow="fold")
    table.add_column("painted cells", f"{true:,}", justify="right")
    table.add_column("counted", f"{counted:,}", justify="right", style="bold cyan")
    table.add_column("difference", _difference(true, counted, with_percent=True), justify="right")
    table.add_column("F1 at IoU 0.5", _ratio(document["summary"]["f1_50"]), justify="right")
    for row in document["images"]:
        painted, found = row["true_count"], row["predicted_count"]
        numbers = (f"{painted:,}", f"{found:,}", _difference(painted, found, with_percent=False), _ratio(row["f1_50"]))
        table.add_row(Text(printable(row["image"])), *numbers)
    return table


def _difference(true: int, counted: int, *, with_percent: bool) -> str:
    off = counted - true
    number = f"{off:+,}" if off else "0"
    return f"{number} ({100 * off / true:+.1f} %)" if with_percent and true else number


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
