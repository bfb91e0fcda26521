"""What API, pages and metrics read: figures as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from tidegauge_alerts.model import AlertState
from tidegauge_probes.drift.civil_time import ClockChange
from tidegauge_probes.findings import ALL, Blindness, SeriesKind
from tidegauge_service.store import layouts, schema, streams
from tidegauge_service.store.alerting import notice_state
from tidegauge_service.store.alerting.notice_state import Trouble
from tidegauge_service.store.ingest import decisions, quarantine
from tidegauge_service.store.ingest.decisions import Decision
from tidegauge_service.store.ingest.quarantine import Quarantined
from tidegauge_service.store.states import WindowState
from tidegauge_service.store.streams import (
    CLOSED,
    EVALUATED,
    REPLAYED,
    PartitionRow,
    StreamRow,
)
from tidegauge_service.store.windows import sight
from tidegauge_service.store.windows.clock_change import followed_clock
from tidegauge_service.store.windows.figures import BLIND_SPOT_ROW, HeatMap, SeriesFigure

_IN_HEAT_MAP = (SeriesKind.BLIND_SPOT, SeriesKind.COVERAGE)

NEWEST_GAPS = 256
"""If a source has more decisions, only the newest are loaded with the stream."""


@dataclass(frozen=True, slots=True)
class WindowFigures:
    """One evaluated window and its series."""

    start_ms: int
    state: WindowState
    probe_set: str
    baseline: str | None
    records: int
    late: int
    series: tuple[SeriesFigure, ...]
    evaluated_ms: int | None = None
    """When it was evaluated, by the wall clock."""

    @property
    def failing(self) -> dict[str, float]:
        """LF → the share of the records on which it fails, if that is worth a note.

        An LF that failed as often on the training records raises no alert.
        """
        errors = (f for f in self.series if (f.series, f.segment) == (SeriesKind.ERROR, ALL))
        return {f.probe: f.x / f.n for f in errors if f.n and f.x >= sight.NOTED * f.n}


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """How a stream is doing."""

    stream: StreamRow
    closed_through_ms: int | None
    evaluated_through_ms: int | None
    partitions: tuple[PartitionRow, ...]
    windows: int
    """Windows evaluated so far; retention does not lower this."""
    last_window: WindowFigures | None
    dead_letters: dict[str, int]
    """Reason → dead letters received so far, including those removed or replayed since."""
    alerts: dict[tuple[str, str, str], int]
    """(state, severity, kind) → number of alerts."""
    candidates: dict[str, int]
    notifications: dict[str, int]
    replayed: PartitionRow | None = None
    """What was counted from replayed dead letters."""
    removed: Mapping[str, int] = field(default_factory=dict)
    """Table → rows that retention has removed so far."""
    quarantined: tuple[Quarantined, ...] = ()
    """Quarantined LFs, which are not called because they ended their process or did not return."""
    gaps: tuple[Decision, ...] = ()
    """The newest decisions about data that the source no longer holds, oldest first."""
    lost: int = 0
    """Inputs known to be lost: they were never read and no longer can be."""
    stale_ms: int | None = None
    """When the watermark stalled, if receivers were notified."""
    late_ms: int | None = None
    """When most records began to arrive too late, if receivers were notified."""
    blind: tuple[Blindness, ...] | None = None
    """What the stream cannot see; None until enough was counted to tell."""
    clock_change: ClockChange | None = None
    """The daylight-saving change that its cycles follow although they are read in UTC."""
    source: str = ""
    """The kind of its source when it was last opened: ``file``, ``kafka`` …"""
    told: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(severity, kind) → firing alerts that receivers were notified of."""

    @property
    def held(self) -> tuple[Decision, ...]:
        """Gaps that wait for a decision: nothing of their partitions is read."""
        return tuple(gap for gap in self.gaps if gap.applied_ms is None)

    @property
    def holding(self) -> tuple[PartitionRow, ...]:
        """The partitions whose watermarks count, as windows are closed by them.

        A drained one holds nothing back; once all are, the furthest is how far the stream came.
        """
        live = tuple(p for p in self.partitions if not p.drained)
        furthest = sorted(self.partitions, key=lambda p: p.watermark_ms or 0)[-1:]
        return live or tuple(furthest)

    @property
    def watermark_ms(self) -> int | None:
        """The stream's event time; None while a partition that holds it has none."""
        known = [p.watermark_ms for p in self.holding if p.watermark_ms is not None]
        return min(known) if known and len(known) == len(self.holding) else None

    @property
    def counted(self) -> tuple[PartitionRow, ...]:
        """The partitions, and what was replayed as one more."""
        return self.partitions if self.replayed is None else (*self.partitions, self.replayed)

    @property
    def tombstones(self) -> int:
        """Records without a value skipped so far."""
        return sum(p.tombstones for p in self.partitions)

    @property
    def records(self) -> int:
        """Records counted so far, late and replayed ones included."""
        return sum(p.records for p in self.counted)

    @property
    def late(self) -> int:
        """Records that came after their window had closed."""
        return sum(p.late for p in self.counted)


def window_page(
    connection: sa.Connection,
    stream: StreamRow,
    *,
    since_ms: int | None = None,
    until_ms: int | None = None,
    series: str | None = None,
    segment: str | None = None,
    probe: str | None = None,
    limit: int = 100,
    newest_first: bool = False,
) -> list[WindowFigures]:
    """Return evaluated windows in [since, until) with the series that are asked for."""
    wanted = [
        schema.series.c[name] == value
        for name, value in (("series", series), ("segment", segment), ("probe", probe))
        if value is not None
    ]
    return _windows(
        connection,
        stream,
        wanted,
        since_ms=since_ms,
        until_ms=until_ms,
        limit=limit,
        newest_first=newest_first,
    )


def _windows(
    connection: sa.Connection,
    stream: StreamRow,
    wanted: Sequence[sa.ColumnElement[bool]],
    *,
    since_ms: int | None = None,
    until_ms: int | None = None,
    limit: int,
    newest_first: bool,
) -> list[WindowFigures]:
    w = schema.window
    query = sa.select(w).where(w.c.stream_id == stream.id)
    if since_ms is not None:
        query = query.where(w.c.window_start_ms >= since_ms)
    if until_ms is not None:
        query = query.where(w.c.window_start_ms < until_ms)
    order = w.c.window_start_ms.desc() if newest_first else w.c.window_start_ms
    rows = list(connection.execute(query.order_by(order).limit(limit)))
    starts = [row.window_start_ms for row in rows]
    figures = _figures(connection, stream, starts, wanted)
    late = _late(connection, stream, starts)
    return [
        WindowFigures(
            row.window_start_ms,
            WindowState(row.state),
            row.probe_set,
            row.baseline,
            row.records,
            late.get(row.window_start_ms, 0),
            tuple(figures.get(row.window_start_ms, ())),
            row.evaluated_ms,
        )
        for row in rows
    ]


def _figures(
    connection: sa.Connection,
    stream: StreamRow,
    starts: Sequence[int],
    wanted: Sequence[sa.ColumnElement[bool]],
) -> dict[int, list[SeriesFigure]]:
    if not starts:
        return {}
    f, s = schema.window_stat, schema.series
    query = (
        sa.select(f, s.c.series, s.c.segment, s.c.probe, s.c.other, s.c.label)
        .join(s, s.c.id == f.c.series_id)
        .where(
            f.c.stream_id == stream.id,
            f.c.window_start_ms >= min(starts),
            f.c.window_start_ms <= max(starts),
            *wanted,
        )
        .order_by(f.c.window_start_ms, f.c.series_id)
    )
    found: dict[int, list[SeriesFigure]] = {}
    for row in connection.execute(query):
        figure = SeriesFigure(
            row.series,
            row.segment,
            row.probe,
            row.other,
            row.label,
            row.x,
            row.n,
            row.expected,
            row.low,
            row.high,
            row.effect,
            row.p_value,
            row.n_eff,
            row.rank,
            row.verdict,
            row.x_texts,
            row.n_texts,
        )
        found.setdefault(row.window_start_ms, []).append(figure)
    return found


def _late(connection: sa.Connection, stream: StreamRow, starts: Sequence[int]) -> dict[int, int]:
    if not starts:
        return {}
    t = schema.late_count
    query = (
        sa.select(t.c.window_start_ms, sa.func.sum(t.c.n))
        .where(
            t.c.stream_id == stream.id,
            t.c.window_start_ms >= min(starts),
            t.c.window_start_ms <= max(starts),
        )
        .group_by(t.c.window_start_ms)
    )
    return {start: int(n) for start, n in connection.execute(query)}


def summaries(connection: sa.Connection) -> list[StreamSummary]:
    """Return how each stream is doing, by name."""
    return [summary(connection, row) for row in streams.select_streams(connection)]


def summary(connection: sa.Connection, stream: StreamRow) -> StreamSummary:
    """Return how a stream is doing."""
    last = _windows(connection, stream, (), limit=1, newest_first=True)
    partitions = streams.partitions(connection, stream.id)
    removed = _removed(connection, stream)
    windows = _tally(connection, schema.window, stream, ()).get((), 0)
    return StreamSummary(
        stream=stream,
        closed_through_ms=streams.cursor(connection, stream.id, CLOSED),
        evaluated_through_ms=streams.cursor(connection, stream.id, EVALUATED),
        partitions=tuple(p for p in partitions if p.partition != REPLAYED),
        windows=windows + removed.get(schema.window.name, 0),
        last_window=last[0] if last else None,
        dead_letters=_dead_letters(connection, stream),
        alerts={
            (state, severity, kind): n
            for (state, severity, kind), n in _tally(
                connection, schema.alert, stream, ("state", "severity", "kind")
            ).items()
        },
        told={
            (severity, kind): n
            for (state, told, severity, kind), n in _tally(
                connection, schema.alert, stream, ("state", "told", "severity", "kind")
            ).items()
            if told and state == AlertState.FIRING
        },
        candidates=_by(connection, schema.candidate, stream, "state"),
        notifications=_by(connection, schema.notification, stream, "state"),
        replayed=next((p for p in partitions if p.partition == REPLAYED), None),
        removed=removed,
        quarantined=tuple(quarantine.active(connection, stream)),
        gaps=tuple(decisions.of_stream(connection, stream.id, newest=NEWEST_GAPS)),
        lost=decisions.lost(connection, stream.id),
        stale_ms=notice_state.since(connection, stream.id, Trouble.STALE),
        late_ms=notice_state.since(connection, stream.id, Trouble.LATE),
        blind=sight.load(connection, stream.id).found,
        clock_change=followed_clock(connection, stream),
        source=streams.source_kind(connection, stream.id),
    )


def inputs(connection: sa.Connection, stream: StreamRow) -> tuple[int, int, dict[str, int]]:
    """Return how many records there were so far, how many of them late, and the dead letters."""
    partitions = streams.partitions(connection, stream.id)
    records, late = (sum(getattr(p, name) for p in partitions) for name in ("records", "late"))
    return records, late, _dead_letters(connection, stream)


def _dead_letters(connection: sa.Connection, stream: StreamRow) -> dict[str, int]:
    t = schema.dead_letter_count
    query = sa.select(t.c.reason, sa.func.sum(t.c.received)).where(t.c.stream_id == stream.id)
    return {reason: int(n) for reason, n in connection.execute(query.group_by(t.c.reason))}


def _removed(connection: sa.Connection, stream: StreamRow) -> dict[str, int]:
    t = schema.removed_rows
    query = sa.select(t.c.name, t.c.n).where(t.c.stream_id == stream.id).order_by(t.c.name)
    return {row.name: row.n for row in connection.execute(query)}


def _by(
    connection: sa.Connection, table: sa.Table, stream: StreamRow, column: str
) -> dict[str, int]:
    return {key[0]: n for key, n in _tally(connection, table, stream, (column,)).items()}


def _tally(
    connection: sa.Connection, table: sa.Table, stream: StreamRow, names: Sequence[str]
) -> dict[tuple[str, ...], int]:
    """Count a stream's rows by the values of some columns."""
    columns = [table.c[name] for name in names]
    query = sa.select(*columns, sa.func.count()).where(table.c.stream_id == stream.id)
    rows = connection.execute(query.group_by(*columns))
    return {tuple(row[:-1]): int(row[-1]) for row in rows}


def heat_map(
    connection: sa.Connection, stream: StreamRow, windows: int = 60, segment: str = ALL
) -> HeatMap:
    """Return the last windows of blind spot and coverage."""
    s = schema.series
    wanted = (s.c.segment == segment, s.c.series.in_(_IN_HEAT_MAP))
    rows = _windows(connection, stream, wanted, limit=windows, newest_first=True)
    probes = layouts.layout_of(connection, stream.probe_set).probes
    rows.reverse()
    found = [{(f.series, f.probe): f for f in row.series} for row in rows]
    keys = [(SeriesKind.BLIND_SPOT, ""), *((SeriesKind.COVERAGE, probe) for probe in probes)]
    return HeatMap(
        tuple(row.start_ms for row in rows),
        (BLIND_SPOT_ROW, *probes),
        tuple(tuple(window.get(key) for window in found) for key in keys),
    )
