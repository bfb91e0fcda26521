"""Streams and their evaluated windows."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from tidegauge_alerts.messages import phrases
from tidegauge_probes.findings import Blindness, SeriesKind
from tidegauge_service.api.context import Ctx, Cursor, Limit, Since, Until, find_stream
from tidegauge_service.api.filters import check_lf, check_segment, span
from tidegauge_service.api.paging import from_cursor, to_cursor
from tidegauge_service.clock import to_iso
from tidegauge_service.store.ingest.decisions import Decision
from tidegauge_service.store.windows import queries
from tidegauge_service.store.windows.figures import SeriesFigure
from tidegauge_service.store.windows.queries import StreamSummary, WindowFigures

router = APIRouter(prefix="/api/v1/streams", tags=["streams"])


class Partition(BaseModel):
    """How far one partition is read."""

    partition: int
    next_offset: int
    lag: int | None
    lag_as_of: str | None
    watermark: str | None
    drained: bool


class QuarantinedLf(BaseModel):
    """An LF that is not called any more, because it did not come back."""

    probe: str
    since: str
    strikes: int
    reason: str


class RecordedGap(BaseModel):
    """Inputs that the source did not hold when they were to be read, and what was decided.

    Nothing of the partition is read while `decided_by` is null.
    """

    partition: int
    cause: str
    from_offset: int
    to_offset: int
    lost: int
    found: str
    decided: str | None
    decided_by: str | None


class Blind(BaseModel):
    """Something that the stream cannot see: why, and on which share of its latest records."""

    cause: str
    probe: str
    share: float
    text: str


class Stream(BaseModel):
    """A stream and how it is doing. `blind` is null while too little was counted to say."""

    name: str
    window_seconds: float
    lateness_seconds: float
    timezone: str
    probe_set: str
    baseline: str | None
    watermark: str | None
    closed_through: str | None
    evaluated_through: str | None
    windows: int
    records: int
    late: int
    tombstones: int
    dead_letters: dict[str, int]
    candidates: dict[str, int]
    quarantined: list[QuarantinedLf]
    lost: int
    gaps: list[RecordedGap]
    stale_since: str | None
    mostly_late_since: str | None
    blind: list[Blind] | None
    partitions: list[Partition]


class Streams(BaseModel):
    """All streams."""

    items: list[Stream]


class Series(BaseModel):
    """One series in one window: x of n, against its baseline."""

    series: str
    segment: str
    probe: str
    other: str
    label: str
    x: int
    n: int
    observed: float | None
    expected: float | None
    low: float | None
    high: float | None
    effect: float | None
    p_value: float | None
    deviation: float | None
    verdict: str
    x_texts: int | None
    n_texts: int | None


class Window(BaseModel):
    """One evaluated window."""

    start: str
    end: str
    state: str
    probe_set: str
    baseline: str | None
    records: int
    late: int
    series: list[Series]


class Windows(BaseModel):
    """A page of windows; `next` is the cursor of the following one."""

    items: list[Window]
    next: str | None


@router.get("")
def list_streams(ctx: Ctx) -> Streams:
    """List the streams."""
    with ctx.database.read() as connection:
        summaries = queries.summaries(connection)
    return Streams(items=[_stream(summary) for summary in summaries])


@router.get("/{name}")
def show_stream(name: str, ctx: Ctx) -> Stream:
    """Show one stream."""
    with ctx.database.read() as connection:
        summary = queries.summary(connection, find_stream(connection, name))
    return _stream(summary)


@router.get("/{name}/windows")
def list_windows(
    name: str,
    ctx: Ctx,
    since: Since = None,
    until: Until = None,
    series: Annotated[SeriesKind | None, Query(description="e.g. coverage")] = None,
    segment: Annotated[str | None, Query(description="e.g. _all or party=D")] = None,
    probe: Annotated[str | None, Query(description="Name of the LF.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Windows:
    """List evaluated windows with their series, oldest first."""
    after = from_cursor(cursor)
    start, end = span(since, until)
    with ctx.database.read() as connection:
        stream = find_stream(connection, name)
        check_lf(connection, stream, probe)
        check_segment(connection, stream, segment)
        found = queries.window_page(
            connection,
            stream,
            since_ms=start if after is None else after[0] + 1,
            until_ms=end,
            series=series,
            segment=segment,
            probe=probe,
            limit=limit,
        )
    following = to_cursor((found[-1].start_ms, "")) if len(found) == limit else None
    return Windows(items=[_window(w, stream.window_ms) for w in found], next=following)


def _stream(summary: StreamSummary) -> Stream:
    row = summary.stream
    return Stream(
        name=row.name,
        window_seconds=row.window_ms / 1000,
        lateness_seconds=row.lateness_ms / 1000,
        timezone=row.timezone,
        probe_set=row.probe_set,
        baseline=row.baseline,
        watermark=to_iso(summary.watermark_ms),
        closed_through=to_iso(summary.closed_through_ms),
        evaluated_through=to_iso(summary.evaluated_through_ms),
        windows=summary.windows,
        records=summary.records,
        late=summary.late,
        tombstones=summary.tombstones,
        dead_letters=summary.dead_letters,
        candidates=summary.candidates,
        quarantined=[
            QuarantinedLf(
                probe=q.probe, since=to_iso(q.since_ms), strikes=q.strikes, reason=q.reason
            )
            for q in summary.quarantined
        ],
        lost=summary.lost,
        gaps=[_gap(decision) for decision in summary.gaps],
        stale_since=to_iso(summary.stale_ms),
        mostly_late_since=to_iso(summary.late_ms),
        blind=None if summary.blind is None else [_blind(found) for found in summary.blind],
        partitions=[
            Partition(
                partition=p.partition,
                next_offset=p.next_offset,
                lag=p.lag,
                lag_as_of=to_iso(p.end_ms),
                watermark=to_iso(p.watermark_ms),
                drained=p.drained,
            )
            for p in summary.partitions
        ],
    )


def _blind(found: Blindness) -> Blind:
    [text] = phrases.blind([found])
    return Blind(cause=found.cause, probe=found.probe, share=found.share, text=text)


def _gap(decision: Decision) -> RecordedGap:
    return RecordedGap(
        partition=decision.partition,
        cause=decision.cause,
        from_offset=decision.from_offset,
        to_offset=decision.to_offset,
        lost=decision.lost,
        found=to_iso(decision.detected_ms),
        decided=to_iso(decision.decided_ms),
        decided_by=decision.decided_by,
    )


def _window(window: WindowFigures, window_ms: int) -> Window:
    return Window(
        start=to_iso(window.start_ms),
        end=to_iso(window.start_ms + window_ms),
        state=window.state,
        probe_set=window.probe_set,
        baseline=window.baseline,
        records=window.records,
        late=window.late,
        series=[_series(figure) for figure in window.series],
    )


def _series(figure: SeriesFigure) -> Series:
    return Series(**{name: getattr(figure, name) for name in Series.model_fields})
