"""A made-up snapshot for tests: two streams, segments, alerts, something of everything."""

from __future__ import annotations

from typing import Any

from tidegauge_alerts.model import Alert, AlertKind, AlertState, Severity
from tidegauge_probes.findings import (
    ALL,
    VOLUME_OF,
    BlindCause,
    Blindness,
    SeriesKey,
    SeriesKind,
    Skew,
)
from tidegauge_probes.label_model.accuracy import Accuracy
from tidegauge_service.metrics.snapshot import Snapshot, StreamFigures
from tidegauge_service.store.ingest.quarantine import Quarantined
from tidegauge_service.store.states import WindowState
from tidegauge_service.store.streams import PartitionRow, StreamRow
from tidegauge_service.store.windows.figures import SeriesFigure
from tidegauge_service.store.windows.forecast import ForecastRow
from tidegauge_service.store.windows.precision import ClassShare, LfPrecision, WindowPrecision
from tidegauge_service.store.windows.queries import StreamSummary, WindowFigures
from tidegauge_service.store.windows.skew import SkewRow

PROBES = ("check_out", "has_link", 'quotes "and" \\')
SEGMENTS = (ALL, "channel=web", "channel=wéb\n2")
WINDOW_MS = 600_000
NOW_MS = 1_800_000_000_000


def snapshot(step: int = 0, streams: tuple[str, ...] = ("spam", "news")) -> Snapshot:
    """Return the shared state; each step is a window later, with records and drift added."""
    return Snapshot(
        streams=tuple(_stream(name, step) for name in streams),
        taken_at_ms=NOW_MS + step * WINDOW_MS,
    )


def stream_row(name: str, window_ms: int = WINDOW_MS) -> StreamRow:
    """Return a stream as the database knows it."""
    return StreamRow(1, name, window_ms, 0, "p", "b")


def figure(series: str, segment: str, probe: str = "", /, **changes: Any) -> SeriesFigure:
    """Return a series without data, but for what is given."""
    nothing = dict.fromkeys(("expected", "low", "high", "effect", "p_value", "n_eff", "rank"))
    given: dict[str, Any] = {"other": "", "label": "", "x": 0, "n": 0, "verdict": "ok"}
    return SeriesFigure(series, segment, probe, **{**given, **nothing, **changes})


def partition_row(number: int, **changes: Any) -> PartitionRow:
    """Return a partition of which nothing is known, but for what is given."""
    bare: dict[str, Any] = {"next_offset": 0, "records": 0, "late": 0, "drained": False}
    bare |= dict.fromkeys(("end_offset", "watermark_ms", "latest_event_ms", "owner"))
    return PartitionRow(number, **{**bare, **changes})


def _stream(name: str, step: int) -> StreamFigures:
    end = NOW_MS + step * WINDOW_MS
    skewed = [Skew(SeriesKey(SeriesKind.COVERAGE, ALL, p), 0.1, 0.2, 2.0, 0.0) for p in PROBES[:2]]
    summary = StreamSummary(
        stream=stream_row(name),
        closed_through_ms=end,
        evaluated_through_ms=end,
        partitions=tuple(_partition(number, end, step) for number in (0, 1)),
        windows=10 + step,
        last_window=_window(end - WINDOW_MS, step),
        dead_letters={"not_json": 3 + step, "no_timestamp": 1},
        alerts={
            ("firing", "critical", "drift"): 1,
            ("firing", "warning", "spike"): 1,
            ("resolved", "warning", "spike"): 4,
        },
        candidates={"proposed": 120 + step, "labeled": 7},
        notifications={"sent": 3, "waiting": 1},
        removed={"pane": 40},
        quarantined=(Quarantined(0, "loops", "it did not come back", 0, 1, "p"),),
        blind=(Blindness(BlindCause.LF_FAILS, 1.0, "loops"),),
    )
    return StreamFigures(
        summary=summary,
        firing=[
            _firing("coverage", "check_out", severity="critical", kind="drift"),
            _firing("agreement", "check_out", other="has_link"),
            _firing("polarity", "has_link", label="SPAM"),
            _firing("polarity", "has_link", label="HAM", effect=None),
        ],
        precision=WindowPrecision(
            start_ms=end - WINDOW_MS,
            baseline="b",
            windows=1,
            records=1_000,
            shares=(ClassShare("HAM", 0.5, 0.6), ClassShare("SPAM", 0.5, 0.4)),
            lfs=(LfPrecision("check_out", "SPAM", 0.9, 0.9, 0.7, 0.65, 0.75, changed=True),),
            accuracy=Accuracy(0.9, 0.8, 0.75, 0.85, 400.0),
        ),
        skew=SkewRow("t", "b", tuple(skewed), end),
        forecast=ForecastRow("b", "1 per quarter", 0.0005, 0.0003, 1_000, 1),
    )


def _window(start_ms: int, step: int) -> WindowFigures:
    found = [_blind_spot(segment, step) for segment in SEGMENTS]
    found.append(_volume(step))
    found += [figure("segment_share", s, x=400, n=1_000, expected=0.3) for s in SEGMENTS[1:]]
    found += [f for segment in SEGMENTS for probe in PROBES for f in _lf(probe, segment, step)]
    return WindowFigures(
        start_ms, WindowState.COMPARED, "p", "b", 1_000 + step, 0, tuple(found),
        evaluated_ms=start_ms + WINDOW_MS + 1_000,
    )  # fmt: skip


def _lf(probe: str, segment: str, step: int) -> list[SeriesFigure]:
    band = {"expected": 0.02, "low": 0.015, "high": 0.025}
    return [
        figure("coverage", segment, probe, x=20 + 40 * step, n=1_000, **band),
        figure("overlap", segment, probe, x=50, n=100),
        figure("conflict", segment, probe, x=10, n=100),
        figure("error", segment, probe, x=0, n=1_000),
    ]


def _volume(step: int) -> SeriesFigure:
    band = {"expected": 1e-7, "low": 9e-8, "high": 1.1e-7}
    return figure("volume", ALL, x=1_000 + step, n=VOLUME_OF, **band)


def _blind_spot(segment: str, step: int) -> SeriesFigure:
    band = {"expected": 0.3, "low": 0.28, "high": 0.32}
    return figure("blind_spot", segment, x=300 + 10 * step, n=1_000 + step, **band)


def _partition(number: int, end_ms: int, step: int) -> PartitionRow:
    return partition_row(
        number,
        next_offset=5_000 + 500 * step,
        end_offset=5_040 + 500 * step,
        watermark_ms=end_ms + 30_000,
        records=5_000 + 500 * step,
        late=2 + step,
        tombstones=3 + step,
        end_ms=end_ms + 30_000,
    )


def _firing(
    series: str,
    probe: str,
    *,
    other: str = "",
    label: str = "",
    severity: str = "warning",
    kind: str = "spike",
    effect: float | None = 3.2,
) -> Alert:
    opened = NOW_MS - WINDOW_MS
    return Alert(
        x=20, n=1_000, observed=0.02, expected=None, low=None, high=None, effect=effect,
        p_value=None, rank=1.0,
        id="a", fingerprint="f", incident="i", stream="spam",
        key=SeriesKey(SeriesKind(series), ALL, probe, other, label),
        kind=AlertKind(kind), severity=Severity(severity), state=AlertState.FIRING,
        opened_window_ms=opened, last_window_ms=opened, streak=1, quiet=0, resolve_score=0.0,
        shift=1.0, probe_set="p", baseline="b",
    )  # fmt: skip
