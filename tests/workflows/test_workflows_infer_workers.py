"""Blocks done by the workers of a Dask cluster: the bytes of a run without them, whoever dies on the way."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from noise_slides import digests_in, write_slide
from random_networks import write_random_model
from waiting import wait_until

from cellmonai.core.errors import UsageError
from cellmonai.core.files import sha256_of
from cellmonai.core.machine import usable_cores
from cellmonai.workflows.infer import infer
from cellmonai.workflows.inferring import worker
from cellmonai.workflows.inferring.jobs import survey
from cellmonai.workflows.inferring.model import choose_model
from cellmonai.workflows.inferring.settings import InferSettings
from cellmonai.workflows.inferring.tasks import PlaneTask, RunTask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

psutil = pytest.importorskip("psutil", reason="the extra `distributed` is not installed")
pytest.importorskip("distributed", reason="the extra `distributed` is not installed")
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")


@pytest.fixture(scope="module", name="model")
def _model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("model") / "model.safetensors")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _start(inputs: Sequence[Path], model: Path, output: str, *more: str) -> subprocess.Popen[str]:
    words = ["infer", *map(str, inputs), "--model", str(model), "--output", output, "--engine", "openvino", *more]
    words += ["--window", "640", "--memory", "300MiB"]
    return subprocess.Popen([sys.executable, "-m", "cellmonai", *words], stderr=subprocess.PIPE, text=True)


def _done(process: subprocess.Popen[str], code: int = 0) -> str:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == code, errors
    return errors


def _has_begun() -> bool:
    return any(Path("shared").glob(".slide.work/*/*/*"))


def _workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def test_two_workers_of_which_one_dies_give_the_bytes_of_a_run_alone(model: Path) -> None:
    image = write_slide("slide.tif", 2600, 2600)
    _done(_start([image], model, "alone"))
    process = _start([image], model, "shared", "--workers", "2")
    work = Path("shared/.slide.work")
    wait_until(lambda: work.exists() or process.poll() is not None, "the slide is begun")
    workers = _workers_of(process)
    assert len(workers) == 2
    workers[0].kill()
    _done(process)
    assert digests_in("shared") == digests_in("alone")
    record = json.loads(Path("shared/run.json").read_text())
    assert record["workers"] == 2
    assert record["images"][0]["seams"]["holds"]


_MORTAL = """
import os, signal
from cellmonai.inference.openvino_engine import OpenVinoEngine
run, windows = OpenVinoEngine.run, []
def until(self, window):
    windows.append(window.shape)
    if window.shape[-1] > 128 and len(windows) > {windows}:  # once it is at work on the slide
        os.kill(os.getpid(), signal.SIGKILL)
    return run(self, window)
OpenVinoEngine.run = until
"""


@contextmanager
def _scheduler() -> Iterator[Path]:
    process = _dask("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", "scheduler.json")
    try:
        wait_until(lambda: Path("scheduler.json").exists() or process.poll() is not None, "the scheduler is there")
        assert process.poll() is None
        yield Path("scheduler.json")
    finally:
        process.terminate()
        process.wait(60)


def _address(file: Path) -> str:
    return str(json.loads(file.read_text())["address"])


def _dask(module: str, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"distributed.cli.{module}", "--no-dashboard", *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _dask_worker(*words: str) -> subprocess.Popen[bytes]:
    threads = ["--nthreads", str(usable_cores()), "--no-nanny", "--local-directory", str(Path.cwd())]
    return _dask("dask_worker", "--scheduler-file", "scheduler.json", *threads, *words)


def test_the_workers_of_a_scheduler_may_all_die_and_others_come(model: Path) -> None:
    image = write_slide("slide.tif", 1600, 2100)
    _done(_start([image], model, "alone"))
    Path("mortal.py").write_text(_MORTAL.format(windows=5))
    with _scheduler() as file:
        mortal = _dask_worker("--preload", "mortal.py")
        process = _start([image], model, "shared", "--scheduler", _address(file))
        assert mortal.wait(timeout=120) == -signal.SIGKILL
        assert process.poll() is None
        other = _dask_worker()
        try:
            _done(process)
        finally:
            other.terminate()
            other.wait(60)
    assert digests_in("shared") == digests_in("alone")


def test_a_run_whose_own_process_is_killed_goes_on_without_workers(model: Path) -> None:
    image = write_slide("slide.tif", 2600, 2600)
    _done(_start([image], model, "alone"))
    process = _start([image], model, "shared", "--workers", "2")
    wait_until(lambda: _has_begun() or process.poll() is not None, "the first block is written")
    workers = _workers_of(process)
    process.kill()
    process.communicate(timeout=60)
    psutil.wait_procs(workers, timeout=30)
    assert not [worker for worker in workers if worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE]
    _done(_start([image], model, "shared"))
    assert digests_in("shared") == digests_in("alone")


def test_small_images_are_done_side_by_side_and_a_bad_one_is_told(model: Path) -> None:
    images = [write_slide(f"images/{name}.tif", 200 + 10 * i, 300, seed=i) for i, name in enumerate("abcdef")]
    Path("images/d.tif").write_bytes(images[3].read_bytes()[:4000])
    alone = _done(_start(images, model, "alone"), code=9)
    shared = _done(_start(images, model, "shared", "--workers", "2"), code=9)
    assert "1 of 6 images failed" in alone
    assert "1 of 6 images failed" in shared
    assert digests_in("shared") == digests_in("alone")
    order = [image["image"] for image in json.loads(Path("shared/run.json").read_text())["images"]]
    assert order == [image["image"] for image in json.loads(Path("alone/run.json").read_text())["images"]]


def test_an_address_without_a_scheduler_is_refused(model: Path) -> None:
    with pytest.raises(UsageError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        infer([write_slide("a.tif", 64, 64)], settings=InferSettings(model=model, scheduler="tcp://127.0.0.1:9"))
    assert not Path("masks").exists()


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"workers": 2, "scheduler": "tcp://a:1"}, "--workers and --scheduler: both say who works"),
        ({"workers": 0}, "0 is no number of processes"),
        ({"workers": 2, "method": "otsu"}, "--workers: is for models"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused(wishes: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        InferSettings(**wishes)  # type: ignore[arg-type] # wrong values are what is tested


def test_workers_beside_pictures_that_explain_are_refused(model: Path) -> None:
    with pytest.raises(UsageError, match="explanations are drawn in this process"):
        infer([write_slide("a.tif", 64, 64)], settings=InferSettings(model=model, workers=2, pictures=("saliency",)))


def test_a_worker_that_sees_another_file_ends_the_run_instead_of_failing_the_image(model: Path) -> None:
    image = write_slide("slide.tif", 64, 64).absolute()
    settings, chosen = InferSettings(model=model), choose_model(model, threshold=None)
    job = survey([image], chosen.wants, settings).jobs[0]
    run = RunTask("a run", model, sha256_of(model), settings, threads=1)
    assert worker.digest_of(PlaneTask(run, job, image.stat().st_size)) == sha256_of(image)
    worker.forget("a run")
    with pytest.raises(UsageError, match=r"slide\.tif is missing or another file on the worker"):
        worker.digest_of(PlaneTask(run, job, image.stat().st_size + 1))
    with pytest.raises(UsageError, match=r"model\.safetensors is missing or another file on the worker"):
        worker.digest_of(PlaneTask(RunTask("b", model, "0" * 64, settings, threads=1), job, image.stat().st_size))
    worker.forget("a run")


def test_a_worker_without_cellmonai_is_named_with_the_cure(model: Path) -> None:
    Path("without.py").write_text("import sys\nsys.modules['cellmonai'] = None\n")
    with _scheduler() as file:
        without = _dask_worker("--preload", "without.py")
        try:
            process = _start([write_slide("a.tif", 64, 64)], model, "m", "--scheduler", _address(file))
            assert "has no cellmonai, and this is" in _done(process, code=2)
        finally:
            without.terminate()
            without.wait(60)


def test_a_scheduler_that_goes_away_ends_the_run_which_then_goes_on_without_it(model: Path) -> None:
    image = write_slide("slide.tif", 2600, 2600)
    with _scheduler() as file:
        mate = _dask_worker()
        process = _start([image], model, "shared", "--scheduler", _address(file))
        wait_until(lambda: _has_begun() or process.poll() is not None, "the first block is written")
    mate.kill()
    mate.wait(60)
    assert "the scheduler of the workers is gone" in _done(process, code=8)
    _done(_start([image], model, "shared"))
    _done(_start([image], model, "alone"))
    assert digests_in("shared") == digests_in("alone")
