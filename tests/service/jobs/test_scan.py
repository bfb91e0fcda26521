"""What the scan remembers is what the database proves, whoever evaluates."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.service import oracle
from tests.service.group import NOW, Group
from tests.service.streams_for_tests import HOUR, START
from tests.service.transactions import read, write
from tidegauge_service.clock import to_iso
from tidegauge_service.jobs.evaluator import Evaluator
from tidegauge_service.store import schema
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import commit
from tidegauge_service.store.scope import StreamScope
from tidegauge_service.store.windows import precision

CALIBRATION, LIVE, EACH = 50, 90, 60


def topic() -> list[list[bytes]]:
    """Return hours of records; a third of the way through the live ones LFs fall silent."""
    draw = random.Random(5)
    inputs = []
    for hour in range(CALIBRATION + LIVE):
        silent = CALIBRATION + 30 <= hour < CALIBRATION + 45
        for n in range(EACH):
            ms = START + hour * HOUR + n * 1000
            number = draw.randrange(10_000) if not silent else 0
            inputs.append(oracle.message(hour * EACH + n, number, ms=ms))
    return [inputs]


def stream(folder: Path, database: Database) -> Group:
    until = to_iso(START + CALIBRATION * HOUR)
    baseline = {"from": to_iso(START), "until": until}
    group = Group(folder, database, topic(), baseline=baseline, limits={"commit_records": 600})
    group.member().to_end()
    write(database, commit.close_windows, group.stream)
    return group


def evaluator(group: Group) -> Evaluator:
    return Evaluator(StreamScope(group.config, group.stream, group.database, lambda: NOW))


def found(group: Group) -> tuple[list[Any], list[Any], list[Any]]:
    s, t, h = schema.window_stat, schema.series, schema.alert_transition
    columns = [column for column in s.c if column.name not in {"stream_id", "series_id"}]
    figures = (
        sa.select(t.c.series, t.c.segment, t.c.probe, t.c.other, t.c.label, *columns)
        .join(t, t.c.id == s.c.series_id)
        .order_by(s.c.window_start_ms, t.c.series, t.c.segment, t.c.probe, t.c.other, t.c.label)
    )
    with group.database.read() as connection:
        rows = [tuple(row) for row in connection.execute(figures)]
        told = list(connection.execute(sa.select(h.c.content).order_by(h.c.id)).scalars())
    return rows, told, read(group.database, precision.page, group.stream, limit=1_000)


def test_one_process_and_a_new_one_for_every_window_find_the_same(
    database: Database, sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegauge_probes.label_model.precision.MIN_RECORDS", 10 * EACH)
    for name in "ab":
        (tmp_path / name).mkdir()
    one = stream(tmp_path / "a", database)
    keeps = evaluator(one)
    while keeps.evaluate_next():
        pass
    rows, told, judged = found(one)
    assert max(row[-3] for row in rows) > 16, "sums of many windows were telling"
    assert any("recovered" in content for content in told), "an alert has resolved"
    assert [w.windows for w in judged] == [0] * 9 + [10] * (LIVE - 9), "small windows are added up"

    shutil.copy(sqlite_template, tmp_path / "b" / "second.db")
    second = Database(f"sqlite:///{tmp_path}/b/second.db")
    try:
        many = stream(tmp_path / "b", second)
        while evaluator(many).evaluate_next():
            pass
        assert found(many) == (rows, told, judged)
    finally:
        second.close()
