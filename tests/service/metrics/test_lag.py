"""The lag says as of when it is; that of a log is true though no worker runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.service import oracle
from tests.service.group import NOW, Group
from tests.service.metrics.scrape import shown
from tests.service.transactions import write
from tidegauge_service.config.sources import LogSource
from tidegauge_service.ingest.sources.source import Raw
from tidegauge_service.store import streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import events
from tidegauge_service.store.ingest.events import Event

KAFKA = {"kind": "kafka", "bootstrap": "unused:9092", "topic": "unused"}
LOG = {"kind": "log", "partitions": 2}
LAG, END = "consumer_lag_records", "source_end_timestamp_seconds"


def test_a_logs_lag_counts_what_came_since_the_last_worker_ended(
    database: Database, tmp_path: Path
) -> None:
    group = Group(tmp_path, database, [[], []], source=LOG)
    source = group.config.source
    assert isinstance(source, LogSource)
    write(database, events.make_partitions, group.stream, 2)
    values = [Event(oracle.message(n, 0), f"r{n}") for n in range(50)]
    write(database, events.append, group.stream, source, values, now_ms=NOW)
    assert sum(shown(database, LAG).values()) == 50
    assert shown(database, END) == {}, "no worker has looked yet"


def test_the_end_of_a_topic_is_as_of_when_a_worker_saw_it(
    database: Database, tmp_path: Path
) -> None:
    now = NOW
    group = Group(tmp_path, database, oracle.topic(1, 5), source=KAFKA)
    member = group.member(clock=lambda: now)
    for _ in range(3):
        member.worker.step()
    assert [p.end_ms for p in group.partitions()] == [NOW]
    now += 60_000
    for _ in range(2):
        member.worker.step()  # nothing comes: the end is proved again
    assert [p.end_ms for p in group.partitions()] == [NOW + 60_000]
    now += 3_600_000  # the worker is gone, and records come
    group.topic[0].extend(oracle.topic(1, 9)[0])  # type: ignore[attr-defined]
    assert shown(database, LAG) == {("0",): 0}
    assert shown(database, END) == {("0",): (NOW + 60_000) / 1000}


def test_a_drained_partition_has_no_end_to_look_at(database: Database, tmp_path: Path) -> None:
    group = Group(tmp_path, database, oracle.topic(1, 5))
    group.member().to_end()
    with database.read() as connection:
        assert streams.partitions(connection, group.stream.id)[0].drained
    assert shown(database, LAG) == {("0",): 0}
    assert shown(database, END) == {}


def test_the_lag_is_known_though_no_batch_gets_past_the_lfs(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Group(tmp_path, database, oracle.topic(1, 5), source=KAFKA)
    member = group.member(clock=lambda: NOW)
    count = member.worker._counter.count

    def dies(inputs: Sequence[Raw], *arguments: Any, **options: Any) -> Any:
        if inputs:
            raise SystemExit(0)
        return count(inputs, *arguments, **options)

    monkeypatch.setattr(member.worker._counter, "count", dies)
    with pytest.raises(SystemExit):
        for _ in range(3):
            member.worker.step()
    assert shown(database, LAG) == {("0",): 5}
    assert shown(database, END) == {("0",): NOW / 1000}
