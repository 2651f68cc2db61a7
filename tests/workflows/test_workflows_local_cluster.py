"""Workers on this machine: nothing listens that answers without a certificate, and nothing is left behind."""

from __future__ import annotations

import socket
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("distributed")
psutil = pytest.importorskip("psutil")

_ASK = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_workflows_local_cluster import describe
if __name__ == "__main__":
    describe()
"""


def _answers(port: int) -> bytes:
    """What a browser is answered at a port."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET /status HTTP/1.0\r\n\r\n")
        return connection.recv(100)
    return b""


def describe() -> None:
    """Begin two workers, and print what listens and where they keep files."""
    from distributed import Client

    from cellmonai.workflows.inferring.local_cluster import local_cluster

    own = psutil.Process()
    with local_cluster(2, threads_per_worker=1) as cluster, Client(cluster) as client:
        client.wait_for_workers(2, timeout=120)
        processes = [own, *own.children(recursive=True)]
        ports = [c.laddr for p in processes for c in p.net_connections("inet") if c.status == "LISTEN"]
        folders = {Path(one["local_directory"]) for one in client.scheduler_info()["workers"].values()}
        scratch = {folder.parents[1] for folder in folders}
        assert len(ports) >= 3
        assert {address.ip for address in ports} == {"127.0.0.1"}
        assert not [address for address in ports if _answers(address.port).startswith(b"HTTP")]
        assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders | scratch} == {0o700}
    assert not any(folder.exists() for folder in scratch)
    sys.stdout.write("seen")


def test_no_port_answers_a_browser_and_scratch_folders_are_private(tmp_path: Path) -> None:

    (tmp_path / "ask.py").write_text(_ASK.format(tests=str(Path(__file__).parent)))
    words = [sys.executable, str(tmp_path / "ask.py")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=240, cwd=tmp_path)
    assert done.stdout.strip() == "seen", done.stderr
