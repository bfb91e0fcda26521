"""Renders the shared state for Prometheus, as the table says.

The state is read from the database by someone else (``snapshot``): every process answers alike,
whichever of them Prometheus happens to ask.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector as PrometheusCollector

from tidegauge_probes.findings import ALL
from tidegauge_service.metrics.snapshot import Snapshot, StreamFigures
from tidegauge_service.metrics.subjects import SUBJECTS, Subject
from tidegauge_service.metrics.table import TABLE, Metric, MetricType

log = structlog.get_logger()

_BY_NAME: Final[Mapping[str, Metric]] = {metric.name: metric for metric in TABLE}

_BY_SUBJECT: Final[Mapping[Subject[Any], Sequence[Metric]]] = {
    subject: [metric for metric in TABLE if metric.subject is subject] for subject in SUBJECTS
}


@dataclass(frozen=True, slots=True)
class MetricSample:
    """One sample. ``segment`` is empty where there is none; it decides what the cap drops first."""

    metric: str
    labels: tuple[str, ...]
    value: float
    segment: str = ""


def samples(snapshot: Snapshot) -> Iterator[MetricSample]:
    """Yield all samples of a snapshot: of one thing all its figures, one after the other."""
    for s in snapshot.streams:
        for subject, metrics in _BY_SUBJECT.items():
            yield from _of_subject(s, subject, metrics)


def _of_subject(
    s: StreamFigures, subject: Subject[Any], metrics: Sequence[Metric]
) -> Iterator[MetricSample]:
    for item in subject.of(s):
        labels = (s.summary.stream.name, *item.labels)
        for metric in metrics:
            value = metric.read(item.value)
            if value is not None:
                yield MetricSample(metric.name, labels, value, item.segment)


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
    """Return samples as prometheus_client's metric families, in the table's order."""
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
