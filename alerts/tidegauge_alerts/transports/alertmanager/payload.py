"""A message as alerts of Alertmanager's API v2.

An alert is what its labels are, so values that change are annotations. The severity must be a label
all the same, because routes match labels: each severity is then another alert. So when an incident
becomes graver, the alert of the lower severity ends, and a resolve ends those of all severities.
Alertmanager does not notify anybody of the end of an alert that never fired.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tidegauge_alerts.messages.summary import MessageSummary, Urgency
from tidegauge_alerts.messages.times import iso

ENDED_MS: Final = 5_000
"""How long ago an alert that resolves has ended. An end that is still to come by the clock of
Alertmanager would not count: it would keep the later one that it knows."""

_RISING: Final = (Urgency.INFO, Urgency.WARNING, Urgency.CRITICAL)
_INCIDENT_EVENTS: Final = ("alert", "settled")


def payload(
    summary: MessageSummary, labels: Mapping[str, str], now_ms: int, ends_after_s: float
) -> list[dict[str, Any]]:
    """Return the alerts of one message; *now_ms* in epoch milliseconds."""
    ended, ends = iso(now_ms - ENDED_MS), iso(now_ms + int(ends_after_s * 1000))
    if summary.over:
        return [_alert(summary, labels, urgency, ended, ended) for urgency in _RISING]
    lower = _RISING[: _RISING.index(summary.urgency)]
    return [
        _alert(summary, labels, summary.urgency, iso(now_ms), ends),
        *(_alert(summary, labels, urgency, ended, ended) for urgency in lower),
    ]


def alertname(event: str) -> str:
    """Return the name of an event's alerts.

    >>> alertname("settled"), alertname("probe_broken")
    ('TidegaugeIncident', 'TidegaugeProbeBroken')
    """
    if event in _INCIDENT_EVENTS:
        return "TidegaugeIncident"
    return "Tidegauge" + "".join(word.capitalize() for word in re.findall(r"[A-Za-z0-9]+", event))


def _alert(
    summary: MessageSummary,
    labels: Mapping[str, str],
    urgency: Urgency,
    starts: str,
    ends: str,
) -> dict[str, Any]:
    named = {
        **labels,
        "alertname": alertname(summary.event),
        "stream": summary.stream,
        "incident": summary.key,
        "severity": str(urgency),
    }
    return {
        "labels": {name: value for name, value in named.items() if value},
        "annotations": dict(_annotations(summary)),
        "startsAt": starts,
        "endsAt": ends,
        **({"generatorURL": summary.links[0].href} if summary.links else {}),
    }


def _annotations(summary: MessageSummary) -> Iterable[tuple[str, str]]:
    yield "summary", summary.title
    yield "description", summary.text
    for link in summary.links:
        words = re.findall(r"[a-z0-9]+", link.text.lower())
        if words:
            yield f"link_{'_'.join(words)}", link.href
