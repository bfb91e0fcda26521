"""What is late follows from the records, not from how they were batched, killed or shared out."""

from __future__ import annotations

import itertools
import random
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service import oracle
from tests.service.group import NOW, Group
from tests.service.streams_for_tests import HOUR, START
from tidegauge_probes.model import Record
from tidegauge_service.clock import to_iso
from tidegauge_service.ingest import lateness
from tidegauge_service.jobs.evaluator import Evaluator
from tidegauge_service.store import schema
from tidegauge_service.store.engine import Database
from tidegauge_service.store.scope import StreamScope

MINUTE = 60_000


def records(minutes: Sequence[tuple[int, int]]) -> list[Record]:
    """Return records of (partition, minute)."""
    offsets: Counter[int] = Counter()
    found = list[Record]()
    for partition, minute in minutes:
        at = START + minute * MINUTE
        found.append(Record(f"r{len(found)}", at, {}, partition, offsets[partition]))
        offsets[partition] += 1
    return found


def late_one_by_one(given: Sequence[Record], window: int, allowed: int) -> list[str]:
    """Return the ids of late records, by the words of the promise and nothing else."""
    highest: dict[int, int] = {}
    late = []
    for record in given:
        seen = highest.get(record.partition)
        end = record.timestamp_ms - record.timestamp_ms % window + window
        if seen is not None and seen - allowed >= end:
            late.append(record.id)
        highest[record.partition] = max(record.timestamp_ms, seen or record.timestamp_ms)
    return late


def test_the_example_of_the_docstring() -> None:
    given = records([(0, 710), (0, 725), (0, 719), (0, 730), (0, 718)])
    found = lateness.sort_out(given, {}, window_ms=HOUR, lateness_ms=10 * MINUTE)
    assert [record.id for record in found.on_time] == ["r0", "r1", "r2", "r3"]
    assert found.late == {0: {START + 11 * HOUR: 1}}


PLACES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 600)), max_size=60)


@given(PLACES, st.lists(st.integers(1, 20), max_size=30), st.integers(1, 90), st.integers(0, 200))
def test_any_batches_sort_out_what_one_record_at_a_time_does(
    places: list[tuple[int, int]], sizes: list[int], window: int, allowed: int
) -> None:
    whole, window_ms, lateness_ms = records(places), window * MINUTE, allowed * MINUTE
    expected = late_one_by_one(whole, window_ms, lateness_ms)
    latest: dict[int, int | None] = {}
    on_time, late = list[str](), Counter[tuple[int, int]]()
    left = iter(whole)
    for size in itertools.chain(sizes, itertools.repeat(7)):
        batch = list(itertools.islice(left, size))
        if not batch:
            break
        found = lateness.sort_out(batch, latest, window_ms=window_ms, lateness_ms=lateness_ms)
        on_time += [record.id for record in found.on_time]
        late.update({(p, w): n for p, of in found.late.items() for w, n in of.items()})
        for record in batch:
            seen = latest.get(record.partition)
            latest[record.partition] = max(record.timestamp_ms, seen or record.timestamp_ms)
    assert on_time == [record.id for record in whole if record.id not in expected]
    of = {record.id: record for record in whole}
    assert late == Counter(
        (of[i].partition, of[i].timestamp_ms - of[i].timestamp_ms % window_ms) for i in expected
    )


HOURS, QUIET_FROM, EACH = 72, 62, 4


def disordered(seed: int, partitions: int, going_back: float) -> list[list[bytes]]:
    """Return three days whose clocks go back now and then, by up to a day; at last LFs go quiet."""
    draw = random.Random(seed)
    return [list(_inputs(draw, going_back)) for _ in range(partitions)]


def _inputs(draw: random.Random, going_back: float) -> Iterator[bytes]:
    for n in range(HOURS * EACH):
        minute = n * 60 // EACH
        if draw.random() < going_back:
            minute = max(0, minute - draw.choice([5, 20, 90, 300, 1440]))
        text = 0 if minute >= QUIET_FROM * 60 else draw.randrange(7)
        yield oracle.message(n, text, ms=START + minute * MINUTE)


Seen = dict[str, Any]


def outcome(folder: Path, template: Path, topic: list[list[bytes]], batch: int, kill: int) -> Seen:
    """Read a topic, a new worker after every *kill* steps, and return all that came of it."""
    folder.mkdir()
    shutil.copy(template, folder / "tidegauge.db")
    database = Database(f"sqlite:///{folder}/tidegauge.db")
    until = to_iso(START + 60 * HOUR)
    baseline = {"from": to_iso(START), "until": until}
    group = Group(folder, database, topic, limits={"commit_records": batch}, baseline=baseline)
    evaluator = Evaluator(StreamScope(group.config, group.stream, database, lambda: NOW))
    member, steps = group.member(), 0
    while not member.worker.drained:
        member.worker.step(finite=True)
        evaluator.tick()
        steps += 1
        if steps % kill == 0:
            member = group.member()
            evaluator = Evaluator(StreamScope(group.config, group.stream, database, lambda: NOW))
    evaluator.tick()
    found = {
        "late": oracle.late(database, group.stream),
        "panes": oracle.tallies(database, group.stream),
        "positions": [(p.next_offset, p.records, p.late) for p in group.partitions()],
        **_written(database),
    }
    database.close()
    return found


def _written(database: Database) -> Seen:
    w, s, a = schema.window, schema.window_stat, schema.alert_transition
    queries = {
        "windows": sa.select(w.c.window_start_ms, w.c.state, w.c.records),
        "figures": sa.select(s.c.window_start_ms, s.c.x, s.c.n, s.c.p_value, s.c.verdict),
        "alerts": sa.select(a.c.window_start_ms, a.c.content),
    }
    with database.read() as connection:
        return {
            name: sorted(tuple(map(str, row)) for row in connection.execute(query))
            for name, query in queries.items()
        }


@pytest.mark.parametrize("partitions", [1, 3])
def test_replay_does_not_depend_on_commit_records(
    sqlite_template: Path, tmp_path: Path, partitions: int
) -> None:
    topic = disordered(3, partitions, going_back=0.2)
    whole = outcome(tmp_path / "whole", sqlite_template, topic, 10_000, 10_000)
    assert sum(whole["late"].values()) > 20 * partitions, "void unless clocks go back far enough"
    assert whole["alerts"], "void unless something is alerted"
    assert outcome(tmp_path / "parts", sqlite_template, topic, 100, 10_000) == whole


@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    seed=st.integers(0, 999),
    partitions=st.integers(1, 2),
    going_back=st.sampled_from([0.02, 0.3, 0.9]),
    batch=st.integers(20, 500),
    kill=st.integers(2, 9),
)
def test_any_batches_and_kills_leave_the_same_windows_and_alerts(
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
    *,
    seed: int,
    partitions: int,
    going_back: float,
    batch: int,
    kill: int,
) -> None:
    folder = tmp_path_factory.mktemp("lateness")
    topic = disordered(seed, partitions, going_back)
    whole = outcome(folder / "whole", sqlite_template, topic, 10_000, 10_000)
    assert outcome(folder / "parts", sqlite_template, topic, batch, kill) == whole
