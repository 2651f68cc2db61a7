"""Ctrl-C, SIGTERM, and outputs that cannot be written: one sentence, the right code, and before any work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellmonai.core.errors import InterruptedRunError, OutputError, TerminatedRunError
from cellmonai.core.files import require_possible
from cellmonai.core.interrupts import Terminated, stop_wish
from cellmonai.workflows.count import count
from cellmonai.workflows.counting import every_plane
from cellmonai.workflows.counting.settings import CountSettings

posix = pytest.mark.skipif(os.name != "posix", reason="signals as a terminal sends them")

_AT_IMPORT = """
import os, signal, sys
class At:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, At())
from cellmonai.cli.start import main
sys.argv[1:] = ["count", "masks"]
main()
"""


@posix
@pytest.mark.parametrize(("number", "name", "code"), [(2, "Ctrl-C", 130), (15, "SIGTERM", 143)], ids=["int", "term"])
@pytest.mark.parametrize("module", ["cellmonai.cli.app", "typer", "cellmonai.cli.count", "cellmonai.workflows.count"])
def test_a_signal_while_the_command_loads_is_one_sentence(
    number: int, name: str, code: int, module: str, tmp_path: Path
) -> None:
    words = [sys.executable, "-c", _AT_IMPORT.format(module=module, number=number)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == f"error: stopped by {name}; run the same command again.\n"


@posix
def test_sigterm_stops_at_a_safe_point_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "masks").mkdir()
    for name in "ab":
        tifffile.imwrite(tmp_path / "masks" / f"{name}.tif", np.pad(np.full((9, 9), 255, np.uint8), 9))
    real = every_plane.count_plane

    def press(*arguments: object, **more: object) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments, **more)  # type: ignore[arg-type]

    settings = CountSettings(output=tmp_path / "counts", threads=1)
    with monkeypatch.context() as patch, pytest.raises(TerminatedRunError, match=r"^stopped by SIGTERM; run the same"):
        patch.setattr(every_plane, "count_plane", press)
        count([tmp_path / "masks"], settings=settings)
    assert TerminatedRunError.exit_code == 143
    assert not list((tmp_path / "counts").glob("[!.]*"))
    assert count([tmp_path / "masks"], settings=settings).total == 2


@posix
def test_a_second_sigterm_stops_at_once() -> None:
    def press_twice() -> None:
        with stop_wish():
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Terminated):
        press_twice()


def test_a_wish_by_ctrl_c_is_told_as_such() -> None:
    with stop_wish() as wish:
        wish.asked = True
        with pytest.raises(InterruptedRunError, match="stopped by Ctrl-C") as caught:
            wish.check()
    assert caught.value.exit_code == 130


def _obstacles(place: Path) -> dict[str, Path]:
    (place / "file").write_text("mine")
    (place / "loop").symlink_to(place / "loop")
    (place / "nowhere").symlink_to(place / "missing" / "deep")
    return {
        "a file": place / "file",
        "below a file": place / "file" / "deep" / "er",
        "a link to itself": place / "loop",
        "below a link to itself": place / "loop" / "deep",
        "a link that leads nowhere": place / "nowhere",
        "a name that is too long": place / ("x" * 300) / "deep",
        **({"no such mount": Path("/proc/nowhere/out")} if Path("/proc/self").is_dir() else {}),
    }


def test_a_folder_that_cannot_be_written_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    obstacles = _obstacles(tmp_path)
    before = sorted(tmp_path.iterdir())
    for name, path in obstacles.items():
        with pytest.raises(OutputError):
            require_possible(path)
            pytest.fail(f"{name} was taken")
    require_possible(tmp_path / "new" / "deep")
    require_possible(tmp_path)
    assert sorted(tmp_path.iterdir()) == before


_EVERY_COMMAND = """
import sys
from cellmonai.cli.start import main
for words in {commands!r}:
    sys.argv[1:] = words
    try:
        main()
    except SystemExit as end:
        print(end.code, words[0], words[-1])
print(*({{"torch", "monai"}} & set(sys.modules)))
"""


def test_commands_refuse_such_an_output_before_torch_is_imported(tmp_path: Path) -> None:
    obstacles = [str(path) for path in _obstacles(tmp_path).values()]
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        for name in "ab":
            tifffile.imwrite(tmp_path / folder / f"{name}.tif", np.eye(40, dtype=np.uint8) * 255)
    recipe = '[data]\nlayout = "pairs"\nroot = "."\n[network]\nname = "basic_unet"\n[loss]\nname = "dice"\n'
    (tmp_path / "recipe.toml").write_text(recipe)
    starts = [
        ["fit", "recipe.toml", "--quiet", "--output"],
        ["infer", "images", "--method", "otsu", "--quiet", "--output"],
        ["count", "masks", "--quiet", "--output"],
        ["evaluate", "masks", "masks", "--quiet", "--output"],
        ["demo", "--quiet"],
    ]
    commands = [[*start, path] for start in starts for path in obstacles]
    words = [sys.executable, "-c", _EVERY_COMMAND.format(commands=commands)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240)
    *ends, heavy = done.stdout.split("\n")[:-1]
    assert [end.split()[0] for end in ends] == ["5"] * len(commands), done.stdout + done.stderr
    assert heavy == ""
    assert len(done.stderr.splitlines()) == len(commands)
