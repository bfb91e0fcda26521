"""Every metric, one row each: of what it is, its name, what it says, how it is read.

The exposition, docs/metrics.md and the tests of the dashboards are held against this table.
``None`` means no data: the sample is left out. It is never shown as zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final, TypeVar

from tidegauge_probes.findings import VOLUME_OF, SeriesKind
from tidegauge_service.metrics.snapshot import StreamFigures
from tidegauge_service.metrics.subjects import (
    ALERTS,
    BLIND,
    CANDIDATES,
    CLASS,
    DEAD_LETTERS,
    FIRING,
    LF,
    MESSAGES,
    MODEL,
    PARTITION,
    QUARANTINE,
    REMOVED,
    SEGMENT,
    SHARE,
    STREAM,
    VOLUME,
    VOTE,
    Kinds,
    Subject,
)
from tidegauge_service.store.states import WindowState

T = TypeVar("T")
Number = float | None

UNITS: Final = ("seconds", "ratio")


class MetricType(StrEnum):
    """Prometheus' types, as far as we use them."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


class Origin(StrEnum):
    """Where a figure comes from, and so how several processes' figures are put together."""

    STATE = "state"  # shared state: every process shows the same, take the max
    PROCESS = "process"  # this process alone: take the sum


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. ``name`` is as in queries, with ``_total`` but without a histogram's suffixes.

    ``read``: from an item of ``subject`` to the number. Without a subject it is measured in this
    process (``meters``, ``exposition``).
    """

    name: str
    type: MetricType
    help: str
    labels: tuple[str, ...] = ()
    origin: Origin = Origin.STATE
    subject: Subject[Any] | None = None
    read: Callable[[Any], Number] = float

    @property
    def unit(self) -> str:
        """The base unit, which by convention ends the name; empty for plain numbers."""
        last = self.name.removesuffix("_total").rsplit("_", 1)[-1]
        return last if last in UNITS else ""


def _gauge(subject: Subject[T], name: str, help_: str, read: Callable[[T], Number]) -> Metric:
    return _of(MetricType.GAUGE, subject, name, help_, read)


def _counter(subject: Subject[T], name: str, help_: str, read: Callable[[T], Number]) -> Metric:
    return _of(MetricType.COUNTER, subject, name, help_, read)


def _of(
    type_: MetricType, subject: Subject[T], name: str, help_: str, read: Callable[[T], Number]
) -> Metric:
    return Metric(f"tidegauge_{name}", type_, help_, subject.labels, subject=subject, read=read)


def _own(type_: MetricType, labels: str, name: str, help_: str) -> Metric:
    return Metric(f"tidegauge_{name}", type_, help_, tuple(labels.split()), Origin.PROCESS)


def _itself(number: Number) -> Number:
    return number


def _seconds(milliseconds: int | None) -> Number:
    return None if milliseconds is None else milliseconds / 1000


def _window_end(s: StreamFigures) -> Number:
    last = s.summary.last_window
    return None if last is None else _seconds(last.start_ms + s.summary.stream.window_ms)


def _evaluated(s: StreamFigures) -> Number:
    """When the last window was evaluated.

    A replay of old records has an old end of the window; only this tells whether it stands still.
    """
    return None if s.summary.last_window is None else _seconds(s.summary.last_window.evaluated_ms)


def _learning(s: StreamFigures) -> Number:
    last = s.summary.last_window
    return float(last is None or last.state is not WindowState.COMPARED)


def _share(kind: SeriesKind, figure: str = "observed") -> Callable[[Kinds], Number]:
    """Return what reads one figure of one series of an LF."""
    read: Callable[[Any], Number] = attrgetter(figure)
    return lambda kinds: read(kinds[kind]) if kind in kinds else None


def _in_records(share: float | None) -> Number:
    return None if share is None else share * VOLUME_OF


def _agreement(kinds: Kinds) -> Number:
    """Return 1 − conflicts ÷ overlaps: the share of overlapping votes that nobody contradicts."""
    overlap, conflict = kinds.get(SeriesKind.OVERLAP), kinds.get(SeriesKind.CONFLICT)
    if overlap is None or conflict is None or not overlap.x:
        return None
    return 1 - conflict.x / overlap.x


_COVERAGE, _OVERLAP = SeriesKind.COVERAGE, SeriesKind.OVERLAP
_CONFLICT, _ERROR = SeriesKind.CONFLICT, SeriesKind.ERROR
GAUGE, COUNTER, HISTOGRAM = MetricType

# fmt: off
TABLE: Final[tuple[Metric, ...]] = (
    _gauge(STREAM, "stream_learning", "1 while the baseline is still learning.",
           _learning),
    _gauge(STREAM, "stream_skewed_series", "Series in which training data and live traffic differ.",
           lambda s: None if s.skew is None else len(s.skew.found)),
    _gauge(STREAM, "stream_predicted_false_incidents",
           "False incidents to expect in the windows compared with the baseline in use.",
           lambda s: None if s.forecast is None else s.forecast.predicted),
    _gauge(STREAM, "stream_incidents",
           "Incidents that opened in those windows, right or wrong.",
           lambda s: None if s.forecast is None else s.forecast.incidents),
    _gauge(STREAM, "window_end_timestamp_seconds", "Event time at which the last window ended.",
           _window_end),
    _gauge(STREAM, "window_evaluated_timestamp_seconds",
           "When that window was evaluated (wall clock).", _evaluated),
    _gauge(STREAM, "window_duration_seconds", "Length of a window.",
           lambda s: _seconds(s.summary.stream.window_ms)),
    _counter(STREAM, "windows_evaluated_total", "Windows evaluated so far.",
             lambda s: s.summary.windows),
    _counter(PARTITION, "records_total", "Records counted so far, late ones included.",
             lambda p: p.records),
    _counter(PARTITION, "late_records_total", "Records that arrived too late to be counted.",
             lambda p: p.late),
    _counter(PARTITION, "tombstones_total", "Kafka records without a value, skipped.",
             lambda p: p.tombstones),
    _gauge(PARTITION, "watermark_timestamp_seconds",
           "Event time reached; absent once the partition is drained.",
           lambda p: _seconds(p.watermark_ms)),
    _gauge(PARTITION, "consumer_lag_records", "Records not counted yet.", lambda p: p.lag),
    _gauge(PARTITION, "source_end_timestamp_seconds",
           "When a worker last saw the end of the source.",
           lambda p: None if p.drained else _seconds(p.end_ms)),
    _gauge(STREAM, "stream_mostly_late", "1 while most records arrive too late to be counted.",
           lambda s: float(s.summary.late_ms is not None)),
    _counter(STREAM, "lost_inputs_total", "Inputs the source removed before they were read.",
             lambda s: s.summary.lost),
    _gauge(STREAM, "partitions_held", "Partitions waiting for a gap to be accepted.",
           lambda s: len(s.summary.held)),
    _gauge(BLIND, "stream_blind", "Things the stream cannot see; 0 is healthy.", _itself),
    _counter(DEAD_LETTERS, "dead_letters_total", "Inputs that could not be read as records.",
             _itself),
    _gauge(ALERTS, "alerts", "Alerts by state.", _itself),
    _gauge(FIRING, "alert_since_timestamp_seconds", "Event time at which a firing alert began.",
           lambda a: _seconds(a.opened_window_ms)),
    _gauge(FIRING, "alert_effect_ratio", "Odds ratio of a firing alert, observed to expected.",
           lambda a: a.effect),
    _gauge(CANDIDATES, "candidates", "Candidates for labeling by state.", _itself),
    _gauge(MESSAGES, "notifications", "Messages to receivers by state.", _itself),
    _counter(REMOVED, "rows_removed_total", "Rows removed by retention.", _itself),
    _gauge(SEGMENT, "window_records", "Records of the last window.", lambda f: f.n),
    _gauge(SEGMENT, "blind_spot_ratio", "Share of records on which every LF abstains.",
           lambda f: f.observed),
    _gauge(SEGMENT, "blind_spot_expected_ratio", "Blind spot that the baseline expects.",
           lambda f: f.expected),
    _gauge(SEGMENT, "blind_spot_low_ratio", "Low end of the baseline's 99 % band.",
           lambda f: f.low),
    _gauge(SEGMENT, "blind_spot_high_ratio", "High end of the baseline's 99 % band.",
           lambda f: f.high),
    _gauge(SHARE, "segment_share_ratio", "Share of records that have this value of the field.",
           lambda f: f.observed),
    _gauge(SHARE, "segment_share_expected_ratio", "Share that the baseline expects.",
           lambda f: f.expected),
    _gauge(VOLUME, "volume_records", "Records of the last window, as compared with the baseline.",
           lambda f: f.x),
    _gauge(VOLUME, "volume_expected_records", "Records that the baseline expects.",
           lambda f: _in_records(f.expected)),
    _gauge(VOLUME, "volume_low_records", "Low end of the baseline's 99 % band.",
           lambda f: _in_records(f.low)),
    _gauge(VOLUME, "volume_high_records", "High end of the baseline's 99 % band.",
           lambda f: _in_records(f.high)),
    _gauge(LF, "lf_coverage_ratio", "Share of records on which the LF votes.", _share(_COVERAGE)),
    _gauge(LF, "lf_coverage_expected_ratio", "Coverage that the baseline expects.",
           _share(_COVERAGE, "expected")),
    _gauge(LF, "lf_coverage_low_ratio", "Low end of the baseline's 99 % band.",
           _share(_COVERAGE, "low")),
    _gauge(LF, "lf_coverage_high_ratio", "High end of the baseline's 99 % band.",
           _share(_COVERAGE, "high")),
    _gauge(LF, "lf_overlap_ratio", "Share of the LF's votes where another LF votes too.",
           _share(_OVERLAP)),
    _gauge(LF, "lf_conflict_ratio", "Share of the LF's votes that another LF contradicts.",
           _share(_CONFLICT)),
    _gauge(LF, "lf_agreement_ratio", "Share of overlapping votes that no LF contradicts.",
           _agreement),
    _gauge(LF, "lf_error_ratio", "Share of records on which the LF failed.", _share(_ERROR)),
    _gauge(VOTE, "lf_precision_ratio", "Share of the LF's votes for the class that are right.",
           lambda v: v.precision),
    _gauge(VOTE, "lf_precision_expected_ratio", "Precision expected from baseline and class mix.",
           lambda v: v.expected),
    _gauge(VOTE, "lf_precision_low_ratio", "Low end of the precision's 95 % interval.",
           lambda v: v.low),
    _gauge(VOTE, "lf_precision_high_ratio", "High end of the precision's 95 % interval.",
           lambda v: v.high),
    _gauge(CLASS, "class_prior_ratio", "Share of records in the class, estimated from the LFs.",
           _itself),
    _gauge(MODEL, "model_accuracy_ratio", "Accuracy of the deployed model, estimated.",
           lambda a: a.value),
    _gauge(MODEL, "model_accuracy_low_ratio", "Low end of the accuracy's 95 % interval.",
           lambda a: a.low),
    _gauge(MODEL, "model_accuracy_high_ratio", "High end of the accuracy's 95 % interval.",
           lambda a: a.high),
    _gauge(QUARANTINE, "lf_quarantined", "1 for a quarantined LF, which is no longer called.",
           _itself),
    _own(GAUGE, "", "series_dropped", "Series left out: beyond the cap, or duplicate."),
    _own(GAUGE, "", "snapshot_up", "1 if the shared state could be read; 0 if not."),
    _own(GAUGE, "", "snapshot_timestamp_seconds", "When the shared state was read."),
    _own(GAUGE, "", "snapshot_duration_seconds", "Time taken to read the shared state."),
    _own(COUNTER, "", "snapshot_failures_total", "Reads of the shared state that failed."),
    _own(GAUGE, "version", "build_info", "1, with the version of tidegauge."),
    _own(COUNTER, "stream probe", "lf_run_seconds_total", "Time this process spent in an LF."),
    _own(COUNTER, "stream probe", "lf_lifting_ended_total", "LFs that are no longer lifted."),
    _own(HISTOGRAM, "stream", "commit_seconds", "Time this process took to commit."),
    _own(COUNTER, "stream", "commits_fenced_total",
         "Commits dropped because another worker was first."),
)
# fmt: on
"""All metrics, in the order in which they are shown."""
