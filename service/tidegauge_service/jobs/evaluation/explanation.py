"""Where the shifts of a window's alerts come from. Pure."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tidegauge_alerts.lifecycle.advance import Advance
from tidegauge_alerts.model import Alert, AlertState
from tidegauge_probes.drift.explanation import Totals, explain, of_classes
from tidegauge_probes.drift.series.copies import copies_of
from tidegauge_probes.drift.series.new_values import new_values
from tidegauge_probes.findings import ALL, Cause, Copies, Finding, SeriesKind
from tidegauge_probes.label_model.precision import PairCounts
from tidegauge_service.jobs.evaluation.window_history import ComparedWindow


def explain_alerts(after: Advance, before: Sequence[Alert], compared: ComparedWindow) -> Advance:
    """Give the alerts that are shifted in this window the cause of their shift, if one is found.

    *before*: the open alerts; a cause that they had in the window before, too, is confirmed. Where
    nothing is found any more, what was found of the shift stays: people look at it afterwards.
    """
    known = {alert.id: alert for alert in before}

    def explained(alert: Alert) -> Alert:
        finding = compared.findings.get(alert.key)
        if finding is None or not finding.shifted or alert.state is AlertState.RESOLVED:
            return alert
        cause = _cause(compared, finding.tested, alert.reopened_window_ms or alert.opened_window_ms)
        earlier = known.get(alert.id)
        if cause is not None and not cause.confirmed and earlier and cause.same(earlier.cause):
            cause = replace(cause, confirmed=True)
        copies = _copies(compared, finding)
        if earlier is None or earlier.shift * alert.shift < 0:
            return replace(alert, cause=cause, copies=copies)
        return replace(alert, cause=cause or earlier.cause, copies=copies or earlier.copies)

    return replace(after, alerts=tuple(map(explained, after.alerts)))


def _cause(compared: ComparedWindow, finding: Finding, opened_ms: int) -> Cause | None:
    baseline = compared.history.baseline
    if finding.key.series is SeriesKind.SEGMENT_SHARE:
        return new_values(finding, compared.window.counts, baseline.total, baseline.plan.segments)
    lasted = (finding.window_start_ms - opened_ms) // baseline.window_ms + 1
    last = max(finding.scale, lasted)
    found = _of_classes(compared, finding, compared.history.recent[:last])
    findings = {key: each.tested for key, each in compared.findings.items()}
    return found or explain(finding.key, findings, _totals(compared, last), baseline.volumes)


def _copies(compared: ComparedWindow, finding: Finding) -> Copies | None:
    window = compared.window
    distinct = window.counts.distinct
    return None if distinct is None else copies_of(finding, distinct, window.layout)


def _totals(compared: ComparedWindow, last: int) -> Totals:
    """Sum each series over the last windows."""
    history = compared.history
    sums = np.stack(history.past.total(compared.x, compared.n, last), axis=1).tolist()
    return dict(zip(history.baseline.keys, map(tuple, sums), strict=True))


def _of_classes(
    compared: ComparedWindow, finding: Finding, windows: Sequence[PairCounts]
) -> Cause | None:
    """Return another mix of classes, if that explains the shift of an LF's coverage."""
    baseline = compared.history.baseline
    key, model, layout = finding.key, baseline.model, baseline.plan.layout
    if key.series is not SeriesKind.COVERAGE or key.segment != ALL or model is None:
        return None
    x, n = _totals(compared, len(windows))[key]
    if finding.expected is None or not n:
        return None
    now = functools.reduce(operator.add, windows)
    change = x / n - finding.expected
    return of_classes(layout.probes.index(key.probe), change, model, layout.classes, now)
