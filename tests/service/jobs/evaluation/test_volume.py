"""The volume of a live stream: outages are found, beginnings and ends are none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa

from tests.service import oracle
from tests.service.group import Group
from tests.service.memory_source import Topic
from tests.service.streams_for_tests import HOUR, START
from tests.service.transactions import write
from tidegauge_alerts.messages.phrases import because, change
from tidegauge_alerts.model import Alert, AlertState
from tidegauge_probes.findings import CauseKind, SeriesKind, ValueShare
from tidegauge_service.clock import to_iso
from tidegauge_service.jobs.evaluator import Evaluator
from tidegauge_service.store import candidates, schema
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.candidates import Candidate, CandidateFilter
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import commit
from tidegauge_service.store.windows.evaluation import MAX_EMPTY_WINDOWS, TOLD_BY

CALIBRATION, EACH = 60, 60


def records(hours: Mapping[int, int], country: str = "DE") -> list[bytes]:
    """Return so many records for each hour."""
    return [
        oracle.message(
            hour * EACH + n, hour + 5 * n, ms=START + hour * HOUR + n * 1_000, country=country
        )
        for hour, size in hours.items()
        for n in range(size)
    ]


def stream(folder: Path, database: Database, topic: Topic) -> Group:
    until = to_iso(START + CALIBRATION * HOUR)
    baseline = {"from": to_iso(START), "until": until}
    group = Group(folder, database, topic, baseline=baseline, limits={"commit_records": 600})
    evaluate(group)
    return group


def evaluate(group: Group) -> None:
    """Read to the end, which closes all windows, and evaluate them."""
    group.member().to_end()
    write(group.database, commit.close_windows, group.stream)
    evaluator = Evaluator(group.scope())
    while evaluator.evaluate_next():
        pass


def opened(group: Group) -> list[Alert]:
    with group.database.read() as connection:
        return sorted(alerts.page(connection), key=lambda alert: alert.opened_window_ms)


def hour_of(alert: Alert) -> int:
    return (alert.opened_window_ms - START) // HOUR


def volumes(group: Group) -> dict[int, int]:
    """Return hour → records, of the windows whose volume was compared or described."""
    w, s = schema.window_stat, schema.series
    query = (
        sa.select(w.c.window_start_ms, w.c.x)
        .join(s, s.c.id == w.c.series_id)
        .where(s.c.series == str(SeriesKind.VOLUME))
    )
    with group.database.read() as connection:
        return {(start - START) // HOUR: x for start, x in connection.execute(query)}


def steady(*hours: range) -> dict[int, int]:
    return {hour: EACH for some in hours for hour in some}


def test_an_outage_opens_one_alert_in_its_first_window(database: Database, tmp_path: Path) -> None:
    group = stream(tmp_path, database, [records(steady(range(70), range(80, 90)))])
    [alert] = opened(group)
    assert (alert.key.series, hour_of(alert)) == (SeriesKind.VOLUME, 70)
    assert alert.severity == "critical"
    assert alert.cause is None
    assert change(alert.key, alert).startswith("Volume 60 → 0 records a window")
    assert alert.resolved_window_ms is not None
    assert 80 <= (alert.resolved_window_ms - START) // HOUR < 88
    assert not proposed(group), "no record says more of an outage"
    empty = sa.select(sa.func.count()).select_from(schema.window_stat)
    silent = schema.window_stat.c.window_start_ms.between(START + 70 * HOUR, START + 79 * HOUR)
    with database.read() as connection:
        assert connection.execute(empty.where(silent)).scalar() == 10, "no rows but the volume's"


def proposed(group: Group, reason: str | None = None) -> list[Candidate]:
    wanted = CandidateFilter(stream=group.config.name, reason=reason)
    with group.database.read() as connection:
        return list(candidates.every(connection, wanted))


def test_neither_the_beginning_nor_the_end_of_a_stream_is_an_outage(
    database: Database, tmp_path: Path
) -> None:
    """Its first hour and its last have two records each, as a file has that is cut from a log."""
    group = stream(tmp_path, database, [records({0: 2, **steady(range(1, 70)), 70: 2})])
    assert opened(group) == []
    assert set(volumes(group)) == set(range(1, 70))

    group.topic = [[*group.topic[0], *records(steady(range(71, 76)))]]
    evaluate(group)
    assert opened(group) == [], "and the window that was cut is part of no sum"
    assert set(volumes(group)) == set(range(1, 75)) - {70}


def test_a_stream_at_rest_evaluates_nothing(database: Database, tmp_path: Path) -> None:
    group = stream(tmp_path, database, [records(steady(range(70)))])
    before = volumes(group)
    for _ in range(3):
        evaluate(group)
    assert volumes(group) == before
    assert opened(group) == []


def test_a_long_silence_is_told_of_by_its_beginning(
    sqlite_database: Database, tmp_path: Path
) -> None:
    later = 70 + 3 * MAX_EMPTY_WINDOWS
    topic = [records(steady(range(70), range(later, later + 10)))]
    group = stream(tmp_path, sqlite_database, topic)
    [alert] = opened(group)
    assert (alert.key.series, hour_of(alert)) == (SeriesKind.VOLUME, 70)
    assert alert.resolved_window_ms is not None
    silent = {hour for hour, size in volumes(group).items() if not size}
    assert silent == set(range(70, 70 + TOLD_BY))


def test_a_value_that_was_never_seen_is_named_and_its_records_are_proposed(
    database: Database, tmp_path: Path
) -> None:
    new = [records(dict.fromkeys(range(66, 70), EACH // 2), "AA")]
    known = [records(steady(range(66))), records(dict.fromkeys(range(66, 70), EACH // 2))]
    topic = [[*known[0], *sorted([*known[1], *new[0]], key=lambda r: json.loads(r)["timestamp"])]]
    group = stream(tmp_path, database, topic)
    [alert] = [a for a in opened(group) if a.key.segment == "country=_other"]
    assert (alert.key.series, hour_of(alert)) == (SeriesKind.SEGMENT_SHARE, 66)
    cause = alert.cause
    assert cause is not None
    assert (cause.kind, cause.segment) == (CauseKind.VALUES, "country=AA")
    assert cause.values == (ValueShare("country=AA", 0.0, 0.5),)
    said = change(alert.key, alert)
    assert said.startswith("Other values of country <0.01 % → 50 % of records")
    assert because(cause) == ", of which country=AA 0 → 50 % of records (new)"
    found = proposed(group, "segment")
    assert found
    assert {candidate.payload["country"] for candidate in found} == {"AA"}


def test_what_was_found_of_a_shift_is_known_after_its_end(
    sqlite_database: Database, tmp_path: Path
) -> None:
    topic = [records(steady(range(66))), records({66: EACH}, "AA"), records(steady(range(67, 90)))]
    group = stream(tmp_path, sqlite_database, [[record for part in topic for record in part]])
    [alert] = [a for a in opened(group) if a.key.segment == "country=_other"]
    assert alert.state is AlertState.RESOLVED
    assert alert.cause is not None
    assert alert.cause.segment == "country=AA"
