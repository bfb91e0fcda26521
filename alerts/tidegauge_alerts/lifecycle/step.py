"""One step of an alert: what it is after a window, and the transitions that led there."""

from __future__ import annotations

from dataclasses import replace

from tidegauge_alerts.model import Alert, AlertState, Transition, TransitionReason, figures_of
from tidegauge_probes.findings import Finding

Step = tuple[Alert, list[Transition]]


def transition_of(
    before: Alert | None, after: Alert, reason: TransitionReason, finding: Finding
) -> Transition:
    """Return the transition from *before* (None: it opens) with the figures of the window."""
    return Transition(
        alert_id=after.id,
        from_state=before.state if before else None,
        to_state=after.state,
        reason=reason,
        window_start_ms=finding.window_start_ms,
        kind=after.kind,
        severity=after.severity,
        **figures_of(finding),
    )


def resolve(alert: Alert, reason: TransitionReason, finding: Finding) -> Step:
    """Resolve an alert. Receivers who heard nothing of a re-opening hear nothing of its end."""
    recovered = reason is TransitionReason.RECOVERED
    resolved = ended(alert, finding.window_start_ms, recovered=recovered)
    made = transition_of(alert, resolved, reason, finding)
    return resolved, [replace(made, silent=not alert.told)]


def ended(alert: Alert, window_start_ms: int, *, recovered: bool) -> Alert:
    """Return the alert resolved in that window; what receivers have heard is then over."""
    return replace(
        alert,
        state=AlertState.RESOLVED,
        resolved_window_ms=window_start_ms,
        restarted_window_ms=window_start_ms,
        recovered=recovered,
        told=False,
        settled=None,
    )


def is_graver(before: Alert, after: Alert) -> bool:
    """Whether kind or severity changed: neither is ever taken back."""
    return (before.kind, before.severity) != (after.kind, after.severity)
