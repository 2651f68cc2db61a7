"""Conversions are kept under the digest of the model, and nothing that was changed since is run."""

from __future__ import annotations

import json
import os
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from cellmonai.core.cache import VARIABLE, temporary_cache
from cellmonai.inference import openvino_model
from cellmonai.inference.openvino_convert import convert
from cellmonai.inference.openvino_model import ConvertedModel, find_converted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FACTS: dict[str, Any] = {"channels": 1, "outputs": 2, "divisor": 8}


def converted(name: str) -> Path:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    return convert(net, channels=1, divisor=8, model_sha256=name)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds one entry, of the model `a`."""
    folder = tmp_path_factory.mktemp("ready")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(folder / "cache"))
        converted("a")
    return folder / "cache"


@pytest.fixture
def cache(ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in use."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    shutil.copytree(ready, tmp_path / "cache")
    return tmp_path / "cache"


def entry_of(cache: Path) -> Path:
    (entry,) = (cache / "openvino").iterdir()
    return entry


def test_an_entry_is_found_by_the_digest_of_its_model(cache: Path) -> None:
    found = find_converted("a", **FACTS)
    assert isinstance(found, ConvertedModel)
    assert found.folder == entry_of(cache)
    assert (found.card.model_sha256, found.card.numbers, found.card.outputs) == ("a", "f32", 2)
    assert sorted(path.name for path in found.folder.iterdir()) == ["card.json", "model.bin", "model.xml"]
    assert len(found.weights) == 4 * (9 * 4 + 4 + 4 * 2 + 2)  # float32, not half of it
    assert find_converted("a", **FACTS, precision="bf16") == found
    assert find_converted("a", **FACTS, precision="int8") is None
    assert find_converted("b", **FACTS) is None


@pytest.mark.parametrize("fact", ["channels", "outputs", "divisor"])
def test_an_entry_that_does_not_fit_the_card_of_the_model_is_not_taken(cache: Path, fact: str) -> None:
    assert cache.is_dir()
    assert find_converted("a", **FACTS | {fact: 3}) is None


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def edit(entry: Path, **changes: object) -> None:
    document = json.loads((entry / "card.json").read_text())
    document["card"] |= changes
    (entry / "card.json").write_text(json.dumps(document))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a bit of the weights": lambda entry: flip(entry / "model.bin", 17),
    "a bit of the graph": lambda entry: flip(entry / "model.xml", 300),
    "weights cut off": lambda entry: os.truncate(entry / "model.bin", 100),
    "no weights": lambda entry: (entry / "model.bin").unlink(),
    "no card": lambda entry: (entry / "card.json").unlink(),
    "an empty card": lambda entry: os.truncate(entry / "card.json", 0),
    "half a card": lambda entry: os.truncate(entry / "card.json", 200),
    "a card that is a number": lambda entry: (entry / "card.json").write_text("7"),
    "a card nested without end": lambda entry: (entry / "card.json").write_text("[" * 100_000),
    "a card for less memory": lambda entry: edit(entry, memory={"fixed_bytes": 1, "bytes_per_px": 0.1}),
    "a card of another model": lambda entry: edit(entry, model_sha256="b"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_entry_counts_as_not_there(cache: Path, damage: Callable[[Path], object]) -> None:
    assert find_converted("a", **FACTS) is not None
    damage(entry_of(cache))
    assert find_converted("a", **FACTS) is None


def test_an_entry_under_the_key_of_another_model_is_not_taken(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = entry_of(cache)
    monkeypatch.setattr(openvino_model, "_entry", lambda *_: entry)
    assert find_converted("a", **FACTS) is not None
    assert find_converted("b", **FACTS) is None


def test_a_damaged_entry_is_converted_again(cache: Path) -> None:
    flip(entry_of(cache) / "model.bin", 17)
    assert converted("a") == entry_of(cache)
    assert find_converted("a", **FACTS) is not None


@pytest.mark.parametrize("what", ["version", "FORMAT"])
def test_another_openvino_or_format_is_converted_again(cache: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_converted("a", **FACTS) is not None
    monkeypatch.setattr(openvino_model, what, (lambda: "2030.1") if what == "version" else 99)
    assert find_converted("a", **FACTS) is None
    assert cache.is_dir()


def test_without_a_cache_a_conversion_lives_as_long_as_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    folder = converted("nowhere")
    assert folder.parents[1] == temporary_cache("").folder
    found = find_converted("nowhere", **FACTS)
    assert found is not None
    assert found.folder == folder


def test_old_entries_make_room_and_litter_is_swept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = cache / "openvino"
    used, unused = entries / "used", entries / "unused"
    for folder, days in ((used, 1), (unused, 9), (entries / ".0123456789abcdef.tmp", 2)):
        shutil.copytree(entry_of(cache) if folder == used else used, folder)
        then = time.time() - days * 24 * 3600
        os.utime(folder, (then, then))
    young = entries / ".fedcba9876543210.tmp"
    young.mkdir()
    size = sum(path.stat().st_size for path in used.iterdir())
    monkeypatch.setattr(openvino_model, "CACHE_BYTES", round(3.5 * size))
    kept = converted("b")
    assert {path.name for path in entries.iterdir()} >= {kept.name, used.name, young.name}
    assert not unused.exists()
    assert not (entries / ".0123456789abcdef.tmp").exists()
