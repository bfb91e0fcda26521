"""An incident as people see it: what changed, what moved along, and what they heard of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tidegauge_alerts.incidents.membership import strength
from tidegauge_alerts.messages.message import notify_worthy
from tidegauge_alerts.messages.phrases import episode
from tidegauge_alerts.model import Alert, AlertKind, AlertState, Severity, Transition
from tidegauge_probes.findings import Cause

_STATES = (AlertState.FIRING, AlertState.PENDING, AlertState.SETTLED)
"""The state of an incident is the first of these that one of its alerts has."""


@dataclass(frozen=True, slots=True)
class Incident:
    """The alerts of one cause, the roots first and then by strength; there is at least one."""

    alerts: tuple[Alert, ...]

    @property
    def id(self) -> str:
        """Its name."""
        return self.alerts[0].incident

    @property
    def root(self) -> Alert:
        """The alert that it is named after."""
        return self.alerts[0]

    @property
    def roots(self) -> tuple[Alert, ...]:
        """The alerts that it began with; mostly one."""
        return tuple(alert for alert in self.alerts if alert.root) or self.alerts[:1]

    @property
    def children(self) -> tuple[Alert, ...]:
        """The series that moved along."""
        roots = {alert.id for alert in self.roots}
        return tuple(alert for alert in self.alerts if alert.id not in roots)

    @property
    def state(self) -> AlertState:
        """Firing while one of its alerts fires; resolved when all are."""
        states = {alert.state for alert in self.alerts}
        return next((state for state in _STATES if state in states), AlertState.RESOLVED)

    @property
    def kind(self) -> AlertKind:
        """What the root looks like."""
        return self.root.kind

    @property
    def severity(self) -> Severity:
        """The highest of its alerts."""
        critical = any(alert.severity is Severity.CRITICAL for alert in self.alerts)
        return Severity.CRITICAL if critical else Severity.WARNING

    @property
    def cause(self) -> Cause | None:
        """Where the root's shift comes from."""
        return self.root.cause

    @property
    def opened_window_ms(self) -> int:
        """The window in which its first alert opened."""
        return min(alert.opened_window_ms for alert in self.alerts)

    @property
    def resolved_window_ms(self) -> int | None:
        """The window in which its last alert resolved; None while one is open."""
        if self.state is not AlertState.RESOLVED:
            return None
        return max(alert.resolved_window_ms or 0 for alert in self.alerts)

    @property
    def headline(self) -> str:
        """What changed, and how many other series moved along."""
        more = len(self.alerts) - 1
        along = f", with {more} more series" if more else ""
        return episode(self.root) + along


def incidents_of(alerts: Iterable[Alert]) -> list[Incident]:
    """Put alerts into their incidents, which are in the order in which their first one comes."""
    by_name: dict[str, list[Alert]] = {}
    for alert in alerts:
        by_name.setdefault(alert.incident, []).append(alert)
    return [Incident(tuple(sorted(members, key=strength))) for members in by_name.values()]


def messages_sent(incident: Incident, history: Mapping[str, Sequence[Transition]]) -> int:
    """Return how many messages each receiver gets of it. *history*: alert → its changes."""
    told = {
        (transition.window_start_ms, transition.to_state)
        for alert in incident.alerts
        for transition in history.get(alert.id, ())
        if notify_worthy(transition)
    }
    return len(told)
