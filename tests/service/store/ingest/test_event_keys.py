"""An id belongs to an event until that becomes a dead letter: a corrected event counts, once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.service.ingest.sources.test_log import Team
from tests.service.streams_for_tests import HOUR, START
from tests.service.transactions import read, write
from tidegauge_service.ingest.replay import Outcome, Replay
from tidegauge_service.store import streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import dead_letters, event_keys, events
from tidegauge_service.store.ingest.dead_letter import DeadLetter
from tidegauge_service.store.ingest.dead_letters import DeadLetterFilter
from tidegauge_service.store.ingest.events import Appended, Event
from tidegauge_service.store.scope import StreamScope

IDS = ("a", "b", "c")


class Log(Team):
    """A stream whose events have ids; the worker reads whatever was posted."""

    def __init__(self, folder: Path, database: Database) -> None:
        super().__init__(folder, database)
        self._worker = self.worker()

    def post(self, *ids: str, timestamp: object = START) -> Appended:
        found = [
            Event(json.dumps({"id": i, "timestamp": timestamp, "text": "free"}).encode(), i)
            for i in ids
        ]
        self.passes(1)
        answer, _ = write(
            self.database, events.append, self.stream, self.source, found, now_ms=self.now
        )
        return answer

    def read(self) -> None:
        while read(self.database, events.backlog, self.stream).events:
            self._worker.step()

    def records(self) -> int:
        with self.database.read() as connection:
            return sum(p.records for p in streams.partitions(connection, self.stream.id))

    def letters(self) -> list[DeadLetter]:
        with self.database.read() as connection:
            return dead_letters.by_position(
                connection, self.stream, DeadLetterFilter(), limit=1_000
            )

    def replay(self, **limits: Any) -> Outcome:
        """Replay as if the future ended later: then all timestamps are read."""
        changed = self.config.limits.model_copy(update={"max_skew": 10**15, **limits})
        config = self.config.model_copy(update={"limits": changed})
        scope = StreamScope(config, self.stream, self.database, lambda: self.now)
        return Replay(scope, self.probe_set, owner="test").run()


@pytest.fixture
def log(database: Database, tmp_path: Path) -> Log:
    return Log(tmp_path, database)


LATER = START + 20_000 * HOUR
"""Too far in the future, until ``Log.replay``."""


def test_a_corrected_event_is_counted_after_its_first_attempt_became_a_dead_letter(
    log: Log,
) -> None:
    assert log.post(*IDS, timestamp=LATER) == Appended(3, 0)
    log.read()
    assert (log.records(), len(log.letters())) == (0, 3)
    assert log.post(*IDS) == Appended(3, 0)
    log.read()
    assert log.records() == 3
    assert log.post(*IDS) == Appended(0, 3), "now they are records"


def test_what_waits_or_was_counted_keeps_its_id(log: Log) -> None:
    assert log.post("a", "b") == Appended(2, 0)
    assert log.post("a") == Appended(0, 1)
    log.post("x", timestamp=LATER)
    log.read()
    assert log.post("a", "b", "x") == Appended(1, 2)


def test_ids_are_free_though_the_dead_letters_were_dropped(log: Log) -> None:
    log.post(*IDS, timestamp=LATER)
    log.read()
    assert write(log.database, dead_letters.drop, log.stream, DeadLetterFilter()) == 3
    assert log.post(*IDS) == Appended(3, 0)


def test_a_dead_letter_whose_event_was_sent_again_is_not_replayed(log: Log) -> None:
    """The corrected events count, or their dead letters: never both."""
    log.post(*IDS, timestamp=LATER)
    log.read()
    log.post("a", "b")
    assert log.replay() == Outcome(counted=1, sent_again=2), "b and a wait to be counted"
    log.read()
    assert log.replay() == Outcome(sent_again=2)
    assert log.records() == 3
    assert len(log.letters()) == 2


def test_a_replayed_dead_letter_has_its_id_again(log: Log) -> None:
    log.post(*IDS, timestamp=LATER)
    log.read()
    assert log.replay() == Outcome(counted=3)
    assert log.post(*IDS) == Appended(0, 3)


def test_of_two_dead_letters_with_one_id_one_is_replayed(log: Log) -> None:
    for _ in range(2):
        assert log.post(*IDS, timestamp=LATER) == Appended(3, 0)
        log.read()
    assert log.replay() == Outcome(counted=3, sent_again=3)
    assert log.records() == 3


def test_a_replay_is_fenced_when_an_event_takes_the_id_meanwhile(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.post(*IDS, timestamp=LATER)
    log.read()
    look, sent = event_keys.taken, list[Appended]()

    def overtaken(*arguments: Any) -> frozenset[str]:
        found = look(*arguments)
        if not sent:
            sent.append(log.post("b"))
        return found

    with monkeypatch.context() as patched:
        patched.setattr("tidegauge_service.ingest.replay.event_keys.taken", overtaken)
        assert log.replay() == Outcome(counted=2, sent_again=1)
    log.read()
    assert log.records() == 3


def test_events_without_an_id_have_none_to_give_up(log: Log) -> None:
    bad = json.dumps({"id": "a", "timestamp": LATER, "text": "free"}).encode()
    log.append([bad, bad])
    log.read()
    assert [letter.key for letter in log.letters()] == [None, None]
    assert log.replay() == Outcome(counted=2)


def test_an_id_that_was_forgotten_stays_with_the_event_that_has_it_now(log: Log) -> None:
    """Retention forgot the id of an event that nobody had read; another event has it now."""
    log.post("a", timestamp=LATER)
    with log.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM event_key")
    assert log.post("a") == Appended(1, 0)
    log.read()
    assert log.post("a") == Appended(0, 1)
