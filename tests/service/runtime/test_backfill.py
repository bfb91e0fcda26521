"""History from files is counted exactly once, before its windows close, whatever is killed."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.service import oracle
from tests.service.streams_for_tests import HOUR, START, record, write_jsonl, write_stream
from tests.service.transactions import read, write
from tidegauge_service.clock import to_iso
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.sources import LogSource
from tidegauge_service.config.stream_file import StreamConfig, load_stream
from tidegauge_service.errors import SettingsError, SourceError, StoreError
from tidegauge_service.ingest import transaction
from tidegauge_service.runtime.backfill import BackfillResult, backfill
from tidegauge_service.runtime.pipeline import Pipeline, open_pipeline
from tidegauge_service.store import schema, streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import backfills, events
from tidegauge_service.store.ingest.events import Event
from tidegauge_service.store.streams import CLOSED, StreamRow

NOW = START + 2_000 * HOUR
DAY = 24 * HOUR


class World:
    """A log stream, its files of history, and a clock."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder, self.database, self.now = folder, database, NOW
        (folder / "stream").mkdir()
        path = write_stream(
            folder / "stream",
            source={"kind": "log", "partitions": 2},
            segment_by=["country"],
            limits={"commit_records": 20},
        )
        self.config: StreamConfig = load_stream(path)

    def write(self, name: str, values: Sequence[bytes]) -> Path:
        return write_jsonl(self.folder / name, values)

    def read(self, *paths: Path, late: bool = False) -> BackfillResult:
        return backfill(
            self.config,
            Settings(),
            self.database,
            lambda: self.now,
            paths,
            advance=lambda _n: None,
            late=late,
        )

    @property
    def stream(self) -> StreamRow:
        found = read(self.database, streams.find, "test")
        assert found is not None
        return found

    def total(self) -> oracle.Tally:
        found: oracle.Tally = Counter()
        for tally in oracle.tallies(self.database, self.stream).values():
            found += tally
        return found

    def closed(self) -> int | None:
        with self.database.read() as connection:
            return streams.cursor(connection, self.stream.id, CLOSED)

    def live(self) -> Pipeline:
        return open_pipeline(self.config, Settings(), self.database, lambda: self.now)

    def send(self, values: Sequence[bytes]) -> None:
        source = self.config.source
        assert isinstance(source, LogSource)
        sent = [Event(value) for value in values]
        write(self.database, events.append, self.stream, source, sent, now_ms=self.now)

    def turn(self, pipeline: Pipeline, minutes: int) -> None:
        for _ in range(minutes):
            self.now += 60_000
            for _ in range(4):
                pipeline.worker.step(0)
            pipeline.evaluator.tick()


@pytest.fixture
def world(tmp_path: Path, database: Database) -> World:
    return World(tmp_path, database)


def history(hours: int, since: int = START) -> list[bytes]:
    return [
        oracle.message(n, n, ms=since + n * 600_000, country="FR" if n % 3 else "DE")
        for n in range(hours * 6)
    ]


def test_history_is_in_before_the_stream_is_live_and_the_baseline_is_fitted_from_it(
    world: World,
) -> None:
    """The range of the baseline is 60 hours; the live stream begins where the files end."""
    values = history(65)
    first, second = world.write("a.jsonl", values[:200]), world.write("b.jsonl", values[200:])
    done = world.read(first, second)
    assert [(f.name, f.records, f.late, f.drained) for f in done.files] == [
        ("a.jsonl", 200, 0, True),
        ("b.jsonl", 190, 0, True),
    ]
    assert world.closed() is None, "nothing closes before the live stream has gone on"
    world.now = START + 65 * HOUR
    pipeline = world.live()
    now_on = history(3, world.now)
    for n in range(3):
        world.turn(pipeline, 60)
        world.send(now_on[n * 6 : n * 6 + 6])
        world.turn(pipeline, 1)
    pipeline.close()
    assert world.total() == sum(oracle.expected([values + now_on]).values(), Counter())
    assert oracle.late(world.database, world.stream) == {}
    t = schema.window
    with world.database.read() as connection:
        states = connection.execute(sa.select(t.c.state).order_by(t.c.window_start_ms)).scalars()
        assert Counter(states)["baseline"] == 60
    assert world.stream.baseline is not None
    assert world.read(first, second).before == ["a.jsonl", "b.jsonl"], "again changes nothing"
    assert world.total() == sum(oracle.expected([values + now_on]).values(), Counter())


def test_a_killed_run_goes_on_where_it_stood(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    values = history(40)
    paths = [world.write("a.jsonl", values[:130]), world.write("b.jsonl", values[130:])]
    real, chance, kills = transaction.commit, random.Random(4), 0

    def breaks(*args: Any, **more: Any) -> int | None:
        nonlocal kills
        if chance.random() < 0.6:
            kills += 1
            if chance.random() < 0.5:
                real(*args, **more)  # done, and nobody heard of it
            msg = "killed"
            raise StoreError(msg)
        return real(*args, **more)

    monkeypatch.setattr(transaction, "commit", breaks)
    done = None
    while done is None:
        with contextlib.suppress(StoreError):
            done = world.read(*paths)
    assert kills > 5
    assert [f.drained for f in done.files] == [True, True]
    assert world.total() == sum(oracle.expected([values]).values(), Counter())
    assert oracle.late(world.database, world.stream) == {}


def test_live_records_meanwhile_close_nothing_that_the_rest_may_belong_to(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service runs already when the history is read; it is killed half way, and goes on."""
    pipeline = world.live()
    values = history(40)
    path = world.write("a.jsonl", values)
    real, calls = transaction.commit, itertools.count()

    def breaks(*args: Any, **more: Any) -> int | None:
        if next(calls) == 2:
            msg = "killed"
            raise StoreError(msg)
        return real(*args, **more)

    with monkeypatch.context() as patched, pytest.raises(StoreError, match="killed"):
        patched.setattr(transaction, "commit", breaks)
        world.read(path)
    now_on = history(3, world.now)
    for n in range(3):
        world.turn(pipeline, 60)
        world.send(now_on[n * 6 : n * 6 + 6])
        world.turn(pipeline, 1)
    closed = world.closed()
    assert closed is not None
    assert closed < START + 40 * HOUR, "the file holds the windows"
    world.read(path)
    world.turn(pipeline, 5)
    pipeline.close()
    assert (world.closed() or 0) > START + 1_999 * HOUR
    assert oracle.late(world.database, world.stream) == {}
    assert world.total() == sum(oracle.expected([values + now_on]).values(), Counter())


def test_what_would_be_late_is_refused_and_holds_nothing(world: World) -> None:
    pipeline = world.live()
    world.send(history(100))
    world.turn(pipeline, 10)
    closed = world.closed()
    assert closed is not None
    path = world.write("old.jsonl", history(10))
    with pytest.raises(SettingsError) as refused:
        world.read(path)
    assert str(refused.value) == (
        f"60 of 60 records of {path} would be late; nothing was counted. 60 belong to closed "
        f"windows (through {to_iso(closed)}): leave them out, or give the stream a new `name` "
        "and load the history before it goes live. To count them as late, add --late"
    )
    with world.database.read() as connection:
        assert backfills.of_stream(connection, world.stream.id) == []
        assert {p.partition for p in streams.partitions(connection, world.stream.id)} == {0, 1}
    pipeline.close()
    done = world.read(path, late=True)
    assert [(f.records, f.late) for f in done.files] == [(60, 60)]


def test_a_file_that_is_not_sorted_is_refused_until_it_is(world: World) -> None:
    values = history(10)
    path = world.write("shuffled.jsonl", values[30:] + values[:30])
    with pytest.raises(SettingsError, match=r"30 go back in time .*sort the file by time"):
        world.read(path)
    done = world.read(world.write("sorted.jsonl", values))
    assert [(f.records, f.late) for f in done.files] == [(60, 0)]


def test_a_file_that_was_left_unfinished_must_be_named_or_let_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (
        world.write("a.jsonl", history(9)),
        world.write("b.jsonl", history(9, START + DAY)),
    )

    def breaks(*_args: Any, **_more: Any) -> int | None:
        msg = "killed"
        raise StoreError(msg)

    with monkeypatch.context() as patched, pytest.raises(StoreError):
        patched.setattr(transaction, "commit", breaks)
        world.read(first)
    with pytest.raises(SettingsError, match=r"a.jsonl was not fully read.*--abandon"):
        world.read(second)
    with world.database.write() as connection:
        [left] = backfills.abandon(connection, world.stream.id)
    assert left.name == "a.jsonl"
    assert [f.records for f in world.read(second).files] == [54]


def test_the_same_content_under_two_names_is_one_file(world: World) -> None:
    first, copy = world.write("a.jsonl", history(9)), world.write("copy.jsonl", history(9))
    with pytest.raises(SettingsError, match="have the same content"):
        world.read(first, copy)
    world.read(first)
    assert world.read(copy).before == ["a.jsonl"]
    assert world.total() == sum(oracle.expected([history(9)]).values(), Counter())


@pytest.mark.parametrize(
    ("name", "values", "error", "why"),
    [
        ("empty.jsonl", [], SourceError, "contains no record"),
        (
            "broken.jsonl",
            [b"broken"] * 9,
            SourceError,
            r"contains no record \(9 inputs could not be read",
        ),
        ("what.xml", [b"<a/>"], SourceError, "cannot tell the format"),
        (None, [], SourceError, "cannot read"),
    ],
)
def test_files_that_are_no_history_are_refused_and_hold_nothing(
    world: World, name: str | None, values: list[bytes], error: type[Exception], why: str
) -> None:
    path = world.folder / "missing.jsonl" if name is None else world.write(name, values)
    with pytest.raises(error, match=why):
        world.read(path)
    if name is not None:
        with world.database.read() as connection:
            assert backfills.of_stream(connection, world.stream.id) == []


def test_a_stream_of_files_has_its_history_itself(
    sqlite_database: Database, tmp_path: Path
) -> None:
    config = load_stream(write_stream(tmp_path))
    path = write_jsonl(tmp_path / "records.jsonl", [record(0, "hi")])
    with pytest.raises(SettingsError, match="has a file source, which needs no backfill"):
        backfill(config, Settings(), sqlite_database, lambda: NOW, [path], advance=lambda _n: None)


def test_csv_and_a_broken_line_are_read_as_everywhere(world: World) -> None:
    rows = "".join(f"r{n},{to_iso(START + n * 600_000)},hi,DE\n" for n in range(30))
    csv = world.folder / "h.csv"
    csv.write_text("id,timestamp,text,country\n" + rows)
    values = history(10, START + 3 * HOUR)
    broken = world.write("h.jsonl", [*values[:5], b"broken", *values[5:]])
    done = world.read(csv, broken)
    assert [f.records for f in done.files] == [30, 60]
    assert oracle.dead(world.database, world.stream) == [(done.files[1].partition, 5)]
