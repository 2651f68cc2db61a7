"""The warnings of the run and the inputs that failed, each with the images it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.report.html import view
from cellmonai.report.html.elements import NOTHING, Html, element, together
from cellmonai.report.words import counted

if TYPE_CHECKING:
    from cellmonai.report.html.data import ReportData


def failures_banner(data: ReportData, limits: view.Limits) -> Html:
    """Say what could not be counted, and why; empty where nothing failed."""
    failures, more = view.failures(data, limits)
    if not failures:
        return NOTHING
    lines = [element("li", _images(failure), ": ", failure.text) for failure in failures]
    if more:
        lines.append(element("li", f"{more:,} more in {data.run_file}"))
    what = f"{counted(len(data.failures), 'input')} could not be counted; the total is partial."
    return element("div", element("strong", what), element("ul", lines), class_="banner bad", role="note")


def warnings_part(data: ReportData, limits: view.Limits) -> Html:
    """Give the list of warnings; empty where there is none."""
    messages, more = view.messages(data, limits)
    if not messages:
        return NOTHING
    lines = [
        element(
            "li",
            message.text,
            (" ", element("span", _images(message), class_="about")) if message.images else None,
        )
        for message in messages
    ]
    if more:
        lines.append(element("li", f"{more:,} more warnings in {data.run_file}"))
    return element("ul", lines, class_="warnings")


def _images(message: view.Message) -> Html:
    names = [element("bdi", name, class_="name") for name in message.images]
    listed = [part for name in names for part in (", ", name)][1:]
    return together(listed, f" and {message.more_images:,} more" if message.more_images else None)
