"""Files that are built to do harm: refused by name, while the good ones beside them are done."""

from __future__ import annotations

import gzip
import json
import os
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from painting import Disc, paint
from typer.testing import CliRunner

from cellmonai.cli.app import app

GOOD = ("good1", "good2", "good3")
FIELD = paint([Disc(20, 20, radius_px=7), Disc(60, 60, radius_px=7)], shape=(96, 96)).astype(np.uint8) * 255


def _planes(path: Path, *sizes: int) -> None:
    nibabel.save(nibabel.Nifti1Image(FIELD.T.copy(), np.eye(4)), path)
    content = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into(f"<{len(sizes) + 1}h", content, 40, len(sizes), *sizes)
    path.write_bytes(gzip.compress(content))


def _flipped(path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(FIELD.T.copy(), np.eye(4)), path)
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)


def _lying_npy(path: Path) -> None:
    np.save(path, FIELD)
    path.write_bytes(path.read_bytes().replace(b"(96, 96)", b"(9999999, 9999999)".ljust(8)))


HOSTILE = {
    "billion.nii.gz": lambda path: _planes(path, 1, 1, 32767, 32767),
    "negative.nii.gz": lambda path: _planes(path, 96, -96),
    "flipped.nii.gz": _flipped,
    "lying.npy": _lying_npy,
    "pipe.tif": os.mkfifo,
    "loop.tif": lambda path: path.symlink_to(path.name),
    "device.tif": lambda path: path.symlink_to("/dev/zero"),
    "folder.png": lambda path: path.mkdir(),
    "empty.tif": lambda path: path.write_bytes(b""),
    "text.tif": lambda path: path.write_text("[" * 5000),
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for name in GOOD:
        tifffile.imwrite(f"in/{name}.tif", FIELD)


def _run(*words: str) -> tuple[int, dict[str, object], str]:
    ran = CliRunner().invoke(app, [*words, "--json"])
    assert "Traceback" not in ran.stderr
    return ran.exit_code, json.loads(ran.stdout) if ran.stdout.strip() else {}, ran.stderr


pytestmark = pytest.mark.skipif(os.name != "posix", reason="makes pipes and links")


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "folder.png"])
@pytest.mark.parametrize("command", [("infer", "in", "--method", "otsu"), ("count", "in")], ids=["infer", "count"])
def test_one_hostile_file_does_not_stop_the_good_ones(command: tuple[str, ...], name: str) -> None:
    HOSTILE[name](Path("in") / name)
    code, document, told = _run(*command, "-o", "out")
    assert code == 9, told
    assert len(document["images"]) == len(GOOD)  # type: ignore[arg-type]
    assert name.partition(".")[0] in told


def test_all_hostile_files_together_do_not_stop_the_good_ones() -> None:
    for name, write in HOSTILE.items():
        write(Path("in") / name)
    for command in (("infer", "in", "--method", "otsu"), ("count", "in")):
        code, document, told = _run(*command, "-o", f"out_{command[0]}")
        assert code == 9, told
        assert len(document["images"]) == len(GOOD)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["pipe.tif", "loop.tif", "device.tif", "folder.png", "text.tif"])
@pytest.mark.parametrize(
    "words",
    [
        ("infer", "@", "--method", "otsu"),
        ("count", "@"),
        ("infer", "in", "-m", "@"),
        ("count", "in", "--sheet", "@"),
        ("evaluate", "@", "in"),
        ("evaluate", "in", "@"),
        ("fit", "@"),
        ("recipe", "check", "@"),
        ("recipe", "init", "@"),
        ("models", "import", "@"),
        ("infer", "--from", "@"),
        ("count", "--audit-result", "@"),
    ],
    ids=lambda words: " ".join(words),
)
def test_a_hostile_file_in_any_place_ends_in_one_sentence(words: tuple[str, ...], name: str) -> None:
    Path("bad").mkdir()
    HOSTILE[name](Path("bad") / name)
    ran = CliRunner().invoke(app, [str(Path("bad") / name) if word == "@" else word for word in words])
    assert ran.exit_code in {2, 3, 4, 5, 8}, ran.output
    assert "fault of cellmonai" not in ran.output


@pytest.mark.parametrize("command", ["infer", "count", "evaluate"])
@pytest.mark.parametrize("below", ["", "/deep/er"], ids=["itself", "below"])
@pytest.mark.parametrize("name", ["pipe.tif", "loop.tif", "device.tif", "text.tif"])
def test_an_output_folder_that_is_none_ends_in_one_sentence(command: str, name: str, below: str) -> None:
    HOSTILE[name](Path(name))
    words = {"infer": ["in", "--method", "otsu"], "count": ["in"], "evaluate": ["in", "in"]}[command]
    ran = CliRunner().invoke(app, [command, *words, "-o", f"{name}{below}"])
    assert ran.exit_code in {2, 5}, ran.output
    assert "fault of cellmonai" not in ran.output
