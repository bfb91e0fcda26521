"""What of an incident receivers are told: that it began, that it is graver, that it ended. Pure.

One alert of each open incident carries the news (``told``): the first that fired. Others are silent
beside it, unless they are graver than all that was told. When the one that carries it resolves and
others of the incident are open, the strongest of these carries it on; the end is told when the last
one resolves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from tidegauge_alerts.incidents.membership import strength
from tidegauge_alerts.lifecycle.advance import Advance
from tidegauge_alerts.model import Alert, AlertState, Severity, Transition, TransitionReason

_GRAVER = {Severity.WARNING: 1, Severity.CRITICAL: 2}


@dataclass
class _Told:
    """What receivers know of each incident, while a window is worked through."""

    alerts: dict[str, Alert]
    before: dict[str, Alert]
    gravest: dict[str, int] = field(default_factory=dict)

    def is_news(self, alert: Alert, severity: Severity) -> bool:
        """Whether an incident is graver than was told; remember that it is told now."""
        news = _GRAVER[severity] > self.gravest.get(alert.incident, 0)
        if news:
            self.gravest[alert.incident] = _GRAVER[severity]
        return news

    def others(self, alert: Alert, *states: AlertState) -> list[Alert]:
        """Return the other alerts of its incident that are in one of these states now."""
        return [
            other
            for other in self.alerts.values()
            if other.incident == alert.incident and other.id != alert.id and other.state in states
        ]


_OPEN = (AlertState.PENDING, AlertState.FIRING, AlertState.SETTLED)
_LOUD = (AlertState.PENDING, AlertState.FIRING)


def announced(after: Advance, before: Iterable[Alert]) -> Advance:
    """Return the same with the transitions silent that receivers need not hear of."""
    earlier = {alert.id: alert for alert in before}
    told = _Told({alert.id: alert for alert in after.alerts}, earlier)
    for alert in earlier.values():
        if alert.told and alert.state is not AlertState.RESOLVED and alert.id in told.alerts:
            now = told.alerts[alert.id]
            grade = _GRAVER[alert.severity]
            told.gravest[now.incident] = max(told.gravest.get(now.incident, 0), grade)
    order = sorted(after.transitions, key=lambda t: strength(told.alerts[t.alert_id]))
    silent = {id(t): _silent(t, told) for t in order}
    transitions = tuple(replace(t, silent=silent[id(t)]) for t in after.transitions)
    return Advance(tuple(told.alerts[alert.id] for alert in after.alerts), transitions)


def _silent(transition: Transition, told: _Told) -> bool:
    alert = told.alerts[transition.alert_id]
    if transition.to_state is AlertState.RESOLVED:
        return transition.silent or _carried_on(alert, told)
    if transition.silent or transition.to_state is AlertState.PENDING:
        return transition.silent
    news = _is_news(transition, alert, told)
    before = told.before.get(alert.id)
    carries = news or (before is not None and before.told)
    told.alerts[alert.id] = replace(alert, told=carries)
    return not news


def _is_news(transition: Transition, alert: Alert, told: _Told) -> bool:
    if transition.reason is TransitionReason.SETTLED:
        return not told.others(alert, *_LOUD)
    if transition.reason is TransitionReason.MOVED:
        return not told.others(alert, AlertState.FIRING)
    return told.is_news(alert, transition.severity)


def _carried_on(alert: Alert, told: _Told) -> bool:
    """Whether another alert of the incident is open: it carries the news from here."""
    left = told.others(alert, *_OPEN)
    if not left:
        return False
    heir = min(left, key=strength)
    told.alerts[heir.id] = replace(heir, told=True)
    return True
