"""Positions belong to a source: another one is refused until somebody decides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.servers.broker import Cluster
from tests.service.file_streams import FileStream, jsonl, rows
from tests.service.kafka_streams import produce_batch
from tests.service.streams_for_tests import START
from tests.service.transactions import read, write
from tidegauge_probes.errors import TidegaugeError
from tidegauge_service.cli.main import app
from tidegauge_service.config.sources import LogSource
from tidegauge_service.errors import SettingsError
from tidegauge_service.ingest.partitions.origin import SourceOrigin, same
from tidegauge_service.store import streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import events
from tidegauge_service.store.ingest.events import Event
from tidegauge_service.store.windows import queries

KAFKA = SourceOrigin("kafka", "events", "a:9092", "one")


@pytest.mark.parametrize(
    ("before", "now", "wanted"),
    [
        (KAFKA, SourceOrigin("kafka", "events", "b:9092", "one"), True),  # its addresses moved
        (KAFKA, SourceOrigin("kafka", "events", "a:9092", "two"), False),
        (KAFKA, SourceOrigin("kafka", "other", "a:9092", "one"), False),
        (KAFKA, SourceOrigin("kafka", "events", "a:9092", None), True),  # it does not say who it is
        (KAFKA, SourceOrigin("kafka", "events", "b:9092", None), False),
        (KAFKA, SourceOrigin("file", "events"), False),
        (SourceOrigin("log"), SourceOrigin("log"), True),
        (SourceOrigin("demo", "seed 7"), SourceOrigin("demo", "seed 8"), False),
        (SourceOrigin("file", "day-*.jsonl"), SourceOrigin("file", "day-*.jsonl"), True),
        (SourceOrigin("file", "day-*.jsonl"), SourceOrigin("file", "*.jsonl"), False),
    ],
)
def test_which_sources_share_positions(
    before: SourceOrigin,
    now: SourceOrigin,
    wanted: bool,  # noqa: FBT001
) -> None:
    assert same(before, now, holds_known_files=False) is wanted


@pytest.fixture
def stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileStream:
    monkeypatch.setenv("TIDEGAUGE_DATABASE", f"sqlite:///{tmp_path}/test.db")
    return FileStream(tmp_path)


def invoked(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    if isinstance(result.exception, TidegaugeError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_a_pattern_that_still_finds_the_files_is_no_other_source(stream: FileStream) -> None:
    stream.put("day-1.jsonl", rows(0, 20))
    stream.drain()
    for pattern in ("day-?.jsonl", str(stream.folder / "*.jsonl"), "day-1.jsonl"):
        stream.pattern = pattern
        stream.drain()
    assert (stream.positions(), stream.gaps()) == ({0: 20}, [])


def test_other_files_are_another_source(stream: FileStream) -> None:
    stream.put("day-1.jsonl", rows(0, 20))
    stream.put("week-1.jsonl", rows(100, 30))
    stream.drain()
    stream.pattern = "week-*.jsonl"
    with pytest.raises(SettingsError, match=r"file 'day-\*.jsonl\*'.*file 'week-\*.jsonl'.*reset"):
        stream.drain()
    assert stream.positions() == {0: 20}


def test_todays_files_of_the_same_pattern_are_no_other_source(stream: FileStream) -> None:
    stream.put("day-1.jsonl", rows(0, 20))
    stream.drain()
    (stream.folder / "day-1.jsonl").unlink()
    stream.put("day-2.jsonl", rows(20, 20))
    stream.drain()
    assert stream.positions() == {0: 20, 1: 20}


def kafka(broker: Cluster, topic: str) -> dict[str, Any]:
    source = {"kind": "kafka", "bootstrap": broker.bootstrap, "topic": topic, "group": topic}
    return {"source": source}


def test_from_files_to_a_topic_and_on_to_another(stream: FileStream, kafka_broker: Cluster) -> None:
    """800 rows were read of a file: of the topic's 1,000 messages 200 would be left."""
    stream.put("day-1.jsonl", [*rows(0, 799), {"broken": True}])
    stream.drain()
    messages = jsonl(rows(799, 1_000)).splitlines()
    topics = [kafka_broker.create_topic(), kafka_broker.create_topic()]
    for topic in topics:
        produce_batch(kafka_broker, topic, messages)
    stream.changes = kafka(kafka_broker, topics[0])
    with pytest.raises(SettingsError, match=f"file 'day-.*kafka topic '{topics[0]}'.*reset test"):
        stream.drain()

    said = invoked("streams", "reset", "test")
    assert said.startswith("A reset would do this:")
    assert "Nothing was changed" in said
    assert "run it again with --yes" in said
    with pytest.raises(SettingsError, match="kafka topic"):
        stream.drain()
    said = invoked("streams", "reset", "test", "--yes")
    assert "1 partition, 800 offsets. All inputs of the old source have been read." in said
    assert "records that are read again will all be late" in said
    stream.drain()
    assert (stream.positions(), stream.counted()) == ({-2: 800, 0: 1_000}, 1_799)
    assert [reason for reason, _ in stream.dead()] == ["missing_id"]

    stream.changes = kafka(kafka_broker, topics[1])
    with pytest.raises(SettingsError, match=f"topic '{topics[0]}'.*cluster.*topic '{topics[1]}'"):
        stream.drain()
    invoked("streams", "reset", "test", "--yes")
    stream.drain()
    assert stream.positions() == {-3: 1_000, -2: 800, 0: 1_000}
    assert (stream.counted(), stream.late()) == (2_799, 1_000), "its windows were closed"
    database = stream.database()
    row = read(database, streams.find, "test")
    assert row is not None
    assert read(database, queries.summary, row).records == 2_799
    database.close()


def test_a_reset_reads_the_same_files_again(stream: FileStream) -> None:
    stream.put("day-1.jsonl", rows(0, 20))
    stream.drain()
    invoked("streams", "reset", "test", "--yes")
    stream.drain()
    assert stream.positions() == {-2: 20, 0: 20}
    assert (stream.counted(), stream.late()) == (40, 20)


def test_a_worker_that_still_reads_the_old_source_stops(stream: FileStream) -> None:
    stream.changes = {"limits": {"commit_records": 5}}
    stream.put("day-1.jsonl", rows(0, 40))
    database = stream.database()
    old = stream.open(database)
    while old.worker.step(finite=True).records == 0:
        pass
    invoked("streams", "reset", "test", "--yes")
    with pytest.raises(SettingsError, match="was changed while this process was reading it"):
        while True:
            old.worker.step(finite=True)
    old.close()
    database.close()
    stream.drain()
    assert stream.positions() == {-2: 5, 0: 40}


def test_from_files_to_http_and_back_counts_no_event_twice(stream: FileStream) -> None:
    stream.put("day-1.jsonl", rows(0, 20))
    stream.drain()
    stream.changes = {"source": {"kind": "log", "partitions": 1}}
    with pytest.raises(SettingsError, match="but the stream file now says log"):
        stream.drain()
    invoked("streams", "reset", "test", "--yes")
    database = stream.database()
    stream.open(database).close()
    _append(database, jsonl(rows(20, 7)).splitlines())
    database.close()
    stream.drain()
    assert stream.positions() == {-2: 20, 0: 7}
    stream.changes = {}
    invoked("streams", "reset", "test", "--yes")
    stream.put("day-1.jsonl", rows(27, 3))
    stream.drain()
    stream.changes = {"source": {"kind": "log", "partitions": 1}}
    invoked("streams", "reset", "test", "--yes")
    stream.drain()
    assert stream.counted() == 30
    assert json.loads(invoked("streams", "gaps", "test", "--json"))["gaps"] == []


def _append(database: Database, values: list[bytes]) -> None:
    row = read(database, streams.find, "test")
    assert row is not None
    source = LogSource(kind="log", partitions=1)
    write(database, events.append, row, source, [Event(value) for value in values], now_ms=START)
