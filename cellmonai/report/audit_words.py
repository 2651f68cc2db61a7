"""The page that goes with the pictures of an audit: what to count, where to write it, and what comes of it."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDTH = 88


def audit_instructions(*, unit: str, drawn: int, units: int, bound: str, digest: str, pictures: Sequence[str]) -> str:
    """Give the text of README.txt.

    Parameters
    ----------
    unit : "tiles" or "fields"
    drawn, units : how many were drawn, of how many
    bound : the sentence that declares the greatest error of a unit
    digest : of the frozen draw
    pictures : names of the pictures in the order in which they are counted
    """
    one = unit.removesuffix("s")
    last = f" to {pictures[-1]}" if len(pictures) > 1 else ""
    whole = drawn == units
    paragraphs = [
        f"HOW TO COUNT THE {drawn} {unit.upper()} OF THIS AUDIT",
        f"These are all {units} {unit}: your counts give the total itself."
        if whole
        else f"{drawn} of {units} {unit} were drawn by lot. Your counts of them turn the computer's total into one "
        "that does not depend on the computer being right, with an interval that says how sure it is.",
        f"1. Look at the pictures {pictures[0]}{last} in this folder. Leave the folder overlays closed until you are "
        "done: it shows what the computer found, and knowing it would sway you.",
        "2. Decide now what you call a cell (debris? cells out of focus?) and keep to it.",
        "3. In each picture count the cells whose MIDDLE lies inside the frame. What lies outside is shown darker; it "
        "is there to see where the middle of a cell on the frame is. A middle right on the line counts when the line "
        "is solid (top, left) and does not when it is dashed (bottom, right). Of a cell that the image itself cuts "
        "off, take the middle of the part that you see.",
        "4. Write the number into the column true_count of audit.csv, in the row of the picture: a whole number, 0 "
        "when there is none. The column note is yours. Leave the other columns as they are, and save the table as CSV.",
        f"5. Go in the order of the rows. You may stop before the end: the {unit} up to there are used, the interval "
        f"is wider and still holds. Do not leave out a {one} in between.",
        "6. Then type, in this folder:",
    ]
    after = [
        f"What was fixed before you began: {bound}. An error beyond that voids the guaranteed interval. The list of "
        f"all {unit}, the seed and the draw are in audit.json; keep it beside audit.csv and do not edit it. Digest:",
    ]
    text = "\n\n".join(fill(p, _WIDTH, subsequent_indent="   " if p[1:2] == "." else "") for p in paragraphs)
    end = "\n\n".join(fill(p, _WIDTH) for p in after)
    return f"{text}\n\n       cellmonai count --audit-result audit.csv\n\n{end}\n{digest}\n"
