"""The `log` source: readers divide its partitions, and count what the oracle counts."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.service import oracle
from tests.service.ingest.test_exactness import in_threads
from tests.service.streams_for_tests import HOUR, START, write_stream
from tests.service.transactions import read, write
from tidegauge_probes import load
from tidegauge_service.config.sources import LogSource
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.errors import SourceError
from tidegauge_service.ingest.sources.log import EventLog
from tidegauge_service.ingest.sources.source import Polled
from tidegauge_service.ingest.worker import Worker
from tidegauge_service.metrics import meters
from tidegauge_service.store import registration, streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import events
from tidegauge_service.store.ingest.events import Event
from tidegauge_service.store.scope import StreamScope
from tidegauge_service.store.windows import queries

LEASE = 9_000


class Team:
    """Readers of one stream, on a clock that the test turns."""

    def __init__(self, folder: Path, database: Database, partitions: int = 4, **more: Any) -> None:
        source = {"kind": "log", "partitions": partitions, "lease": "9s"}
        limits = {"commit_records": 9}
        path = write_stream(folder, source=source, limits=limits, segment_by=["country"], **more)
        self.config = load_stream(path)
        assert isinstance(self.config.source, LogSource)
        self.source = self.config.source
        self.database = database
        self.now = START + 10_000 * HOUR
        self.probe_set = load(self.config.probes, folder)
        self.stream = write(database, registration.register, self.config, self.probe_set, self.now)
        write(
            database, streams.seed_partitions, self.stream.id, self.reader().beginnings(), self.now
        )

    def reader(self) -> EventLog:
        return EventLog(self.source, "test", self.database, clock=lambda: self.now)

    def worker(self, reader: EventLog | None = None) -> Worker:
        scope = StreamScope(self.config, self.stream, self.database, lambda: self.now)
        return Worker(scope, self.probe_set, reader or self.reader())

    def append(self, values: list[bytes]) -> None:
        found = [Event(value) for value in values]
        write(self.database, events.append, self.stream, self.source, found, now_ms=self.now)

    def passes(self, ms: int) -> None:
        self.now += ms

    def counted(self) -> oracle.Tally:
        total: oracle.Tally = Counter()
        for tally in oracle.tallies(self.database, self.stream).values():
            total += tally
        return total


class Dozing(EventLog):
    """A reader that sleeps once, after it has read something."""

    def __init__(self, team: Team, doze: Callable[[], None]) -> None:
        super().__init__(team.source, "test", team.database, clock=lambda: team.now)
        self._doze: Callable[[], None] | None = doze

    def poll(self, max_records: int, timeout_s: float) -> Polled:
        polled = super().poll(max_records, timeout_s)
        if polled.inputs and self._doze is not None:
            doze, self._doze = self._doze, None
            doze()
        return polled


class Holding:
    """What a reader has been told to hold."""

    def __init__(self, reader: EventLog) -> None:
        self.reader = reader
        self.held = set[int]()

    def poll(self) -> set[int]:
        polled = self.reader.poll(10, 0)
        self.held = (self.held - polled.lost) | polled.gained
        for partition in polled.gained:
            self.reader.seek(partition, 0)
        return self.held


def test_one_reader_holds_everything(database: Database, tmp_path: Path) -> None:
    team = Team(tmp_path, database)
    assert Holding(team.reader()).poll() == {0, 1, 2, 3}


def test_a_second_reader_gets_its_share_once_the_first_lets_go(
    database: Database, tmp_path: Path
) -> None:
    team = Team(tmp_path, database)
    first, second = Holding(team.reader()), Holding(team.reader())
    first.poll()
    assert second.poll() == set(), "what is due to it is still held"
    team.passes(LEASE // 3)
    assert len(first.poll()) == 2
    assert second.poll() | first.held == {0, 1, 2, 3}
    assert not second.held & first.held


def test_the_share_of_a_reader_that_died_goes_to_the_others_when_its_lease_ends(
    database: Database, tmp_path: Path
) -> None:
    team = Team(tmp_path, database)
    first, second = Holding(team.reader()), Holding(team.reader())
    for _ in range(3):
        first.poll(), second.poll()
        team.passes(LEASE // 3)
    for _ in range(3):
        assert len(first.poll()) == 2
        team.passes(LEASE // 3)
    team.passes(1)
    assert first.poll() == {0, 1, 2, 3}


def test_nobody_waits_for_the_lease_of_a_clock_that_stood_ahead(
    database: Database, tmp_path: Path
) -> None:
    team = Team(tmp_path, database)
    dead = Holding(team.reader())
    team.passes(72 * HOUR)
    dead.poll()
    team.passes(-72 * HOUR)
    assert Holding(team.reader()).poll() == {0, 1, 2, 3}


def test_a_reader_whose_clock_stood_ahead_shares_as_before(
    database: Database, tmp_path: Path
) -> None:
    team = Team(tmp_path, database)
    jumped, other = Holding(team.reader()), Holding(team.reader())
    team.passes(72 * HOUR)
    jumped.poll()
    team.passes(-72 * HOUR)
    for _ in range(3):
        jumped.poll(), other.poll()
        team.passes(LEASE // 3)
    assert (len(jumped.held), len(other.held)) == (2, 2)


def test_the_share_of_a_reader_that_closes_is_free_at_once(
    database: Database, tmp_path: Path
) -> None:
    team = Team(tmp_path, database)
    first, second = Holding(team.reader()), Holding(team.reader())
    first.poll(), second.poll()
    first.reader.close()
    team.passes(LEASE // 3)
    assert second.poll() == {0, 1, 2, 3}


def test_a_reader_that_slept_through_its_lease_hears_what_it_lost(
    database: Database, tmp_path: Path
) -> None:
    team = Team(tmp_path, database, partitions=2)
    zombie, other = Holding(team.reader()), Holding(team.reader())
    zombie.poll()
    team.passes(LEASE + 1)
    other.poll()
    assert other.held == {0, 1}
    assert zombie.poll() == set()


def test_more_readers_than_partitions_wait_in_reserve(database: Database, tmp_path: Path) -> None:
    team = Team(tmp_path, database, partitions=2)
    readers = [Holding(team.reader()) for _ in range(4)]
    for _ in range(4):
        for reader in readers:
            reader.poll()
        team.passes(LEASE // 3)
    assert sorted(len(reader.held) for reader in readers) == [0, 0, 1, 1]


def test_a_log_of_a_stream_that_is_not_there_says_so(database: Database) -> None:
    with pytest.raises(SourceError, match="tidegauge run"):
        EventLog(LogSource(kind="log"), "nope", database).beginnings()


def test_events_are_counted_as_the_oracle_counts_them(database: Database, tmp_path: Path) -> None:
    team = Team(tmp_path, database)
    [values] = oracle.topic(1, 100)
    team.append(values)
    worker = team.worker()
    while not worker.drained:
        worker.step(0, finite=True)
    [expected] = [sum(oracle.expected([values]).values(), Counter())]
    assert team.counted() == expected
    summary = read(database, queries.summary, team.stream)
    assert sum(p.next_offset for p in summary.partitions) == 100
    assert {p.end_offset for p in summary.partitions} == {25}


def test_the_time_an_event_came_is_the_sources_timestamp(
    database: Database, tmp_path: Path
) -> None:
    team = Team(tmp_path, database, record={"id": None, "timestamp": "@source"})
    team.append([b'{"text": "hi", "country": "DE"}'])
    worker = team.worker()
    while not worker.drained:
        worker.step(0, finite=True)
    assert {start for _, start in oracle.panes(database, team.stream)} == {team.now}


def test_a_reader_that_slept_between_reading_and_counting_is_fenced(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    team = Team(tmp_path, database, partitions=1)
    [values] = oracle.topic(1, 30)
    team.append(values)
    fences = list[str]()
    monkeypatch.setattr(meters, "fenced", fences.append)
    other = team.worker()

    def doze() -> None:
        team.passes(LEASE + 1)
        for _ in range(2):  # it gains the partition, then counts
            other.step(0)

    zombie = team.worker(Dozing(team, doze))
    for _ in range(2):
        zombie.step(0)
    assert len(fences) == 1
    while read(database, queries.summary, team.stream).records < 30:
        other.step(0)
        zombie.step(0)
        team.passes(1_000)
    assert team.counted() == sum(oracle.expected([values]).values(), Counter())


def test_readers_that_come_go_sleep_and_overlap_count_everything_once(
    database: Database, tmp_path: Path
) -> None:
    """Appenders and two workers at once. Leases end early, workers die and wake up again."""
    team = Team(tmp_path, database)
    [values] = oracle.topic(1, 240)
    appended = threading.Event()

    def append() -> None:
        for start in range(0, 240, 8):
            team.append(values[start : start + 8])
        appended.set()

    def all_counted() -> bool:
        return appended.is_set() and read(database, queries.summary, team.stream).records == 240

    def work(seed: int) -> None:
        chance = random.Random(seed)
        workers = [team.worker(), team.worker()]
        while not all_counted():
            act(team, workers, chance)

    in_threads(append, lambda: work(1), lambda: work(2))
    assert team.counted() == sum(oracle.expected([values]).values(), Counter())


def act(team: Team, workers: list[Worker], chance: random.Random) -> None:
    """Let some time pass, kill a worker, put one to sleep, or only go on."""

    def doze() -> None:
        """Between reading and committing, as a stopped process does; the other one goes on."""
        team.passes(LEASE + 1)
        for _ in range(3):
            workers[1].step(0)

    turn = chance.random()
    if turn < 0.1:
        team.passes(LEASE // 3)
    elif turn < 0.2:
        workers[0] = team.worker()  # killed: nobody lets go of its partitions
    elif turn < 0.4:
        workers[0] = team.worker(Dozing(team, doze))
    workers[chance.randrange(2)].step(0)
