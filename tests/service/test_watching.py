"""A watermark that stands still is told of once, by one of many, and so is that it moves again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.service import oracle
from tests.service.group import NOW, Group
from tidegauge_service.clock import to_iso
from tidegauge_service.jobs.watching import SETTLE_MS, Watch
from tidegauge_service.store import queries, schema
from tidegauge_service.store.engine import Database

MINUTE = 60_000
LOG = {"kind": "log", "partitions": 2}
RULES = {"receivers": ["ops", "night"], "stale_after": "10m"}


class Time:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


def told(database: Database) -> list[dict[str, Any]]:
    t = schema.notification
    with database.read() as connection:
        texts = connection.execute(sa.select(t.c.message).order_by(t.c.id)).scalars()
        return [json.loads(text) for text in texts]


def stream(folder: Path, database: Database, source: dict[str, Any]) -> Group:
    return Group(folder, database, oracle.topic(2, 20), source=source, alerts=RULES)


def watches(group: Group, time: Time) -> list[Watch]:
    url = "http://tide"
    return [Watch(group.config, group.stream, group.database, time, url=url) for _ in range(2)]


def tick(watching: list[Watch]) -> None:
    for watch in watching:
        watch.tick()


def test_a_partition_that_nobody_reads_is_told_of_once_and_resolves_when_it_moves(
    database: Database, tmp_path: Path
) -> None:
    group, time = stream(tmp_path, database, LOG), Time()
    both = watches(group, time)
    group.member([0], clock=time).to_end()  # nobody owns partition 1
    time.now += 10 * MINUTE - 1
    tick(both)
    assert told(database) == []
    time.now += 1
    tick(both)
    tick(both)
    said = told(database)
    assert [(s["event"], s["status"]) for s in said] == [("watermark_stale", "firing")] * 2
    assert said[0]["partition"] == 1
    assert said[0]["watermark"] is None
    assert said[0]["headline"].startswith(
        "The watermark stands still at partition 1: it has not moved for 10 min, so no window "
        "closes."
    )
    assert said[0]["links"] == {"page": "http://tide/"}
    assert queries.summary(database, group.stream).stale_ms == NOW

    group.member([1], clock=time).to_end()
    tick(both)
    tick(both)
    resolved = told(database)[2:]
    assert [s["status"] for s in resolved] == ["resolved"] * 2
    assert resolved[0]["incident"] == said[0]["incident"]
    assert queries.summary(database, group.stream).stale_ms is None


def test_a_process_that_has_just_started_waits_before_it_tells(
    database: Database, tmp_path: Path
) -> None:
    """It may be the one that has to read what has piled up."""
    group, time = stream(tmp_path, database, LOG), Time()
    time.now += 24 * 60 * MINUTE
    late = watches(group, time)
    tick(late)
    assert told(database) == []
    time.now += SETTLE_MS
    tick(late)
    assert len(told(database)) == len(RULES["receivers"])


def test_what_waits_there_is_named(database: Database, tmp_path: Path) -> None:
    group, time = stream(tmp_path, database, LOG), Time()
    both = watches(group, time)
    member = group.member([0], clock=time)
    while not group.partitions()[0].next_offset:
        member.worker.step()  # a batch, and no more
    group.member([1], clock=time).to_end()
    time.now += 10 * MINUTE
    tick(both)
    [said, _] = told(database)
    [waiting] = [p for p in group.partitions() if p.partition == said["partition"]]
    assert waiting.end_offset is not None
    assert f"{waiting.end_offset - waiting.next_offset} inputs wait there" in said["headline"]
    reached = None if waiting.watermark_ms is None else to_iso(waiting.watermark_ms)
    assert said["watermark"] == reached


def test_a_finite_source_is_never_stale(database: Database, tmp_path: Path) -> None:
    files = {"kind": "file", "path": "records.jsonl"}
    group, time = stream(tmp_path, database, files), Time()
    both = watches(group, time)
    time.now += 24 * 60 * MINUTE
    tick(both)
    assert told(database) == []
