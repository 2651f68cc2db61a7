"""What a machine says of itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cellmonai.core import machine


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        pytest.param("max 100000\n", None, id="no limit"),
        pytest.param("150000 100000\n", 2, id="one and a half"),
        pytest.param("50000 100000\n", 1, id="a half"),
        pytest.param("", None, id="empty"),
    ],
)
def test_a_container_says_how_many_cores_it_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cores: int | None
) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(machine, "_CPU_QUOTA", tmp_path / "cpu.max")
    assert machine.cpu_quota() == cores
    assert machine.usable_cores() == min(cores or 10**6, machine.usable_cores())


def test_the_quota_bounds_the_usable_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_CPU_QUOTA", tmp_path / "cpu.max")
    (tmp_path / "cpu.max").write_text("100000 100000")
    assert machine.usable_cores() == 1
    (tmp_path / "cpu.max").write_text("max 100000")
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert machine.usable_cores() == allowed


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("processor\t: 0\nmodel name\t: Fast 9 CPU @ 3 GHz\n", "Fast 9 CPU @ 3 GHz", id="x86"),
        pytest.param("processor\t: 0\nBogoMIPS\t: 50\nModel\t\t: Some Board 5\n", "Some Board 5", id="arm"),
    ],
)
def test_the_processor_is_named_as_its_maker_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, name: str
) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(machine, "_CPU_INFO", tmp_path / "cpuinfo")
    assert machine.cpu_model() == name


@pytest.mark.parametrize(
    ("line", "has_it"),
    [
        pytest.param("flags\t\t: fpu sse4_1 avx2 avx512f avx512_vnni\n", True, id="VNNI"),
        pytest.param("flags\t\t: fpu sse4_1 avx2 avx_vnni\n", True, id="VNNI of a CPU without AVX-512"),
        pytest.param("flags\t\t: fpu sse4_1 avx2 avx512f avx512_vnniw\n", False, id="none, and a similar word"),
        pytest.param("Features\t: fp asimd asimddp\n", True, id="dot products of Arm"),
        pytest.param("Features\t: fp asimd\n", False, id="an older Arm"),
        pytest.param("model name\t: a CPU\n", None, id="not told"),
    ],
)
def test_instructions_for_8_bit_integers_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, line: str, has_it: bool | None
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{line}")
    monkeypatch.setattr(machine, "_CPU_INFO", tmp_path / "cpuinfo")
    assert machine.multiplies_int8() is has_it


def test_a_system_without_a_list_of_instructions_tells_nothing_of_8_bit_integers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_CPU_INFO", tmp_path / "missing")
    assert machine.multiplies_int8() is None


def test_a_processor_without_a_name_has_its_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_CPU_INFO", tmp_path / "missing")
    assert machine.cpu_model()


def test_the_memory_of_the_machine_is_known_where_the_system_tells_it() -> None:
    total = machine.total_memory()
    assert total is None if os.name == "nt" else total is not None and total > 2**28
