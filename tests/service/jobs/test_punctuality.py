"""Records most of which come too late are told of once, by one of many, and so is their end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.service import oracle
from tests.service.group import NOW, Group
from tests.service.metrics.scrape import shown
from tests.service.streams_for_tests import START
from tests.service.transactions import read
from tidegauge_service.jobs.punctuality import Arrived, Punctuality, mostly_late
from tidegauge_service.jobs.watermark_watch import WatermarkWatch
from tidegauge_service.store import schema
from tidegauge_service.store.alerting import notice_state
from tidegauge_service.store.alerting.notice_state import Trouble
from tidegauge_service.store.engine import Database
from tidegauge_service.store.scope import StreamScope
from tidegauge_service.store.windows import queries

LOG = {"kind": "log", "partitions": 1}
RULES = {"receivers": ["ops"]}


def told(database: Database) -> list[dict[str, Any]]:
    t = schema.notification
    with database.read() as connection:
        texts = connection.execute(sa.select(t.c.message).order_by(t.c.id)).scalars()
        found = [json.loads(text) for text in texts]
    return [message for message in found if message["event"] == "late_records"]


@pytest.mark.parametrize(
    ("records", "late", "verdict"),
    [
        (400, 400, True),
        (100, 51, True),
        (100, 50, None),
        (100, 10, None),
        (100, 9, False),
        (400, 0, False),
        (99, 99, None),
        (0, 0, None),
    ],
)
def test_verdicts(records: int, late: int, verdict: object) -> None:
    assert mostly_late(Arrived(records, late)) is verdict


def send(group: Group, n: int, *, late: bool) -> None:
    """Let records come, and be read: at the end of the stream, or of long before."""
    inputs = group.topic[0]
    assert isinstance(inputs, list)
    for _ in range(n):
        at = START if late else START + (100 + len(inputs)) * 600_000
        inputs.append(oracle.message(len(inputs), 0, ms=at))
    group.member().to_end()


def test_most_records_late_is_told_of_once_and_ends_when_they_come_in_time(
    database: Database, tmp_path: Path
) -> None:
    group = Group(tmp_path, database, [[]], source=LOG, alerts=RULES)
    send(group, 150, late=False)
    several = [
        Punctuality(
            StreamScope(group.config, group.stream, database, lambda: NOW, url="http://tide")
        )
        for _ in range(2)
    ]

    def tick() -> list[str]:
        for one in several:
            one.tick()
        return [message["status"] for message in told(database)]

    assert tick() == []
    send(group, 99, late=True)
    assert tick() == []
    send(group, 301, late=True)
    assert tick() == ["firing"]
    said = told(database)[0]
    assert (said["late"], said["records"]) == (400, 400)
    assert said["headline"].startswith(
        "400 of the last 400 records were too late to be counted. What to do: load history "
        "before its windows close: `tidegauge backfill`"
    )
    assert read(database, queries.summary, group.stream).late_ms == NOW
    assert shown(database, "stream_mostly_late") == {(): 1}
    several.append(Punctuality(StreamScope(group.config, group.stream, database, lambda: NOW)))
    assert tick() == ["firing"], "a process that starts does not tell again"
    send(group, 120, late=False)
    assert tick() == ["firing", "resolved"]
    assert told(database)[1]["incident"] == said["incident"]
    assert read(database, queries.summary, group.stream).late_ms is None


def test_files_are_watched_too(database: Database, tmp_path: Path) -> None:
    group = Group(tmp_path, database, [[]], alerts=RULES)
    send(group, 1, late=False)
    send(group, 200, late=True)
    watch = WatermarkWatch(StreamScope(group.config, group.stream, database, lambda: NOW))
    watch.tick()
    [message] = told(database)
    assert message["status"] == "firing"
    assert "What to do: the windows of these records are already closed" in message["headline"]
    assert "backfill" not in message["headline"]
    assert read(database, queries.summary, group.stream).source == "file"


def test_what_one_process_brings_is_judged_by_itself(database: Database, tmp_path: Path) -> None:
    """A drain of a file with old records is told of, however long the history before it."""
    group = Group(tmp_path, database, [[]])
    with database.write() as connection:
        connection.execute(sa.update(schema.stream_partition).values(records=20_000, late=0))
    watch = Punctuality(StreamScope(group.config, group.stream, database, lambda: NOW))
    with database.write() as connection:
        connection.execute(sa.update(schema.stream_partition).values(records=23_000, late=3_000))
    watch.tick()
    with database.read() as connection:
        assert notice_state.since(connection, group.stream.id, Trouble.LATE) == NOW
