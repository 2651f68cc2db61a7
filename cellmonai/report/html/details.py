"""What explains the numbers: settings and what they removed, methods, audit, and the run record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.report.html import view
from cellmonai.report.html.elements import NEWLINE, NOTHING, Html, element, together
from cellmonai.report.html.methods import methods_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellmonai.report.html.data import ReportData


def audit_part(data: ReportData, limits: view.Limits) -> Html:
    """Give what an audit found; empty where there was none."""
    found = view.audit(data)
    return element("dl", _pairs(found)) if found else NOTHING


def settings_part(data: ReportData, limits: view.Limits) -> Html:
    """Give what decided the counts, what the filters removed, and what was flagged."""
    lists = [
        _list("Settings", view.settings(data), numeric=False),
        _list("Objects removed", view.removed(data)),
        _list("Cells under each border rule", view.border_rules(data)),
        _list("Cells flagged, still counted", view.flagged(data)),
    ]
    return element("div", lists, class_="columns")


def methods_part(data: ReportData, limits: view.Limits) -> Html:
    """Give the paragraph for a paper, with its references."""
    methods = methods_of(data)
    references = element("ol", [element("li", reference) for reference in methods.references])
    about = "For the methods section of a paper. Written from the run record: check it against your experiment. "
    return together(
        element("p", about, _copy_button("methods-text"), class_="soft"),
        element(
            "div",
            element("p", methods.paragraph),
            references if methods.references else None,
            id="methods-text",
            class_="paper",
        ),
    )


def record_part(data: ReportData, limits: view.Limits) -> Html:
    """Give the run record, folded."""
    lines, cut = view.record_lines(data, limits)
    shortened = "Shortened; ", element("span", data.run_file, class_="name"), " has all of it. "
    return element(
        "details",
        element("summary", "Versions, platform, digests of the inputs, and the command line"),
        element("p", shortened if cut else None, _copy_button("record-text"), class_="soft"),
        element("pre", [(line, NEWLINE) for line in lines], id="record-text", tabindex=0),
    )


def _list(title: str, pairs: Sequence[tuple[str, str]], *, numeric: bool = True) -> Html:
    if not pairs and title != "Settings":
        return NOTHING
    return element("div", element("h3", title), element("dl", _pairs(pairs, class_="n" if numeric else None)))


def _pairs(pairs: Sequence[tuple[str, str]], class_: str | None = None) -> Html:
    return together([(element("dt", name), element("dd", value, class_=class_)) for name, value in pairs])


def _copy_button(what: str) -> Html:
    return element("button", "Copy", type="button", class_="copy", data_copy=what, hidden=True)
