"""Events by HTTP into SQLite: whoever posts does not know what became of a request that broke."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.crash import faults, oracle, traffic
from tests.crash.faults import Fault, Storm
from tests.crash.judge import Differences
from tests.crash.oracle import Expected
from tests.crash.scenes import Scene, end_ms
from tests.crash.traffic import Mix
from tests.crash.workers import Trouble
from tests.servers.ports import HOST, free_port
from tests.servers.waiting import wait_until
from tidegauge_service.store import schema
from tidegauge_service.store.engine import Database

TOKEN = "a-token-of-the-crash-proof"

PARTITIONS = 4

MIX = Mix(
    partitions=1,  # one sequence, which the service spreads over its partitions
    per_window=25 * PARTITIONS,
    kinds=("missing_id", "missing_timestamp", "bad_timestamp", "future_timestamp"),
)
"""What is no JSON object at all is refused at the door."""

AGAIN = 0.1
"""Share of the requests that are sent again though they were answered."""

PATIENCE_S = 120.0

ANSWER_S = 4.0
"""Whoever posts waits so long for an answer: a frozen process is not waited for."""


class Poster:
    """Posts requests one after another, each with a key until it was taken."""

    def __init__(self, ports: Sequence[int], seed: int, trouble: Trouble) -> None:
        self.taken: Counter[bytes] = Counter()
        self.broken = 0
        """Attempts of which nobody knows what became."""
        self.repeated = 0
        """Answers that said: this was taken before."""
        self._ports = ports
        self._trouble = trouble
        self._dice = random.Random(f"poster:{seed}")
        self._key = 0

    def post(self, values: Sequence[bytes]) -> None:
        """Post until somebody says yes; then perhaps once more."""
        self._key += 1
        tries = iter(range(self._key, self._key + 100_000))
        wait_until(
            lambda: self._taken(self._ports[next(tries) % len(self._ports)], values),
            timeout=PATIENCE_S,
            interval=0.2,
            what="an answer",
        )
        self.taken.update(values)
        if self._dice.random() < AGAIN:
            self._taken(self._dice.choice(self._ports), values)

    def _taken(self, port: int, values: Sequence[bytes]) -> bool:
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "application/x-ndjson",
            "Idempotency-Key": str(self._key),
        }
        with closing(http.client.HTTPConnection(HOST, port, timeout=ANSWER_S)) as connection:
            try:
                connection.request(
                    "POST", "/api/v1/streams/crash/events", b"\n".join(values), headers
                )
                answer = connection.getresponse()
                said = answer.read()
            except (OSError, http.client.HTTPException):
                self.broken += 1
                return False
        self.repeated += answer.headers["Idempotency-Replayed"] == "true"
        if answer.status not in {202, 404, 429, 500, 503}:  # 404: nobody has made the stream yet
            self._trouble.add(f"request {self._key} was answered {answer.status}: {said!r:.300}")
        return answer.status == 202


class LogScene(Scene):
    """Services of one stream on one SQLite database, and one who posts to any of them."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        workers: int = 2,
        inject: Mapping[str, str] | None = None,
        limits: Mapping[str, Any],
        **options: Any,
    ) -> None:
        super().__init__(folder, seed=seed, url=f"sqlite:///{folder}/store.db", **options)
        ports = [free_port() for _ in range(workers)]
        source = {
            "kind": "log",
            "partitions": PARTITIONS,
            "deduplicate": False,
            "idle_grace": "36500d",
            "lease": "2s",
        }
        self.workers = [
            self.worker(
                f"worker{i}",
                source,
                database=self.url,
                inject=inject,
                command=("run",),
                settings={"port": str(port), "token": TOKEN},
                limits=dict(limits),
            )
            for i, port in enumerate(ports)
        ]
        self._poster = Poster(ports, seed, self.trouble)

    def produce(self, records: int, seconds: float, per_request: int = 20) -> None:
        """Post so many inputs in so many seconds, whatever happens to the services."""
        values = islice(traffic.values(self.seed, 0, MIX), records)
        began, n = time.monotonic(), 0
        while chunk := list(islice(values, per_request)):
            ahead = n * seconds / records - (time.monotonic() - began)
            if ahead > 0:
                time.sleep(ahead)
            self._poster.post(chunk)
            n += len(chunk)

    def send_ends(self) -> None:
        """Let the last window that holds data close: one event for each partition."""
        through = end_ms(oracle.judge_inputs(self.topic()))
        self._poster.post([traffic.last_message(p, through) for p in range(PARTITIONS)])
        self.say(f"{self._poster.broken} requests broke, {self._poster.repeated} were repeated")

    def topic(self) -> Mapping[int, list[bytes]]:
        """Return the events as they are kept; AssertionError if one is missing in between."""
        t = schema.event
        query = sa.select(t.c.partition, t.c.offset, t.c.payload)
        found: dict[int, list[bytes]] = {p: [] for p in range(PARTITIONS)}
        with closing(Database(self.url)) as database, database.read() as connection:
            for row in connection.execute(query.order_by(t.c.partition, t.c.offset)):
                assert row.offset == len(found[row.partition]), "an event is missing"
                found[row.partition].append(bytes(row.payload))
        return found

    def check(self, found: Differences) -> None:
        """Every event that was taken is kept, once; nothing else is."""
        kept: Counter[bytes] = Counter()
        for values in self.topic().values():
            kept.update(values)
        found.mapping("event", kept, self._poster.taken)

    def closed_ms(self, expected: Expected) -> int:
        """Return the start of the window of the last messages: it alone stays open."""
        return end_ms(expected) - traffic.WINDOW_MS

    def faults(self) -> list[Fault]:
        """Return everything that can happen here, with its weight."""
        full = faults.on_worker("disk_full", 3, self.workers, faults.disk_full)
        return [*faults.on_workers(self.workers, 6), full]


def storm(scene: LogScene, wind: Storm, *, seconds: float, rate: float) -> None:
    """Post and strike for so many seconds; then let the last windows close."""
    failed: list[Exception] = []

    def produce() -> None:
        try:
            scene.produce(int(rate * seconds), seconds)
        except Exception as error:  # noqa: BLE001  (raised again below)
            failed.append(error)

    producing = threading.Thread(target=produce)
    producing.start()
    try:
        wind.blow(seconds, lambda: True)
    finally:
        producing.join()
    for error in failed:
        raise error
    scene.say("posted everything")
    scene.send_ends()
