"""LFs change under running workers: no window is lost, and none is counted by two deployments."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service import oracle
from tests.service.group import Member
from tests.service.ingest.test_exactness import all_read, in_threads
from tests.service.redeployed import BASE, SOMEBODY, Redeployed
from tests.service.streams_for_tests import HOUR, START
from tests.service.transactions import read, write
from tidegauge_service.deployments import changes
from tidegauge_service.errors import ChangeRefused, Superseded
from tidegauge_service.ingest import transaction
from tidegauge_service.ingest.deployed import current_deployments
from tidegauge_service.store import deployments, streams
from tidegauge_service.store.deployments import Reference
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import commit as store


def disordered(partitions: int, records: int, seed: int) -> list[list[bytes]]:
    """Return a topic in which records come up to four hours late, and some are none."""
    chance = random.Random(seed)
    return [
        [
            b"broken"
            if chance.random() < 0.05
            else oracle.message(n, n + p, ms=START + max(0, n - chance.randrange(24)) * 600_000)
            for n in range(records)
        ]
        for p in range(partitions)
    ]


def windows_of(group: Redeployed) -> set[int]:
    return {start for _, start, _ in group.panes()}


# -- Whole, whatever happens ----------------------------------------------------------------------


class Drama:
    """Two members of a group, and everything that may happen between and within their batches."""

    def __init__(self, folder: Path, database: Database, seed: int) -> None:
        self.group = Redeployed(
            folder,
            database,
            disordered(3, 40, seed),
            limits={"commit_records": 6, "dead_letter_share": 1.0},
        )
        self.chance = random.Random(seed)
        self.waiting: list[Callable[[], object]] = []
        self.members = [self.member(), self.member()]

    def member(self) -> Member:
        return self.group.member(most=4, on_poll=self.meanwhile)

    def meanwhile(self) -> None:
        """Do what is due while a member holds what it has polled, before it commits."""
        while self.waiting:
            with suppress(ChangeRefused):
                self.waiting.pop()()

    def act(self, what: str, number: int) -> None:
        which = number % 3
        changes: dict[str, Callable[[], object]] = {
            "deploy": lambda: self.group.deploy(which),
            "shadow": lambda: self.group.shadow(which),
            "end shadow": self.group.end_shadow,
            "roll back": self.group.roll_back,
            "promote": lambda: self.promote(f"{BASE}-{which}"),
            "close": lambda: write(self.group.database, store.close_windows, self.group.stream),
        }
        member = self.members[number % 2]
        if what == "step":
            member.worker.step()
        elif what == "kill":
            self.members[number % 2] = self.member()
        elif what == "assign":
            member.source.assign(p for p in range(3) if self.chance.random() < 0.7)
        elif number % 2:
            self.waiting.append(changes[what])
        else:
            with suppress(ChangeRefused):
                changes[what]()

    def promote(self, baseline: str) -> None:
        """Promote as ``changes.promote`` does, but for the fitting of a baseline."""
        with self.group.database.write() as connection:
            found = deployments.current(
                deployments.of_stream(connection, self.group.stream.id), streams.Role.SHADOW
            )
        if found is None:
            return
        which = [probe_set.id for probe_set in self.group.sets].index(found.probe_set)
        wanted = self.group.wanted(which)
        compared = Reference(f"{baseline}-promoted")
        wanted = changes.Wanted(wanted.probe_set, wanted.reference, compared)
        changes.deploy(self.group.database, self.group.stream, wanted, SOMEBODY)

    def finish(self) -> None:
        for member in self.members:
            member.source.assign(range(3))
        while not all_read(self.group):
            for member in self.members:
                member.worker.step()
        self.meanwhile()
        write(self.group.database, store.close_windows, self.group.stream)


ACTIONS = [
    *["step"] * 6,
    *["deploy", "shadow", "promote", "end shadow", "roll back"],
    *["close", "kill", "assign"],
]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    acts=st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 5)), max_size=40),
    seed=st.integers(0, 10),
)
def test_each_window_is_counted_whole_by_its_deployments_and_by_no_other(
    acts: list[tuple[str, int]],
    seed: int,
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(current_deployments, "REFRESH_EVERY_S", 1e9)  # the commit has to find out
    folder = tmp_path_factory.mktemp("drama")
    shutil.copy(sqlite_template, folder / "tidegauge.db")
    database = Database(f"sqlite:///{folder}/tidegauge.db")
    drama = Drama(folder, database, seed)
    for what, number in acts:
        drama.act(what, number)
    drama.finish()
    drama.group.assert_whole()
    database.close()


def change_something(group: Redeployed, chance: random.Random) -> None:
    turn = chance.random()
    if turn < 0.1:
        write(group.database, store.close_windows, group.stream)
    elif turn < 0.2:
        with suppress(ChangeRefused):
            chance.choice([group.deploy, group.shadow])(chance.randrange(3))


def test_two_workers_and_somebody_who_cannot_make_up_his_mind(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads on a real database: they fence each other, close, and change the deployments."""
    group = Redeployed(
        tmp_path,
        database,
        disordered(4, 60, 3),
        limits={"commit_records": 10, "dead_letter_share": 1.0},
    )
    refused = list[Superseded]()
    commit = transaction.commit

    def heard(*args: Any, **more: Any) -> int | None:
        try:
            return commit(*args, **more)
        except Superseded as error:
            refused.append(error)
            raise

    monkeypatch.setattr(transaction, "commit", heard)
    monkeypatch.setattr(current_deployments, "REFRESH_EVERY_S", 1e9)

    def work(seed: int) -> None:
        chance, due = random.Random(seed), [20 * seed, 20 * seed + 40]

        def change() -> None:
            """Change something while this thread, or the other one, holds a batch."""
            change_something(group, chance)
            if due and sum(p.next_offset for p in group.partitions()) >= due[0]:
                due.pop(0)
                with suppress(ChangeRefused):
                    group.deploy(seed)

        member = group.member(most=5, on_poll=change)
        while not all_read(group):
            turn = chance.random()
            if turn < 0.05:
                member = group.member(most=5, on_poll=change)
            elif turn < 0.2:
                member.source.assign(p for p in range(4) if chance.random() < 0.8)
            member.worker.step()

    in_threads(lambda: work(1), lambda: work(2))
    group.assert_whole()
    counting = {d.probe_set for d in group.known() if d.role == "live" and d.was_used}
    assert len(counting) > 1, "the test is void unless deployments have changed"
    assert refused, "the test is void unless a batch was held while they did"


# -- One thing at a time --------------------------------------------------------------------------


def test_a_change_takes_effect_behind_every_record_that_was_counted(
    database: Database, tmp_path: Path
) -> None:
    group = Redeployed(tmp_path, database, oracle.topic(2, 24))  # four windows
    member = group.member([0])
    member.worker.step()
    member.worker.step()  # 7 records of partition 0: up to the second window
    deployed = group.deploy(1)
    assert deployed.from_ms == START + 2 * HOUR
    group.member().to_end()
    by_deployment = {probe_set: set[int]() for probe_set in group.names}
    for _, start, probe_set in group.panes():
        by_deployment[probe_set].add((start - START) // HOUR)
    first, second, third = (by_deployment[probe_set.id] for probe_set in group.sets)
    assert (first, second, third) == ({0, 1}, {2, 3}, set())
    group.assert_whole()


def test_a_stream_that_was_never_read_counts_with_the_new_deployment_from_the_start(
    database: Database, tmp_path: Path
) -> None:
    group = Redeployed(tmp_path, database, oracle.topic(1, 12))
    assert group.deploy(2).from_ms == 0
    group.member().to_end()
    assert {probe_set for _, _, probe_set in group.panes()} == {group.sets[2].id}
    group.assert_whole()


def test_a_batch_that_is_held_while_deployments_change_is_dropped_and_counted_again(
    database: Database, tmp_path: Path
) -> None:
    group = Redeployed(tmp_path, database, oracle.topic(1, 12), limits={"commit_records": 12})
    polls = count()

    def deploy() -> None:
        if next(polls) == 2:  # after what it gained, and the first six records
            group.deploy(1)

    member = group.member(most=6, on_poll=deploy)
    progress = member.worker.step()
    assert not progress.committed
    assert group.panes() == {}
    assert [p.next_offset for p in group.partitions()] == [0]
    member.to_end()
    assert {probe_set for _, _, probe_set in group.panes()} == {group.sets[1].id}
    group.assert_whole()


def test_a_worker_sees_a_change_between_two_batches(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a batch that is refused: the change is looked for every REFRESH_EVERY_S."""
    monkeypatch.setattr(current_deployments, "REFRESH_EVERY_S", 0.0)
    group = Redeployed(tmp_path, database, oracle.topic(1, 36))
    member = group.member()
    member.worker.step()
    member.worker.step()
    group.deploy(1)
    steps = 0
    while not member.worker.drained:
        steps += 1
        member.worker.step(finite=True)
    assert steps == 6, "29 records in batches of 7, and the end: none was dropped"
    group.assert_whole()


def test_a_worker_that_starts_later_goes_on_with_both_deployments(
    database: Database, tmp_path: Path
) -> None:
    """The old deployment's window is half counted when the worker dies; its successor ends it."""
    group = Redeployed(tmp_path, database, oracle.topic(1, 24))
    first = group.member()
    first.worker.step()
    first.worker.step()
    group.deploy(2)
    group.member().to_end()
    of = {start: probe_set for _, start, probe_set in group.panes()}
    assert of[START + HOUR] == group.sets[0].id
    assert of[START + 2 * HOUR] == group.sets[2].id
    group.assert_whole()


def test_a_shadow_counts_what_the_live_deployment_counts(
    database: Database, tmp_path: Path
) -> None:
    group = Redeployed(tmp_path, database, oracle.topic(2, 36, dead_every=7))
    member = group.member()
    for _ in range(3):
        member.worker.step()
    shadow = group.shadow(1)
    member.to_end()
    counted = {start for _, start, probe_set in group.panes() if probe_set == shadow.probe_set}
    assert counted == {start for start in windows_of(group) if start >= shadow.from_ms} != set()
    group.assert_whole()
    assert sum(p.records for p in group.partitions()) == 2 * 31, "records are counted once"


def test_a_shadow_ends_with_a_window(database: Database, tmp_path: Path) -> None:
    group = Redeployed(tmp_path, database, oracle.topic(1, 36))
    shadow = group.shadow(2)
    member = group.member()
    member.worker.step()
    member.worker.step()
    ended = group.end_shadow()
    assert (ended.until_ms, ended.ended_by) == (START + 2 * HOUR, SOMEBODY.name)
    member.to_end()
    counted = {start for _, start, probe_set in group.panes() if probe_set == shadow.probe_set}
    assert counted == {START, START + HOUR}
    group.assert_whole()


def test_what_is_live_is_no_shadow_of_itself(database: Database, tmp_path: Path) -> None:
    group = Redeployed(tmp_path, database, oracle.topic(1, 6))
    with pytest.raises(ChangeRefused, match="is live, so it already counts"):
        group.shadow(0)
    group.shadow(1)
    with pytest.raises(ChangeRefused, match="is already the shadow"):
        group.shadow(1)
    group.deploy(1)
    assert [(d.role, d.until_ms) for d in group.known() if d.probe_set == group.sets[1].id] == [
        ("shadow", 0),
        ("live", None),
    ]


def test_a_new_shadow_replaces_the_old_one(database: Database, tmp_path: Path) -> None:
    group = Redeployed(tmp_path, database, oracle.topic(1, 24))
    group.shadow(1)
    member = group.member()
    member.worker.step()
    member.worker.step()
    group.shadow(2)
    member.to_end()
    group.assert_whole()
    assert {probe_set for _, start, probe_set in group.panes() if start == START + 3 * HOUR} == {
        group.sets[0].id,
        group.sets[2].id,
    }


def test_a_roll_back_is_a_deployment_of_the_deployment_before_with_its_baseline(
    database: Database, tmp_path: Path
) -> None:
    group = Redeployed(tmp_path, database, oracle.topic(1, 36))
    member = group.member()
    member.worker.step()
    member.worker.step()
    group.deploy(1)
    member.worker.step()
    member.worker.step()
    member.worker.step()
    back = group.roll_back()
    assert (back.probe_set, back.baseline) == (group.sets[0].id, BASE)
    assert (back.made_as, back.created_by) == ("rollback", "somebody")
    member.to_end()
    group.assert_whole()
    assert len({probe_set for _, _, probe_set in group.panes()}) == 2
    assert group.roll_back().probe_set == group.sets[1].id, "and back again"


def test_a_deployment_without_a_window_is_not_rolled_back_to(
    database: Database, tmp_path: Path
) -> None:
    group = Redeployed(tmp_path, database, oracle.topic(1, 6))
    with pytest.raises(ChangeRefused, match="no other deployment"):
        group.roll_back()
    group.member().to_end()
    group.deploy(1)
    group.deploy(2)
    assert group.roll_back().probe_set == group.sets[0].id


def test_what_is_refused_changes_nothing(database: Database, tmp_path: Path) -> None:
    group = Redeployed(tmp_path, database, oracle.topic(1, 6))
    before = group.known(), read(database, streams.find, "test")
    for change in (
        group.roll_back,
        group.end_shadow,
        lambda: group.shadow(0),
        lambda: changes.promote(database, group.stream, SOMEBODY),
        lambda: changes.deploy(
            database,
            group.stream,
            changes.Wanted(group.sets[0], "probes.yaml", Reference(BASE)),
            SOMEBODY,
        ),
        lambda: changes.deploy(
            database, group.stream, changes.Wanted(group.sets[1], "probes_1.yaml"), SOMEBODY
        ),
    ):
        with pytest.raises(ChangeRefused):
            change()
    assert (group.known(), read(database, streams.find, "test")) == before


def test_a_range_must_begin_when_the_deployment_does(database: Database, tmp_path: Path) -> None:
    group = Redeployed(tmp_path, database, oracle.topic(1, 12))
    group.member().to_end()
    first = START + 2 * HOUR

    def deploy(since: int) -> deployments.Deployment:
        compared = Reference(None, (since, since + 10 * HOUR))
        wanted = changes.Wanted(group.sets[1], "probes_1.yaml", compared)
        return changes.deploy(database, group.stream, wanted, SOMEBODY)

    with pytest.raises(ChangeRefused, match="counts only windows from 2020-09-13T14"):
        deploy(first - HOUR)
    assert deploy(first).range_from_ms == first
