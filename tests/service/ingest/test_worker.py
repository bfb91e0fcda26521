from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.service import oracle
from tests.service.group import NOW, Group
from tests.service.streams_for_tests import HOUR, START
from tests.service.transactions import write
from tidegauge_probes import engine
from tidegauge_service.errors import SourceError, StoreError, StreamHalted
from tidegauge_service.ingest import transaction
from tidegauge_service.ingest.codec.rejection import DeadLetterReason
from tidegauge_service.ingest.sources.source import Polled, Raw
from tidegauge_service.metrics import meters
from tidegauge_service.store import schema
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import commit as store
from tidegauge_service.store.streams import CLOSED


def samples(group: Group) -> dict[tuple[int, int], tuple[int, str]]:
    """Return (partition, offset) → (priority, record id) of what was kept."""
    t = schema.sample
    with group.database.read() as connection:
        rows = list(connection.execute(sa.select(t)))
    return {(row.partition, row.offset): (row.priority, row.record_id) for row in rows}


def test_one_worker_counts_what_a_loop_counts(database: Database, tmp_path: Path) -> None:
    group = Group(tmp_path, database, oracle.topic(2, 60, dead_every=9))
    member = group.member()
    member.to_end()
    group.assert_exact()
    assert member.source.reported == {0: 60, 1: 60}
    assert all(p.drained for p in group.partitions())
    kept = samples(group)
    assert {(p, o): f"r{o}" for p, o in kept} == {place: id_ for place, (_, id_) in kept.items()}


def test_two_workers_on_one_partition_take_turns_and_lose_nothing(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Group(tmp_path, database, oracle.topic(2, 60, dead_every=9))
    fences = list[str]()
    monkeypatch.setattr(meters, "fenced", fences.append)
    one, two = group.member(), group.member()
    while not (one.worker.drained and two.worker.drained):
        before = [p.next_offset for p in group.partitions()]
        one.worker.step(finite=True)
        two.worker.step(finite=True)
        moved = sum(p.next_offset for p in group.partitions()) - sum(before)
        assert moved <= 2 * group.config.limits.commit_records
    assert fences, "the test is void unless they got into each other's way"
    group.assert_exact()


def test_of_two_that_read_the_same_batch_exactly_one_commits(
    database: Database, tmp_path: Path
) -> None:
    group = Group(tmp_path, database, oracle.topic(1, 20))
    one, two = group.member(), group.member()
    one.worker.step()  # both learn where the partition stands
    two.worker.step()
    assert one.worker.step().committed
    assert not two.worker.step().committed
    assert two.source.sought[-1] == (0, 7)
    assert two.worker.step().committed
    assert group.partitions()[0].next_offset == 14


def test_a_fence_on_one_partition_drops_the_batch_of_all(
    database: Database, tmp_path: Path
) -> None:
    group = Group(tmp_path, database, oracle.topic(2, 40))
    both, one = group.member(), group.member([1])
    both.worker.step()
    one.worker.step()
    one.worker.step()
    assert not both.worker.step().committed
    assert [p.next_offset for p in group.partitions()] == [0, 7]
    both.to_end()
    group.assert_exact()


def test_a_worker_that_dies_between_batches_is_followed_by_one_that_continues(
    database: Database, tmp_path: Path
) -> None:
    group = Group(tmp_path, database, oracle.topic(2, 60, dead_every=9))
    for _ in range(50):
        member = group.member()  # and the one before is never heard of again
        for _ in range(3):
            member.worker.step(finite=True)
        if member.worker.drained:
            break
    group.assert_exact()
    everything = Group(tmp_path, database, group.topic, name="undisturbed")
    everything.member().to_end()
    assert oracle.tallies(database, everything.stream) == oracle.tallies(database, group.stream)


def test_a_rebalance_in_the_middle_counts_nothing_twice(database: Database, tmp_path: Path) -> None:
    group = Group(tmp_path, database, oracle.topic(3, 40))
    member = group.member(most=2)
    polls = 0
    while not member.worker.drained:
        polls += 1
        if polls % 3 == 0 and polls < 30:
            member.source.rebalance()
        member.worker.step(finite=True)
    group.assert_exact()


def test_a_rebalance_while_a_batch_is_gathered_drops_what_was_gathered_of_it(
    database: Database, tmp_path: Path
) -> None:
    group = Group(tmp_path, database, oracle.topic(2, 40))
    polls = 0

    def disturb() -> None:
        nonlocal polls
        polls += 1
        if polls % 5 == 0 and polls < 60:
            member.source.rebalance()

    member = group.member(most=1, on_poll=disturb)
    member.to_end()
    group.assert_exact()


def test_a_partition_that_is_only_said_to_be_gained_is_read_from_the_database_too(
    database: Database, tmp_path: Path
) -> None:
    """Kafka may assign again what a member never lost."""
    group = Group(tmp_path, database, oracle.topic(1, 40))
    member = group.member(most=1)
    changes = member.source._changes
    polls = 0

    def gained_only() -> tuple[frozenset[int], frozenset[int]]:
        nonlocal polls
        polls += 1
        gained, lost = changes()
        return (frozenset({0}), lost) if polls % 4 == 0 and polls < 40 else (gained, lost)

    member.source._changes = gained_only  # type: ignore[method-assign]
    member.to_end()
    group.assert_exact()


@pytest.mark.parametrize("after", [1, 2, 4, 5, 7, 11])
def test_a_poll_that_fails_loses_nothing(database: Database, tmp_path: Path, after: int) -> None:
    group = Group(tmp_path, database, oracle.topic(2, 30))
    member = group.member(most=2)
    member.source.fail_after = after
    with pytest.raises(SourceError):
        member.to_end()
    assert not member.worker.drained
    member.to_end()
    group.assert_exact()


def test_an_lf_engine_that_breaks_loses_nothing(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Group(tmp_path, database, oracle.topic(2, 30))
    member = group.member()
    member.worker.step()
    with monkeypatch.context() as patched, pytest.raises(MemoryError):
        patched.setattr(engine, "run", _out_of_memory)
        member.worker.step()
    member.to_end()
    group.assert_exact()


def _out_of_memory(*_args: object, **_kwargs: object) -> None:
    raise MemoryError


@pytest.mark.parametrize("committed", [False, True], ids=["before", "after"])
def test_after_a_commit_that_raised_the_database_is_believed(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, committed: bool
) -> None:
    """A connection that breaks during COMMIT leaves open whether it was one."""
    group = Group(tmp_path, database, oracle.topic(2, 60, dead_every=9))
    member = group.member()
    real, calls = transaction.commit, 0

    def breaks(*args: Any, **more: Any) -> int | None:
        nonlocal calls
        calls += 1
        if calls % 3:
            return real(*args, **more)
        if committed:
            real(*args, **more)
        msg = "the connection broke"
        raise StoreError(msg)

    monkeypatch.setattr(transaction, "commit", breaks)
    failures = 0
    while not member.worker.drained:
        try:
            member.worker.step(finite=True)
        except StoreError:
            failures += 1
            assert not member.worker.drained, "what is in doubt is not drained"
            assert member.worker.partitions == frozenset()
    assert failures > 3
    group.assert_exact()


@pytest.mark.parametrize("failing", range(1, 7))
def test_a_database_that_is_down_while_partitions_are_read_loses_nothing(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Loading the state fails once: at the assignment, after a rebalance, or after a fence."""
    group = Group(tmp_path, database, oracle.topic(2, 40))
    member, thief = group.member(), group.member([0])
    real, calls = store.load_partition, 0

    def breaks(*args: Any) -> store.PartitionState | None:
        nonlocal calls
        calls += 1
        if calls == failing:
            msg = "the server is down"
            raise StoreError(msg)
        return real(*args)

    monkeypatch.setattr(store, "load_partition", breaks)
    for turn in range(100):
        if turn == 6:
            member.source.rebalance()
        with contextlib.suppress(StoreError):
            member.worker.step(finite=True)
        if turn in {2, 3}:
            with contextlib.suppress(StoreError):
                thief.worker.step()  # the next commit of the member is fenced
        if member.worker.drained:
            break
    assert calls >= failing
    group.assert_exact()


def test_a_partition_that_the_topic_gains_is_read(database: Database, tmp_path: Path) -> None:
    whole = oracle.topic(3, 20)
    group = Group(tmp_path, database, whole[:2])
    group.member().to_end()
    group.topic = whole
    group.member().to_end()
    group.assert_exact()


def test_dead_letters_are_kept_once(database: Database, tmp_path: Path) -> None:
    group = Group(tmp_path, database, [[b"broken", b"", b"[]", oracle.message(0, 0)] * 5])
    for _ in range(10):
        group.member().worker.step()
        member = group.member()
        member.worker.step()
        member.worker.step()
    t = schema.dead_letter
    with database.read() as connection:
        rows = list(connection.execute(sa.select(t).order_by(t.c.offset)))
    assert [row.offset for row in rows] == [n for n in range(20) if n % 4 != 3]
    assert [(row.reason, row.payload, row.size) for row in rows[:3]] == [
        (DeadLetterReason.NOT_JSON, b"broken", 6),
        (DeadLetterReason.EMPTY, b"", 0),
        (DeadLetterReason.NOT_AN_OBJECT, b"[]", 2),
    ]
    assert rows[0].received_ms == NOW


REFUSE = {
    "sqlite": (
        (
            "CREATE TRIGGER refuse BEFORE INSERT ON sample "
            "WHEN NEW.record_id IN ('r5', 'r6', 'r21') "
            "BEGIN SELECT RAISE(ABORT, 'not r5, r6 or r21'); END"
        ),
        "DROP TRIGGER refuse",
    ),
    "postgresql": (
        "ALTER TABLE sample ADD CONSTRAINT refuse CHECK (record_id NOT IN ('r5', 'r6', 'r21'))",
        "ALTER TABLE sample DROP CONSTRAINT refuse",
    ),
}


@contextlib.contextmanager
def refusing(database: Database) -> Iterator[None]:
    """Let the database refuse three records."""
    refuse, accept = (sa.text(text) for text in REFUSE[database.engine.dialect.name])
    with database.write() as connection:
        connection.execute(refuse)
    yield
    with database.write() as connection:
        connection.execute(accept)


def test_records_that_the_database_refuses_become_dead_letters_and_the_rest_is_counted(
    database: Database, tmp_path: Path
) -> None:
    group = Group(tmp_path, database, oracle.topic(1, 60), limits={"commit_records": 16})
    with refusing(database):
        group.member().to_end()
    t = schema.dead_letter
    with database.read() as connection:
        dead = connection.execute(sa.select(t.c.offset, t.c.reason).order_by(t.c.offset)).all()
    assert [tuple(row) for row in dead] == [(5, "database"), (6, "database"), (21, "database")]
    [partition] = group.partitions()
    assert (partition.next_offset, partition.records, partition.late) == (60, 57, 0)
    assert {id_ for _, id_ in samples(group).values()}.isdisjoint({"r5", "r6", "r21"})


@pytest.mark.parametrize("dead", [50, 51])
def test_too_large_a_share_of_dead_letters_stops_the_stream_with_everything_kept(
    database: Database, tmp_path: Path, dead: int
) -> None:
    inputs = [b"broken"] * dead + [oracle.message(n % 60, n) for n in range(1_000 - dead)]
    limits = {"commit_records": 250, "dead_letter_share": 0.05}
    group = Group(tmp_path, database, [inputs], limits=limits, lateness="30d")
    member = group.member()
    if dead == 50:
        member.to_end()
    else:
        said = r"51 of 1000 .*not_json 51.*dead_letter_share.*or raise that limit.*are kept"
        with pytest.raises(StreamHalted, match=said):
            member.to_end()
    group.assert_exact()


def test_fewer_than_a_thousand_inputs_are_not_judged(database: Database, tmp_path: Path) -> None:
    group = Group(tmp_path, database, [[b"broken"] * 999], limits={"commit_records": 100})
    group.member().to_end()
    group.assert_exact()


def test_each_thousand_is_judged_by_itself(database: Database, tmp_path: Path) -> None:
    fine = [oracle.message(n % 60, n) for n in range(1_000)]
    group = Group(
        tmp_path, database, [fine + [b"broken"] * 60 + fine], limits={"commit_records": 500}
    )
    with pytest.raises(StreamHalted, match="60 of 1000"):
        group.member().to_end()


def test_late_records_are_counted_and_change_no_window(database: Database, tmp_path: Path) -> None:
    early = [oracle.message(n, n) for n in range(24)]  # four hours
    stragglers = [oracle.message(n, n + 1) for n in (0, 1, 7, 23)]
    topic = [early + stragglers]
    group = Group(tmp_path, database, topic, limits={"commit_records": 24})
    member = group.member()
    member.worker.step()
    member.worker.step()
    assert write(database, store.close_windows, group.stream) == START + 3 * HOUR
    before = oracle.panes(database, group.stream)
    progress = member.worker.step()
    assert progress.closed_through_ms == START + 3 * HOUR
    after = oracle.panes(database, group.stream)
    assert oracle.late(database, group.stream) == {(0, START): 2, (0, START + HOUR): 1}
    assert group.partitions()[0].late == 3
    assert group.partitions()[0].records == 28
    for hour in range(3):
        assert after[0, START + hour * HOUR] == before[0, START + hour * HOUR]
    open_window = after[0, START + 3 * HOUR]
    assert open_window.records == before[0, START + 3 * HOUR].records + 1
    assert all(place[1] < 24 or place[1] == 27 for place in [(0, o) for _, o in samples(group)])


def test_a_window_that_nobody_had_before_it_closed_stays_empty(
    database: Database, tmp_path: Path
) -> None:
    topic = [[oracle.message(600, 0), oracle.message(0, 0), oracle.message(1, 0)]]
    group = Group(tmp_path, database, topic, limits={"commit_records": 1})
    member = group.member()
    member.worker.step()
    member.worker.step()
    assert write(database, store.close_windows, group.stream) == START + 99 * HOUR
    member.to_end()
    assert set(oracle.panes(database, group.stream)) == {(0, START + 100 * HOUR)}
    assert oracle.late(database, group.stream) == {(0, START): 2}


def test_lateness_holds_a_window_open_for_stragglers(database: Database, tmp_path: Path) -> None:
    end = START + HOUR
    stamps = [START, end + 599_000, START + 1_000, end + 600_000, START + 2_000]
    topic = [[oracle.message(n, n, ms=ms) for n, ms in enumerate(stamps)]]
    group = Group(tmp_path, database, topic, lateness="10m", limits={"commit_records": 1})
    member = group.member()
    closed = list[int | None]()
    member.worker.step()
    for _ in stamps:
        member.worker.step()
        closed.append(write(database, store.close_windows, group.stream))
    assert closed == [START - HOUR, START, START, end, end]
    assert oracle.late(database, group.stream) == {(0, START): 1}
    assert oracle.panes(database, group.stream)[0, START].records == 2


def test_a_watermark_never_falls(database: Database, tmp_path: Path) -> None:
    hours = [5, 3, 8, 1, 0, 7, 9, 2]
    topic = [[oracle.message(n, n, ms=START + h * HOUR) for n, h in enumerate(hours)]]
    group = Group(tmp_path, database, topic, lateness="10h", limits={"commit_records": 1})
    member = group.member()
    member.worker.step()
    seen = list[Sequence[int | None]]()
    for _ in hours:
        member.worker.step()
        row = group.partitions()[0]
        seen.append((row.watermark_ms, row.latest_event_ms))
    highest = [max(hours[: n + 1]) for n in range(len(hours))]
    assert seen == [(START + h * HOUR, START + h * HOUR) for h in highest]


def test_a_dead_letter_moves_the_position_and_no_watermark(
    database: Database, tmp_path: Path
) -> None:
    group = Group(tmp_path, database, [[oracle.message(0, 0), b"broken", b"broken"]])
    group.member().to_end()
    row = group.partitions()[0]
    assert (row.next_offset, row.watermark_ms, row.records) == (3, START, 1)


def test_a_partition_that_nobody_reads_holds_the_watermark(
    database: Database, tmp_path: Path
) -> None:
    group = Group(tmp_path, database, oracle.topic(2, 60))
    group.member([0]).to_end()
    assert write(database, store.close_windows, group.stream) is None
    other = group.member([1])
    other.worker.step()
    other.worker.step()
    assert write(database, store.close_windows, group.stream) == START
    other.to_end()
    assert write(database, store.close_windows, group.stream) == START + 10 * HOUR


def test_a_drained_partition_that_is_taken_again_holds_the_watermark_again(
    database: Database, tmp_path: Path
) -> None:
    topic = oracle.topic(2, 60)
    group = Group(tmp_path, database, topic)
    group.member([0]).to_end()
    assert [p.drained for p in group.partitions()] == [True, False]
    again = group.member([0])
    again.worker.step()
    assert [p.drained for p in group.partitions()] == [False, False]
    assert not again.worker.drained
    again.to_end()
    assert [p.drained for p in group.partitions()] == [True, False]
    group.member([1]).to_end()
    group.assert_exact()


def test_a_drained_partition_that_grew_is_read_on(database: Database, tmp_path: Path) -> None:
    whole = oracle.topic(1, 60)
    group = Group(tmp_path, database, [whole[0][:20]])
    group.member().to_end()
    group.topic = whole
    member = group.member()
    member.to_end()
    group.assert_exact()


KAFKA = {"kind": "kafka", "bootstrap": "unused:9092", "topic": "unused", "idle_grace": "1m"}


def test_inputs_that_are_delivered_again_are_counted_once(
    database: Database, tmp_path: Path
) -> None:
    group = Group(tmp_path, database, oracle.topic(2, 40, dead_every=9))
    member = group.member()
    poll, before = member.source.poll, list[Raw]()

    def again(max_records: int, timeout_s: float) -> Polled:
        polled = poll(max_records, timeout_s)
        repeated = replace(polled, inputs=[*before, *polled.inputs])
        before[:] = polled.inputs
        return repeated

    member.source.poll = again  # type: ignore[method-assign]
    member.to_end()
    group.assert_exact()


def test_the_end_is_asked_for_again_when_the_clock_has_jumped_back(
    database: Database, tmp_path: Path
) -> None:
    now = NOW + 72 * HOUR
    inputs = list(oracle.topic(1, 6)[0])
    topic = [inputs[:5]]
    group = Group(tmp_path, database, topic)
    member = group.member(clock=lambda: now)
    for _ in range(2):
        member.worker.step()
    now = NOW
    topic[0].append(inputs[5])
    member.worker.step()
    assert [(p.next_offset, p.end_offset) for p in group.partitions()] == [(6, 6)]


def test_an_idle_partition_whose_end_was_not_reached_does_not_follow_the_clock(
    database: Database, tmp_path: Path
) -> None:
    group = Group(tmp_path, database, oracle.topic(1, 5), source=KAFKA)
    member = group.member(most=0)  # the broker says there are five, and sends none
    for _ in range(5):
        member.worker.step()
    assert group.partitions()[0].watermark_ms is None


def test_a_record_nested_at_any_depth_is_a_record_or_a_dead_letter(
    tmp_path: Path, database: Database
) -> None:
    topic = [
        [
            b'{"id":"%d","timestamp":%d,"text":"hi","deep":%b}'
            % (n, START // 1000, b"[" * n + b"]" * n)
            for n in range(850, 1_000)
        ]
    ]
    group = Group(tmp_path, database, topic, limits={"commit_records": 1_000})
    group.member().to_end()
    counted = sum(p.records for p in oracle.panes(database, group.stream).values())
    assert counted + len(oracle.dead(database, group.stream)) == 150


def test_records_of_any_numbers_are_kept_as_samples(tmp_path: Path, database: Database) -> None:
    numbers = [b"1e308", b"-0.0", b"123456789012345678901234567890", b"5e-324"]
    topic = [
        [
            b'{"id":"%d","timestamp":%d,"text":"hi","country":%b}' % (n, START // 1000, number)
            for n, number in enumerate(numbers)
        ]
    ]
    group = Group(tmp_path, database, topic)
    group.member().to_end()
    assert len(samples(group)) == 4


def test_closing_and_evaluating_leave_the_memory_bounded(
    database: Database, tmp_path: Path
) -> None:
    group = Group(tmp_path, database, oracle.topic(1, 600), limits={"commit_records": 6})
    member = group.member()
    while not member.worker.drained:
        member.worker.step(finite=True)
        write(database, store.close_windows, group.stream)
        held = member.worker._assignment.owned[0]
        assert len(held.panes) <= 3
        assert len(held.samplers) <= 3
    assert group.cursor(CLOSED) == START + 100 * HOUR
