"""Where the shifts of a window's alerts come from. Pure."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tidegauge_alerts.lifecycle.advance import Advance
from tidegauge_alerts.model import Alert, AlertState
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.explanation import Totals, explain, of_classes
from tidegauge_probes.drift.scan import Past
from tidegauge_probes.findings import ALL, Cause, Finding, SeriesKey, SeriesKind
from tidegauge_probes.label_model.precision import PairCounts

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Explainer:
    """A window and those before it. ``x``, ``n``: int64 [S], the window's own series.

    ``recent``: the window and those before it, the newest first; empty without a label model.
    """

    baseline: Baseline
    findings: Mapping[SeriesKey, Finding]
    past: Past
    x: Ints
    n: Ints
    recent: Sequence[PairCounts]

    def explained(self, after: Advance, before: Sequence[Alert]) -> Advance:
        """Say of the alerts that are shifted in this window where their shift comes from."""
        known = {alert.id: alert.cause for alert in before}

        def explained(alert: Alert) -> Alert:
            finding = self.findings.get(alert.key)
            if finding is None or not finding.shifted or alert.state is AlertState.RESOLVED:
                return alert
            cause = self._cause(finding, alert.reopened_window_ms or alert.opened_window_ms)
            if cause is not None and cause.same(known.get(alert.id)):
                cause = replace(cause, confirmed=True)
            return replace(alert, cause=cause)

        return replace(after, alerts=tuple(map(explained, after.alerts)))

    def _cause(self, finding: Finding, opened_ms: int) -> Cause | None:
        lasted = (finding.window_start_ms - opened_ms) // self.baseline.window_ms + 1
        last = max(finding.scale, lasted)
        found = self._of_classes(finding, self.recent[:last])
        return found or explain(
            finding.key, self.findings, self._totals(last), self.baseline.volumes
        )

    def _totals(self, last: int) -> Totals:
        """Sum each series over the last windows."""
        sums = np.stack(self.past.total(self.x, self.n, last), axis=1).tolist()
        return dict(zip(self.baseline.keys, map(tuple, sums), strict=True))

    def _of_classes(self, finding: Finding, windows: Sequence[PairCounts]) -> Cause | None:
        """Return another mix of classes, if that explains the shift of an LF's coverage."""
        key, model, layout = finding.key, self.baseline.model, self.baseline.plan.layout
        if key.series is not SeriesKind.COVERAGE or key.segment != ALL or model is None:
            return None
        x, n = self._totals(len(windows))[key]
        if finding.expected is None or not n:
            return None
        now = functools.reduce(operator.add, windows)
        change = x / n - finding.expected
        return of_classes(layout.probes.index(key.probe), change, model, layout.classes, now)
