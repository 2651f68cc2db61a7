"""Options that every command takes."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress; warnings and errors stay.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback when something fails.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")]
Recursive = Annotated[bool, typer.Option("--recursive", help="Search the folders inside folders too.")]
