"""A watermark that stands still is told of once, by one of many, and so is that it moves again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.service import oracle
from tests.service.group import NOW, Group
from tests.service.streams_for_tests import HOUR, START
from tests.service.transactions import read
from tidegauge_service.clock import to_iso
from tidegauge_service.jobs.watermark_watch import SETTLE_MS, WatermarkWatch
from tidegauge_service.store import schema
from tidegauge_service.store.engine import Database
from tidegauge_service.store.scope import StreamScope
from tidegauge_service.store.windows import queries

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


def watches(group: Group, time: Time) -> list[WatermarkWatch]:
    url = "http://tide"
    scope = StreamScope(group.config, group.stream, group.database, time, url=url)
    return [WatermarkWatch(scope) for _ in range(2)]


def tick(watching: list[WatermarkWatch]) -> None:
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
        "The watermark is stalled at partition 1: it has not moved for 10 min, so no window closes."
    )
    assert said[0]["links"] == {"page": "http://tide/"}
    assert read(database, queries.summary, group.stream).stale_ms == NOW

    group.member([1], clock=time).to_end()
    tick(both)
    tick(both)
    resolved = told(database)[2:]
    assert [s["status"] for s in resolved] == ["resolved"] * 2
    assert resolved[0]["incident"] == said[0]["incident"]
    assert read(database, queries.summary, group.stream).stale_ms is None


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
    assert f"{waiting.end_offset - waiting.next_offset} inputs are waiting" in said["headline"]
    reached = None if waiting.watermark_ms is None else to_iso(waiting.watermark_ms)
    assert said["watermark"] == reached


def test_a_finite_source_is_never_stale(database: Database, tmp_path: Path) -> None:
    files = {"kind": "file", "path": "records.jsonl"}
    group, time = stream(tmp_path, database, files), Time()
    both = watches(group, time)
    time.now += 24 * 60 * MINUTE
    tick(both)
    assert told(database) == []


def quiet(group: Group, time: Time, minutes: int, watching: list[WatermarkWatch]) -> None:
    """Let a worker find nothing for a while."""
    member = group.member(clock=time)
    for _ in range(minutes):
        time.now += MINUTE
        for _ in range(3):
            member.worker.step()
        tick(watching)


def test_silence_that_a_worker_proves_is_not_told_of_but_that_of_a_worker_is(
    database: Database, tmp_path: Path
) -> None:
    past = {"from": to_iso(START - 9 * HOUR), "until": to_iso(START - HOUR)}
    how = {"source": {**LOG, "silence_grace": "9h"}, "alerts": RULES, "baseline": past}
    group, time = Group(tmp_path, database, oracle.topic(2, 20), **how), Time()
    both = watches(group, time)
    quiet(group, time, 180, both)
    assert [p.next_offset for p in group.partitions()] == [20, 20]
    assert told(database) == []
    time.now += 5 * MINUTE  # the worker is gone
    tick(both)
    assert [s["event"] for s in told(database)] == ["watermark_stale"] * 2


def test_records_that_come_and_move_no_watermark_are_told_of(
    database: Database, tmp_path: Path
) -> None:
    """Their timestamps stand still: it is no silence."""
    past = {"from": to_iso(START - 9 * HOUR), "until": to_iso(START - HOUR)}
    topic: list[list[bytes]] = [[], []]
    group = Group(tmp_path, database, topic, source=LOG, alerts=RULES, baseline=past)
    time = Time()
    both, member = watches(group, time), group.member(clock=time)
    for _ in range(14):
        time.now += MINUTE
        for partition in topic:
            partition.append(oracle.message(0, 0))
        for _ in range(3):
            member.worker.step()
        tick(both)
    assert [s["event"] for s in told(database)] == ["watermark_stale"] * 2


def test_a_range_whose_records_stay_away_is_told_of(database: Database, tmp_path: Path) -> None:
    group, time = stream(tmp_path, database, LOG), Time()  # its range was over long ago
    both = watches(group, time)
    quiet(group, time, 12, both)
    said = told(database)
    assert [s["event"] for s in said] == ["watermark_stale"] * 2
    assert (
        f"the baseline's range ends at {to_iso(START + 60 * HOUR)}, and the newest is from "
        f"{to_iso(START + 19 * 10 * MINUTE)}. Send the missing records"
    ) in said[0]["headline"]


def test_a_stream_that_has_no_record_yet_is_not_told_of(database: Database, tmp_path: Path) -> None:
    ahead = {"from": to_iso(NOW), "until": to_iso(NOW + 60 * HOUR)}
    group = Group(tmp_path, database, [[], []], source=LOG, alerts=RULES, baseline=ahead)
    time = Time()
    quiet(group, time, 60, both := watches(group, time))
    tick(both)
    assert told(database) == []
