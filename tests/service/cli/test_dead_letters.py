"""`dead-letters drop` takes a few rows at a time, so that workers never wait for long."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.service import oracle
from tests.service.group import Group
from tests.service.transactions import read
from tidegauge_service.cli import dead_letters as command
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import dead_letters
from tidegauge_service.store.ingest.dead_letters import DeadLetterFilter


@pytest.mark.parametrize(("at_once", "transactions"), [(4, 4), (6, 3), (1_000, 1)])
def test_dead_letters_are_dropped_in_several_transactions(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
    transactions: int,
) -> None:
    group = Group(tmp_path, database, oracle.topic(1, 60, dead_every=5))
    group.member().to_end()
    monkeypatch.setattr(dead_letters, "DROPPED_AT_ONCE", at_once)
    begun = list[int]()

    def count(_connection: sa.Connection) -> None:
        begun.append(1)

    sa.event.listen(database.engine, "begin", count)
    dropped = list(command._drops(database, group.stream, DeadLetterFilter()))
    sa.event.remove(database.engine, "begin", count)
    assert sum(dropped) == 12
    assert max(dropped) <= at_once
    assert len(begun) == len(dropped) == transactions
    assert read(database, dead_letters.page, group.stream, DeadLetterFilter(), limit=10) == []
    assert sum(t.received for t in read(database, dead_letters.tallies, group.stream)) == 12
