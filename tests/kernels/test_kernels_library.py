"""The compiled library: called strictly, left alone where it does not fit, and not needed."""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cellmonai.kernels
from cellmonai.kernels.library import VERSION, Kernels, kernel_name, library
from cellmonai.kernels.signatures import SIGNATURES

FOLDER = Path(cellmonai.kernels.__file__).parent


@pytest.fixture
def kernels() -> Kernels:
    found = library()
    if found is None:
        pytest.skip("the compiled kernels are not built here")
    return found


@pytest.mark.parametrize(
    "label_of",
    [
        pytest.param(np.zeros(4, np.int64), id="another type"),
        pytest.param(np.zeros(8, np.int32)[::2], id="with gaps"),
    ],
)
def test_an_array_that_the_kernel_would_misread_is_refused(label_of: np.ndarray, kernels: Kernels) -> None:
    ids = np.zeros(3, np.int32)
    with pytest.raises(TypeError, match="expected int32 without gaps"):
        kernels("relabel", ids, 3, label_of, ids.copy())


def test_too_few_arguments_are_refused(kernels: Kernels) -> None:
    with pytest.raises(TypeError, match="relabel takes 4 arguments, got 1"):
        kernels("relabel", np.zeros(3, np.int32))


def test_every_exported_function_has_a_signature_with_as_many_arguments() -> None:
    exported = {}
    for source in FOLDER.glob("*.c"):
        text = re.sub(r"/\*.*?\*/", "", source.read_text(encoding="utf-8"), flags=re.DOTALL)
        for name, arguments in re.findall(r"EXPORT \w+ cellmonai_(\w+)\(([^)]*)\)", text):
            exported[name] = arguments.count(",") + 1
    del exported["kernels_version"]
    named = {name: len(signature.split()) for name, signature in SIGNATURES.items() if "value_sums" not in name}
    assert {name: count for name, count in exported.items() if "value_sums" not in name} == named


def test_source_and_python_agree_on_the_version() -> None:
    source = (FOLDER / "module.c").read_text(encoding="utf-8")
    assert f"return {VERSION};" in source


def test_a_library_of_another_version_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cellmonai.kernels.library.VERSION", VERSION + 1)
    library.cache_clear()
    assert kernel_name() == "numpy"
    library.cache_clear()


def test_a_file_that_is_no_library_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "_kernels.so").write_bytes(b"not a library")
    monkeypatch.setattr("cellmonai.kernels.library.__file__", str(tmp_path / "library.py"))
    library.cache_clear()
    assert kernel_name() == "numpy"
    library.cache_clear()


def test_a_library_without_a_function_is_no_library() -> None:
    with pytest.raises(AttributeError):
        Kernels(ctypes.CDLL(None))


@pytest.mark.long
def test_the_package_installs_and_counts_without_a_compiler(tmp_path: Path) -> None:
    root = FOLDER.parents[1]
    copy = tmp_path / "source"
    listed = subprocess.run(["git", "-C", str(root), "archive", "HEAD"], capture_output=True, check=True).stdout
    copy.mkdir()
    subprocess.run(["tar", "-x", "-C", str(copy)], input=listed, check=True)
    target = tmp_path / "installed"
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(target), str(copy)]
    subprocess.run(
        command,
        check=True,
        capture_output=True,
        env={"PATH": "/nonexistent", "HOME": str(tmp_path), "CC": "/nonexistent/cc"},
    )
    assert not list((target / "cellmonai" / "kernels").glob("_kernels*.so"))
    code = (
        "import numpy as np; from cellmonai.instances.find import find_instances;"
        "from cellmonai.instances.settings import InstanceSettings; from cellmonai.kernels.library import kernel_name;"
        "mask = np.zeros((40, 40), bool); mask[5:15, 5:15] = mask[20:35, 20:35] = True;"
        "print(kernel_name(), find_instances(mask, InstanceSettings()).count)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=target, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["numpy", "2"]
