"""A stream over files that change between its runs."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.service.streams_for_tests import START, record, write_stream
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.runtime.pipeline import Pipeline, open_pipeline
from tidegauge_service.store import schema, streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import decisions
from tidegauge_service.store.streams import REPLAYED

MINUTE = 60_000


def rows(first: int, count: int) -> list[dict[str, Any]]:
    """Return records a minute apart."""
    numbers = range(first, first + count)
    return [record(n, f"free for all {n}", ms=START + n * MINUTE) for n in numbers]


def jsonl(records: Sequence[Any]) -> bytes:
    """Return records as lines."""
    return b"".join(json.dumps(r).encode() + b"\n" for r in records)


@dataclass
class FileStream:
    """One stream, one database, files that come and go; each ``drain`` is a process's life."""

    folder: Path
    pattern: str = "day-*.jsonl*"
    source: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    settings: Settings = Settings()  # noqa: RUF009  (frozen)

    def put(self, name: str, records: Sequence[Any] | bytes) -> Path:
        """Write a file of records, or of bytes."""
        path = self.folder / name
        content = records if isinstance(records, bytes) else jsonl(records)
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    def append(self, name: str, content: bytes) -> None:
        """Add to a file."""
        with (self.folder / name).open("ab") as file:
            file.write(content)

    def database(self) -> Database:
        """Open the database."""
        database = Database(f"sqlite:///{self.folder}/test.db")
        database.upgrade()
        return database

    def open(self, database: Database) -> Pipeline:
        """Open the stream as a process does."""
        source = {"kind": "file", "path": self.pattern, **self.source}
        # A window a record: what a file's end has closed must not make late what comes after it.
        window = {"window": "1m", "lateness": "0s", "samples": {"keep_windows": 10_000}}
        changes = {**window, "source": source, **self.changes}
        config = load_stream(write_stream(self.folder, **changes))
        return open_pipeline(config, self.settings, database, lambda: START + 10**10)

    def drain(self) -> None:
        """Read all there is."""
        database = self.database()
        try:
            pipeline = self.open(database)
            try:
                pipeline.run_to_end(lambda _progress: None)
            finally:
                pipeline.close()
        finally:
            database.close()

    def ids(self) -> list[str]:
        """Return the ids of all samples kept: as good as all records that were counted."""
        t = schema.sample
        return sorted(self._all(sa.select(t.c.record_id)), key=lambda name: int(name[1:]))

    def counted(self) -> int:
        """Return how many records were counted, late ones included."""
        return sum(self._partitions("records"))

    def late(self) -> int:
        """Return how many of them were late."""
        return sum(self._partitions("late"))

    def positions(self) -> dict[int, int]:
        """Return partition → next offset."""
        return dict(
            zip(self._partitions("partition"), self._partitions("next_offset"), strict=True)
        )

    def dead(self) -> list[tuple[str, bytes]]:
        """Return reason and bytes of the dead letters."""
        t = schema.dead_letter
        database = self.database()
        try:
            with database.read() as connection:
                query = sa.select(t.c.reason, t.c.payload).order_by(t.c.partition, t.c.offset)
                return [(row.reason, bytes(row.payload)) for row in connection.execute(query)]
        finally:
            database.close()

    def gaps(self) -> list[tuple[int, str, int, int, str | None]]:
        """Return the decisions: partition, cause, rows counted, rows lost, by whom."""
        database = self.database()
        try:
            with database.read() as connection:
                [stream] = streams.select_streams(connection)
                found = decisions.of_stream(connection, stream.id)
                return [(d.partition, d.cause, d.from_offset, d.lost, d.decided_by) for d in found]
        finally:
            database.close()

    def messages(self) -> list[dict[str, Any]]:
        """Return what receivers are told."""
        return [json.loads(text) for text in self._all(sa.select(schema.notification.c.message))]

    def _partitions(self, column: str) -> list[int]:
        t = schema.stream_partition
        query = sa.select(t.c[column]).where(t.c.partition != REPLAYED).order_by(t.c.partition)
        return self._all(query)

    def _all(self, query: sa.Select[Any]) -> list[Any]:
        database = self.database()
        try:
            with database.read() as connection:
                return list(connection.execute(query).scalars())
        finally:
            database.close()
