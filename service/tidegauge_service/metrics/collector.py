"""Figures for Prometheus: what they are, and how they are rendered.

Two parts. ``CATALOGUE`` names every metric: the collector, docs/metrics.md and the tests of
the dashboards read it. ``Collector`` renders a snapshot of the shared state (``figures``), which
someone else reads from the database: every process answers alike, whichever of them Prometheus
happens to ask.

``None`` means no data: the sample is left out. It is never shown as zero.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from typing import Final, TypeVar

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector as PrometheusCollector

from tidegauge_probes.label_model.accuracy import Accuracy
from tidegauge_service.metrics.figures import (
    FiringAlert,
    PartitionFigures,
    PrecisionFigures,
    ProbeFigures,
    SegmentFigures,
    Snapshot,
    StreamFigures,
)

log = structlog.get_logger()

T = TypeVar("T")

ALL: Final = "_all"
"""The segment of all records, named as in ``tidegauge_probes.findings`` (a test compares)."""


# -- The catalogue ----------------------------------------------------------------------------

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
    """One metric. ``name`` is as in queries, with ``_total`` but without a histogram's suffixes."""

    name: str
    type: MetricType
    help: str
    labels: tuple[str, ...] = ()
    origin: Origin = Origin.STATE

    @property
    def unit(self) -> str:
        """The base unit, which by convention ends the name; empty for plain numbers."""
        last = self.name.removesuffix("_total").rsplit("_", 1)[-1]
        return last if last in UNITS else ""


def _metric(type_: MetricType, origin: Origin) -> Callable[..., Metric]:
    """Return a constructor, so that the table below reads as one: name, labels, help."""

    def metric(name: str, labels: str, help_: str) -> Metric:
        return Metric(f"tidegauge_{name}", type_, help_, tuple(labels.split()), origin)

    return metric


_gauge = _metric(MetricType.GAUGE, Origin.STATE)
_counter = _metric(MetricType.COUNTER, Origin.STATE)
_own_gauge = _metric(MetricType.GAUGE, Origin.PROCESS)
_own_counter = _metric(MetricType.COUNTER, Origin.PROCESS)
_own_histogram = _metric(MetricType.HISTOGRAM, Origin.PROCESS)

_LF = "stream probe segment"
_VOTE = "stream probe label"
_SEGMENT = "stream segment"
_ALERT = "stream series probe other label segment severity kind rule"

CATALOGUE: Final[tuple[Metric, ...]] = (
    _gauge("stream_learning", "stream", "1 while the baseline is not ready to compare with."),
    _gauge("stream_skewed_series", "stream", "Series in which training data and live differ."),
    _gauge(
        "stream_predicted_false_incidents",
        "stream",
        "False incidents to expect in the windows compared with the baseline in use.",
    ),
    _gauge("stream_incidents", "stream", "Incidents that opened in those windows, right or wrong."),
    _gauge("window_end_timestamp_seconds", "stream", "Event time at which the last window ended."),
    _gauge(
        "window_evaluated_timestamp_seconds",
        "stream",
        "When that window was evaluated (wall clock).",
    ),
    _gauge("window_duration_seconds", "stream", "Length of a window."),
    _counter("windows_evaluated_total", "stream", "Windows evaluated so far."),
    _counter("records_total", "stream partition", "Records counted so far, late ones included."),
    _counter("late_records_total", "stream partition", "Records that came too late."),
    _counter("tombstones_total", "stream partition", "Kafka records without a value, skipped."),
    _gauge(
        "watermark_timestamp_seconds",
        "stream partition",
        "Event time reached; absent once the partition is drained.",
    ),
    _gauge("consumer_lag_records", "stream partition", "Records not counted yet."),
    _gauge("source_end_timestamp_seconds", "stream partition", "When a worker saw the end last."),
    _gauge("stream_mostly_late", "stream", "1 while most records come too late to be counted."),
    _counter("lost_inputs_total", "stream", "Inputs the source removed before they were read."),
    _gauge("partitions_held", "stream", "Partitions that wait until a gap is accepted."),
    _gauge("stream_blind", "stream reason", "Things that the stream cannot see; 0 is good."),
    _counter("dead_letters_total", "stream reason", "Inputs that could not be records."),
    _gauge("alerts", "stream state severity kind", "Alerts by state."),
    _gauge("alert_since_timestamp_seconds", _ALERT, "Event time at which a firing alert began."),
    _gauge("alert_effect_ratio", _ALERT, "Odds ratio, observed to expected, of a firing alert."),
    _gauge("candidates", "stream state", "Candidates for labeling by state."),
    _gauge("notifications", "stream state", "Messages to receivers by state."),
    _counter("rows_removed_total", "stream table", "Rows that retention has removed."),
    _gauge("window_records", _SEGMENT, "Records of the last window."),
    _gauge("blind_spot_ratio", _SEGMENT, "Share of records on which every LF abstains."),
    _gauge("blind_spot_expected_ratio", _SEGMENT, "Blind spot that the baseline expects."),
    _gauge("blind_spot_low_ratio", _SEGMENT, "Low end of the baseline's 99 % band."),
    _gauge("blind_spot_high_ratio", _SEGMENT, "High end of the baseline's 99 % band."),
    _gauge("lf_coverage_ratio", _LF, "Share of records on which the LF votes."),
    _gauge("lf_coverage_expected_ratio", _LF, "Coverage that the baseline expects."),
    _gauge("lf_coverage_low_ratio", _LF, "Low end of the baseline's 99 % band."),
    _gauge("lf_coverage_high_ratio", _LF, "High end of the baseline's 99 % band."),
    _gauge("lf_overlap_ratio", _LF, "Share of the LF's votes where another LF votes too."),
    _gauge("lf_conflict_ratio", _LF, "Share of the LF's votes that another LF contradicts."),
    _gauge("lf_agreement_ratio", _LF, "Share of overlapping votes that no LF contradicts."),
    _gauge("lf_error_ratio", _LF, "Share of records on which the LF failed."),
    _gauge("lf_precision_ratio", _VOTE, "Share of the LF's votes for the class that are right."),
    _gauge("lf_precision_expected_ratio", _VOTE, "Precision that baseline and class mix expect."),
    _gauge("lf_precision_low_ratio", _VOTE, "Low end of the precision's 95 % interval."),
    _gauge("lf_precision_high_ratio", _VOTE, "High end of the precision's 95 % interval."),
    _gauge("class_prior_ratio", "stream label", "Share of records of the class, as LFs see it."),
    _gauge("model_accuracy_ratio", "stream", "Accuracy of the deployed model, estimated."),
    _gauge("model_accuracy_low_ratio", "stream", "Low end of the accuracy's 95 % interval."),
    _gauge("model_accuracy_high_ratio", "stream", "High end of the accuracy's 95 % interval."),
    _gauge("lf_quarantined", "stream probe", "1 for an LF that is not called any more."),
    _own_gauge("series_dropped", "", "Series left out: beyond the cap, or twice the same."),
    _own_gauge("snapshot_up", "", "1 if the shared state could be read; else it is not shown."),
    _own_gauge("snapshot_timestamp_seconds", "", "When the shared state was read."),
    _own_gauge("snapshot_duration_seconds", "", "How long it took to read the shared state."),
    _own_counter("snapshot_failures_total", "", "Reads of the shared state that failed."),
    _own_gauge("build_info", "version", "1, with the version of tidegauge."),
    _own_counter("lf_run_seconds_total", "stream probe", "Time this process spent in an LF."),
    _own_counter("lf_lifting_ended_total", "stream probe", "LFs run as they are again."),
    _own_histogram("commit_seconds", "stream", "Time a commit of this process took."),
    _own_counter("commits_fenced_total", "stream", "Commits dropped: another worker had moved on."),
)
"""All metrics. What only one process knows about LFs and commits is measured in ``meters``."""

_BY_NAME: Final[Mapping[str, Metric]] = {metric.name: metric for metric in CATALOGUE}


# -- From a snapshot to samples ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MetricSample:
    """One sample. ``segment`` is empty where there is none; it decides what the cap drops first."""

    metric: str
    labels: tuple[str, ...]
    value: float
    segment: str = ""


_PROBE_METRICS: Final[Mapping[str, Callable[[ProbeFigures], float | None]]] = {
    "tidegauge_lf_coverage_ratio": lambda p: p.coverage,
    "tidegauge_lf_coverage_expected_ratio": lambda p: p.coverage_expected,
    "tidegauge_lf_coverage_low_ratio": lambda p: p.coverage_low,
    "tidegauge_lf_coverage_high_ratio": lambda p: p.coverage_high,
    "tidegauge_lf_overlap_ratio": lambda p: p.overlap,
    "tidegauge_lf_conflict_ratio": lambda p: p.conflict,
    "tidegauge_lf_agreement_ratio": lambda p: p.agreement,
    "tidegauge_lf_error_ratio": lambda p: p.error,
}

_SEGMENT_METRICS: Final[Mapping[str, Callable[[SegmentFigures], float | None]]] = {
    "tidegauge_window_records": lambda s: s.records,
    "tidegauge_blind_spot_ratio": lambda s: s.blind_spot,
    "tidegauge_blind_spot_expected_ratio": lambda s: s.blind_spot_expected,
    "tidegauge_blind_spot_low_ratio": lambda s: s.blind_spot_low,
    "tidegauge_blind_spot_high_ratio": lambda s: s.blind_spot_high,
}

_ACCURACY_METRICS: Final[Mapping[str, Callable[[Accuracy], float | None]]] = {
    "tidegauge_model_accuracy_ratio": lambda a: a.value,
    "tidegauge_model_accuracy_low_ratio": lambda a: a.low,
    "tidegauge_model_accuracy_high_ratio": lambda a: a.high,
}

_PRECISION_METRICS: Final[Mapping[str, Callable[[PrecisionFigures], float | None]]] = {
    "tidegauge_lf_precision_ratio": lambda p: p.precision,
    "tidegauge_lf_precision_expected_ratio": lambda p: p.expected,
    "tidegauge_lf_precision_low_ratio": lambda p: p.low,
    "tidegauge_lf_precision_high_ratio": lambda p: p.high,
}

_PARTITION_METRICS: Final[Mapping[str, Callable[[PartitionFigures], float | None]]] = {
    "tidegauge_records_total": lambda p: p.records_total,
    "tidegauge_late_records_total": lambda p: p.late_total,
    "tidegauge_tombstones_total": lambda p: p.tombstones_total,
    "tidegauge_watermark_timestamp_seconds": lambda p: _seconds(p.watermark_ms),
    "tidegauge_consumer_lag_records": lambda p: p.lag,
    "tidegauge_source_end_timestamp_seconds": lambda p: _seconds(p.end_ms),
}

_STREAM_METRICS: Final[Mapping[str, Callable[[StreamFigures], float | None]]] = {
    "tidegauge_stream_learning": lambda s: float(s.learning),
    "tidegauge_stream_skewed_series": lambda s: s.skewed,
    "tidegauge_stream_predicted_false_incidents": lambda s: s.predicted_false_incidents,
    "tidegauge_stream_incidents": lambda s: s.incidents,
    "tidegauge_window_end_timestamp_seconds": lambda s: _seconds(s.window_end_ms),
    "tidegauge_window_evaluated_timestamp_seconds": lambda s: _seconds(s.evaluated_ms),
    "tidegauge_window_duration_seconds": lambda s: _seconds(s.window_ms),
    "tidegauge_windows_evaluated_total": lambda s: s.windows_total,
    "tidegauge_lost_inputs_total": lambda s: s.lost_inputs,
    "tidegauge_partitions_held": lambda s: s.held,
    "tidegauge_stream_mostly_late": lambda s: float(s.mostly_late),
}

_TALLIES: Final[Mapping[str, Callable[[StreamFigures], Mapping[str, int]]]] = {
    "tidegauge_dead_letters_total": lambda s: s.dead_letters,
    "tidegauge_stream_blind": lambda s: s.blind or {},
    "tidegauge_candidates": lambda s: s.candidates,
    "tidegauge_notifications": lambda s: s.notifications,
    "tidegauge_rows_removed_total": lambda s: s.rows_removed,
}

_FIRING_METRICS: Final[Mapping[str, Callable[[FiringAlert], float | None]]] = {
    "tidegauge_alert_since_timestamp_seconds": lambda a: _seconds(a.since_ms),
    "tidegauge_alert_effect_ratio": lambda a: a.effect,
}


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def samples(snapshot: Snapshot) -> Iterator[MetricSample]:
    """Yield all samples of a snapshot, those of a whole stream first."""
    for s in snapshot.streams:
        yield from _of_stream(s)
    for s in snapshot.streams:
        yield from _of_segments(s)


def _of_stream(s: StreamFigures) -> Iterator[MetricSample]:
    yield from _present(_STREAM_METRICS, s, (s.stream,))
    for partition in s.partitions:
        yield from _present(_PARTITION_METRICS, partition, (s.stream, str(partition.partition)))
    for name, tally in _TALLIES.items():
        for key, count in tally(s).items():
            yield MetricSample(name, (s.stream, key), count)
    for probe in s.quarantined:
        yield MetricSample("tidegauge_lf_quarantined", (s.stream, probe), 1)
    for a in s.alerts:
        yield MetricSample("tidegauge_alerts", (s.stream, a.state, a.severity, a.kind), a.count)
    for f in s.firing:
        what = (f.series, f.probe, f.other, f.label, f.segment)
        yield from _present(_FIRING_METRICS, f, (s.stream, *what, f.severity, f.kind, f.rule))


def _of_segments(s: StreamFigures) -> Iterator[MetricSample]:
    for part in s.segments:
        yield from _present(_SEGMENT_METRICS, part, (s.stream, part.segment), part.segment)
    for probe in s.probes:
        labels = (s.stream, probe.probe, probe.segment)
        yield from _present(_PROBE_METRICS, probe, labels, probe.segment)
    for vote in s.precision:
        yield from _present(_PRECISION_METRICS, vote, (s.stream, vote.probe, vote.label), ALL)
    for label, share in s.class_shares.items():
        yield MetricSample("tidegauge_class_prior_ratio", (s.stream, label), share, ALL)
    if s.accuracy is not None:
        yield from _present(_ACCURACY_METRICS, s.accuracy, (s.stream,), ALL)


def _present(
    metrics: Mapping[str, Callable[[T], float | None]],
    figures: T,
    labels: tuple[str, ...],
    segment: str = "",
) -> Iterator[MetricSample]:
    for name, read in metrics.items():
        value = read(figures)
        if value is not None:
            yield MetricSample(name, labels, value, segment)


def capped(found: Iterable[MetricSample], max_series: int) -> tuple[list[MetricSample], int]:
    """Return at most *max_series* samples, no two of the same series, and how many were left out.

    Whole streams come first, then the segment of all records, then other segments by name, so
    that the same ones are shown in every scrape, and each of them (but one) with all its figures.
    """
    given = list(found)
    unique: dict[tuple[str, tuple[str, ...]], MetricSample] = {}
    for sample in given:
        unique.setdefault((sample.metric, sample.labels), sample)
    kept = sorted(unique.values(), key=_rank)[:max_series]
    return kept, len(given) - len(kept)


def _rank(sample: MetricSample) -> tuple[int, str]:
    if not sample.segment:
        return 0, ""
    return (1, "") if sample.segment == ALL else (2, sample.segment)


def families(kept: Iterable[MetricSample]) -> list[Family]:
    """Return samples as prometheus_client's metric families, in the catalogue's order."""
    found: dict[str, Family] = {}
    for sample in kept:
        if sample.metric not in found:
            found[sample.metric] = _family(_BY_NAME[sample.metric])
        _add(found[sample.metric], sample.value, sample.labels)
    return [found[name] for name in _BY_NAME if name in found]


def _family(metric: Metric) -> Family:
    made = CounterMetricFamily if metric.type is MetricType.COUNTER else GaugeMetricFamily
    return made(metric.name, metric.help, labels=metric.labels)


def _add(family: Family, value: float, labels: Iterable[str] = ()) -> None:
    # A segment's name may hold a lone surrogate, which cannot be sent: one would hide all metrics.
    sendable = [label.encode("utf-8", "replace").decode("utf-8") for label in labels]
    family.add_metric(sendable, value)  # type: ignore[attr-defined]


# -- The collector ----------------------------------------------------------------------------


class Collector(PrometheusCollector):
    """Renders the shared state for Prometheus; reads it at most once per *ttl_s* seconds.

    If it cannot be read, ``tidegauge_snapshot_up`` is 0 and no figure of it is shown: old figures
    without a timestamp would look like present ones. *others* are registries of this process
    whose metrics are shown too. Threads may collect at the same time.
    """

    def __init__(
        self,
        read: Callable[[], Snapshot],
        max_series: int = 20_000,
        ttl_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        others: Sequence[CollectorRegistry] = (),
    ) -> None:
        self._read = read
        self._max_series = max_series
        self._ttl_s = ttl_s
        self._clock = clock
        self._others = tuple(others)
        self._lock = threading.Lock()
        self._read_at: float | None = None
        self._families: list[Family] = []
        self._failures = 0
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def describe(self) -> Iterable[Family]:
        """Return no names: otherwise registration would read the database."""
        return ()

    def collect(self) -> Iterator[Family]:
        """Yield all metrics. Never raises for a snapshot that cannot be read or rendered."""
        with self._lock:
            if self._read_at is None or self._clock() - self._read_at >= self._ttl_s:
                self._families = self._refreshed()
                self._read_at = self._clock()
            found = self._families
        yield from found
        for other in self._others:
            yield from other.collect()

    def _refreshed(self) -> list[Family]:
        started = self._clock()
        try:
            snapshot = self._read()
            kept, dropped = capped(samples(snapshot), self._max_series)
            shared = families(kept)
            about = {
                "tidegauge_series_dropped": dropped,
                "tidegauge_snapshot_timestamp_seconds": snapshot.taken_at_ms / 1000,
            }
        except Exception:  # Whatever it is, Prometheus must be told, and the other metrics shown.
            log.exception("snapshot_failed")
            self._failures += 1
            shared, about = [], {}
        about["tidegauge_snapshot_up"] = float(bool(about))
        about["tidegauge_snapshot_duration_seconds"] = self._clock() - started
        about["tidegauge_snapshot_failures_total"] = self._failures
        own = [MetricSample(name, (), value) for name, value in about.items()]
        return shared + families([*own, MetricSample("tidegauge_build_info", (_version(),), 1)])


def _version() -> str:
    try:
        return version("tidegauge")
    except PackageNotFoundError:  # Run from a source tree that was never installed.
        return "unknown"
