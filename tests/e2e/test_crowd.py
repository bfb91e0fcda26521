"""Five hundred connections and 512 descriptors, against the command as it is run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.e2e.demo_stream import write_demo_stream
from tests.e2e.running import environment
from tests.e2e.serving import TOKEN
from tests.servers.ports import free_port
from tests.servers.waiting import wait_until
from tests.service.api.live import HEALTH, Wire

LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))
sys.argv = ["tidegauge", *sys.argv[1:]]
from tidegauge_service.cli import main
main()
"""
CONNECTIONS = 500


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """Give the port and log of a service that may have 512 descriptors."""
    folder = tmp_path_factory.mktemp("crowd")
    port, log = free_port(), folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", LIMITED, "run", write_demo_stream(folder), "--port", str(port)],
            cwd=folder,
            env=environment(token=TOKEN, database=f"sqlite:///{folder}/live.db"),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: alive(port), timeout=60, what="the service")
        yield port, log
        process.terminate()
        assert process.wait(timeout=30) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def alive(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/healthz", timeout=10).status_code == 200
    except httpx2.TransportError:
        return False


HEAD = b"POST /api/v1/streams/demo/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
ATTACKS: dict[str, Callable[[], bytes]] = {
    "idle": lambda: b"",
    "slow head": lambda: HEAD,
    "slow body": lambda: HEAD + b"\r\n{",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_liveness_is_answered_among_five_hundred(limited: tuple[int, Path], attack: str) -> None:
    port, log = limited
    before = len(log.read_bytes())
    with ExitStack() as wires:
        for n in range(CONNECTIONS):
            wires.enter_context(Wire(port)).sendall(ATTACKS[attack]())
            if n % 50 == 49:
                with Wire(port) as wire:
                    wire.sendall(HEALTH)
                    assert wire.answer().status == 200
    assert len(log.read_bytes()) - before < 5_000, "and the log stays readable"
