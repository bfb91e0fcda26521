"""From the findings of a window to the alerts after it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tidegauge_alerts.lifecycle.advance import Advance, advance, merged, withdraw
from tidegauge_alerts.model import Alert, AlertState, Context, Rule, TransitionReason
from tidegauge_alerts.rules import UserRule
from tidegauge_probes.findings import SeriesKey
from tidegauge_service.jobs.evaluation.window import ClosedWindow
from tidegauge_service.jobs.evaluation.window_history import ComparedWindow


def context_of(window: ClosedWindow, baseline: str) -> Context:
    """Return what the alerts and messages of a window say of it."""
    return Context(
        stream=window.stream.name,
        window_start_ms=window.start,
        window_ms=window.stream.window_ms,
        probe_set=window.stream.probe_set,
        baseline=baseline,
        records=window.counts.records,
    )


def advance_alerts(
    before: Sequence[Alert],
    compared: ComparedWindow,
    rule: Rule,
    user_rules: Iterable[UserRule],
    context: Context,
) -> Advance:
    """Advance the alerts of the scan, and those of each rule that people wrote.

    *before*: the stream's open alerts, and those that may open again. Those of a rule that is no
    longer in the stream file are withdrawn.
    """
    by_rule: dict[str, list[Alert]] = {}
    for alert in before:
        by_rule.setdefault(alert.rule, []).append(alert)
    findings, classes = compared.findings, compared.window.layout.classes
    parts = [advance(by_rule.pop("", ()), tuple(findings.values()), rule, context)]
    for user_rule in user_rules:
        found = user_rule.evaluate(findings, classes)
        parts.append(advance(by_rule.pop(user_rule.text, ()), found, user_rule.rule, context))
    gone = [alert for alerts in by_rule.values() for alert in alerts]
    parts.append(withdraw(gone, TransitionReason.WITHDRAWN, context.window_start_ms))
    return merged(parts)


def firing(before: Sequence[Alert], changed: Sequence[Alert]) -> list[Alert]:
    """Return the alerts that are firing after this window."""
    latest = {alert.id: alert for alert in before} | {alert.id: alert for alert in changed}
    return [alert for alert in latest.values() if alert.state is AlertState.FIRING]


def resolved_series(after: Advance) -> set[SeriesKey]:
    """Return the series whose alert, one of the scan's, has resolved in this window."""
    over = [alert for alert in after.alerts if alert.state is AlertState.RESOLVED]
    return {alert.key for alert in over if not alert.rule}
