"""Copies from the source to the alert: counted once, told in words, or ignored."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from tests.service import oracle, transactions
from tests.service.deployments.test_windows import HOURS, Judged
from tests.service.group import Group
from tests.service.streams_for_tests import HOUR, START
from tidegauge_alerts.messages.phrases import copied
from tidegauge_probes.findings import SeriesKind
from tidegauge_probes.model import Record
from tidegauge_service.ingest.copies import keys_of
from tidegauge_service.store import schema
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import commit as store
from tidegauge_service.store.windows import texts
from tidegauge_service.store.windows.counts import with_distinct_texts


def record(fields: dict[str, Any]) -> Record:
    return Record("id", 0, fields)


@pytest.fixture
def group(tmp_path: Path, sqlite_database: Database) -> Group:
    return Group(tmp_path, sqlite_database, oracle.topic(3, 60))


def test_a_text_is_the_key_and_all_fields_where_there_is_none(group: Group) -> None:
    keys = keys_of(
        group.config,
        [
            record({"text": "Buy 1 now", "id": "a"}),
            record({"text": "buy 2 NOW", "id": "b"}),
            record({"price": 1, "id": "c"}),
            record({"id": "c", "price": 1}),
            record({"price": 2, "id": "c"}),
            record({"text": None, "price": 1}),
        ],
    )
    assert keys is not None
    assert keys[0] == keys[1]
    assert keys[2] == keys[3]
    assert len(np.unique(keys)) == 4


def test_partitions_are_merged_when_the_window_is_evaluated(group: Group) -> None:
    database, stream = group.database, group.stream
    member = group.member(range(3))
    member.to_end()
    with database.write() as connection:
        store.close_windows(connection, stream)
        found = with_distinct_texts(connection, stream, START, START + HOUR)[START]
        assert found.distinct is not None
        assert found.distinct.records == found.records == 18
        said = {json.loads(value)["text"] for inputs in group.topic for value in inputs[:6]}
        assert found.distinct.texts == found.distinct.counts.records == len(said)
        assert found.distinct.copies == 18 - len(said)
        texts.settle(connection, stream.id, START)
        again = with_distinct_texts(connection, stream, START, START + HOUR)[START]
        assert again.distinct is not None
        assert again.distinct.counts == found.distinct.counts
        assert again.distinct.frequent == found.distinct.frequent
        t = schema.pane
        query = sa.select(t.c.texts).where(t.c.window_start_ms == START)
        assert set(connection.execute(query).scalars()) == {None}


WORDS = [a + b for a in "bcdfghjklmnpqrstvwxz" for b in "aeiou"]


def text(n: int, *, free: bool) -> str:
    words = [WORDS[n // 100**i % 100] for i in range(3)]
    return " ".join([*words, "free" if free else "so"])


def traffic(hours: int, campaign: int) -> list[list[bytes]]:
    """Return hours of 60 texts of their own, a tenth of which are free; and 60 copies in one."""
    rows = [(h, text(60 * h + i, free=i % 10 == 0)) for h in range(hours) for i in range(60)]
    rows += [(campaign, "free pills for everybody")] * 60
    rows.sort(key=lambda row: row[0])
    return [
        [
            json.dumps(
                {
                    "id": f"r{n}",
                    "timestamp": datetime.fromtimestamp(
                        (START + hour * HOUR) / 1000 + n % 120, UTC
                    ).isoformat(),
                    "text": said,
                    "country": "DE",
                }
            ).encode()
            for n, (hour, said) in enumerate(rows)
        ]
    ]


@pytest.mark.parametrize("copies", ["count", "ignore"])
def test_a_campaign_is_told_as_copies_only(
    sqlite_database: Database, tmp_path: Path, copies: str
) -> None:
    group = Judged(tmp_path, sqlite_database, traffic(HOURS, campaign=60), copies=copies)
    group.judge_until(HOURS)
    opened = transactions.read(sqlite_database, alerts.page, limit=100)
    kinds = {alert.key.series for alert in opened}
    if copies == "ignore":
        assert SeriesKind.COVERAGE in kinds
        assert SeriesKind.COPIES not in kinds
        return
    assert kinds == {SeriesKind.COPIES}
    [alert] = opened
    said = copied(alert.key, alert.copies)
    assert said.startswith(": one text (")
    assert said.endswith("makes up 50 % of records (60)")
