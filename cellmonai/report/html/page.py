"""The report of a count: one HTML file that needs no network, opens anywhere and stays under 10 MB."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING

from cellmonai.core.files import write_text
from cellmonai.report.html import details, view
from cellmonai.report.html.elements import NEWLINE, NOTHING, Html, element, together
from cellmonai.report.html.groups import groups_part
from cellmonai.report.html.headline import headline
from cellmonai.report.html.histograms import histograms_part
from cellmonai.report.html.images_table import images_part
from cellmonai.report.html.messages import failures_banner, warnings_part
from cellmonai.report.html.pictures import pictures_part
from cellmonai.report.words import counted

if TYPE_CHECKING:
    from pathlib import Path

    from cellmonai.report.html.data import ReportData

MOST_BYTES = 10_000_000

_PARTS = (
    ("warnings", "Warnings", "Warnings", warnings_part),
    ("images", "Images", "Images", images_part),
    ("pictures", "Pictures", "Pictures", pictures_part),
    ("histograms", "Histograms", "Histograms", histograms_part),
    ("groups", "Groups", "Groups", groups_part),
    ("audit", "Audit", "Audit", details.audit_part),
    ("settings", "Settings", "Settings, and what they removed", details.settings_part),
    ("methods", "Methods", "Methods", details.methods_part),
    ("record", "Run record", "Run record", details.record_part),
)
"""Address, name in the list of parts, heading, and what gives the content; parts without content are left out."""


def write_report(path: Path, data: ReportData, *, overwrite: bool) -> None:
    """Write `report.html`: numbers, warnings, table, pictures, histograms, settings, methods and run record.

    Parameters
    ----------
    path : the file
    data : what it shows
    overwrite : replace a file that exists

    Raises
    ------
    OutputError
        The file exists or cannot be written.

    Notes
    -----
    The page loads nothing: style, script and pictures are in it, and its content security policy forbids all else.
    Where there are more than 1,000 images or 200 pictures it shows the first ones, says so and names the tables that
    hold all.
    """
    write_text(path, render_report(data), overwrite=overwrite)


def render_report(data: ReportData) -> str:
    """Give the page of `write_report` as text of less than 10 MB in UTF-8."""
    limits = view.Limits()
    while True:
        page = _page(data, limits)
        if len(page.encode("utf-8", "backslashreplace")) < MOST_BYTES or limits.rows == 0:
            return page
        limits = limits.halved()


def _page(data: ReportData, limits: view.Limits) -> str:
    contents = {address: content(data, limits) for address, _, _, content in _PARTS}
    links = [element("a", name, href=f"#{address}") for address, name, _, _ in _PARTS if contents[address]]
    sections = [
        element("section", NEWLINE, element("h2", heading), contents[address], id=address)
        for address, _, heading, _ in _PARTS
        if contents[address]
    ]
    version = _version(data)
    script = _own_file("count.js")
    body = (
        element(
            "header",
            element("h1", data.title),
            element("p", " · ".join([f"cellmonai {version}", *_ended(data)]), class_="soft"),
            element("nav", links, aria_label="Parts of the report"),
        ),
        element("main", _banners(data, limits), _headline(data), sections),
        element("footer", f"Made by cellmonai {version}. This file loads nothing from a network.", class_="soft"),
        element("script", script),
    )
    return f"<!doctype html>\n{element('html', _head(data, script), element('body', body), lang='en')}\n"


def _head(data: ReportData, script: Html) -> Html:
    style = _own_file("count.css")
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="generator", content=f"cellmonai {_version(data)}"),
        element("title", f"{data.title}: {counted(data.total, 'cell')}"),
        element("style", style),
    )


def _version(data: ReportData) -> str:
    return str((data.run_record.get("versions") or {}).get("cellmonai", ""))


def _ended(data: ReportData) -> list[str]:
    ended = str(data.run_record.get("ended", "")).replace("T", " ").replace("+00:00", " UTC")
    return [ended] if ended else []


def _own_file(name: str) -> Html:
    text = files("cellmonai.report.html").joinpath("templates", name).read_text(encoding="utf-8")
    return Html(text.replace("\r\n", "\n"))  # as a browser hashes it


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


def _banners(data: ReportData, limits: view.Limits) -> Html:
    partial = empty = NOTHING
    if data.partial_reason:
        partial = _banner("bad", "These numbers are partial.", data.partial_reason)
    if data.images and not data.total:
        empty = _banner("warn", "No cells in any image.", "Look at the warnings and the settings below.")
    return together(partial, failures_banner(data, limits), empty)


def _banner(kind: str, what: str, why: str) -> Html:
    return element("div", element("strong", what), " ", why, class_=f"banner {kind}", role="note")


def _headline(data: ReportData) -> Html:
    figures = [
        element(
            "div",
            element("span", figure.value, class_="value"),
            " ",
            element("span", figure.name, class_="what"),
            (" ", element("span", figure.note, class_="soft")) if figure.note else None,
            class_="figure" if n else "figure first",
        )
        for n, figure in enumerate(headline(data))
    ]
    asides = view.reasons_without_interval(data)
    if any(row.interval for row in data.rows):
        asides.insert(0, "Intervals are for single images. They do not add up, so the total has none.")
    return together(
        element("section", figures, class_="figures", aria_label="Headline numbers"),
        [element("p", text, class_="soft aside") for text in asides],
    )
