"""A stream on a database, and as many workers of it as a test wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.service import oracle
from tests.service.memory_source import MemorySource, Topic
from tests.service.streams_for_tests import START, write_stream
from tests.service.transactions import write
from tidegauge_probes import load
from tidegauge_service.clock import Clock
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.ingest.worker import Worker
from tidegauge_service.store import registration, streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.scope import StreamScope
from tidegauge_service.store.streams import PartitionRow

NOW = START + 10_000 * 3_600_000


class Member:
    """A worker and its source."""

    def __init__(self, worker: Worker, source: MemorySource) -> None:
        self.worker = worker
        self.source = source

    def to_end(self) -> None:
        """Read everything that is assigned."""
        while not self.worker.drained:
            self.worker.step(finite=True)


class Group:
    """All that workers of one stream share."""

    def __init__(self, folder: Path, database: Database, topic: Topic, **changes: Any) -> None:
        limits = {"commit_records": 7, **changes.pop("limits", {})}
        path = write_stream(folder, segment_by=["country"], limits=limits, **changes)
        self.topic = topic
        self.database = database
        self.config = load_stream(path)
        self.probe_set = load(self.config.probes, folder)
        self.stream = write(database, registration.register, self.config, self.probe_set, NOW)
        starts = dict.fromkeys(range(len(topic)), 0)
        write(database, streams.seed_partitions, self.stream.id, starts, NOW)

    def member(
        self,
        assigned: Iterable[int] | None = None,
        *,
        clock: Clock = lambda: NOW,
        on_poll: Callable[[], None] = lambda: None,
        most: int = 1_000_000,
    ) -> Member:
        """Start another worker; all partitions are its unless *assigned* says which."""
        source = MemorySource(self.topic, assigned, on_poll=on_poll, most=most)
        worker = Worker(self.scope(clock), self.probe_set, source)
        return Member(worker, source)

    def scope(self, clock: Clock = lambda: NOW) -> StreamScope:
        """Return what a worker or a job of the stream takes."""
        return StreamScope(self.config, self.stream, self.database, clock)

    def partitions(self) -> list[PartitionRow]:
        """Return where the partitions stand."""
        with self.database.read() as connection:
            return streams.partitions(connection, self.stream.id)

    def cursor(self, kind: str) -> int | None:
        """Return where a cursor stands."""
        with self.database.read() as connection:
            return streams.cursor(connection, self.stream.id, kind)

    def assert_exact(self) -> None:
        """Compare the database with the oracle: every input counted, exactly once."""
        assert oracle.tallies(self.database, self.stream) == oracle.expected(self.topic)
        assert not oracle.late(self.database, self.stream)
        assert oracle.dead(self.database, self.stream) == sorted(oracle.expected_dead(self.topic))
        records = [sum(value.startswith(b"{") for value in inputs) for inputs in self.topic]
        assert [(p.next_offset, p.records) for p in self.partitions()] == [
            (len(inputs), n) for inputs, n in zip(self.topic, records, strict=True)
        ]
