"""`dead-letters`: `drop` takes a few rows at a time, `replay` says what it has not counted."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from tests.service import oracle
from tests.service.group import Group
from tests.service.store.ingest.test_event_keys import LATER, Log
from tests.service.streams_for_tests import record, write_jsonl, write_stream
from tests.service.transactions import read
from tidegauge_service.cli import dead_letters as command
from tidegauge_service.cli.main import app
from tidegauge_service.store import streams
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


def test_a_list_has_reason_and_detail_in_80_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDEGAUGE_DATABASE", f"sqlite:///{tmp_path}/t.db")
    rows = [record(n, "free") for n in range(60)]
    write_jsonl(tmp_path / "records.jsonl", [*rows, {**record(60, "free"), "timestamp": "2999"}])
    write_stream(tmp_path)
    CliRunner().invoke(app, ["run", "stream.yaml", "--drain"], catch_exceptions=False)
    said = CliRunner().invoke(app, ["dead-letters", "list", "test"]).stdout
    assert max(map(len, said.splitlines())) <= 80
    database = Database(f"sqlite:///{tmp_path}/t.db")
    stream = read(database, streams.find, "test")
    assert stream is not None
    [kept] = read(database, dead_letters.page, stream, DeadLetterFilter(), limit=10)
    database.close()
    found = kept.letter
    words = "".join(said.replace("│", " ").split())
    assert "".join(f"{found.reason}: {found.detail}".split()) in words
    assert f"{found.size}bytes:" in words


def test_a_replay_says_what_was_sent_again(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test's clock stands before LATER, the command's after it."""
    monkeypatch.setenv("TIDEGAUGE_DATABASE", sqlite_database.url.render_as_string())
    log = Log(tmp_path, sqlite_database)
    log.post("a", "b", timestamp=LATER)
    log.read()
    log.post("a")
    done = CliRunner().invoke(app, ["dead-letters", "replay", str(tmp_path / "stream.yaml")])
    assert done.exit_code == 0, done.exception
    assert "1 counted, 0 of them late" in done.stdout
    assert "1 not counted: an event with the same id was sent after it" in done.stdout
