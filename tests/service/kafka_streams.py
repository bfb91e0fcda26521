"""A topic of a real Kafka, filled batch by batch, and a stream that reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from kafka import KafkaProducer

from tests.servers.broker import Cluster
from tests.service import oracle
from tests.service.group import NOW
from tests.service.streams_for_tests import Reading, reading
from tidegauge_service.clock import Clock
from tidegauge_service.config.sources import KafkaSource
from tidegauge_service.config.stream_file import Limits
from tidegauge_service.ingest.sources.kafka.source import KafkaTopic
from tidegauge_service.store import schema, streams


def messages(first: int, count: int) -> list[bytes]:
    """Return records that differ, ten minutes from one to the next."""
    return [oracle.message(n, n) for n in range(first, first + count)]


def produce_batch(
    broker: Cluster,
    topic: str,
    values: Sequence[bytes | None],
    *,
    partition: int = 0,
    codec: str | None = None,
) -> None:
    """Send values as one record batch."""
    # It waits for more until it is told to flush.
    options = {"linger_ms": 60_000, "batch_size": 1 << 20, "compression_type": codec}
    with KafkaProducer(bootstrap_servers=broker.bootstrap, **options) as producer:
        for value in values:
            producer.send(topic, value, key=b"k", partition=partition, timestamp_ms=NOW)
        producer.flush()


def kafka_stream(
    folder: Path,
    broker: Cluster,
    topic: str,
    *,
    clock: Clock = lambda: NOW,
    source: dict[str, Any] | None = None,
    **changes: Any,
) -> Reading:
    """Open a worker on a topic; the same folder continues the same stream."""
    settings = {"kind": "kafka", "bootstrap": broker.bootstrap, "topic": topic, "group": topic}
    settings |= source or {}
    most = Limits.model_validate(changes.get("limits", {})).batch_bytes
    opened = KafkaTopic(KafkaSource.model_validate(settings), batch_bytes=most)
    return reading(folder, source=opened, clock=clock, source_config=settings, **changes)


def counted(run: Reading) -> int:
    """Return how many records are in the panes."""
    return sum(pane.records for pane in oracle.panes(run.database, run.stream).values())


def recorded(run: Reading) -> int:
    """Return how many records were counted, late ones too."""
    with run.database.read() as connection:
        return sum(p.records for p in streams.partitions(connection, run.stream.id))


def letters(run: Reading) -> list[tuple[int, str, int]]:
    """Return (offset, reason, bytes kept) of the dead letters."""
    t = schema.dead_letter
    query = sa.select(t.c.offset, t.c.reason, t.c.size).order_by(t.c.partition, t.c.offset)
    with run.database.read() as connection:
        return [tuple(row) for row in connection.execute(query)]


def positions(run: Reading) -> list[int]:
    """Return the next offset of each partition."""
    with run.database.read() as connection:
        return [p.next_offset for p in streams.partitions(connection, run.stream.id)]
