"""A message as an event of the Events API v2.

Limits: https://developer.pagerduty.com/docs/send-alert-event
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tidegauge_alerts.messages.phrases import clean
from tidegauge_alerts.messages.summary import MessageSummary, Urgency
from tidegauge_alerts.transports.size import fitted

MAX_SUMMARY: Final = 1_024
MAX_DEDUP_KEY: Final = 255
MAX_EVENT: Final = 512_000
"""Bytes of an event; PagerDuty takes 512 KB."""

_SEVERITIES: Final = {
    Urgency.CRITICAL: "critical",
    Urgency.WARNING: "warning",
    Urgency.INFO: "info",
}


def payload(summary: MessageSummary, routing_key: str) -> bytes:
    """Return an event as JSON.

    Its ``dedup_key`` is that of the incident, so a resolve closes what the firing opened.
    """

    def build(lines: Sequence[str]) -> dict[str, Any]:
        return {
            "routing_key": routing_key,
            "event_action": "resolve" if summary.over else "trigger",
            "dedup_key": f"tidegauge:{summary.key}"[:MAX_DEDUP_KEY],
            "client": "tidegauge",
            **({"client_url": summary.links[0].href} if summary.links else {}),
            "links": [{"href": link.href, "text": link.text} for link in summary.links],
            "payload": _payload(summary, lines),
        }

    return fitted(build, summary.lines, MAX_EVENT)


def _payload(summary: MessageSummary, lines: Sequence[str]) -> dict[str, Any]:
    return {
        "summary": clean(f"[{summary.stream}] {summary.headline}", MAX_SUMMARY),
        "source": summary.stream or "tidegauge",
        "severity": _SEVERITIES[summary.urgency],
        "component": "tidegauge",
        "group": summary.stream,
        "class": summary.event,
        "custom_details": {
            "headline": summary.headline,
            "alerts": list(lines),
            **dict(summary.facts),
        },
    }
