"""What `doctor` found as a page of Markdown: readable on a terminal, a table where it is pasted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellmonai.core.text import printable
from cellmonai.core.units import readable_bytes
from cellmonai.report.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_UNKNOWN = "-"
_FIRST = ("torch", "monai", "numpy", "tifffile", "zarr", "openvino")


def doctor_page(facts: Mapping[str, Any], findings: Sequence[Mapping[str, Any]]) -> str:
    """Give the whole page.

    Parameters
    ----------
    facts : as in the document of `doctor --json`; what is missing there is left out
    findings : `severity`, `code`, `message` and `cure` of each
    """
    parts = [
        _section("versions", ("what", "value"), _versions(facts)),
        _section("machine", ("what", "value"), [*_machine(facts), *_folders(facts.get("folders") or {})]),
        _section("engines", ("engine", "device", "what", "precisions", "memory"), _engines(facts)),
        _section("speed", ("what", "device", "in", "Mpx/s", "passes"), _speeds(facts)),
        _section("surroundings", ("what", "value"), (facts.get("surroundings") or {}).items()),
        _findings(findings),
    ]
    return "\n\n".join(part for part in parts if part)


def _versions(facts: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    versions: Mapping[str, str] = facts.get("versions") or {}
    if not versions:
        return
    yield "cellmonai", versions.get("cellmonai", _UNKNOWN)
    yield "python", f"{versions.get('python', _UNKNOWN)}, {facts.get('environment', _UNKNOWN)}"
    for name in _FIRST:
        yield name, versions.get(name, "not installed")
    rest = [f"{name} {version}" for name, version in versions.items() if name not in {"cellmonai", "python", *_FIRST}]
    yield "others", ", ".join(rest)


def _machine(facts: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    if "platform" in facts:
        yield "system", f"{facts['platform']}, {facts['machine']}"
        load = "" if facts["load"] is None else f", load {facts['load']:.1f}"
        yield "processor", f"{facts['cpu']}, {facts['usable_cores']} of {facts['cores']} cores usable{load}"
        yield "memory", f"{_bytes(facts['available_bytes'])} available of {_bytes(facts['memory_bytes'])}"
    if "kernels" in facts:
        yield "counting kernels", "compiled (c)" if facts["kernels"] == "c" else "NumPy twins (numpy)"
    if torch := facts.get("torch"):
        cuda = f"built for CUDA {torch['cuda']}" if torch["cuda"] else "built without CUDA"
        yield "torch", f"{cuda}, {counted(torch['threads'], 'thread')}"
        yield "--device auto", f"{torch['auto_device']} ({torch['auto_reason']})"


def _folders(folders: Mapping[str, Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    for name, folder in folders.items():
        words = [folder["path"]] if folder.get("path") else []
        words.append("can be written" if folder["writable"] else "CANNOT be written")
        if folder.get("mb_per_second") is not None:
            words.append(f"{folder['mb_per_second']:.0f} MB/s synced")
        if folder.get("locks") is not None:
            words.append("locks work" if folder["locks"] else "no locks")
        if folder.get("free_bytes") is not None:
            words.append(f"{_bytes(folder['free_bytes'])} free")
        yield f"{name} folder", ", ".join(words)


def _engines(facts: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for engine in facts.get("engines") or ():
        memory = "the machine's"
        if engine["memory_bytes"] is not None:
            memory = f"{_bytes(engine['free_bytes'])} free of {_bytes(engine['memory_bytes'])}"
        yield engine["engine"], engine["device"], engine["title"], ", ".join(engine["precisions"]), memory


def _speeds(facts: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for speed in facts.get("speed") or ():
        what = speed["what"] if speed["what"] == "counting" else f"BasicUNet of width 16, {speed['what']}"
        yield what, speed["device"], speed["precision"], f"{speed['mpx_per_second']:.2f}", str(speed["passes"])


def _findings(findings: Sequence[Mapping[str, Any]]) -> str:
    if not findings:
        return "### findings\n\nnone, everything works"
    lines = [f"- **{one['severity']}** ({one['code']}): {one['message']}; {one['cure']}." for one in findings]
    return "\n".join(["### findings", "", *map(printable, lines)])


def _section(title: str, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Give a table in Markdown, its columns as wide as what they hold; nothing where there are no rows."""
    cells = [[printable(str(cell)).replace("|", "\\|") for cell in row] for row in rows]
    if not cells:
        return ""
    widths = [max(len(row[n]) for row in [heads, *cells]) for n in range(len(heads))]
    widths[-1] = len(heads[-1])  # the last one may be long, and needs no padding
    lines = [_line(heads, widths), "|" + "|".join("-" * (width + 2) for width in widths) + "|"]
    lines += [_line(row, widths) for row in cells]
    return "\n".join([f"### {title}", "", *lines])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"


def _bytes(amount: float | None) -> str:
    return _UNKNOWN if amount is None else readable_bytes(amount)
