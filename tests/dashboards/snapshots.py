"""A made-up snapshot for tests: two streams, segments, alerts, something of everything."""

from __future__ import annotations

from tidegauge_probes.label_model.accuracy import Accuracy
from tidegauge_service.metrics.collector import ALL
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


def _stream(name: str, step: int) -> StreamFigures:
    end = NOW_MS + step * WINDOW_MS
    return StreamFigures(
        stream=name,
        window_end_ms=end,
        evaluated_ms=end + 1_000,
        window_ms=WINDOW_MS,
        windows_total=10 + step,
        learning=False,
        skewed=2,
        predicted_false_incidents=0.3,
        incidents=1,
        probes=[_probe(probe, segment, step) for segment in SEGMENTS for probe in PROBES],
        segments=[_segment(segment, step) for segment in SEGMENTS],
        accuracy=Accuracy(0.9, 0.8, 0.75, 0.85, 400.0),
        precision=[
            PrecisionFigures(
                probe="check_out", label="SPAM", precision=0.7, expected=0.9, low=0.65, high=0.75
            )
        ],
        class_shares={"HAM": 0.6, "SPAM": 0.4},
        partitions=[_partition(number, end, step) for number in (0, 1)],
        dead_letters={"not_json": 3 + step, "no_timestamp": 1},
        alerts=[
            AlertFigures(state="firing", severity="critical", kind="drift", count=1),
            AlertFigures(state="firing", severity="warning", kind="spike", count=1),
            AlertFigures(state="resolved", severity="warning", kind="spike", count=4),
        ],
        firing=[
            _firing("coverage", "check_out", severity="critical", kind="drift"),
            _firing("agreement", "check_out", other="has_link"),
            _firing("polarity", "has_link", label="SPAM"),
            _firing("polarity", "has_link", label="HAM", effect=None),
        ],
        candidates={"proposed": 120 + step, "labeled": 7},
        notifications={"sent": 3, "waiting": 1},
        rows_removed={"pane": 40},
        quarantined=("loops",),
        blind={"lf_fails": 1, "no_segments": 0, "blind_spot": 0, "nothing_counted": 0},
    )


def _probe(probe: str, segment: str, step: int) -> ProbeFigures:
    return ProbeFigures(
        probe=probe,
        segment=segment,
        coverage=0.02 + 0.04 * step,
        coverage_expected=0.02,
        coverage_low=0.015,
        coverage_high=0.025,
        overlap=0.5,
        conflict=0.1,
        agreement=0.8,
        error=0.0,
    )


def _segment(segment: str, step: int) -> SegmentFigures:
    return SegmentFigures(
        segment=segment,
        records=1_000 + step,
        blind_spot=0.3 + 0.01 * step,
        blind_spot_expected=0.3,
        blind_spot_low=0.28,
        blind_spot_high=0.32,
    )


def _partition(number: int, end_ms: int, step: int) -> PartitionFigures:
    return PartitionFigures(
        partition=number,
        next_offset=5_000 + 500 * step,
        end_offset=5_040 + 500 * step,
        watermark_ms=end_ms + 30_000,
        records_total=5_000 + 500 * step,
        late_total=2 + step,
        tombstones_total=3 + step,
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
) -> FiringAlert:
    return FiringAlert(
        series=series,
        probe=probe,
        other=other,
        label=label,
        segment=ALL,
        severity=severity,
        kind=kind,
        effect=effect,
        since_ms=NOW_MS - WINDOW_MS,
    )
