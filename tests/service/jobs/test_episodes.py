"""One permanent shift of live traffic is one alert for each series and side."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.service import oracle
from tests.service.group import NOW, Group
from tests.service.streams_for_tests import HOUR, START
from tests.service.transactions import write
from tidegauge_alerts.model import Alert, AlertState, Transition, TransitionReason
from tidegauge_service.clock import to_iso
from tidegauge_service.jobs.evaluator import Evaluator
from tidegauge_service.store import schema
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import commit
from tidegauge_service.store.scope import StreamScope

CALIBRATION, EACH = 50, 60
LIVE = [0.0] * 8 + [0.5] * 10 + [0.0] * 14 + [0.5] * 80
"""Of the records that LFs knew, the share that they do not know any more, for each live hour."""


def topic() -> list[list[bytes]]:
    """Return hours of records: a shift that comes, goes, and comes back to stay."""
    draw = random.Random(11)
    inputs = []
    for hour, silent in enumerate([0.0] * CALIBRATION + LIVE):
        for n in range(EACH):
            number = 0 if draw.random() < silent else draw.randrange(10_000)
            ms = START + hour * HOUR + n * 1000
            inputs.append(oracle.message(hour * EACH + n, number, ms=ms))
    return [inputs]


@pytest.fixture
def group(tmp_path: Path, database: Database) -> Group:
    baseline = {"from": to_iso(START), "until": to_iso(START + CALIBRATION * HOUR)}
    changes: dict[str, Any] = {"baseline": baseline, "limits": {"commit_records": 600}}
    made = Group(tmp_path, database, topic(), **changes, alerts={"receivers": ["log"]})
    made.member().to_end()
    write(database, commit.close_windows, made.stream)
    evaluator = Evaluator(StreamScope(made.config, made.stream, database, lambda: NOW))
    while evaluator.evaluate_next():
        pass
    return made


def histories(group: Group) -> list[tuple[Alert, list[Transition]]]:
    with group.database.read() as connection:
        found = alerts.page(connection, stream=group.stream.name, limit=1_000)
        known = [alerts.get(connection, alert.id) for alert in found]
    return [one for one in known if one is not None]


def test_one_shift_is_one_alert_per_series_and_side_and_is_told_once(group: Group) -> None:
    found = histories(group)
    opened = Counter((alert.key, alert.shift > 0) for alert, _ in found)
    assert set(opened.values()) == {1}
    reopened = [alert for alert, _ in found if alert.reopened]
    assert reopened, "it came back"
    settled = [alert for alert, _ in found if alert.state is AlertState.SETTLED]
    assert settled, "and stayed"
    told_of = {alert.incident for alert, history in found if any(not t.silent for t in history)}
    for alert, history in found:
        assert [t.reason for t in history].count(TransitionReason.CONFIRMED) == 1
        assert alert.incident in told_of
        assert sum(t.reason is TransitionReason.REOPENED for t in history) == alert.reopened
    told = _messages(group)
    assert any("tidegauge baseline accept" in message for message in told)


def test_a_resolve_is_found_again_after_a_reopening(group: Group) -> None:
    """A process that starts now lets the scan of the series begin where this one did."""
    with group.database.read() as connection:
        found = dict(alerts.resolved_since(connection, group.stream.id, START))
    reopened = [alert for alert, _ in histories(group) if alert.reopened]
    for alert in reopened:
        assert found[alert.key] == alert.restarted_window_ms is not None


def test_the_store_remembers_what_resolved_since(group: Group) -> None:
    until = START + (CALIBRATION + len(LIVE)) * HOUR
    with group.database.read() as connection:
        is_open = alerts.open_alerts(connection, group.stream.id)
        everything = alerts.known(connection, group.stream.id, START)
        nothing_more = alerts.known(connection, group.stream.id, until)
    assert {a.id for a in nothing_more} == {a.id for a in is_open}
    assert {a.id for a in everything} == {alert.id for alert, _ in histories(group)}


def _messages(group: Group) -> list[str]:
    with group.database.read() as connection:
        return list(connection.execute(sa.select(schema.notification.c.message)).scalars())
