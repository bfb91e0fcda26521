"""tidegauge's own code on arrays: its baseline, its comparison, its alerts' lifecycle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, cast

import numpy as np

from benchmarks.detection.scoring import Mask, PerThousand
from benchmarks.detection.traffic import HOUR_MS, Ints, Traffic
from tidegauge_alerts.lifecycle.advance import advance
from tidegauge_alerts.model import Alert, AlertState, Context, Rule
from tidegauge_probes.counts import panes
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.drift import comparison
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.civil_time import UTC_TIME, CivilTime
from tidegauge_probes.drift.comparison import Detector
from tidegauge_probes.drift.scan import Past
from tidegauge_probes.drift.series.series_plan import SeriesPlan
from tidegauge_probes.findings import SeriesKey, SeriesKind
from tidegauge_probes.model import Layout

RULE: Final = Rule()
_LAYOUT: Final = Layout((), (), ())


@dataclass(frozen=True)
class _Row:
    """One window of series, in the place of the counts that they are extracted from."""

    x: Ints
    n: Ints
    distinct: None = None
    records: int = 0


@dataclass(frozen=True)
class _Columns(SeriesPlan):
    """A plan of as many series as there are columns."""

    width: int = 0
    total: _Row | None = None

    def keys(self) -> tuple[SeriesKey, ...]:
        return tuple(SeriesKey(SeriesKind.COVERAGE, probe=f"lf{s}") for s in range(self.width))

    def extract(self, counts: PaneCounts, *, whole: bool = True) -> tuple[Ints, Ints]:  # noqa: ARG002
        row = cast("_Row", counts)
        if isinstance(counts, PaneCounts):  # the baseline's total
            row = cast("_Row", self.total)
        return row.x, row.n


def fit(history: Traffic, civil: CivilTime = UTC_TIME) -> Baseline:
    """Return the baseline of calibration windows."""
    total = _Row(history.x.sum(axis=0), history.n.sum(axis=0))
    kept = history.n.any(axis=1)
    return Baseline(
        probe_set="benchmark",
        plan=_Columns(_LAYOUT, (), (), width=history.x.shape[1], total=total),
        total=panes.empty(0, 2),
        window_ms=HOUR_MS,
        starts=history.starts[kept],
        x=history.x[kept],
        n=history.n[kept],
        source={},
        civil=civil,
    )


Windows = Iterable[tuple[int, PaneCounts]]
"""Start and counts of each window, in order."""


def followed(baseline: Baseline, live: Traffic, budget: float) -> Iterator[tuple[Alert, ...]]:
    """Return after each window the alerts that are open or that it resolved."""
    return followed_counts(baseline, rows_of(live), budget)


def rows_of(live: Traffic) -> Windows:
    """Return the windows of made traffic."""
    rows = (cast("PaneCounts", _Row(x, n)) for x, n in zip(live.x, live.n, strict=True))
    return zip(live.starts.tolist(), rows, strict=True)


def followed_counts(
    baseline: Baseline, windows: Windows, budget: float
) -> Iterator[tuple[Alert, ...]]:
    """Return the same of windows of counts."""
    detector = Detector(budget)
    known: dict[str, Alert] = {}
    past = Past.none(len(baseline.keys))
    for start, counts in windows:
        findings = comparison.compare(start, counts, baseline, detector, past)
        past = past.then(start, *baseline.tested(counts))
        context = Context(
            stream="s",
            window_start_ms=start,
            window_ms=baseline.window_ms,
            probe_set="",
            baseline="",
        )
        alerts = advance(known.values(), findings, RULE, context).alerts
        yield alerts
        resolved = {alert.key for alert in alerts if alert.state is AlertState.RESOLVED}
        past = past.since_resolved(start, [key in resolved for key in baseline.keys])
        known |= {alert.id: alert for alert in alerts}


def incidents(baseline: Baseline, windows: Windows, budget: float) -> PerThousand:
    """Return in how many windows something opened, whatever else was open.

    Copies that are told as copies are no false alarm.
    """
    opened, seen = 0, 0
    known: set[str] = set()
    for alerts in followed_counts(baseline, windows, budget):
        told = (alert.id for alert in alerts if alert.key.series is not SeriesKind.COPIES)
        new = set(told) - known
        known |= new
        opened, seen = opened + bool(new), seen + 1
    return PerThousand(opened, seen)


@dataclass(frozen=True)
class Tidegauge:
    """As shipped, at a budget of false episodes per 1,000 windows."""

    budget: float = Detector().budget

    def alarms(self, history: Traffic, live: Traffic) -> Mask:
        """Return where series have an open alert."""
        opened, _ = self.opens_and_closes(history, live)
        return opened

    def opens_and_closes(self, history: Traffic, live: Traffic) -> tuple[Mask, Mask]:
        """Return where alerts of series are open, and where they are resolved, bool [W, S]."""
        is_open, resolved = np.zeros((2, *live.x.shape), dtype=np.bool_)
        for w, alerts in enumerate(followed(fit(history), live, self.budget)):
            for alert in alerts:
                where = resolved if alert.state is AlertState.RESOLVED else is_open
                where[w, int(alert.key.probe[2:])] = True
        return is_open, resolved
