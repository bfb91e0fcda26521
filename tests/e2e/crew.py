"""`tidegauge consume` and `run` on a topic whose every record the oracle knows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafka import KafkaProducer

from tests.e2e.running import started
from tests.servers.broker import Cluster
from tests.servers.waiting import wait_until
from tests.service import oracle
from tests.service.streams_for_tests import START, write_stream
from tests.service.transactions import read
from tidegauge_service.store import streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.streams import PartitionRow, StreamRow


@dataclass
class Traffic:
    """A topic in Kafka, and the same inputs in memory."""

    broker: Cluster
    name: str
    inputs: Sequence[Sequence[bytes]]
    sent: int = 0

    def send(self, upto: int) -> None:
        """Send each partition's inputs up to (not with) number *upto*."""
        producer = KafkaProducer(bootstrap_servers=self.broker.bootstrap, linger_ms=20, acks="all")
        for partition, values in enumerate(self.inputs):
            for value in values[self.sent : upto]:
                producer.send(self.name, value, partition=partition)
        producer.flush()
        producer.close()
        self.sent = upto


def traffic(broker: Cluster, partitions: int, records: int, *, every_ms: int = 600_000) -> Traffic:
    """Make a topic, and inputs that are not sent yet: *every_ms* of event time one a partition."""
    inputs = [
        [
            b"broken"
            if n % 97 == 96
            else oracle.message(n, n * (p + 2) + p, ms=START + n * every_ms)
            for n in range(records)
        ]
        for p in range(partitions)
    ]
    return Traffic(broker, broker.create_topic(partitions=partitions), inputs)


def stream_of(folder: Path, topic: Traffic, *, source: Any = (), **changes: Any) -> Path:
    """Write a stream file that reads the topic."""
    kafka = {
        "kind": "kafka",
        "bootstrap": topic.broker.bootstrap,
        "topic": topic.name,
        "group": topic.name,
        # The records are of 2020: a partition read to its end must not move the watermark to now.
        "idle_grace": "20000d",
        "session_timeout": "3s",
    }
    limits = {"commit_interval": "200ms", "commit_records": 200}
    return write_stream(
        folder,
        source=kafka | dict(source),
        segment_by=["country"],
        **{"limits": limits, **changes},
    )


@dataclass
class Crew:
    """A supervisor that runs, and its log."""

    process: subprocess.Popen[bytes]
    log: Path

    def events(self, name: str, **fields: Any) -> list[dict[str, Any]]:
        """Return the lines of the log of one event."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            with suppress(json.JSONDecodeError):
                entry = json.loads(line)
                if isinstance(entry, dict) and entry.get("event") == name:
                    found.append(entry)
        return [entry for entry in found if fields.items() <= entry.items()]

    def pids(self) -> list[int]:
        """Return the process ids of the workers that were started, in order."""
        return [entry["pid"] for entry in self.events("worker_started")]

    def held(self, worker: str) -> set[int]:
        """Return the partitions that a worker holds, by what it said it was given."""
        held: set[int] = set()
        for entry in self.events("assignment", worker=worker):
            held = (held - set(entry["lost"])) | set(entry["gained"])
        return held

    def stop(self) -> int:
        """End in peace; return the exit code."""
        self.process.terminate()
        return self.process.wait(timeout=60)


@contextmanager
def crew(
    command: str, stream: Path, *options: str, name: str = "crew", **settings: str
) -> Iterator[Crew]:
    """Run a command; what is left of it at the end of the block is killed."""
    log = stream.parent / f"{name}.log"
    process = started(command, stream, *options, cwd=stream.parent, log=log, **settings)
    found = Crew(process, log)
    try:
        yield found
    finally:
        process.kill()
        process.wait()
        for pid in found.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@dataclass
class Store:
    """What the database says of the one stream in it."""

    database: Database

    @property
    def stream(self) -> StreamRow:
        found = read(self.database, streams.find, "test")
        assert found is not None
        return found

    def partitions(self) -> list[PartitionRow]:
        if read(self.database, streams.find, "test") is None:
            return []
        with self.database.read() as connection:
            return streams.partitions(connection, self.stream.id)

    def closed_through(self) -> int | None:
        with self.database.read() as connection:
            return streams.cursor(connection, self.stream.id, streams.CLOSED)

    def wait_for(self, topic: Traffic, crew: Crew) -> None:
        """Wait until everything that was sent has been counted."""

        def counted() -> bool:
            assert crew.process.poll() is None, crew.log.read_text()
            found = self.partitions()
            return bool(found) and all(p.next_offset == topic.sent for p in found)

        try:
            wait_until(counted, timeout=120, what="all records")
        except TimeoutError as late:
            raise AssertionError(f"{late}: {self.partitions()}\n{crew.log.read_text()}") from late

    def assert_exact(self, topic: Traffic) -> None:
        """Compare with the oracle: every input counted once, or kept as a dead letter once."""
        assert oracle.tallies(self.database, self.stream) == oracle.expected(topic.inputs)
        assert not oracle.late(self.database, self.stream)
        assert oracle.dead(self.database, self.stream) == sorted(oracle.expected_dead(topic.inputs))


@contextmanager
def store(url: str) -> Iterator[Store]:
    """Make the tables in a new database, and read it."""
    database = Database(url)
    database.upgrade()
    yield Store(database)
    database.close()
