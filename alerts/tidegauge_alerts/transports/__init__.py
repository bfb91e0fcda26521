"""Ways to deliver a message: one folder each, behind one small protocol.

A transport tries once and says what came of it. When to try again is decided by
:mod:`tidegauge_alerts.transports.backoff`, and remembered by the outbox of the service.
:mod:`tidegauge_alerts.transports.kinds` lists the kinds.
"""

from __future__ import annotations

from tidegauge_alerts.transports.kinds import ReceiverKind, parse_receivers, transport_for
from tidegauge_alerts.transports.log.transport import LogTransport
from tidegauge_alerts.transports.protocol import (
    Clock,
    Delivered,
    Outcome,
    Refused,
    Retry,
    Transport,
)
from tidegauge_alerts.transports.webhook.transport import WebhookTransport

__all__ = [
    "Clock",
    "Delivered",
    "LogTransport",
    "Outcome",
    "ReceiverKind",
    "Refused",
    "Retry",
    "Transport",
    "WebhookTransport",
    "parse_receivers",
    "transport_for",
]
