"""From the database to the figures of /metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tidegauge_alerts.model import AlertState
from tidegauge_probes.findings import BlindCause, Blindness, SeriesKind
from tidegauge_service.metrics.figures import (
    AlertFigures,
    FiringAlert,
    PartitionFigures,
    PrecisionFigures,
    ProbeFigures,
    SegmentFigures,
    Snapshot,
    StreamFigures,
)
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.engine import Database
from tidegauge_service.store.windows import forecast, precision, queries, skew
from tidegauge_service.store.windows.precision import WindowPrecision
from tidegauge_service.store.windows.queries import SeriesFigure, StreamSummary, WindowFigures

MOST_FIRING = 200


def take_snapshot(database: Database, now_ms: int) -> Snapshot:
    """Return the present figures of all streams, the same whichever process asks."""
    found = [_stream(database, summary) for summary in queries.summaries(database)]
    return Snapshot(streams=tuple(found), taken_at_ms=now_ms)


def _stream(database: Database, summary: StreamSummary) -> StreamFigures:
    row, last = summary.stream, summary.last_window
    firing = alerts.page(database, stream=row.name, state=AlertState.FIRING, limit=MOST_FIRING)
    judged = precision.latest(database, row, None if last is None else last.start_ms)
    skewed = skew.of_stream(database, row)
    foretold = forecast.of_stream(database, row)
    return StreamFigures(
        stream=row.name,
        window_end_ms=None if last is None else last.start_ms + row.window_ms,
        window_ms=row.window_ms,
        windows_total=summary.windows,
        learning=last is None or last.state != "compared",
        skewed=None if skewed is None else len(skewed.found),
        predicted_false_incidents=None if foretold is None else foretold.predicted,
        incidents=None if foretold is None else foretold.incidents,
        probes=tuple(_probes(last)) if last else (),
        segments=tuple(_segments(last)) if last else (),
        precision=tuple(_precision(judged)) if judged else (),
        class_shares={c.label: c.share for c in judged.shares if c.share is not None}
        if judged
        else {},
        accuracy=judged.accuracy if judged else None,
        partitions=tuple(
            PartitionFigures(
                partition=p.partition,
                next_offset=p.next_offset,
                end_offset=p.end_offset,
                # The rules take the lowest: one that holds no window back must not be it.
                watermark_ms=p.watermark_ms if p in summary.holding else None,
                records_total=p.records,
                late_total=p.late,
                tombstones_total=p.tombstones,
                end_ms=None if p.drained else p.end_ms,
            )
            for p in summary.counted
        ),
        dead_letters=summary.dead_letters,
        alerts=tuple(
            AlertFigures(state=state, severity=severity, kind=kind, count=count)
            for (state, severity, kind), count in sorted(summary.alerts.items())
        ),
        firing=tuple(
            FiringAlert(
                series=str(alert.key.series),
                probe=alert.key.probe,
                other=alert.key.other,
                label=alert.key.label,
                segment=alert.key.segment,
                rule=alert.rule,
                severity=str(alert.severity),
                kind=str(alert.kind),
                effect=alert.effect,
                since_ms=alert.opened_window_ms,
            )
            for alert in firing
        ),
        candidates=summary.candidates,
        notifications=summary.notifications,
        quarantined=tuple(q.probe for q in summary.quarantined),
        evaluated_ms=None if last is None else last.evaluated_ms,
        rows_removed=summary.removed,
        lost_inputs=summary.lost,
        mostly_late=summary.late_ms is not None,
        held=len(summary.held),
        blind=None if summary.blind is None else _by_cause(summary.blind),
    )


def _by_cause(found: Sequence[Blindness]) -> dict[str, int]:
    return {str(cause): sum(one.cause == cause for one in found) for cause in BlindCause}


Grouped = Mapping[tuple[str, str], Mapping[str, SeriesFigure]]


def _grouped(figures: Iterable[SeriesFigure]) -> Grouped:
    """Return (probe, segment) → series kind → figure; pairs and polarities are not exported."""
    found: dict[tuple[str, str], dict[str, SeriesFigure]] = {}
    for figure in figures:
        if not figure.other and not figure.label:
            found.setdefault((figure.probe, figure.segment), {})[figure.series] = figure
    return found


def _probes(window: WindowFigures) -> Iterable[ProbeFigures]:
    for (probe, segment), kinds in _grouped(window.series).items():
        if not probe:
            continue
        coverage = kinds.get(SeriesKind.COVERAGE)
        overlap, conflict = kinds.get(SeriesKind.OVERLAP), kinds.get(SeriesKind.CONFLICT)
        error = kinds.get(SeriesKind.ERROR)
        yield ProbeFigures(
            probe=probe,
            segment=segment,
            coverage=coverage.observed if coverage else None,
            coverage_expected=coverage.expected if coverage else None,
            coverage_low=coverage.low if coverage else None,
            coverage_high=coverage.high if coverage else None,
            overlap=overlap.observed if overlap else None,
            conflict=conflict.observed if conflict else None,
            agreement=_agreement(overlap, conflict),
            error=error.observed if error else None,
        )


def _agreement(overlap: SeriesFigure | None, conflict: SeriesFigure | None) -> float | None:
    """Share of an LF's overlapping votes that nobody contradicts."""
    if overlap is None or conflict is None or not overlap.x:
        return None
    return 1 - conflict.x / overlap.x


def _precision(judged: WindowPrecision) -> Iterable[PrecisionFigures]:
    for lf in judged.lfs:
        yield PrecisionFigures(
            probe=lf.probe,
            label=lf.label,
            precision=lf.precision,
            expected=lf.expected,
            low=lf.low,
            high=lf.high,
        )


def _segments(window: WindowFigures) -> Iterable[SegmentFigures]:
    for (probe, segment), kinds in _grouped(window.series).items():
        blind = kinds.get(SeriesKind.BLIND_SPOT)
        if probe or blind is None:
            continue
        yield SegmentFigures(
            segment=segment,
            records=blind.n,
            blind_spot=blind.observed,
            blind_spot_expected=blind.expected,
            blind_spot_low=blind.low,
            blind_spot_high=blind.high,
        )
