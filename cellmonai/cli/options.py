"""Options that every command takes."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress; warnings and errors stay.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback when something fails.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")]
Recursive = Annotated[bool, typer.Option("--recursive", help="Search the folders inside folders too.")]

CellValues = Annotated[
    str | None,
    typer.Option(metavar="VALUES", help="Values that are cells in masks of classes, as 1 or 1,3; others are not."),
]
MaskThreshold = Annotated[
    float | None,
    typer.Option(metavar="VALUE", help="Cut grey masks here: this value and all above are cells, as 128 or 0.5."),
]


def parse_values(text: str | None, option: str) -> tuple[int, ...]:
    """Read whole numbers as typed, `1,3`; nothing typed gives none."""
    if text is None:
        return ()
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and len(word) <= 10 for word in words):
        raise typer.BadParameter("is no list of whole numbers; give values of the mask, as 1 or 1,3", param_hint=option)
    return tuple(dict.fromkeys(int(word) for word in words))
