"""Closed windows: taking the next one to evaluate, and writing what was found.

The evaluated cursor is locked from taking a window to the commit, so that each window is
evaluated exactly once, in order, whichever process does it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import sqlalchemy as sa
import structlog

from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.scales import LONGEST
from tidegauge_probes.drift.scan import Past
from tidegauge_probes.findings import Finding, SeriesKey, Verdict
from tidegauge_service.clock import to_iso
from tidegauge_service.store import schema, streams, upsert
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.ingest.counted import Sample
from tidegauge_service.store.states import WindowState
from tidegauge_service.store.streams import CLOSED, EVALUATED, StreamRow

log = structlog.get_logger()

MAX_EMPTY_WINDOWS = 1_000
"""A longer run of windows without records is skipped: one stray old record must not trigger
millions of evaluations."""

TOLD_BY = LONGEST
"""Windows at its beginning that are evaluated all the same: they tell of the outage."""


def take_next(connection: sa.Connection, stream: StreamRow) -> int | None:
    """Lock the evaluated cursor; return the start of the lowest closed, unevaluated window.

    The cursor is moved over a long run of windows without records, but for its beginning.
    """
    done = streams.cursor(connection, stream.id, EVALUATED, lock=True)
    closed = streams.cursor(connection, stream.id, CLOSED)
    if closed is None:
        return None
    first = _first_pane(connection, stream, done)
    if done is None:
        done = first if first is not None else closed
    if first is None or first > done + MAX_EMPTY_WINDOWS * stream.window_ms:
        ahead = closed if first is None else min(first, closed)
        if ahead - done > MAX_EMPTY_WINDOWS * stream.window_ms:
            if _tells_of_outage(connection, stream, done):
                return done
            log.warning(
                "empty_windows_skipped", stream=stream.name, since=to_iso(done), until=to_iso(ahead)
            )
            # At once, though no window may be left to take: else it is found again with every tick.
            streams.move_cursor(connection, stream.id, EVALUATED, ahead)
            done = ahead
    return done if done < closed else None


def _first_pane(connection: sa.Connection, stream: StreamRow, since: int | None) -> int | None:
    t = schema.pane
    query = sa.select(sa.func.min(t.c.window_start_ms)).where(t.c.stream_id == stream.id)
    if since is not None:
        query = query.where(t.c.window_start_ms >= since)
    value = connection.execute(query).scalar()
    return None if value is None else int(value)


def _tells_of_outage(connection: sa.Connection, stream: StreamRow, start: int) -> bool:
    """Whether a window without records is one of the first after some that were compared."""
    w, t = schema.window, schema.pane
    state = sa.select(w.c.state).where(
        w.c.stream_id == stream.id, w.c.window_start_ms == start - stream.window_ms
    )
    if connection.execute(state).scalar() != WindowState.COMPARED:
        return False
    query = sa.select(sa.func.max(t.c.window_start_ms)).where(
        t.c.stream_id == stream.id, t.c.window_start_ms < start
    )
    last = connection.execute(query).scalar()
    return last is not None and start <= int(last) + TOLD_BY * stream.window_ms


def finish(connection: sa.Connection, stream: StreamRow, start: int) -> None:
    """Move the evaluated cursor past a window."""
    streams.move_cursor(connection, stream.id, EVALUATED, start + stream.window_ms)


def with_records(
    connection: sa.Connection, stream: StreamRow, since: int, until: int
) -> tuple[int | None, int]:
    """Return the first window in [since, until) whose counts are there, and how many are.

    Of those that the stream's ProbeSet has counted and retention has left.
    """
    t = schema.pane
    start = t.c.window_start_ms
    query = sa.select(sa.func.min(start), sa.func.count(start.distinct())).where(
        t.c.stream_id == stream.id,
        t.c.probe_set == stream.probe_set,
        t.c.window_start_ms >= since,
        t.c.window_start_ms < until,
        t.c.records > 0,
    )
    first, n = connection.execute(query).one()
    return first, n


def first_compared(connection: sa.Connection, stream: StreamRow, baseline: str) -> int | None:
    """Return the first window that was compared with a baseline, as far as it is kept."""
    t = schema.window
    query = sa.select(sa.func.min(t.c.window_start_ms)).where(
        t.c.stream_id == stream.id, t.c.baseline == baseline
    )
    value = connection.execute(query).scalar()
    return None if value is None else int(value)


def save_window(
    connection: sa.Connection,
    stream: StreamRow,
    start: int,
    *,
    state: WindowState,
    baseline: str | None,
    records: int,
    now_ms: int,
) -> None:
    """Write that a window was evaluated, and how."""
    row = {
        "stream_id": stream.id,
        "window_start_ms": start,
        "state": str(state),
        "probe_set": stream.probe_set,
        "baseline": baseline,
        "records": records,
        "evaluated_ms": now_ms,
    }
    upsert.replace(connection, schema.window, [row])


def save_findings(
    connection: sa.Connection,
    stream: StreamRow,
    findings: Sequence[Finding],
    ids: Mapping[SeriesKey, int],
) -> None:
    """Write the figures of a window; series without data leave no row."""
    rows = [
        {
            "stream_id": stream.id,
            "window_start_ms": f.window_start_ms,
            "series_id": ids[f.key],
            "x": f.x,
            "n": f.n,
            "x_texts": None if f.texts is None else f.texts.x,
            "n_texts": None if f.texts is None else f.texts.n,
            "expected": f.expected,
            "low": f.low,
            "high": f.high,
            "effect": f.effect,
            "p_value": f.p_value,
            "n_eff": f.n_eff,
            "rank": f.rank,
            "scale": f.scale,
            "share": f.share,
            "verdict": str(f.verdict),
        }
        for f in findings
        if f.verdict is not Verdict.NO_DATA
    ]
    if rows:
        connection.execute(sa.insert(schema.window_stat), rows)


def before(connection: sa.Connection, stream: StreamRow, start: int, baseline: Baseline) -> Past:
    """Return the windows before *start* that were compared with the same baseline.

    Each series from the last resolve of its alert on.
    """
    t = schema.window
    compared = t.c.state.in_((WindowState.LEARNING, WindowState.COMPARED))
    mine = (t.c.stream_id == stream.id, t.c.baseline == baseline.id, compared)
    query = sa.select(t.c.window_start_ms).where(*mine, t.c.window_start_ms < start)
    newest = query.order_by(t.c.window_start_ms.desc()).limit(LONGEST - 1)
    starts = sorted(connection.execute(newest).scalars())
    place = {key: s for s, key in enumerate(baseline.keys)}
    x, n = np.zeros((2, len(starts), len(place)), dtype=np.int64)
    for w, s, seen, size in _figures(connection, stream, starts, place):
        x[w, s], n[w, s] = seen, size
    since = Past.none(len(place)).since.copy()
    oldest = starts[0] if starts else start
    for key, resolved in alerts.resolved_since(connection, stream.id, oldest):
        if key in place:
            since[place[key]] = max(int(since[place[key]]), resolved)
    return Past(np.array(starts, dtype=np.int64), x, n, since)


def _figures(
    connection: sa.Connection,
    stream: StreamRow,
    starts: Sequence[int],
    place: Mapping[SeriesKey, int],
) -> Iterator[tuple[int, int, int, int]]:
    """Yield (window, series, x, n) of windows, by their places: what was compared."""
    if not starts:
        return
    known = _known_series(connection, stream).items()
    columns = {series_id: place[key] for key, series_id in known if key in place}
    rows = {start: w for w, start in enumerate(starts)}
    t = schema.window_stat
    x, n = sa.func.coalesce(t.c.x_texts, t.c.x), sa.func.coalesce(t.c.n_texts, t.c.n)
    query = sa.select(t.c.window_start_ms, t.c.series_id, x, n).where(
        t.c.stream_id == stream.id,
        t.c.window_start_ms >= starts[0],
        t.c.window_start_ms <= starts[-1],
    )
    for start, series_id, seen, size in connection.execute(query):
        if start in rows and series_id in columns:
            yield rows[start], columns[series_id], seen, size


def series_ids(
    connection: sa.Connection, stream: StreamRow, keys: Sequence[SeriesKey]
) -> dict[SeriesKey, int]:
    """Return the row numbers of series, made where there are none."""
    known = _known_series(connection, stream)
    new = [
        {
            "stream_id": stream.id,
            "series": str(key.series),
            "segment": key.segment,
            "probe": key.probe,
            "other": key.other,
            "label": key.label,
        }
        for key in keys
        if key not in known
    ]
    if new:
        upsert.keep(connection, schema.series, new)
        known = _known_series(connection, stream)
    return {key: known[key] for key in keys}


def _known_series(connection: sa.Connection, stream: StreamRow) -> dict[SeriesKey, int]:
    t = schema.series
    columns = (t.c.id, t.c.series, t.c.segment, t.c.probe, t.c.other, t.c.label)
    rows = connection.execute(sa.select(*columns).where(t.c.stream_id == stream.id))
    return {SeriesKey(*rest): series_id for series_id, *rest in rows}


def samples(connection: sa.Connection, stream: StreamRow, start: int) -> list[tuple[int, Sample]]:
    """Return (partition, sample) of a window, by priority, without the payloads.

    There may be thousands, of a megabyte each; few are chosen (``with_payloads``).
    """
    t = schema.sample
    columns = [column for column in t.c if column is not t.c.payload]
    query = (
        sa.select(*columns)
        .where(t.c.stream_id == stream.id, t.c.window_start_ms == start)
        .order_by(t.c.priority, t.c.partition, t.c.offset)
    )
    return [
        (
            row.partition,
            Sample(
                row.window_start_ms,
                row.offset,
                row.priority,
                tuple(json.loads(row.buckets)),
                row.record_id,
                row.timestamp_ms,
                "",
                row.outcomes,
                tuple(json.loads(row.segments)),
            ),
        )
        for row in connection.execute(query)
    ]


def with_payloads(
    connection: sa.Connection, stream: StreamRow, some: Sequence[tuple[int, Sample]]
) -> list[tuple[int, Sample]]:
    """Return samples of one window with their payloads."""
    t = schema.sample
    places = [(sample.window_start_ms, partition, sample.offset) for partition, sample in some]
    query = sa.select(t.c.partition, t.c.offset, t.c.payload).where(
        t.c.stream_id == stream.id,
        sa.tuple_(t.c.window_start_ms, t.c.partition, t.c.offset).in_(places),
    )
    found = {(row.partition, row.offset): row.payload for row in connection.execute(query)}
    return [(p, replace(sample, payload=found[p, sample.offset])) for p, sample in some]


def drop_samples(connection: sa.Connection, stream: StreamRow, before_ms: int) -> None:
    """Forget the samples of windows that start before a time."""
    t = schema.sample
    connection.execute(
        sa.delete(t).where(t.c.stream_id == stream.id, t.c.window_start_ms < before_ms)
    )
