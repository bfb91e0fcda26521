"""An incident as plain data: the one form in which the API and the reports give it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tidegauge_alerts.incidents.incident import Incident, messages_sent
from tidegauge_alerts.model import Alert, Transition
from tidegauge_service.clock import to_iso


def fields_of(incident: Incident, history: Mapping[str, Sequence[Transition]]) -> dict[str, Any]:
    """Return an incident as JSON-ready data. *history*: alert → its changes, of others too.

    ``owner`` and ``words`` have no content yet.
    """
    cause = incident.cause
    return {
        "id": incident.id,
        "stream": incident.root.stream,
        "headline": incident.headline,
        "kind": str(incident.kind),
        "severity": str(incident.severity),
        "state": str(incident.state),
        "cause": None if cause is None else asdict(cause),
        "owner": None,
        "opened_window": to_iso(incident.opened_window_ms),
        "resolved_window": to_iso(incident.resolved_window_ms),
        "roots": [_series(alert) for alert in incident.roots],
        "children": [_series(alert) for alert in incident.children],
        "messages": messages_sent(incident, history),
        "words": [],
    }


def _series(alert: Alert) -> dict[str, Any]:
    """Return a series of an incident: what was expected of it, and what was seen."""
    summed = alert.scale > 1 and alert.due is not None
    shares = (alert.due, alert.share) if summed else (alert.expected, alert.observed)
    return {
        **asdict(alert.key),
        "from": shares[0],
        "to": shares[1],
        "alert": alert.id,
        "state": str(alert.state),
    }
