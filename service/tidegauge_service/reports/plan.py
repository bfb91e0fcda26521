"""What ``tidegauge plan`` says, as plain data for scripts; the command words it for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.false_alarms import PERIODS_MS, FalseAlarms
from tidegauge_probes.drift.power.lengths import LengthComparison, WindowLength, compare_lengths
from tidegauge_probes.drift.power.outlook import (
    CHANCE,
    SegmentOutlook,
    SeriesOutlook,
    SmallestShifts,
    of_all_records,
    of_segments,
)
from tidegauge_service.clock import to_duration, to_iso
from tidegauge_service.config.stream_file import StreamConfig

MONTH_MS: Final = PERIODS_MS["month"]


@dataclass(frozen=True, eq=False)
class StreamPlan:
    """What to expect of a stream that is compared with a baseline.

    ``expected``, ``allowed``: false incidents per 30 days; ``expected`` is None where the baseline
    is too short to tell. ``series``: the blind spot, then each LF's coverage.
    """

    stream: str
    baseline: Baseline
    false_alarms: FalseAlarms
    expected: float | None
    allowed: float
    series: tuple[SeriesOutlook, ...]
    segments: tuple[SegmentOutlook, ...]
    lengths: LengthComparison | None

    @property
    def records(self) -> float:
        """Records a window."""
        return self.series[0].volume

    @property
    def mute(self) -> tuple[SegmentOutlook, ...]:
        """Segments of which no series can ever alarm."""
        return tuple(one for one in self.segments if not one.telling)


def make_plan(
    config: StreamConfig, baseline: Baseline, finest: Baseline | None = None
) -> StreamPlan:
    """Return the plan of a stream. The baseline has windows.

    *finest*: the same in shorter windows, if they are known, to compare window lengths.
    """
    window_ms = baseline.window_ms
    alpha, needed = config.false_alarms.per_window(window_ms), config.alerts.for_windows
    rate = baseline.forecast.per_window(alpha)
    return StreamPlan(
        config.name,
        baseline,
        config.false_alarms,
        None if rate is None else rate * MONTH_MS / window_ms,
        config.false_alarms.incidents * MONTH_MS / PERIODS_MS[config.false_alarms.period],
        tuple(of_all_records(baseline, alpha, needed)),
        tuple(of_segments(baseline, alpha, needed)),
        compare_lengths(finest or baseline, lambda ms: _alpha(config, ms), window_ms, needed),
    )


def _alpha(config: StreamConfig, window_ms: int) -> float:
    """Return α of windows of another length: the budget's default depends on it."""
    return config.model_copy(update={"window": window_ms}).false_alarms.per_window(window_ms)


def facts(plan: StreamPlan) -> dict[str, Any]:
    """Return the plan as JSON-ready data."""
    baseline = plan.baseline
    return {
        "stream": plan.stream,
        "window": to_duration(baseline.window_ms),
        "records_per_window": round(plan.records, 2),
        "baseline": {
            "id": baseline.id,
            "windows": len(baseline.starts),
            "from": to_iso(int(baseline.starts[0])),
            "until": to_iso(int(baseline.starts[-1]) + baseline.window_ms),
            "learning": baseline.learning,
        },
        "false_incidents": {
            "budget": plan.false_alarms.text,
            "allowed_per_month": round(plan.allowed, 4),
            "expected_per_month": None if plan.expected is None else round(plan.expected, 4),
        },
        "chance": CHANCE,
        "series": [_series(one) for one in plan.series],
        "segments": [_segment(one) for one in plan.segments],
        "window_lengths": None if plan.lengths is None else _lengths(plan.lengths),
        "suggested": {
            "window": _duration(None if plan.lengths is None else plan.lengths.best),
            "segments_too_small": [one.segment for one in plan.mute],
        },
    }


def _series(one: SeriesOutlook) -> dict[str, Any]:
    key = one.key
    return {
        "series": str(key.series),
        "probe": key.probe,
        "segment": key.segment,
        "share": round(one.share, 6),
        "votes_per_window": round(one.share * one.volume, 3),
        "smallest_shifts": {name: _shifts(found) for name, found in one.within.items()},
        "never": None if one.never is None else str(one.never),
        "no_rise": None if one.up is None else str(one.up),
        "no_fall": None if one.down is None else str(one.down),
        "restless": one.restless,
    }


def _shifts(found: SmallestShifts | None) -> dict[str, Any] | None:
    if found is None:
        return None
    sides = {"up": found.up, "down": found.down}
    shifts = {
        side: shift and {"share": round(shift.share, 6), "ratio": round(shift.ratio, 4)}
        for side, shift in sides.items()
    }
    return {"windows": found.windows, **shifts}


def _segment(one: SegmentOutlook) -> dict[str, Any]:
    return {
        "segment": one.segment,
        "records_per_window": round(one.records, 3),
        "series": one.series,
        "can_alarm": one.telling,
        "blind_spot": _series(one.blind_spot),
    }


def _lengths(compared: LengthComparison) -> dict[str, Any]:
    return {
        "probe": compared.probe,
        "share": round(compared.share, 6),
        "ratio": compared.ratio,
        "lengths": [_length(one, compared.lfs) for one in compared.lengths],
    }


def _length(one: WindowLength, lfs: int) -> dict[str, Any]:
    rate = one.false_rate
    return {
        "window": to_duration(one.window_ms),
        "baseline_windows": one.windows,
        "learning": one.learning,
        "found_after_hours": None if one.after_ms is None else round(one.after_ms / 3_600_000, 2),
        "lfs_found": one.found,
        "lfs": lfs,
        "false_incidents_per_month": None
        if rate is None
        else round(rate * MONTH_MS / one.window_ms, 4),
    }


def _duration(ms: int | None) -> str | None:
    return None if ms is None else to_duration(ms)
