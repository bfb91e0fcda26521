"""Dead letters that decode after a fix are counted exactly once, whoever replays and is killed."""

from __future__ import annotations

import json
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service import oracle
from tests.service.group import NOW, Group
from tests.service.ingest.test_exactness import Breaking, in_threads
from tests.service.streams_for_tests import HOUR, START
from tests.service.transactions import read, write
from tidegauge_service.clock import Clock
from tidegauge_service.ingest import transaction
from tidegauge_service.ingest.replay import CUT, Outcome, Replay
from tidegauge_service.store import schema, streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import commit as store
from tidegauge_service.store.ingest import dead_letters
from tidegauge_service.store.ingest.dead_letter import DeadLetter
from tidegauge_service.store.ingest.dead_letters import DeadLetterFilter
from tidegauge_service.store.scope import StreamScope
from tidegauge_service.store.streams import CLOSED, REPLAYED
from tidegauge_service.store.windows import queries
from tidegauge_service.store.windows.counts import counts_between

SMALL = 300
"""Padded records are larger, the others smaller."""


def padded(value: bytes) -> bytes:
    return json.dumps({**json.loads(value), "padding": "x" * SMALL}).encode()


def topic_with_large_records(partitions: int, records: int, every: int = 4) -> list[list[bytes]]:
    """Return a topic whose every *every*-th record is too large at first."""
    return [
        [padded(v) if n % every == every - 1 else v for n, v in enumerate(inputs)]
        for inputs in oracle.topic(partitions, records)
    ]


class Mending(Group):
    """A group that is too strict at first, and may replay once it is mended."""

    def __init__(
        self, folder: Path, database: Database, topic: list[list[bytes]], **limits: Any
    ) -> None:
        strict = {"max_record_bytes": SMALL, "dead_letter_share": 1.0, **limits}
        super().__init__(folder, database, topic, limits=strict)
        mended = self.config.limits.model_copy(update={"max_record_bytes": 10_000})
        self.mended = self.config.model_copy(update={"limits": mended})

    def replay(self, wanted: DeadLetterFilter | None = None, clock: Clock = lambda: NOW) -> Outcome:
        return Replay(
            StreamScope(self.mended, self.stream, self.database, clock),
            self.probe_set,
            owner="test",
        ).run(wanted or DeadLetterFilter())

    def counted(self) -> dict[int, oracle.Tally]:
        """Return what is counted, by window, over all partitions."""
        return by_window(oracle.tallies(self.database, self.stream))

    def evaluated(self, start: int) -> int:
        """Return how many records the evaluator would see."""
        with self.database.read() as connection:
            until = start + self.stream.window_ms
            found = counts_between(connection, self.stream, start, until)
        return found[start].records if start in found else 0


def by_window(tallies: dict[oracle.Place, oracle.Tally]) -> dict[int, oracle.Tally]:
    found: dict[int, oracle.Tally] = {}
    for (_, start), tally in tallies.items():
        found[start] = found.get(start, Counter()) + tally
    return found


def test_what_decodes_after_a_fix_is_counted_in_its_window(
    database: Database, tmp_path: Path
) -> None:
    topic = topic_with_large_records(2, 40)
    group = Mending(tmp_path, database, topic)
    group.member().to_end()
    assert len(oracle.dead(database, group.stream)) == 20
    assert group.replay() == Outcome(counted=20)
    assert group.counted() == by_window(oracle.expected(topic))
    assert oracle.dead(database, group.stream) == []
    assert group.replay() == Outcome()
    summary = read(database, queries.summary, group.stream)
    assert (summary.records, summary.late) == (80, 0)
    assert summary.dead_letters == {"too_large": 20}, "the count stays"
    assert [p.partition for p in summary.partitions] == [0, 1]
    [tally] = read(database, dead_letters.tallies, group.stream)
    assert tally == dead_letters.Tally("too_large", received=20, kept=0, replayed=20)


def test_the_owners_cache_is_not_bypassed(database: Database, tmp_path: Path) -> None:
    """The owner goes on with the window that a replay has added to; neither loses anything."""
    topic = topic_with_large_records(1, 24, every=3)
    group = Mending(tmp_path, database, topic, commit_records=4)
    owner = group.member(most=4)
    while not owner.worker.drained:
        owner.worker.step(finite=True)
        group.replay()
    group.replay()
    assert group.counted() == by_window(oracle.expected(topic))
    assert group.evaluated(START) == 6


def test_records_of_closed_windows_are_late(database: Database, tmp_path: Path) -> None:
    topic = topic_with_large_records(1, 24, every=3)
    group = Mending(tmp_path, database, topic)
    group.member().to_end()
    with database.write() as connection:
        streams.move_cursor(connection, group.stream.id, CLOSED, START + 2 * HOUR)
    before = {start: group.evaluated(start) for start in (START, START + HOUR)}
    assert group.replay() == Outcome(counted=8, late=4)
    assert {start: group.evaluated(start) for start in before} == before
    assert oracle.late(database, group.stream) == {
        (REPLAYED, START): 2,
        (REPLAYED, START + HOUR): 2,
    }
    assert read(database, queries.summary, group.stream).late == 4


def test_replays_hold_no_watermark_and_their_windows_close(
    database: Database, tmp_path: Path
) -> None:
    topic = topic_with_large_records(2, 40)
    group = Mending(tmp_path, database, topic)
    group.member([0]).to_end()
    group.replay()
    assert write(database, store.close_windows, group.stream) is None, "partition 1 was not read"
    group.member([1]).to_end()
    group.replay()
    assert write(database, store.close_windows, group.stream) == START + 7 * HOUR
    assert [p.partition for p in group.partitions() if not p.drained] == []


def test_what_still_is_no_record_stays_as_it_was(database: Database, tmp_path: Path) -> None:
    topic = [[*oracle.topic(1, 9, dead_every=3)[0], padded(oracle.message(9, 9))]]
    group = Mending(tmp_path, database, topic, dead_letter_bytes=100)
    group.member().to_end()
    before = oracle.dead(database, group.stream)
    assert group.replay() == Outcome(left=Counter({"not_json": 3, CUT: 1}))
    assert oracle.dead(database, group.stream) == before == [(0, 2), (0, 5), (0, 8), (0, 9)]


def test_only_what_is_asked_for_is_replayed(database: Database, tmp_path: Path) -> None:
    topic = topic_with_large_records(1, 8)
    group = Mending(tmp_path, database, topic)
    group.member().to_end()
    assert group.replay(DeadLetterFilter(reason="not_json")) == Outcome()
    assert group.replay(DeadLetterFilter(reason="too_large")) == Outcome(counted=2)


def test_the_sources_own_timestamp_is_kept_for_a_replay(database: Database, tmp_path: Path) -> None:
    """A broker's timestamp is in no payload; here one that lies ahead of the first clock."""
    group = Mending(tmp_path, database, [[]])
    letter = DeadLetter(0, 0, "too_large", "", b'{"id": "a"}', 11, timestamp_ms=START)
    batch = store.PartitionBatch(0, 0, 1, dead_letters=[letter])
    write(database, store.commit, group.stream, [batch], owner="test", now_ms=1)
    mapping = group.mended.record.model_copy(update={"timestamp": "@source", "text": None})
    group.mended = group.mended.model_copy(update={"record": mapping})
    assert group.replay() == Outcome(counted=1)
    assert list(oracle.panes(database, group.stream)) == [(REPLAYED, START)]


def test_replays_at_once_beside_the_workers_count_everything_once(
    database: Database, tmp_path: Path
) -> None:
    topic = topic_with_large_records(2, 120, every=2)
    group = Mending(tmp_path, database, topic, commit_records=10)
    outcomes = list[Outcome]()
    done = threading.Event()

    def work() -> None:
        group.member(most=5).to_end()
        done.set()

    def replay() -> None:
        while not done.wait(0.001):
            outcomes.append(group.replay())
        outcomes.append(group.replay())

    in_threads(work, replay, replay, replay)
    assert group.counted() == by_window(oracle.expected(topic))
    assert sum(outcome.counted for outcome in outcomes) == 120
    assert oracle.dead(database, group.stream) == []


def test_a_replay_that_read_what_another_counted_is_fenced(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = topic_with_large_records(1, 40)
    group = Mending(tmp_path, database, topic)
    group.member().to_end()
    real, first = transaction.commit, list[Outcome]()

    def overtaken(*args: Any, **more: Any) -> int | None:
        monkeypatch.setattr(transaction, "commit", real)
        first.append(group.replay())
        return real(*args, **more)

    monkeypatch.setattr(transaction, "commit", overtaken)
    assert group.replay() == Outcome()
    assert first == [Outcome(counted=10)]
    assert group.counted() == by_window(oracle.expected(topic))


def test_letters_dropped_meanwhile_are_not_counted(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The position alone would not tell: whoever drops does not move it."""
    group = Mending(tmp_path, database, topic_with_large_records(1, 40))
    group.member().to_end()
    before = group.counted()
    real = transaction.commit

    def late(*args: Any, **more: Any) -> int | None:
        write(database, dead_letters.drop, group.stream, DeadLetterFilter())
        return real(*args, **more)

    monkeypatch.setattr(transaction, "commit", late)
    assert group.replay() == Outcome()
    assert group.counted() == before


def test_a_closer_that_does_not_know_the_row_of_the_replayed_waits_for_a_replay(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It began before the row was made. What it closes must hold what the replay has counted."""
    group = Mending(tmp_path, database, topic_with_large_records(1, 12))
    group.member().to_end()
    real, seen, closers = store._write, list[int](), list[threading.Thread]()

    def close_and_evaluate() -> None:
        with database.write() as connection:
            t = schema.stream_partition
            known = sa.select(t).where(t.c.stream_id == group.stream.id, t.c.partition >= 0)
            connection.execute(known.with_for_update()).all()
            streams.move_cursor(connection, group.stream.id, CLOSED, START + HOUR)
        seen.append(group.evaluated(START))

    def write_slowly(*args: Any) -> None:
        closers.append(threading.Thread(target=close_and_evaluate))
        closers[0].start()
        closers[0].join(timeout=1)
        real(*args)

    monkeypatch.setattr(store, "_write", write_slowly)
    assert group.replay().late == 0
    closers[0].join()
    assert seen == [group.evaluated(START)] == [6]


ACTIONS = st.one_of(
    st.tuples(st.just("step"), st.integers(0, 1)),
    st.tuples(st.just("restart"), st.integers(0, 1)),
    st.tuples(st.just("replay"), st.sampled_from(["whole", "killed before", "killed after"])),
    st.tuples(st.just("close"), st.just(0)),
)


@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(ACTIONS, max_size=25))
def test_any_history_counts_every_record_once(
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
    actions: list[tuple[str, Any]],
) -> None:
    folder = tmp_path_factory.mktemp("history")
    shutil.copy(sqlite_template, folder / "tidegauge.db")
    database = Database(f"sqlite:///{folder}/tidegauge.db")
    check_history(Mending(folder, database, topic_with_large_records(2, 24, every=3)), actions)
    database.close()


@pytest.mark.parametrize("seed", range(3))
def test_histories_on_both_databases(database: Database, tmp_path: Path, seed: int) -> None:
    kinds: list[tuple[str, Any]] = [
        ("step", seed % 2),
        ("replay", "killed before"),
        ("step", 1),
        ("replay", "killed after"),
        ("close", 0),
        ("restart", 0),
        ("replay", "whole"),
    ]
    group = Mending(tmp_path, database, topic_with_large_records(2, 24, every=3))
    check_history(group, kinds[seed:] + kinds[:seed] + kinds)


def check_history(group: Mending, actions: list[tuple[str, Any]]) -> None:
    """Act, read and replay to the end; compare with the oracle, late records included.

    A window that is closed never changes any more: what the evaluator has seen stands.
    """
    members = [group.member([p], most=5) for p in range(2)]
    frozen: dict[int, int] = {}
    for action, how in actions:
        if action == "step":
            members[how].worker.step()
        elif action == "restart":
            members[how] = group.member([how], most=5)
        elif action == "replay":
            replay_and_die(group, how)
        else:
            closed = write(group.database, store.close_windows, group.stream)
            starts = range(START, closed or START, HOUR)
            frozen |= {s: group.evaluated(s) for s in starts if s not in frozen}
    for partition in range(2):
        group.member([partition]).to_end()
    group.replay()
    assert {start: group.evaluated(start) for start in frozen} == frozen
    late: Counter[int] = Counter()
    for (_, start), n in oracle.late(group.database, group.stream).items():
        late[start] += n
    expected = by_window(oracle.expected(group.topic))
    for start, tally in expected.items():
        assert group.evaluated(start) + late[start] == tally["_all records"]
        if not late[start]:
            assert group.counted()[start] == tally
    assert oracle.dead(group.database, group.stream) == []


def replay_and_die(group: Mending, how: str) -> None:
    if how == "whole":
        group.replay()
        return
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(transaction, "commit", Breaking(before=how == "killed before"))
        attempt(group.replay)


def attempt(job: Callable[[], object]) -> None:
    try:
        job()
    except ConnectionResetError:
        return
