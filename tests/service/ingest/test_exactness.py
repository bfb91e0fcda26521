"""Promise 1: every record is counted exactly once, whatever crashes and whoever reads."""

from __future__ import annotations

import random
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service import oracle
from tests.service.group import Group, Member
from tests.service.streams_for_tests import HOUR, START
from tests.service.transactions import write
from tidegauge_service.errors import SourceError, StoreError
from tidegauge_service.ingest import transaction
from tidegauge_service.metrics import meters
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import commit as store
from tidegauge_service.store.streams import EVALUATED
from tidegauge_service.store.windows import evaluation
from tidegauge_service.store.windows.counts import counts_between


def in_threads(*jobs: Callable[[], None]) -> None:
    """Run jobs side by side; raise what any of them raised."""
    raised = list[BaseException]()

    def guarded(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001  (raised again below)
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


def all_read(group: Group) -> bool:
    return [p.next_offset for p in group.partitions()] == [len(i) for i in group.topic]


def test_threads_that_are_reassigned_at_random_count_what_the_oracle_counts(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers over four partitions; assignments overlap, are torn away, and workers die."""
    group = Group(
        tmp_path, database, oracle.topic(4, 90, dead_every=11), limits={"commit_records": 10}
    )
    fences = list[str]()
    monkeypatch.setattr(meters, "fenced", fences.append)

    def work(seed: int) -> None:
        chance = random.Random(seed)
        member = group.member(most=5)
        while not all_read(group):
            turn = chance.random()
            if turn < 0.1:
                member = group.member(most=5)  # killed, and started again
            elif turn < 0.3:
                member.source.assign(p for p in range(4) if chance.random() < 0.7)
            elif turn < 0.4:
                member.source.rebalance()
            member.worker.step(finite=chance.random() < 0.2)

    in_threads(lambda: work(1), lambda: work(2))
    assert fences, "the test is void unless they got into each other's way"
    group.assert_exact()


def test_windows_that_close_and_are_evaluated_meanwhile_lose_and_repeat_nothing(
    database: Database, tmp_path: Path
) -> None:
    """Two workers, two closers, two evaluators: records are in a pane or late, never both."""
    records = 150
    disordered = random.Random(5)
    topic = [
        [
            oracle.message(n, n + p, ms=START + max(0, n - disordered.randrange(24)) * 600_000)
            for n in range(records)
        ]
        for p in range(2)
    ]
    group = Group(tmp_path, database, topic, limits={"commit_records": 6})
    done = threading.Event()
    evaluated = list[tuple[int, int]]()

    def work(partition: int) -> None:
        member = group.member([partition], most=3)
        while not member.worker.drained:
            member.worker.step(finite=True)
            # Some are late, however threads take turns.
            write(database, store.close_windows, group.stream)

    def read() -> None:
        in_threads(lambda: work(0), lambda: work(1))
        done.set()

    def evaluate() -> None:
        while True:
            last = done.wait(0.01)  # asked first: what is closed after it is closed for good
            write(database, store.close_windows, group.stream)
            while take_one(database, group, evaluated):
                pass
            if last:
                return

    in_threads(read, evaluate, evaluate)
    starts = [start for start, _ in evaluated]
    assert sorted(starts) == list(range(START, START + len(starts) * HOUR, HOUR))
    panes = oracle.panes(database, group.stream)
    stored = Counter[int]()
    for (_, start), pane in panes.items():
        stored[start] += pane.records
    assert {start: n for start, n in evaluated if n} == stored, "a window changed after evaluation"
    late = oracle.late(database, group.stream)
    assert late, "the test is void unless some came late"
    for place, tally in oracle.expected(topic).items():
        counted = panes[place].records if place in panes else 0
        assert counted + late.get(place, 0) == tally["_all records"]
    assert [p.late for p in group.partitions()] == [
        sum(n for (p, _), n in late.items() if p == partition) for partition in (0, 1)
    ]


def take_one(database: Database, group: Group, evaluated: list[tuple[int, int]]) -> bool:
    """Evaluate a window as the evaluator does; note it inside the transaction, so in order."""
    with database.write() as connection:
        start = evaluation.take_next(connection, group.stream)
        if start is None:
            return False
        until = start + group.stream.window_ms
        found = counts_between(connection, group.stream, start, until)
        evaluation.finish(connection, group.stream, start)
        evaluated.append((start, found[start].records if start in found else 0))
        return True


def test_two_evaluators_never_take_the_same_window(database: Database, tmp_path: Path) -> None:
    group = Group(tmp_path, database, oracle.topic(1, 240), limits={"commit_records": 240})
    group.member().to_end()
    write(database, store.close_windows, group.stream)
    evaluated = list[tuple[int, int]]()
    start_together = threading.Barrier(3)

    def evaluate() -> None:
        start_together.wait()
        while take_one(database, group, evaluated):
            pass

    in_threads(evaluate, evaluate, evaluate)
    assert evaluated == [(START + h * HOUR, 6) for h in range(40)]
    assert group.cursor(EVALUATED) == START + 40 * HOUR


ACTIONS = st.one_of(
    st.tuples(st.just("step"), st.integers(0, 2), st.booleans()),
    st.tuples(st.just("crash"), st.integers(0, 2), st.booleans()),
    st.tuples(st.just("assign"), st.integers(0, 2), st.sets(st.integers(0, 2))),
    st.tuples(st.just("rebalance"), st.integers(0, 2), st.booleans()),
    st.tuples(st.just("poll fails"), st.integers(0, 2), st.integers(0, 4)),
    st.tuples(st.just("commit fails"), st.integers(0, 2), st.booleans()),
)


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(ACTIONS, max_size=30), st.integers(1, 12), st.integers(1, 6))
def test_any_history_ends_in_the_oracles_counts(
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
    actions: list[tuple[str, int, Any]],
    batch: int,
    most: int,
) -> None:
    folder = tmp_path_factory.mktemp("history")
    shutil.copy(sqlite_template, folder / "tidegauge.db")
    database = Database(f"sqlite:///{folder}/tidegauge.db")
    topic = oracle.topic(3, 20, dead_every=7)
    group = Group(folder, database, topic, limits={"commit_records": batch})
    members = [group.member(most=most) for _ in range(3)]
    for action, who, how in actions:
        act(group, members, action, who, how=how, most=most)
    group.member().to_end()
    group.assert_exact()
    database.close()


def act(group: Group, members: list[Member], action: str, who: int, *, how: Any, most: int) -> None:
    member = members[who]
    if action == "crash":
        members[who] = group.member(most=most)
    elif action == "assign":
        member.source.assign(how)
    elif action == "rebalance":
        member.source.rebalance()
    elif action == "poll fails":
        member.source.fail_after = how
    elif action == "commit fails":
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(transaction, "commit", Breaking(before=how))
            step(member)
    else:
        step(member, finite=how)


def step(member: Member, *, finite: bool = False) -> None:
    try:
        member.worker.step(finite=finite)
    except (ConnectionResetError, StoreError, SourceError):
        assert not member.worker.drained


class Breaking:
    """A commit whose connection breaks, before or after it took effect."""

    def __init__(self, *, before: bool) -> None:
        self._before = before
        self._real = transaction.commit

    def __call__(self, *args: Any, **more: Any) -> int | None:
        if not self._before:
            self._real(*args, **more)
        raise ConnectionResetError
