"""Sentences, units and names as people read and type them."""

from __future__ import annotations

import pytest

from cellmonai.core import errors
from cellmonai.core.devices import require_device_name
from cellmonai.core.text import did_you_mean, nearest, printable
from cellmonai.core.units import parse_area_px, parse_bytes, readable_bytes, readable_seconds


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("cells.tif", "cells.tif", id="plain"),
        pytest.param("a\nb\x1b[31m", r"a\x0ab\x1b[31m", id="newline and terminal code"),
        pytest.param("a\u202eb", r"a\u202eb", id="right-to-left override"),
        pytest.param("a\udcff", r"a\udcff", id="byte that is no UTF-8"),
        pytest.param("Zellkern_µ_日本", "Zellkern_µ_日本", id="letters of other alphabets"),
        pytest.param("[red]=cmd<script>", "[red]=cmd<script>", id="markup stays text"),
    ],
)
def test_text_is_shown_without_what_a_terminal_would_obey(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_failure_is_one_sentence() -> None:
    error = errors.InputError("is no image", where="a\nb.tif", cure="give a TIFF")
    assert str(error) == r"a\x0ab.tif: is no image; give a TIFF."
    assert str(errors.UsageError("unknown", cure="did you mean 'x'?")) == "unknown; did you mean 'x'?"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.UsageError, 2),
        (errors.InputError, 3),
        (errors.RecipeError, 4),
        (errors.OutputError, 5),
        (errors.LockedError, 6),
        (errors.DivergedError, 7),
        (errors.MemoryBudgetError, 8),
        (errors.PartialFailureError, 9),
        (errors.InterruptedRunError, 130),
    ],
)
def test_every_failure_has_its_exit_code(kind: type[errors.CellmonaiError], code: int) -> None:
    assert kind.exit_code == code


def test_names_that_are_nearly_right_are_recognised() -> None:
    assert nearest("epochz", ["epochs", "seed"]) == "epochs"
    assert did_you_mean("qqqq", ["b", "a"]) == "use one of a, b"


@pytest.mark.parametrize(
    ("text", "amount"),
    [("2GiB", 2 * 2**30), ("500MB", 500 * 10**6), ("1.5G", 3 * 2**29), ("1000", 1000), (" 3 kib ", 3072)],
)
def test_amounts_of_memory(text: str, amount: int) -> None:
    assert parse_bytes(text) == amount


@pytest.mark.parametrize("text", ["", "lots", "2XB", "-1GB", "0"])
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(errors.UsageError, match="write it as 2GiB"):
        parse_bytes(text)


def test_areas_in_pixels_and_micrometres() -> None:
    assert parse_area_px("10", None) == parse_area_px("10px", None) == 10
    assert parse_area_px("25um2", (0.5, 0.5)) == parse_area_px("25µm²", (0.5, 0.5)) == 100
    with pytest.raises(errors.UsageError, match="pixel size is unknown"):
        parse_area_px("25um2", None)
    with pytest.raises(errors.UsageError, match="is no area"):
        parse_area_px("25 cells", None)


@pytest.mark.parametrize("name", ["auto", "cpu", "mps", "cuda", "cuda:1"])
def test_devices_are_known_by_name(name: str) -> None:
    require_device_name(name)


@pytest.mark.parametrize("name", ["", "tpu", "cuda:", "cuda:x", "cpu:1", "CUDA"])
def test_what_names_no_device_is_refused(name: str) -> None:
    with pytest.raises(errors.UsageError, match="use auto, cpu, cuda, cuda:1 or mps"):
        require_device_name(name)


def test_amounts_and_times_are_readable() -> None:
    assert [readable_bytes(n) for n in (10, 2048, 3 * 2**20, 5 * 2**30)] == ["10 B", "2.0 KiB", "3.0 MiB", "5.0 GiB"]
    assert [readable_seconds(s) for s in (4.21, 185, 7800)] == ["4.2 s", "3 min 05 s", "2 h 10 min"]
