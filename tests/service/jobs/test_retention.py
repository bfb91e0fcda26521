"""The database stays within its bounds, and nothing goes that is needed yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.service import oracle
from tests.service.store.ingest.test_events import Log
from tests.service.streams_for_tests import HOUR, START, reading, write_stream
from tests.service.transactions import read, write
from tidegauge_alerts.messages.model import Message
from tidegauge_probes import load
from tidegauge_service.clock import to_iso
from tidegauge_service.config.settings import Retention
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.ingest.sources.demo import DemoStream
from tidegauge_service.jobs.evaluator import Evaluator
from tidegauge_service.jobs.retention import Pruner
from tidegauge_service.store import deployments, registration, schema, streams
from tidegauge_service.store.alerting import outbox
from tidegauge_service.store.deployments import Author, Change, New, Reference
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import commit as store
from tidegauge_service.store.ingest.commit import PartitionBatch
from tidegauge_service.store.ingest.dead_letter import DeadLetter
from tidegauge_service.store.scope import StreamScope
from tidegauge_service.store.streams import EVALUATED, StreamRow
from tidegauge_service.store.windows import queries

DAY = 24 * HOUR
NOW = START + 1_000 * DAY


@pytest.fixture
def stream(database: Database, tmp_path: Path) -> StreamRow:
    """Give a stream of 48 windows, each with a pane, a sample, a figure and a late record."""
    config = load_stream(write_stream(tmp_path))
    row = write(database, registration.register, config, load(config.probes, tmp_path), 0)
    write(database, streams.seed_partitions, row.id, {0: 0}, 0)
    with database.write() as connection:
        series = {"stream_id": row.id, "series": "coverage", "segment": "_all"}
        connection.execute(
            sa.insert(schema.series), {**series, "id": 1, "probe": "a", "other": "", "label": ""}
        )
        for n in range(48):
            write_window(connection, row, START + n * HOUR)
        streams.move_cursor(connection, row.id, EVALUATED, START + 40 * HOUR)
    return row


def write_window(connection: sa.Connection, stream: StreamRow, start: int) -> None:
    where = {"stream_id": stream.id, "window_start_ms": start}
    place = {**where, "partition": 0}
    rows: dict[sa.Table, dict[str, Any]] = {
        schema.pane: {**place, "probe_set": "x", "records": 1, "counts": b"c" * 1_000},
        schema.late_count: {**place, "n": 1},
        schema.window: {**where, "state": "compared", "probe_set": "x", "records": 1},
        schema.precision: {**where, "content": "{}"},
        schema.window_stat: {**where, "series_id": 1, "x": 1, "n": 2, "verdict": "ok"},
        schema.sample: {**place, "offset": start, "priority": 1, "buckets": "[]"},
    }
    rows[schema.window]["evaluated_ms"] = 1
    rows[schema.sample] |= {"record_id": "r", "timestamp_ms": start, "payload": "{}"}
    rows[schema.sample] |= {"outcomes": b"", "segments": "[]"}
    for table, row in rows.items():
        connection.execute(sa.insert(table), row)


def prune(database: Database, **kept: dict[str, Any]) -> dict[str, int]:
    """Prune; return the rows removed by table."""
    settings = Retention.model_validate(kept)
    found = Pruner(database, settings, lambda: NOW).prune()
    return {removed.table: removed.rows for removed in found}


def starts(database: Database, table: sa.Table) -> list[int]:
    with database.read() as connection:
        found = connection.execute(sa.select(table.c.window_start_ms)).scalars()
        return [(start - START) // HOUR for start in sorted(found)]


def test_what_is_evaluated_goes_by_its_age(database: Database, stream: StreamRow) -> None:
    ready_for_baseline(database, stream)
    removed = prune(
        database, panes={"keep": "10h"}, samples={"keep": "5h"}, windows={"keep": "20h"}
    )
    figures = dict.fromkeys(("window", "window_stat", "precision", "late_count"), 20)
    assert removed == {"pane": 30, "sample": 35, **figures}
    assert starts(database, schema.pane) == list(range(30, 48))
    assert starts(database, schema.sample) == list(range(35, 48))
    assert starts(database, schema.window_stat) == list(range(20, 48))
    assert prune(database, panes={"keep": "10h"}) == {}


def ready_for_baseline(database: Database, stream: StreamRow) -> None:
    """Attach a baseline, so that the range in the stream file is not needed any more."""
    with database.write() as connection:
        t = schema.deployment
        connection.execute(sa.update(t).where(t.c.stream_id == stream.id).values(baseline="b"))


def test_what_is_not_evaluated_stays_whatever_the_limits_say(
    database: Database, stream: StreamRow
) -> None:
    ready_for_baseline(database, stream)
    tight = {"keep": "1ms", "rows": 1, "bytes": 1}
    prune(database, panes=tight, samples=tight, windows=tight)
    assert starts(database, schema.pane) == list(range(40, 48))
    assert starts(database, schema.sample) == list(range(40, 48))


def test_nothing_goes_before_anything_is_evaluated(database: Database, stream: StreamRow) -> None:
    with database.write() as connection:
        c = schema.cursor
        connection.execute(sa.update(c).values(through_ms=None))
    assert prune(database, panes={"rows": 1}, windows={"keep": "1ms"}) == {}


def test_panes_that_the_baseline_will_be_fitted_from_stay(
    database: Database, stream: StreamRow, tmp_path: Path
) -> None:
    day = {"from": to_iso(START + 10 * HOUR), "until": to_iso(START + 20 * HOUR)}
    config = load_stream(write_stream(tmp_path, baseline=day))
    write(database, registration.register, config, load(config.probes, tmp_path), 0)
    tight = {"keep": "1ms"}
    assert prune(database, panes=tight)["pane"] == 30
    assert starts(database, schema.pane) == [*range(10, 20), *range(40, 48)]
    with database.write() as connection:  # another deployment is live since, evaluation lags
        by, then = Author("ann", 0), START + 21 * HOUR
        [first] = deployments.of_stream(connection, stream.id)
        deployments.end(connection, first, then, by)
        new = New("y", "y.yaml", Reference("b"))
        deployments.add(connection, stream, new, Change.DEPLOY, from_ms=then, by=by)
    assert prune(database, panes=tight) == {}
    ready_for_baseline(database, stream)
    assert prune(database, panes=tight)["pane"] == 10


def test_rows_and_bytes_are_capped_the_oldest_go(database: Database, stream: StreamRow) -> None:
    ready_for_baseline(database, stream)
    assert prune(database, panes={"rows": 20}) == {"pane": 28}
    assert starts(database, schema.pane) == list(range(28, 48))
    assert prune(database, panes={"bytes": 12_500}) == {"pane": 8}
    assert starts(database, schema.pane) == list(range(36, 48))


def test_a_dry_run_says_the_same_and_removes_nothing(database: Database, stream: StreamRow) -> None:
    ready_for_baseline(database, stream)
    settings = Retention.model_validate({"panes": {"keep": "10h"}, "samples": {"rows": 9}})
    pruner = Pruner(database, settings, lambda: NOW)
    would = pruner.prune(dry_run=True)
    assert len(starts(database, schema.pane)) == 48
    assert pruner.prune() == would
    assert {found.table: found.rows for found in would} == {"pane": 30, "sample": 39}


def test_totals_do_not_fall(database: Database, stream: StreamRow) -> None:
    before = read(database, queries.summary, stream)
    prune(database, windows={"keep": "1h"})
    after = read(database, queries.summary, stream)
    assert after.windows == before.windows == 48
    assert after.removed == {"late_count": 39, "precision": 39, "window": 39, "window_stat": 39}


def test_many_rows_go_in_small_transactions(
    database: Database, stream: StreamRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tidegauge_service.store import retention

    ready_for_baseline(database, stream)
    monkeypatch.setattr(retention, "BATCH", 7)
    sizes = list[int]()
    real = retention._remove

    def noted(connection: Any, row: Any, rule: Any, doomed: list[Any]) -> None:
        sizes.append(len(doomed))
        real(connection, row, rule, doomed)

    monkeypatch.setattr(retention, "_remove", noted)
    assert prune(database, panes={"rows": 18})["pane"] == 30
    assert max(sizes) == 7
    assert starts(database, schema.pane) == list(range(30, 48))


def dead(n: int) -> list[DeadLetter]:
    return [DeadLetter(0, i, "not_json", "", b"x" * 100, 100) for i in range(n)]


def test_dead_letters_go_and_their_count_stays(database: Database, stream: StreamRow) -> None:
    batch = PartitionBatch(0, 0, 30, dead_letters=dead(30))
    write(database, store.commit, stream, [batch], owner="t", now_ms=NOW)
    assert prune(database, dead_letters={"rows": 20}) == {"dead_letter": 10}
    assert prune(database, dead_letters={"bytes": 500}) == {"dead_letter": 15}
    assert read(database, queries.summary, stream).dead_letters == {"not_json": 30}


def test_events_stay_until_they_are_counted(database: Database, tmp_path: Path) -> None:
    log = Log(tmp_path, database, partitions=1)
    log.append(*(f"{n}" for n in range(20)), now_ms=NOW - HOUR)
    tight = {"keep": "1ms", "rows": 1, "bytes": 1}
    assert prune(database, events=tight) == {}
    log.count(0, 12)
    assert prune(database, events=tight) == {"event": 12}
    assert log.backlog().events == 8
    assert log.backlog().bytes == sum(len(f"{n}") for n in range(12, 20))
    assert log.append("3")[0].duplicates == 1, "its key is still known"
    assert prune(database, idempotency_keys={"keep": "1ms"}) == {"event_key": 20}
    assert log.append("3")[0].appended == 1, "it was forgotten"


def test_messages_that_wait_stay(database: Database, stream: StreamRow) -> None:
    with database.write() as connection:
        for n in range(5):
            outbox.enqueue(connection, stream.id, ["ops"], Message(f"{n}", {"n": n}), now_ms=n)
    for _ in range(3):
        taken = write(database, outbox.lease, NOW, 1_000)
        assert taken
        write(database, outbox.settle, taken, state=outbox.SENT, now_ms=NOW)
    assert prune(database, notifications={"keep": "1d", "rows": 1}) == {"notification": 3}


def write_candidates(database: Database, stream: StreamRow, state: str, created_ms: int) -> None:
    row = {c.name: "x" for c in schema.candidate.columns}
    row |= {"stream_id": stream.id, "window_start_ms": 0, "partition": 0, "offset": 0}  # type: ignore[dict-item]
    row |= {"timestamp_ms": 0, "created_ms": created_ms, "state": state}  # type: ignore[dict-item]
    with database.write() as connection:
        for n in range(4):
            name = f"{state}{created_ms}{n}"
            connection.execute(sa.insert(schema.candidate), {**row, "id": name})
            reason = {"candidate_id": name, "reason": "uniform", "alert_id": "a", "rank": 1}
            connection.execute(
                sa.insert(schema.candidate_reason), {**reason, "inclusion_probability": 0.5}
            )


def test_candidates_that_nobody_fetched_go_by_age_alone(
    database: Database, stream: StreamRow
) -> None:
    write_candidates(database, stream, "proposed", 7)
    write_candidates(database, stream, "proposed", NOW)
    write_candidates(database, stream, "fetched", NOW)
    prune(database, candidates={"keep": "30d", "rows": 2})
    with database.read() as connection:
        left = connection.execute(sa.select(schema.candidate.c.state)).scalars().all()
        assert left == ["proposed"] * 4
        reasons = sa.select(sa.func.count()).select_from(schema.candidate_reason)
        assert connection.execute(reasons).scalar_one() == 4


def test_a_long_run_keeps_its_rows_and_its_file_small(tmp_path: Path) -> None:
    """Windows come and go; the file's size after 400 windows is what it was after 200."""
    window = 60_000

    def raw_at(n: int) -> bytes:
        value = oracle.message(n, n, ms=START + n * window // 20)
        return value if n % 50 else b"broken"

    url = f"sqlite:///{tmp_path}/long.db"
    found = reading(
        tmp_path,
        url=url,
        source=DemoStream(raw_at, limit=8_000),
        window="1m",
        lateness="0s",
        baseline={"from": to_iso(START), "until": to_iso(START + 50 * window)},
        samples={"each": 5, "blind_spot": 5},
        limits={"commit_records": 100, "dead_letter_share": 1.0},
        segment_by=["country"],
        clock=lambda: NOW,
    )
    evaluator = Evaluator(StreamScope(found.config, found.stream, found.database, lambda: NOW))
    few = {"keep": "40m", "rows": 100_000}
    settings = Retention.model_validate(
        {"panes": few, "windows": few, "samples": few, "dead_letters": {"rows": 20}}
    )
    pruner = Pruner(found.database, settings, lambda: NOW)
    sizes, rows = list[int](), list[dict[str, int]]()
    while not found.worker.drained:
        found.worker.step(0, finite=True)
        evaluator.tick()
        pruner.tick()
        sizes.append((tmp_path / "long.db").stat().st_size)
        rows.append(count_rows(found.database))
    half = len(sizes) // 2
    summary = read(found.database, queries.summary, found.stream)
    assert summary.windows >= 399
    assert summary.records + sum(summary.dead_letters.values()) == 8_000
    assert max(sizes[half:]) <= 1.1 * max(sizes[half // 2 : half])
    for table in ("pane", "window", "window_stat", "sample", "dead_letter"):
        late, early = (max(r[table] for r in part) for part in (rows[half:], rows[:half]))
        assert late <= 1.1 * early, table
    assert max(r["window"] for r in rows[half:]) <= 60


def count_rows(database: Database) -> dict[str, int]:
    with database.read() as connection:
        return {
            name: int(connection.execute(sa.select(sa.func.count()).select_from(t)).scalar_one())
            for name, t in schema.metadata.tables.items()
        }


def test_an_sqlite_file_shrinks_when_much_is_removed(
    sqlite_database: Database, tmp_path: Path
) -> None:
    log = Log(tmp_path, sqlite_database, partitions=1)
    for n in range(20):
        log.append(*("x" * 5_000 + f"{n}-{i}" for i in range(50)))
    log.count(0, 1_000)
    checkpoint = shrink(sqlite_database)
    before = checkpoint(tmp_path)
    assert before > 4_000_000
    assert prune(sqlite_database, events={"keep": "1ms"})["event"] == 1_000
    assert checkpoint(tmp_path) < before / 4


def shrink(database: Database) -> Callable[[Path], int]:
    def size(folder: Path) -> int:
        with database.engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return (folder / "tidegauge.db").stat().st_size

    return size
