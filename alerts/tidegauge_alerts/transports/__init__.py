"""Ways to deliver a message: one module each, behind one small protocol.

A transport tries once and says what came of it. When to try again is decided by
:mod:`tidegauge_alerts.transports.backoff`, and remembered by the outbox of the service.
"""

from __future__ import annotations

from tidegauge_alerts.receivers import LogReceiver, Receiver
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
    "Refused",
    "Retry",
    "Transport",
    "WebhookTransport",
    "transport_for",
]


def transport_for(receiver: Receiver, clock: Clock) -> Transport:
    """Return the transport that delivers to *receiver*; *clock* gives epoch milliseconds."""
    if isinstance(receiver, LogReceiver):
        return LogTransport(receiver)
    return WebhookTransport(receiver, clock)
