"""A batch ends at `limits.batch_bytes`, whatever the source; large inputs are counted exactly."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.servers.broker import Cluster
from tests.service import oracle
from tests.service.group import NOW, Group, Member
from tests.service.ingest.sources.test_log import Team
from tests.service.kafka_streams import (
    counted,
    kafka_stream,
    letters,
    messages,
    positions,
    produce_batch,
)
from tests.service.memory_source import MemorySource
from tidegauge_service.ingest.sources.source import Polled, Raw, SizeLimited, weight
from tidegauge_service.ingest.worker import Worker
from tidegauge_service.store.engine import Database

BUDGET = 2_000


class Heavy(MemorySource):
    """Ends a poll at the bytes that are allowed, and notes what it gave."""

    allowed = 0

    def allow(self, max_bytes: int) -> None:
        self.allowed = max_bytes

    def poll(self, max_records: int, timeout_s: float) -> Polled:
        polled = super().poll(max_records, timeout_s)
        spent, taken = 0, list[Raw]()
        for raw in polled.inputs:
            if spent >= self.allowed:
                self._at[raw.partition] = min(self._at[raw.partition], raw.offset)
                continue
            spent += weight(raw)
            taken.append(raw)
        return Polled(taken, polled.gained, polled.lost)


def padded(n: int, size: int) -> bytes:
    value = json.loads(oracle.message(n, n))
    return json.dumps(value | {"pad": "x" * size}).encode()


def sizes_of_batches(group: Group, source: MemorySource) -> list[int]:
    """Return the bytes that each step of a worker has committed."""
    member = Member(Worker(group.scope(), group.probe_set, source), source)
    at, found = 0, []
    while not member.worker.drained:
        member.worker.step(finite=True)
        now = sum(p.next_offset for p in group.partitions())
        found.append(sum(len(value) for value in group.topic[0][at:now]))
        at = now
    return [size for size in found if size]


def test_a_batch_ends_with_the_input_that_reaches_the_budget(
    database: Database, tmp_path: Path
) -> None:
    topic = [[oracle.message(n, n) for n in range(100)]]
    limits = {"commit_records": 1_000, "batch_bytes": BUDGET}
    group = Group(tmp_path, database, topic, limits=limits)
    source = Heavy(topic)
    assert isinstance(source, SizeLimited)
    sizes = sizes_of_batches(group, source)
    assert max(sizes) < BUDGET + 200
    assert min(sizes[:-1]) >= BUDGET
    group.assert_exact()


def test_a_source_that_does_not_weigh_is_asked_no_further(
    database: Database, tmp_path: Path
) -> None:
    topic = [[oracle.message(n, n) for n in range(100)]]
    limits = {"commit_records": 1_000, "batch_bytes": BUDGET}
    group = Group(tmp_path, database, topic, limits=limits)
    sizes = sizes_of_batches(group, MemorySource(topic, most=3))
    assert max(sizes) < BUDGET + 3 * 200
    group.assert_exact()


def test_an_input_larger_than_the_budget_is_a_batch_by_itself(
    database: Database, tmp_path: Path
) -> None:
    topic = [[padded(0, 10_000), oracle.message(1, 1)]]
    group = Group(tmp_path, database, topic, limits={"batch_bytes": BUDGET})
    assert len(sizes_of_batches(group, Heavy(topic))) == 2
    assert [p.records for p in group.partitions()] == [2]


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        (b"x" * 100, 100, 100),
        (None, 0, 0),
        ({"id": "a", "text": "x" * 100}, 100, 1_000),
        ({"a": {"b": ["x" * 500, "y" * 500]}}, 1_000, 2_000),
        ({"n": 1, "at": None}, 2, 1_000),
    ],
)
def test_the_weight_of_an_input_is_that_of_its_texts(value: Any, least: int, most: int) -> None:
    assert least <= weight(Raw(0, 0, value)) <= most


# -- The log ----------------------------------------------------------------------------------


def test_events_are_read_up_to_a_sum_of_bytes(database: Database, tmp_path: Path) -> None:
    team = Team(tmp_path, database, partitions=2)
    values = [padded(n, 1_000) for n in range(40)]
    team.append(values)
    reader = team.reader()
    assert reader.poll(100, 0).gained == {0, 1}
    for partition in (0, 1):
        reader.seek(partition, 0)
    reader.allow(5_000)
    found: list[Raw] = []
    while inputs := reader.poll(100, 0).inputs:
        assert sum(map(weight, inputs)) < 5_000 + 2 * 1_200
        found += inputs
    assert sorted(raw.value for raw in found if isinstance(raw.value, bytes)) == sorted(values)
    assert len({raw.partition for raw in found[:4]}) == 2, "no partition waits for the other"


def test_an_event_above_the_sum_comes_all_the_same(database: Database, tmp_path: Path) -> None:
    team = Team(tmp_path, database, partitions=1)
    team.append([padded(0, 10_000), padded(1, 10)])
    reader = team.reader()
    reader.poll(100, 0)
    reader.seek(0, 0)
    reader.allow(1)
    assert [len(reader.poll(100, 0).inputs) for _ in range(3)] == [1, 1, 0]


# -- Kafka ------------------------------------------------------------------------------------


def test_a_poll_of_kafka_ends_at_the_budget_and_loses_nothing(
    kafka_broker: Cluster, tmp_path: Path
) -> None:
    topic = kafka_broker.create_topic(partitions=2)
    for partition in (0, 1):
        for first in range(0, 40, 10):
            values = [padded(n, 50_000) for n in range(first, first + 10)]
            produce_batch(kafka_broker, topic, values, partition=partition, codec="gzip")
    budget = 1_000_000
    run = kafka_stream(tmp_path, kafka_broker, topic, limits={"batch_bytes": budget})
    with ExitStack() as closing:
        closing.callback(run.database.close)
        closing.callback(run.worker.close)
        steps = []
        while not run.worker.drained:
            steps.append(run.worker.step(finite=True).records)
    assert counted(run) == 80
    assert positions(run) == [40, 40]
    assert max(steps) <= budget // 50_000 + 1


def test_a_batch_that_inflates_beyond_the_budget_is_skipped_exactly(
    kafka_broker: Cluster, tmp_path: Path
) -> None:
    topic = kafka_broker.create_topic()
    produce_batch(kafka_broker, topic, messages(0, 3))
    bombs: list[bytes | None] = [b" " * 400_000] * 2
    for codec in ("gzip", "zstd", "lz4", "snappy"):
        produce_batch(kafka_broker, topic, bombs, codec=codec)
    produce_batch(kafka_broker, topic, messages(3, 2), codec="zstd")
    limits = {"batch_bytes": 700_000}
    run = kafka_stream(tmp_path, kafka_broker, topic, clock=lambda: NOW, limits=limits)
    with ExitStack() as closing:
        closing.callback(run.database.close)
        closing.callback(run.worker.close)
        run.to_end()
    assert counted(run) == 5
    assert positions(run) == [13]
    assert [(offset, reason) for offset, reason, _ in letters(run)] == [
        (offset, "undecodable_batch") for offset in range(3, 11)
    ]
