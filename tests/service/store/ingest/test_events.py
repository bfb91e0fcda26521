"""Events of a `log`: appended once, at offsets without gaps that become visible in their order."""

from __future__ import annotations

import random
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.service import transactions
from tests.service.ingest.test_exactness import in_threads
from tests.service.streams_for_tests import write_stream
from tests.service.transactions import write
from tidegauge_probes import load
from tidegauge_service.config.sources import LogSource
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.errors import SourceError
from tidegauge_service.store import registration, schema, streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import events
from tidegauge_service.store.ingest.events import (
    Appended,
    Backlog,
    BacklogFull,
    Event,
    KeyReused,
    Request,
)
from tidegauge_service.store.streams import StreamRow

BYTES = 2**30


class Log:
    """A stream's events, to append to and read from."""

    def __init__(self, folder: Path, database: Database, **source: Any) -> None:
        path = write_stream(folder, source={"kind": "log", "partitions": 2, **source})
        config = load_stream(path)
        assert isinstance(config.source, LogSource)
        self.database, self.source = database, config.source
        self.stream: StreamRow = write(
            database, registration.register, config, load(config.probes, folder), 0
        )
        self.partitions = write(
            database, events.make_partitions, self.stream, self.source.partitions
        )
        write(
            database, streams.seed_partitions, self.stream.id, dict.fromkeys(self.partitions, 0), 0
        )

    def append(
        self, *values: Event | str, request: tuple[str, str] | None = None, now_ms: int = 5
    ) -> tuple[Appended, bool]:
        found = [Event(v.encode(), v) if isinstance(v, str) else v for v in values]
        known = Request(*request) if request else None
        return write(
            self.database,
            events.append,
            self.stream,
            self.source,
            found,
            now_ms=now_ms,
            request=known,
        )

    def payloads(self) -> Counter[bytes]:
        return Counter(
            event.payload
            for p in self.partitions
            for event in transactions.read(
                self.database, events.read, self.stream, p, 0, most=100_000, most_bytes=BYTES
            )
        )

    def backlog(self) -> Backlog:
        with self.database.read() as connection:
            return events.backlog(connection, self.stream)

    def count(self, partition: int, to_offset: int) -> None:
        """Say that events are counted."""
        t = schema.stream_partition
        with self.database.write() as connection:
            here = sa.and_(t.c.stream_id == self.stream.id, t.c.partition == partition)
            connection.execute(sa.update(t).where(here).values(next_offset=to_offset))


def test_events_are_appended_once_whatever_is_sent_again(
    database: Database, tmp_path: Path
) -> None:
    log = Log(tmp_path, database)
    assert log.append("a", "b", "a") == (Appended(2, 1), False)
    assert log.append("b", "c") == (Appended(1, 1), False)
    assert log.payloads() == Counter({b"a": 1, b"b": 1, b"c": 1})


def test_events_without_an_id_are_all_different(database: Database, tmp_path: Path) -> None:
    log = Log(tmp_path, database)
    same = Event(b"{}")
    assert log.append(same, same) == (Appended(2, 0), False)
    assert log.append(same) == (Appended(1, 0), False)
    assert log.payloads() == Counter({b"{}": 3})


def test_a_request_that_is_sent_again_is_answered_as_before(
    database: Database, tmp_path: Path
) -> None:
    log = Log(tmp_path, database)
    assert log.append("a", "b", "a", request=("key", "body")) == (Appended(2, 1), False)
    assert log.append("a", "b", "a", request=("key", "body")) == (Appended(2, 1), True)
    with pytest.raises(KeyReused, match="use a new key"):
        log.append("d", request=("key", "other"))
    assert log.append("d", request=("other key", "other")) == (Appended(1, 0), False)
    assert log.payloads().total() == 3


def test_a_request_that_failed_may_be_sent_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(tmp_path, database)

    def broken(*_args: object) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patched:
        patched.setattr(events, "_append_to", broken)
        with pytest.raises(ConnectionResetError):
            log.append("a", "b", request=("key", "body"))
    assert log.append("a", "b", request=("key", "body")) == (Appended(2, 0), False)


def test_offsets_have_no_gaps_and_a_reader_never_passes_one_by(
    database: Database, tmp_path: Path
) -> None:
    """Appenders at once; a reader that only goes forward gets every event."""
    log = Log(tmp_path, database, partitions=1)
    done = threading.Event()
    seen = list[bytes]()

    def append(writer: int) -> None:
        chance = random.Random(writer)
        for n in range(25):
            log.append(*(f"{writer}-{n}-{i}" for i in range(chance.randrange(1, 6))))

    def append_all() -> None:
        in_threads(*(lambda writer=writer: append(writer) for writer in range(4)))
        done.set()

    def read() -> None:
        while True:
            last = done.is_set()
            found = transactions.read(
                database, events.read, log.stream, 0, len(seen), most=7, most_bytes=BYTES
            )
            seen.extend(event.payload for event in found)
            if last and not found:
                return

    in_threads(append_all, read)
    assert Counter(seen) == log.payloads()
    assert set(log.payloads().values()) == {1}
    assert transactions.read(database, events.ends, log.stream, [0]) == {0: len(seen)}


def test_the_same_events_sent_at_once_in_any_order_are_appended_once(
    database: Database, tmp_path: Path
) -> None:
    """And nobody waits for one who waits for them: locks are taken in one order."""
    log = Log(tmp_path, database, partitions=4)
    answers = list[Appended]()

    def send(seed: int) -> None:
        ids = [f"{n}" for n in range(60)]
        random.Random(seed).shuffle(ids)
        for start in range(0, 60, 20):
            answers.append(log.append(*ids[start : start + 20])[0])

    in_threads(*(lambda seed=seed: send(seed) for seed in range(4)))
    assert log.payloads() == Counter({f"{n}".encode(): 1 for n in range(60)})
    assert sum(answer.appended for answer in answers) == 60
    assert sum(answer.duplicates for answer in answers) == 180


def test_the_same_request_sent_at_once_is_appended_once(database: Database, tmp_path: Path) -> None:
    log = Log(tmp_path, database)
    answers = list[tuple[Appended, bool]]()
    together = threading.Barrier(4)

    def send() -> None:
        together.wait()
        answers.append(log.append(Event(b"x"), Event(b"y"), request=("key", "body")))

    in_threads(send, send, send, send)
    assert {answer for answer, _ in answers} == {Appended(2, 0)}
    assert sorted(repeated for _, repeated in answers) == [False, True, True, True]
    assert log.payloads().total() == 2


def test_what_waits_to_be_counted_is_limited(database: Database, tmp_path: Path) -> None:
    log = Log(tmp_path, database, partitions=1, max_backlog=5)
    assert log.backlog() == Backlog(0, 0)
    log.append("aa", "bb", "ccc")
    assert log.backlog() == Backlog(3, 7)
    with pytest.raises(BacklogFull, match="3 events"):
        log.append("d", "e", "f", request=("key", "body"))
    assert log.append("aa", "bb")[0] == Appended(0, 2), "repeats need no room"
    log.count(0, 2)
    assert log.backlog() == Backlog(1, 3)
    assert log.append("d", "e", "f", request=("key", "body")) == (Appended(3, 0), False)


def test_the_bytes_that_wait_are_limited_too(database: Database, tmp_path: Path) -> None:
    log = Log(tmp_path, database, max_backlog_bytes=10)
    assert log.append("x" * 50)[0] == Appended(1, 0), "nothing waited: it must get through"
    with pytest.raises(BacklogFull, match="max_backlog_bytes"):
        log.append("y")


def test_ids_stay_in_their_partition_and_others_are_spread(
    database: Database, tmp_path: Path
) -> None:
    log = Log(tmp_path, database, partitions=4)
    log.append(*(Event(b"{}") for _ in range(40)))
    assert transactions.read(database, events.ends, log.stream, [0, 1, 2, 3]) == dict.fromkeys(
        range(4), 10
    )


def test_more_partitions_are_made_and_none_is_taken_away(
    database: Database, tmp_path: Path
) -> None:
    log = Log(tmp_path, database)
    log.append("a", "b", "c")
    assert write(database, events.make_partitions, log.stream, 3) == [0, 1, 2]
    assert write(database, events.make_partitions, log.stream, 1) == [0, 1, 2]
    assert log.payloads().total() == 3


def test_an_event_that_is_gone_is_never_passed_over(database: Database, tmp_path: Path) -> None:
    log = Log(tmp_path, database, partitions=1)
    log.append("a", "b", "c")
    with database.write() as connection:
        connection.execute(sa.delete(schema.event).where(schema.event.c.offset == 1))
    with pytest.raises(SourceError, match="event 1 of partition 0"):
        transactions.read(database, events.read, log.stream, 0, 0, most=10, most_bytes=BYTES)
