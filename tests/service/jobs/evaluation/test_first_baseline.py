"""Learning ends: training data are followed by live windows, and what differs is told once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.service import oracle, transactions
from tests.service.deployments.test_windows import EACH, Judged
from tests.service.redeployed import SOMEBODY
from tests.service.streams_for_tests import HOUR, START
from tidegauge_probes import engine
from tidegauge_probes.counts import panes
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.errors import BaselineError
from tidegauge_service.deployments import changes
from tidegauge_service.errors import ChangeRefused
from tidegauge_service.jobs.evaluation import first_baseline
from tidegauge_service.store import baselines as stored
from tidegauge_service.store import deployments, schema
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.deployments import Deployment, Reference
from tidegauge_service.store.engine import Database
from tidegauge_service.store.streams import Role
from tidegauge_service.store.windows import skew

SOON = 48
"""Hours after which hourly windows are enough."""


def spread(n: int) -> int:
    return n * 31 + n // 7


def hours(n: int, free_between: tuple[int, int] = (0, 0)) -> list[list[bytes]]:
    """Return hours of records; between two of them every text is free."""
    free = list(oracle.TEXTS).index("free")
    return [
        [
            oracle.message(
                hour * EACH + i,
                free if free_between[0] <= hour < free_between[1] else spread(hour * EACH + i),
                ms=START + hour * HOUR + i * 1000,
            )
            for hour in range(n)
            for i in range(EACH)
        ]
    ]


def trained(group: Judged, texts: list[int]) -> str:
    """Let the stream be compared with training data, from its first window on."""
    rows = [json.loads(oracle.message(i, text)) for i, text in enumerate(texts)]
    matrix = engine.run(group.probe_set, rows)
    found = baselines.fit(
        {-1: panes.fold(matrix, group.probe_set.cardinality, {})},
        layout=group.probe_set.layout,
        probe_set=group.probe_set.id,
        window_ms=HOUR,
        source={"votes": "L.npy"},
    )
    t = schema.deployment
    with group.database.write() as connection:
        stored.save(connection, found, "training", 0)
        connection.execute(
            sa.update(t).values(baseline=found.id, range_from_ms=None, range_until_ms=None)
        )
    return found.id


def read(group: Judged, n: int) -> None:
    group.judge_until(n)


def live(group: Judged) -> Deployment:
    found = deployments.current(group.known(), Role.LIVE)
    assert found is not None
    return found


def heard(group: Judged) -> list[dict[str, Any]]:
    """Return the messages of skew, as receivers get them."""
    t = schema.notification
    with group.database.read() as connection:
        rows = connection.execute(sa.select(t.c.message).order_by(t.c.id)).scalars()
        found = [json.loads(text) for text in rows]
    return [message for message in found if message["event"] == "training_skew"]


def told(group: Judged) -> Judged:
    """Give the stream a receiver."""
    rules = group.config.alerts.model_copy(update={"receivers": ("log",)})
    group.config = group.config.model_copy(update={"alerts": rules})
    return group


def test_training_data_like_the_traffic_are_followed_in_silence(
    database: Database, tmp_path: Path
) -> None:
    group = told(Judged(tmp_path, database, hours(60)))
    training = trained(group, [spread(n) for n in range(3_000)])
    read(group, 60)
    rows = group.windows()
    assert [row.state for row in rows[: SOON - 1]] == ["learning"] * (SOON - 1)
    assert {row.state for row in rows[SOON + 1 :]} == {"compared"}
    with database.read() as connection:
        found = stored.load(connection, str(live(group).baseline))
    assert found.source["training"] == training
    assert found.total.records == EACH * len(found.starts) >= EACH * SOON
    now = replace(group.stream, baseline=found.id)
    tested = transactions.read(database, skew.of_stream, now)
    assert tested is not None
    assert (tested.training, tested.found) == (training, ())
    assert heard(group) == []


def test_in_what_training_data_differ_is_told_once(database: Database, tmp_path: Path) -> None:
    """They were all thanks: no LF but one votes as it does live. An alert opens at once."""
    group = told(Judged(tmp_path, database, hours(70)))
    thanks = list(oracle.TEXTS).index("thanks for all the fish")
    trained(group, [spread(n) if n % 10 == 0 else thanks for n in range(3_000)])
    read(group, 40)
    assert {a.opened_window_ms for a in transactions.read(database, alerts.page, limit=100)} == {
        START
    }
    read(group, 70)
    states = [a.state for a in transactions.read(database, alerts.page, limit=100)]
    assert set(map(str, states)) == {"resolved"}, "it is the normal here, and was told"
    fires, resolves = heard(group)
    assert (fires["status"], resolves["status"]) == ("firing", "resolved")
    names = {one["probe"] for one in fires["skew"] if one["series"] == "coverage"}
    assert names == {"mentions_free", "thanks", "short"}
    [one] = [s for s in fires["skew"] if s["series"] == "coverage" and s["probe"] == "thanks"]
    assert one["trained"] > 0.9 > one["live"]
    assert fires["headline"].startswith("The training data never matched the live traffic: ")
    now = replace(group.stream, baseline=live(group).baseline)
    found = transactions.read(database, skew.of_stream, now)
    assert found is not None
    assert len(found.found) == len(fires["skew"])
    assert fires["lineage"]["training"] == found.training


def test_what_shifts_while_learning_is_not_mixed_with_what_was_before(
    database: Database, tmp_path: Path
) -> None:
    """The baseline is of the windows since the alert, once they are enough."""
    group = Judged(tmp_path, database, hours(100, free_between=(30, 100)))
    trained(group, [spread(n) for n in range(3_000)])
    read(group, 76)
    assert live(group).baseline == group.windows()[-1].baseline
    assert group.windows()[-1].state == "learning"
    read(group, 100)
    with database.read() as connection:
        found = stored.load(connection, str(live(group).baseline))
    last_opened = max(
        a.opened_window_ms for a in transactions.read(database, alerts.page, limit=100)
    )
    assert found.starts[0] == last_opened >= START + 30 * HOUR


def test_a_short_baseline_of_the_stream_grows_but_not_by_an_incident(
    database: Database, tmp_path: Path
) -> None:
    """It is of 30 windows; 36 … 50 are an incident, which has to end first."""
    group = Judged(tmp_path, database, hours(90, free_between=(36, 50)))
    read(group, 50)
    first = live(group).baseline
    assert group.windows()[-1].state == "learning"
    read(group, 90)
    grown = live(group).baseline
    assert grown != first
    change = next(row for row in group.windows() if row.baseline == grown)
    resolved = [a.resolved_window_ms for a in transactions.read(database, alerts.page, limit=100)]
    assert all(ms is not None and ms < change.window_start_ms for ms in resolved)
    with database.read() as connection:
        calibration = stored.load(connection, str(grown)).calibration
    assert calibration.p[0] < 0.5, "the incident is trimmed: most windows were as ever"


def assumptions(group: Judged) -> list[dict[str, Any]]:
    t = schema.notification
    with group.database.read() as connection:
        rows = connection.execute(sa.select(t.c.message).order_by(t.c.id)).scalars()
        found = [json.loads(text) for text in rows]
    return [message for message in found if message["event"] == "assumed_normal"]


@pytest.mark.parametrize("trains", [False, True])
def test_an_alert_that_stays_open_does_not_put_off_the_end_of_learning_for_ever(
    sqlite_database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trains: object,
) -> None:
    """The stream's own short baseline, then one of training data whose alerts come one by one."""
    monkeypatch.setattr(first_baseline, "MOST_LEARNING", 70)
    group = told(Judged(tmp_path, sqlite_database, hours(130, free_between=(36, 130))))
    if trains:
        trained(group, [spread(n) for n in range(3_000)])
        # As if there were always another one that has just opened.
        monkeypatch.setattr(first_baseline, "_since", lambda *given: given[3])
    read(group, 80)
    first = group.windows()[-1]
    assert first.state == "learning"
    assert assumptions(group) == []
    read(group, 130)
    rows = group.windows()
    assert rows[-1].state == "compared"
    change = next(row for row in rows if row.state == "compared")
    began = next(row for row in rows if row.baseline == first.baseline)
    assert change.window_start_ms - began.window_start_ms >= 70 * HOUR
    with sqlite_database.read() as connection:
        found = stored.load(connection, rows[-1].baseline)
    assert found.starts[0] == START + 36 * HOUR, "since the oldest open alert opened"
    said = assumptions(group)
    assert [message["status"] for message in said] == ["firing", "resolved"]
    assert "windows of learning, the traffic since " in said[0]["headline"]
    assert str(found.source["assumed"]) in said[0]["headline"]


def test_the_new_normal_is_accepted_with_a_name_to_it(database: Database, tmp_path: Path) -> None:
    group = Judged(tmp_path, database, hours(90, free_between=(36, 90)))
    with pytest.raises(ChangeRefused, match="no alert is open"):
        changes.accept(database, group.stream, SOMEBODY)
    read(group, 50)
    before = live(group)
    made = changes.accept(database, group.stream, SOMEBODY)
    assert (made.made_as, made.created_by) == ("accept", SOMEBODY.name)
    assert (made.probe_set, made.from_ms) == (before.probe_set, START + 50 * HOUR)
    with database.read() as connection:
        found = stored.load(connection, str(made.baseline))
    assert found.starts[0] == START + 36 * HOUR, "since the alert opened"
    read(group, 90)
    rows = group.windows()
    assert rows[49].baseline == before.baseline
    assert rows[50].baseline == made.baseline
    found_alerts = transactions.read(database, alerts.page, limit=100)
    assert min(a.opened_window_ms for a in found_alerts) == START + 36 * HOUR
    assert max(a.opened_window_ms for a in found_alerts) < START + 50 * HOUR, "none since"
    assert {a.resolved_window_ms for a in found_alerts} == {START + 50 * HOUR}
    back = changes.roll_back(database, group.stream, SOMEBODY)
    assert back.baseline == before.baseline


@pytest.mark.parametrize(
    ("since", "until", "why"),
    [
        (START + 1, None, "is not the start of a window"),
        (START, START + 500 * HOUR, "evaluated through"),
        (START + 60 * HOUR, None, "evaluated through|the baseline is empty: no records of"),
    ],
)
def test_what_cannot_be_accepted_is_refused(
    database: Database, tmp_path: Path, since: int, until: int | None, why: str
) -> None:
    group = Judged(tmp_path, database, hours(40))
    read(group, 40)
    known = group.known()
    with pytest.raises((ChangeRefused, BaselineError), match=why):
        changes.accept(database, group.stream, SOMEBODY, since_ms=since, until_ms=until)
    assert group.known() == known


def test_a_deployment_with_the_same_baseline_is_no_change(
    database: Database, tmp_path: Path
) -> None:
    group = Judged(tmp_path, database, hours(40))
    read(group, 40)
    named = Reference(live(group).baseline)
    with pytest.raises(ChangeRefused, match="already live"):
        changes.deploy(database, group.stream, replace(group.wanted(0), compared=named), SOMEBODY)
