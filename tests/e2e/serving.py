"""A running `tidegauge run`, and a client for it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.e2e.running import started
from tests.servers.ports import free_port
from tests.servers.waiting import wait_until

TOKEN = "a-token-of-the-tests"


@dataclass(frozen=True)
class Serving:
    """Where it answers, and what it runs as."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, *, token: str | None = TOKEN, **headers: str) -> httpx2.Response:
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return httpx2.get(self.url + path, headers=headers, timeout=30)

    def json(self, path: str) -> Any:
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def serving(*streams: Path, cwd: Path, **settings: str) -> Iterator[Serving]:
    """Run streams until the block ends; SIGTERM must end it in peace."""
    port = free_port()
    log = cwd / "tidegauge.log"
    settings = {"token": TOKEN, "database": f"sqlite:///{cwd}/live.db"} | settings
    process = started("run", *streams, "--port", str(port), cwd=cwd, log=log, **settings)
    found = Serving(port, process, log)
    try:
        wait_until(lambda: _answers(found), timeout=60, what=f"tidegauge at {found.url}")
        yield found
        process.terminate()
        assert process.wait(timeout=30) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def _answers(found: Serving) -> bool:
    if found.process.poll() is not None:
        raise AssertionError(f"tidegauge ended:\n{found.log.read_text()}")
    try:
        return found.get("/healthz", token=None).status_code == 200
    except httpx2.TransportError:
        return False
