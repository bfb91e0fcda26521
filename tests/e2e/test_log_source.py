"""A user's script posts events; the server is killed in between; every event is counted once."""

from __future__ import annotations

import json
import random
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.running import started, tidegauge
from tests.e2e.serving import TOKEN
from tests.servers.ports import free_port
from tests.servers.waiting import wait_until
from tests.service import oracle
from tests.service.streams_for_tests import write_stream
from tests.service.transactions import read
from tidegauge_service.store import streams
from tidegauge_service.store.engine import Database

REQUESTS, EACH = 60, 50
KILLS = 4


class Server:
    """`tidegauge run`, to be killed and started again at the same address."""

    def __init__(self, folder: Path, stream: Path, url: str) -> None:
        self._folder, self._stream, self._url = folder, stream, url
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = started(
            "run",
            self._stream,
            "--port",
            str(self.port),
            cwd=self._folder,
            log=self._folder / "server.log",
            database=self._url,
            token=TOKEN,
            retention=json.dumps({"every": "1s", "events": {"keep": "1ms"}}),
        )
        wait_until(self._answers, timeout=60, what=f"tidegauge on port {self.port}")

    def _answers(self) -> bool:
        try:
            return self.get("/healthz").status_code == 200
        except httpx2.TransportError:
            return False

    def get(self, path: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return httpx2.get(f"http://127.0.0.1:{self.port}{path}", headers=headers, timeout=30)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/log.db"
    else:
        yield request.getfixturevalue("postgres_url")


def post(server: Server, n: int, values: Sequence[bytes], *, timeout: float) -> int:
    """Send one request as a user would, with a key of its own; return the events it holds."""
    answer = httpx2.post(
        f"http://127.0.0.1:{server.port}/api/v1/streams/test/events",
        content=b"\n".join(values),
        headers={
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "application/x-ndjson",
            "Idempotency-Key": f"request-{n}",
        },
        timeout=timeout,
    )
    assert answer.status_code == 202, answer.text
    said: dict[str, int] = answer.json()
    return said["appended"] + said["duplicates"]


@pytest.mark.slow
def test_events_are_counted_once_though_the_server_is_killed(tmp_path: Path, url: str) -> None:
    # Without ids: only the requests' keys tell what was sent again.
    stream = write_stream(
        tmp_path,
        source={"kind": "log", "partitions": 3, "idle_grace": "3650d"},
        record={"id": None, "timestamp": "timestamp", "text": "text"},
        segment_by=["country"],
        limits={"commit_interval": "50ms"},
    )
    tidegauge("db", "upgrade", cwd=tmp_path, database=url)
    [values] = oracle.topic(1, REQUESTS * EACH)
    chance = random.Random(3)
    killed = set(chance.sample(range(REQUESTS), KILLS))
    server = Server(tmp_path, stream, url)
    server.start()
    try:
        for n in range(REQUESTS):
            part = values[n * EACH : (n + 1) * EACH]
            if n in killed:
                send_and_kill(server, n, part)
                server.start()
            assert post(server, n, part, timeout=30) == EACH
            if chance.random() < 0.3:  # an answer that was lost on its way
                assert post(server, n, part, timeout=30) == EACH
        wait_until(
            lambda: counted(server) == REQUESTS * EACH, timeout=60, what="everything counted"
        )
        gone = f'tidegauge_rows_removed_total{{stream="test",table="event"}} {REQUESTS * EACH}.0'
        wait_until(
            lambda: gone in server.get("/metrics").text, timeout=60, what="counted events gone"
        )
    finally:
        server.kill()
    check(url, values)


def send_and_kill(server: Server, n: int, part: Sequence[bytes]) -> None:
    """Kill the server while it takes the request, or (every other time) after it took it.

    In the second case its client may not have got the answer.
    """

    def send() -> None:
        with suppress(httpx2.TransportError):
            post(server, n, part, timeout=30)

    sending = threading.Thread(target=send)
    sending.start()
    if n % 2:
        sending.join()
    server.kill()
    sending.join()


def counted(server: Server) -> int:
    found: dict[str, Any] = server.get("/api/v1/streams/test").json()
    return int(found["records"])


def check(url: str, values: Sequence[bytes]) -> None:
    """Compare what is in the database with the oracle; nothing waits, nothing came late."""
    database = Database(url)
    try:
        row = read(database, streams.find, "test")
        assert row is not None
        total: oracle.Tally = Counter()
        for tally in oracle.tallies(database, row).values():
            total += tally
        late = sum(oracle.late(database, row).values())
        assert late == 0
        assert total == sum(oracle.expected([values]).values(), Counter())
    finally:
        database.close()


def test_dead_letters_are_replayed_from_the_command_line(tmp_path: Path) -> None:
    """The mapping was wrong; mended, the same events count, and a second replay finds nothing."""
    url = f"sqlite:///{tmp_path}/dead.db"
    common: dict[str, Any] = {"source": {"kind": "file", "path": "records.jsonl"}}
    mapping = {"id": "id", "text": "text"}
    lines = oracle.topic(1, 30)[0]
    (tmp_path / "records.jsonl").write_bytes(b"\n".join([*lines, b"broken"]) + b"\n")
    wrong: dict[str, Any] = {
        "record": {**mapping, "timestamp": "when"},
        "limits": {"dead_letter_share": 1.0},
    }
    path = write_stream(tmp_path, **common, **wrong)
    done = tidegauge("run", path, "--drain", cwd=tmp_path, database=url, check=False)
    assert (done.returncode, "all 31 inputs became dead letters" in done.stderr) == (4, True)
    listed = tidegauge("dead-letters", "list", "test", "--json", cwd=tmp_path, database=url)
    counts = json.loads(listed.stdout)["counts"]
    assert counts["missing_timestamp"] == {"received": 30, "kept": 30, "replayed": 0}
    table = tidegauge("dead-letters", "list", path, cwd=tmp_path, database=url)
    assert "missing_timestamp" in table.stdout
    shown = tidegauge(
        "dead-letters", "show", "test", "0", "30", "--raw", cwd=tmp_path, database=url
    )
    assert shown.stdout == "broken"

    path = write_stream(tmp_path, **common, record={**mapping, "timestamp": "timestamp"})
    replay = ("dead-letters", "replay", path, "--json")
    first = json.loads(tidegauge(*replay, cwd=tmp_path, database=url).stdout)
    said = {"stream": "test", "counted": 30, "late": 0, "left": {"not_json": 1}, "sent_again": 0}
    assert first == said
    again = json.loads(tidegauge(*replay, cwd=tmp_path, database=url).stdout)
    assert again["counted"] == 0
    refused = tidegauge("dead-letters", "drop", "test", cwd=tmp_path, database=url, check=False)
    assert (refused.returncode, "--all" in refused.stderr) == (2, True)
    tidegauge("dead-letters", "drop", "test", "--all", cwd=tmp_path, database=url)
    pruned = tidegauge("db", "prune", "--dry-run", cwd=tmp_path, database=url)
    assert "nothing to remove" in pruned.stdout
