from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from kafka import KafkaAdminClient, TopicPartition

from tests.servers.broker import Cluster, KafkaBroker
from tests.servers.waiting import wait_until
from tests.service.kafka_streams import (
    kafka_stream,
    messages,
    positions,
    produce_batch,
    recorded,
)
from tests.service.streams_for_tests import Reading
from tests.service.transactions import read, write
from tidegauge_service.errors import StreamHalted
from tidegauge_service.ingest.sources.kafka import source as kafka_source
from tidegauge_service.store import schema, streams
from tidegauge_service.store.ingest import decisions
from tidegauge_service.store.ingest.decisions import Decision
from tidegauge_service.store.ingest.gap import GapCause
from tidegauge_service.store.windows import queries

CONTINUE = "source.on_gap: continue"


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """Give a stack that closes what a test opens."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(autouse=True)
def _quick_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_source, "METADATA_MAX_AGE_MS", 500)


class Stream:
    """A stream on a topic, which can be closed and opened again."""

    def __init__(self, broker: Cluster, folder: Path, topic: str, **source: Any) -> None:
        self.broker, self.folder, self.topic, self.source = broker, folder, topic, source
        self.run: Reading | None = None

    def open(self) -> Reading:
        told = {"receivers": ["ops"]}
        self.run = kafka_stream(
            self.folder, self.broker, self.topic, source=self.source, alerts=told
        )
        return self.run

    def close(self) -> None:
        if self.run is not None:
            self.run.worker.close()
            self.run.database.close()
            self.run = None

    def decisions(self) -> list[Decision]:
        assert self.run is not None
        with self.run.database.read() as connection:
            return list(decisions.of_stream(connection, self.run.stream.id))


def read_until(run: Reading, wanted: list[int]) -> None:
    """Step a live worker until the positions are those wanted."""

    def there() -> bool:
        run.worker.step()
        return positions(run) == wanted

    wait_until(there, what=f"positions {wanted}")


def purge(broker: Cluster, topic: str, before: int) -> None:
    """Remove the oldest records, as retention does."""
    with KafkaAdminClient(bootstrap_servers=broker.bootstrap) as admin:
        admin.delete_records({TopicPartition(topic, 0): before})


def stream_on(
    closing: ExitStack, broker: Cluster, folder: Path, partitions: int = 1, **source: Any
) -> Stream:
    stream = Stream(broker, folder, broker.create_topic(partitions=partitions), **source)
    closing.callback(stream.close)
    return stream


def what(decision: Decision) -> tuple[str, int, int, int, str | None]:
    d = decision
    return d.cause, d.from_offset, d.to_offset, d.lost, d.decided_by


def told(run: Reading) -> list[dict[str, Any]]:
    """Return the messages to receivers, and when they are due."""
    t = schema.notification
    with run.database.read() as connection:
        rows = list(connection.execute(sa.select(t.c.message, t.c.due_ms).order_by(t.c.id)))
    return [{**json.loads(row.message), "due": row.due_ms} for row in rows]


def test_what_retention_removed_while_nobody_read_is_a_recorded_gap(
    kafka_broker: Cluster, tmp_path: Path, closing: ExitStack
) -> None:
    stream = stream_on(closing, kafka_broker, tmp_path)
    produce_batch(kafka_broker, stream.topic, messages(0, 3))
    read_until(stream.open(), [3])
    stream.close()
    produce_batch(kafka_broker, stream.topic, messages(3, 7))
    purge(kafka_broker, stream.topic, 8)
    run = stream.open()
    read_until(run, [10])
    assert recorded(run) == 3 + 2
    assert list(map(what, stream.decisions())) == [(GapCause.RETENTION, 3, 8, 5, CONTINUE)]
    summary = read(run.database, queries.summary, run.stream)
    assert (summary.lost, len(summary.gaps), summary.held) == (5, 1, ())
    firing, resolved = told(run)
    assert (firing["event"], firing["status"], firing["lost"]) == ("data_gap", "firing", 5)
    assert firing["headline"] == (
        "Partition 0: the topic no longer holds offset 3 (retention); resuming at 8, 5 inputs "
        "were never read (decided by source.on_gap: continue)"
    )
    assert (resolved["status"], resolved["due"]) == ("resolved", firing["due"] + 3_600_000)
    assert resolved["incident"] == firing["incident"]


def test_retention_that_overtakes_a_halted_stream_waits_for_a_person(
    kafka_broker: Cluster, tmp_path: Path, closing: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegauge_service.ingest.partitions.assignment.HELD_S", 0.1)
    stream = stream_on(closing, kafka_broker, tmp_path, partitions=2, on_gap="halt")
    produce_batch(kafka_broker, stream.topic, messages(0, 3))
    read_until(stream.open(), [3, 0])
    stream.close()
    produce_batch(kafka_broker, stream.topic, messages(3, 7))
    purge(kafka_broker, stream.topic, 8)
    produce_batch(kafka_broker, stream.topic, messages(0, 4), partition=1)
    run = stream.open()
    read_until(run, [3, 4])  # the other partition is read on
    for _ in range(3):
        run.worker.step()
    [waiting] = stream.decisions()
    assert what(waiting) == (GapCause.RETENTION, 3, 8, 5, None)
    assert not run.worker.drained
    with pytest.raises(StreamHalted, match="partition 0: list it with `tidegauge streams gaps"):
        run.worker.step(finite=True)
    assert len(read(run.database, queries.summary, run.stream).held) == 1
    assert [(said["status"], said["partition"]) for said in told(run)] == [("firing", 0)]
    accepted = write(run.database, decisions.accept, run.stream, None, "ada", 1)
    assert accepted == [waiting]
    read_until(run, [10, 4])
    assert recorded(run) == 3 + 2 + 4
    assert [what(d) for d in stream.decisions()] == [(GapCause.RETENTION, 3, 8, 5, "ada")]
    firing, resolved = told(run)
    assert (resolved["status"], resolved["due"]) == ("resolved", firing["due"])
    assert "(decided by ada)" in resolved["headline"]
    assert write(run.database, decisions.accept, run.stream, None, "ada", 1) == []


def test_a_topic_that_was_made_anew_is_counted_from_its_beginning(
    kafka_broker: Cluster, tmp_path: Path, closing: ExitStack
) -> None:
    """Its offsets look the same: only the topic's id tells."""
    stream = stream_on(closing, kafka_broker, tmp_path, partitions=2)
    produce_batch(kafka_broker, stream.topic, messages(0, 3))
    read_until(stream.open(), [3, 0])
    stream.close()
    anew(kafka_broker, stream.topic, messages(10, 8))
    run = stream.open()
    read_until(run, [8, 0])
    assert recorded(run) == 3 + 8
    assert [what(d)[:4] for d in stream.decisions()] == [(GapCause.RECREATED, 3, 0, 0)]
    with run.database.read() as connection:
        first, second = streams.partitions(connection, run.stream.id)
    assert second.drained, "the partition that is no more does not hold the watermark"
    assert not first.drained


def test_a_topic_that_is_made_anew_under_a_running_worker(
    kafka_broker: Cluster, tmp_path: Path, closing: ExitStack
) -> None:
    stream = stream_on(closing, kafka_broker, tmp_path)
    produce_batch(kafka_broker, stream.topic, messages(0, 3))
    run = stream.open()
    read_until(run, [3])
    anew(kafka_broker, stream.topic, messages(10, 2))
    read_until(run, [2])
    assert recorded(run) == 3 + 2
    assert [what(d)[:4] for d in stream.decisions()] == [(GapCause.RECREATED, 3, 0, 0)]


def anew(broker: Cluster, topic: str, values: list[bytes]) -> None:
    with KafkaAdminClient(bootstrap_servers=broker.bootstrap) as admin:
        broker.delete_topic(topic)
        wait_until(lambda: topic not in admin.list_topics(), what="the end of the topic")
    broker.create_topic(topic)
    produce_batch(broker, topic, values)


def test_a_log_that_the_broker_has_cut_goes_on_at_its_end(
    kafka_broker: Cluster, tmp_path: Path, closing: ExitStack
) -> None:
    if not isinstance(kafka_broker, KafkaBroker):
        pytest.skip("this test cuts a file of its broker")
    stream = stream_on(closing, kafka_broker, tmp_path)
    produce_batch(kafka_broker, stream.topic, messages(0, 3))
    produce_batch(kafka_broker, stream.topic, messages(3, 4))
    read_until(stream.open(), [7])
    stream.close()
    kafka_broker.stop()
    try:
        [segment] = (kafka_broker.data / f"{stream.topic}-0").glob("*.log")
        content = segment.read_bytes()
        second = 12 + int.from_bytes(content[8:12], "big")  # behind the first batch
        segment.write_bytes(content[:second])
        (kafka_broker.data / ".kafka_cleanshutdown").unlink()  # look at the files again
    finally:
        kafka_broker.start()
    run = stream.open()
    read_until(run, [3])
    produce_batch(kafka_broker, stream.topic, messages(20, 2))
    read_until(run, [5])
    assert recorded(run) == 7 + 2
    assert list(map(what, stream.decisions())) == [(GapCause.TRUNCATED, 7, 3, 0, CONTINUE)]


def test_a_partition_that_is_added_is_counted_from_its_beginning(
    kafka_broker: Cluster, tmp_path: Path, closing: ExitStack
) -> None:
    """Whatever `start: latest` says, and it holds the watermark from then on."""
    stream = stream_on(closing, kafka_broker, tmp_path, start="latest")
    produce_batch(kafka_broker, stream.topic, messages(0, 3))
    run = stream.open()
    run.worker.step()
    assert positions(run) == [3]
    with KafkaAdminClient(bootstrap_servers=kafka_broker.bootstrap) as admin:
        admin.create_partitions({stream.topic: 2})
    produce_batch(kafka_broker, stream.topic, messages(0, 4), partition=1)
    read_until(run, [3, 4])
    assert recorded(run) == 4
    assert [what(d) for d in stream.decisions()] == [
        (GapCause.PARTITION_ADDED, 0, 0, 0, "tidegauge")
    ]
