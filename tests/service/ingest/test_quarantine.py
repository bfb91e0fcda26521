"""The quarantine in the database: strikes, messages, what workers make of it, the way back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.service import oracle
from tests.service.group import NOW, Group
from tests.service.transactions import read
from tidegauge_alerts.messages.model import NoticeEvent
from tidegauge_probes.counts import panes
from tidegauge_probes.engine import QUARANTINED
from tidegauge_service.ingest.deployed import current_deployments
from tidegauge_service.jobs.quarantine import quarantine_lf, release_lf
from tidegauge_service.store import schema
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import quarantine
from tidegauge_service.store.ingest.quarantine import Quarantined
from tidegauge_service.store.windows import queries


def active(group: Group) -> list[Quarantined]:
    with group.database.read() as connection:
        return quarantine.active(connection, group.stream)


def stop_lf(group: Group, place: int, *, now_ms: int = NOW, receivers: Any = ("ops",)) -> None:
    quarantine_lf(
        group.database,
        group.stream,
        place,
        oracle.PROBE_NAMES[place],
        "it did not come back",
        receivers=receivers,
        now_ms=now_ms,
    )


def messages(database: Database) -> list[tuple[str, Mapping[str, Any]]]:
    t = schema.notification
    with database.read() as connection:
        rows = list(connection.execute(sa.select(t.c.receiver, t.c.message).order_by(t.c.id)))
    return [(row.receiver, json.loads(row.message)) for row in rows]


def test_a_strike_quarantines_and_tells_every_receiver(database: Database, tmp_path: Path) -> None:
    group = Group(tmp_path, database, oracle.topic(1, 10))
    stop_lf(group, 1, receivers=("ops", "log"))
    mine = group.stream.probe_set
    assert active(group) == [Quarantined(1, "thanks", "it did not come back", NOW, 1, mine)]
    assert read(database, queries.summary, group.stream).quarantined == tuple(active(group))
    said = messages(database)
    assert [receiver for receiver, _ in said] == ["ops", "log"]
    body = said[0][1]
    assert body["event"] == NoticeEvent.PROBE_BROKEN
    assert body["status"] == "firing"
    assert "LF 'thanks' is quarantined" in body["headline"]
    assert f"tidegauge probes release {group.stream.name} thanks" in body["headline"]


def test_released_it_is_called_again_and_a_second_strike_counts(
    database: Database, tmp_path: Path
) -> None:
    group = Group(tmp_path, database, oracle.topic(1, 10))
    stop_lf(group, 1)
    stop_lf(group, 1, now_ms=NOW + 1)  # another worker hung in it, too: nothing new
    stop_lf(group, 2, receivers=())
    release_lf(database, group.stream, "thanks", now_ms=NOW)
    assert [q.probe for q in active(group)] == ["short"]
    stop_lf(group, 1, now_ms=NOW + 1)
    assert [(q.probe, q.strikes) for q in active(group)] == [("thanks", 2), ("short", 1)]
    release_lf(database, group.stream, "short", now_ms=NOW)
    told = [(receiver, body["status"]) for receiver, body in messages(database)]
    assert told == [("ops", "firing"), ("ops", "resolved"), ("ops", "firing")]


def test_another_probe_set_starts_without_any_and_both_are_released(
    database: Database, tmp_path: Path
) -> None:
    group = Group(tmp_path, database, oracle.topic(1, 10))
    live = group.stream
    stop_lf(group, 1)
    group.stream = replace(live, probe_set="shadow")
    assert active(group) == []
    stop_lf(group, 1)
    release_lf(database, live, "thanks", now_ms=NOW)
    with database.read() as connection:
        assert quarantine.of_stream(connection, live) == []
    told = [(body["lineage"]["probe_set"], body["status"]) for _, body in messages(database)]
    assert sorted(told) == sorted(
        (name, status) for name in (live.probe_set, "shadow") for status in ("firing", "resolved")
    )


def test_workers_stop_calling_it_and_all_other_counts_are_exact(
    database: Database, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(current_deployments, "REFRESH_EVERY_S", 0.0)
    group = Group(tmp_path, database, oracle.topic(2, 60, dead_every=9))
    member = group.member()
    for _ in range(4):
        member.worker.step(finite=True)
    stop_lf(group, 1)
    for _ in range(4):
        member.worker.step(finite=True)
    release_lf(database, group.stream, "thanks", now_ms=NOW)
    member.to_end()

    found, errors = oracle.panes(database, group.stream), 0
    assert found.keys() == oracle.expected(group.topic).keys()
    for place, wanted in oracle.expected(group.topic).items():
        pane = found[place]
        tally = oracle.tally_pane(pane)
        for name in ("mentions_free", "short"):
            for vote in ("HAM", "SPAM", None, "error"):
                assert tally[f"_all {name} {vote}"] == wanted[f"_all {name} {vote}"]
        assert tally["_all records"] == wanted["_all records"]
        failed, why = pane.faults.get((1, QUARANTINED), (0, ""))
        assert tally["_all thanks error"] == failed == int(pane.all.errors[1])
        assert not failed or "is no longer called" in why
        errors += failed
    assert 0 < errors < 120, "it failed while it was quarantined, and only then"
    assert panes.empty(3, 2).all.errors.tolist() == [0, 0, 0]
