"""What holds for a process that runs a converted network: no torch, no telemetry, little start-up, bounded memory."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from random_networks import random_network
from torch import nn

import cellmonai
from cellmonai.core.cache import VARIABLE
from cellmonai.inference.openvino_convert import convert
from cellmonai.inference.openvino_model import read_entry

RUN = """
import numpy as np
from cellmonai.inference.openvino_engine import OpenVinoEngine
from cellmonai.inference.openvino_model import find_converted
engine = OpenVinoEngine(find_converted("model", channels=1, outputs=1, divisor=8))
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds a conversion under the digest `model`."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(folder))
        net = random_network("monai_attention_unet", width=16)
        convert(net, channels=1, divisor=8, model_sha256="model")
    return folder


def run(code: str, cache: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, VARIABLE: str(cache), **environment}
    env.pop("CI", None)  # which alone would silence the telemetry
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)


def test_a_converted_network_runs_without_torch(cache: Path) -> None:
    code = f"""{RUN}
engine.run(np.zeros((1, 1, 256, 256), np.float32))
import sys
heavy = {{"torch", "monai", "ignite", "scipy", "skimage", "nncf"}} & set(sys.modules)
print(*heavy)
"""
    done = run(code, cache)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


# every way out of the machine that the telemetry has; nothing leaves it, tripped or not
TRIPWIRE = """
import socket, sys
def trip(*words, **named):
    print("went for the network", words, file=sys.stderr, flush=True)
    raise OSError("no network here")
socket.getaddrinfo = socket.gethostbyname = socket.create_connection = trip
socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = trip
"""


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(f"{RUN}engine.run(np.zeros((1, 1, 64, 64), np.float32))", id="running"),
        pytest.param(
            """
from torch import nn
from cellmonai.inference.openvino_convert import convert
convert(nn.Conv2d(1, 1, 3, padding=1), channels=1, divisor=8, model_sha256="another")
""",
            id="converting",
        ),
        pytest.param(
            """
import importlib.util, sys
import numpy as np
from cellmonai.inference.openvino_model import find_converted
from cellmonai.inference.openvino_int8 import convert_int8
if importlib.util.find_spec("nncf") is None:
    sys.exit()
convert_int8(
    find_converted("model", channels=1, outputs=1, divisor=8), [np.random.rand(1, 1, 64, 64).astype(np.float32)]
)
""",
            id="rounding",
            marks=pytest.mark.long,
        ),
    ],
)
def test_nothing_goes_for_the_network_or_into_the_home_folder(code: str, cache: Path, tmp_path: Path) -> None:
    # what the telemetry sends and writes, it does from threads that an exit would wait for
    done = run(TRIPWIRE + code, cache, HOME=str(tmp_path), USERPROFILE=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "went for the network" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_tripwire_sees_what_openvino_does_by_itself(cache: Path, tmp_path: Path) -> None:
    code = "import openvino, time; time.sleep(0.3)"
    done = run(TRIPWIRE + code, cache, HOME=str(tmp_path), USERPROFILE=str(tmp_path))
    assert "went for the network" in done.stderr  # where this fails, OpenVINO has become quiet: nothing to block


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(str(node.module).partition(".")[0])
    return names


def test_only_one_module_imports_openvino_before_it_is_loaded() -> None:
    package = Path(cellmonai.__file__).parent
    importing = {path.name for path in package.rglob("*.py") if {"openvino", "nncf"} & imported(path)}
    # the second teaches the front end an operation, after `load_openvino`
    assert importing == {"openvino_library.py", "openvino_convert.py"}


linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@linux
@pytest.mark.parametrize("side", [512, pytest.param(1024, marks=pytest.mark.long)])
def test_the_stated_memory_is_what_a_process_takes_or_somewhat_more(cache: Path, side: int) -> None:
    code = f"""
from pathlib import Path
def kilobytes(what):
    return int(Path("/proc/self/status").read_text().split(what + ":")[1].split()[0])
from cellmonai.inference.openvino_library import core
core()
before = kilobytes("VmRSS")
{RUN}
window = np.random.default_rng(0).random((1, 1, {side}, {side}), np.float32)
engine.run(window)
print(engine.memory.fixed_bytes + engine.memory.bytes_per_px * {side}**2, 1024 * (kilobytes("VmHWM") - before))
"""
    done = run(code, cache)
    assert done.returncode == 0, done.stderr
    said, real = map(float, done.stdout.split())
    assert 0.9 <= said / real <= 2.2


@linux
def test_memory_that_runs_out_is_an_error_with_a_cure_and_the_engine_goes_on(cache: Path) -> None:
    code = f"""{RUN}
import resource
from cellmonai.core.errors import MemoryBudgetError
small = np.ones((1, 1, 64, 64), np.float32)
before = engine.run(small)
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (4096 * pages + (600 << 20),) * 2)
try:
    engine.run(np.zeros((1, 1, 4096, 4096), np.float32))
except MemoryBudgetError as error:
    print(error)
print(np.array_equal(engine.run(small), before))
"""
    done = run(code, cache)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "memory ran out in a window of 4096 x 4096 px; give a smaller --window or --memory.",
        "True",
    ]


def test_a_library_that_is_not_there_is_told_with_the_cure(cache: Path) -> None:
    code = """
import sys
sys.modules["openvino"] = None
from cellmonai.inference.openvino_model import find_converted
from cellmonai.core.errors import UsageError
try:
    find_converted("model", channels=1, outputs=1, divisor=8)
except UsageError as error:
    print(error)
"""
    done = run(code, cache)
    assert done.stdout.startswith("--engine openvino: OpenVINO cannot be loaded (")
    assert done.stdout.rstrip().endswith('; pip install "cellmonai[cpu]" or --engine torch.')


def test_where_memory_cannot_be_measured_it_is_told_from_the_graph(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no_python_here"))
    folder = convert(nn.Conv2d(1, 64, 3, padding=1), channels=1, divisor=8, model_sha256="wide")
    entry = read_entry(folder)
    assert entry is not None
    # one input, and the outputs twice: in the order that the kernel writes, and in the order they are asked for
    assert entry.card.memory.bytes_per_px == pytest.approx(1.5 * 4 * (1 + 2 * 64), rel=0.1)
