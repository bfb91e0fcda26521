from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.service import oracle, transactions
from tests.service.group import Group
from tests.service.streams_for_tests import HOUR, START
from tests.service.transactions import write
from tidegauge_probes.findings import Finding, SeriesKey, SeriesKind, Verdict
from tidegauge_service.store import streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import commit as store
from tidegauge_service.store.states import WindowState
from tidegauge_service.store.streams import CLOSED, EVALUATED
from tidegauge_service.store.windows import evaluation, queries
from tidegauge_service.store.windows.counts import counts_between

MAX = evaluation.MAX_EMPTY_WINDOWS


def at_hours(*hours: int) -> list[list[bytes]]:
    return [[oracle.message(n, n, ms=START + h * HOUR) for n, h in enumerate(hours)]]


def read(folder: Path, database: Database, topic: list[list[bytes]]) -> Group:
    """Read a topic to its end and close what can be closed."""
    group = Group(folder, database, topic)
    group.member().to_end()
    write(database, store.close_windows, group.stream)
    return group


def take_all(group: Group) -> list[tuple[int, int]]:
    """Return (hour, records) of the windows in the order in which they are taken."""
    found = list[tuple[int, int]]()
    while True:
        with group.database.write() as connection:
            start = evaluation.take_next(connection, group.stream)
            if start is None:
                return found
            until = start + HOUR
            counted = counts_between(connection, group.stream, start, until).get(start)
            found.append(((start - START) // HOUR, counted.records if counted else 0))
            evaluation.finish(connection, group.stream, start)


def test_nothing_is_taken_before_a_window_closes(database: Database, tmp_path: Path) -> None:
    group = Group(tmp_path, database, at_hours(0, 1))
    with database.write() as connection:
        assert evaluation.take_next(connection, group.stream) is None


def test_windows_are_taken_in_order_the_empty_ones_too(database: Database, tmp_path: Path) -> None:
    group = read(tmp_path, database, at_hours(2, 2, 5, 7))
    assert take_all(group) == [(2, 2), (3, 0), (4, 0), (5, 1), (6, 0), (7, 1)]
    assert take_all(group) == []


def test_a_window_that_was_not_finished_is_taken_again(database: Database, tmp_path: Path) -> None:
    group = read(tmp_path, database, at_hours(0))
    with pytest.raises(ZeroDivisionError), database.write() as connection:
        assert evaluation.take_next(connection, group.stream) == START
        evaluation.finish(connection, group.stream, START)
        raise ZeroDivisionError
    assert take_all(group) == [(0, 1)]


def test_what_closes_later_is_taken_later(database: Database, tmp_path: Path) -> None:
    whole = at_hours(0, 1, 2, 4)
    group = read(tmp_path, database, [whole[0][:2]])
    assert take_all(group) == [(0, 1), (1, 1)]
    group.topic = whole
    member = group.member()
    member.worker.step()
    member.worker.step()
    write(database, store.close_windows, group.stream)
    assert take_all(group) == [(2, 1)]


@pytest.mark.parametrize("gap", [MAX, MAX + 1, 9 * MAX])
def test_a_long_gap_is_stepped_over_a_shorter_one_is_evaluated(
    sqlite_database: Database, tmp_path: Path, gap: int
) -> None:
    group = read(tmp_path, sqlite_database, at_hours(0, 1 + gap))
    taken = take_all(group)
    if gap == MAX:
        assert taken == [(0, 1), *((h, 0) for h in range(1, gap + 1)), (1 + gap, 1)]
    else:
        assert taken == [(0, 1), (1 + gap, 1)]


def test_a_run_of_empty_windows_with_nothing_behind_it_is_stepped_over_once(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    group = read(tmp_path, database, at_hours(0))
    assert take_all(group) == [(0, 1)]
    for hours in (5 * MAX, 9 * MAX):  # a silent stream whose clock goes on
        with database.write() as connection:
            streams.move_cursor(connection, group.stream.id, CLOSED, START + hours * HOUR)
        capsys.readouterr()
        for _ in range(10):
            assert take_all(group) == []
        assert capsys.readouterr().out.count("empty_windows_skipped") == 1
        assert group.cursor(EVALUATED) == START + hours * HOUR
    with database.write() as connection:
        streams.move_cursor(connection, group.stream.id, CLOSED, START + (9 * MAX + 2) * HOUR)
    assert take_all(group) == [(9 * MAX, 0), (9 * MAX + 1, 0)]


def test_one_stray_record_of_long_ago_costs_no_evaluations(
    database: Database, tmp_path: Path
) -> None:
    group = read(tmp_path, database, [[oracle.message(0, 0, ms=0)], *at_hours(0, 1)])
    assert [hour for hour, _ in take_all(group)] == [-START // HOUR, 0, 1]


def test_a_window_closed_without_any_record_is_not_the_beginning(
    database: Database, tmp_path: Path
) -> None:
    """A watermark alone (an idle topic) closes windows in which nothing ever was."""
    group = Group(tmp_path, database, [[]])
    idle = store.PartitionBatch(0, 0, 0, watermark_ms=START + 50 * HOUR)
    write(database, store.commit, group.stream, [idle], owner="test", now_ms=0)
    write(database, store.close_windows, group.stream)
    assert take_all(group) == []
    assert group.cursor(EVALUATED) is None


def test_counts_are_summed_over_partitions(database: Database, tmp_path: Path) -> None:
    group = read(tmp_path, database, oracle.topic(3, 12))
    with database.read() as connection:
        found = counts_between(connection, group.stream, START, START + 2 * HOUR)
    expected = oracle.expected(group.topic)
    for start in (START, START + HOUR):
        total = sum((expected[p, start] for p in range(3)), oracle.Tally())
        assert oracle.tally_pane(found[start]) == total


def test_samples_come_by_priority_and_old_ones_are_dropped(
    database: Database, tmp_path: Path
) -> None:
    group = read(tmp_path, database, oracle.topic(2, 24))
    with database.write() as connection:
        found = evaluation.samples(connection, group.stream, START)
        assert len(found) == 12
        assert [s.priority for _, s in found] == sorted(s.priority for _, s in found)
        assert {(p, s.offset) for p, s in found} == {(p, n) for p in (0, 1) for n in range(6)}
        assert all("all" in s.buckets for _, s in found)
        assert {s.payload for _, s in found} == {""}, "there may be thousands, of a megabyte each"
        whole = evaluation.with_payloads(connection, group.stream, found[:3])
        assert [(p, s.offset) for p, s in whole] == [(p, s.offset) for p, s in found[:3]]
        assert [json.loads(s.payload)["id"] for _, s in whole] == [s.record_id for _, s in whole]
        evaluation.drop_samples(connection, group.stream, START + HOUR)
        assert evaluation.samples(connection, group.stream, START) == []
        assert len(evaluation.samples(connection, group.stream, START + HOUR)) == 12


def test_series_have_one_number_each_and_findings_without_data_no_row(
    database: Database, tmp_path: Path
) -> None:
    group = read(tmp_path, database, at_hours(0))
    keys = [SeriesKey(SeriesKind.COVERAGE, probe="a"), SeriesKey(SeriesKind.COVERAGE, probe="b")]
    with database.write() as connection:
        first = evaluation.series_ids(connection, group.stream, keys[:1])
        both = evaluation.series_ids(connection, group.stream, keys)
        assert evaluation.series_ids(connection, group.stream, keys) == both
        assert first[keys[0]] == both[keys[0]]
        assert len(set(both.values())) == 2
        findings = [
            finding(keys[0], Verdict.SHIFTED),
            finding(keys[1], Verdict.NO_DATA),
        ]
        evaluation.save_findings(connection, group.stream, findings, both)
        for state in (WindowState.LEARNING, WindowState.COMPARED):
            evaluation.save_window(
                connection, group.stream, START, state=state, baseline="b", records=1, now_ms=7
            )
    (page,) = transactions.read(database, queries.window_page, group.stream, limit=10)
    assert page.state == "compared"
    assert [figure.x for figure in page.series] == [3]


def finding(key: SeriesKey, verdict: Verdict) -> Finding:
    return Finding(
        key=key,
        window_start_ms=START,
        x=3,
        n=10,
        expected=0.1,
        low=0.0,
        high=0.2,
        effect=2.0,
        p_value=0.01,
        n_eff=9.0,
        rank=0.5,
        verdict=verdict,
    )
