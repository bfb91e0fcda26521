"""Posts alerts to every replica of Alertmanager. Done only when each has said yes.

Replicas share which notifications they sent, but not alerts, so a replica that missed an alert
cannot notify anybody while the others are down. Posting to a replica again changes nothing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tidegauge_alerts.messages.summary import summary_of
from tidegauge_alerts.receivers.alertmanager import AlertmanagerReceiver
from tidegauge_alerts.receivers.receiver import Endpoint
from tidegauge_alerts.transports.alertmanager.payload import payload
from tidegauge_alerts.transports.http import HttpPoster, HttpRequest, delivered
from tidegauge_alerts.transports.protocol import Clock, Delivered, Outcome, Refused, Retry


class AlertmanagerTransport:
    """Posts messages to all replicas, one after the other."""

    def __init__(self, receiver: AlertmanagerReceiver, clock: Clock, **options: Any) -> None:
        """Take the receiver; *options* are those of :class:`HttpPoster`."""
        self._receiver = receiver
        self._clock = clock
        self._poster = HttpPoster(
            f"alertmanager '{receiver.name}'",
            clock,
            allow_private=receiver.allow_private,
            **options,
        )

    def deliver(self, message: Mapping[str, Any], dedup_key: str) -> Outcome:
        """Post *message* once to each replica; Alertmanager merges repeats by their labels."""
        del dedup_key
        receiver = self._receiver
        alerts = payload(summary_of(message), receiver.labels, self._clock(), receiver.ends_after_s)
        body = json.dumps(alerts, separators=(",", ":")).encode()
        left = self._poster.stopwatch(receiver.timeout_s)
        outcomes = []
        for tried, url in enumerate(receiver.urls):
            # A replica that hangs must leave time for the next one.
            share = left() / (len(receiver.urls) - tried)
            answer = self._poster.post(self._request(url, body), receiver.timeout_s, share)
            outcomes.append(delivered(answer))
        return _together(outcomes)

    def _request(self, url: str, body: bytes) -> HttpRequest:
        receiver = self._receiver
        headers = {}
        if receiver.token is not None:
            headers["Authorization"] = f"Bearer {receiver.token}"
        elif receiver.user is not None:
            pair = base64.b64encode(f"{receiver.user}:{receiver.password}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        return HttpRequest(
            f"{url.rstrip('/')}/api/v2/alerts",
            body,
            headers,
            Endpoint.of_url(url).where,
            hint="urls, user, password and token",
            key="urls",
        )


def _together(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of all replicas: as long as one may still say yes, try again."""
    retries = [one for one in outcomes if isinstance(one, Retry)]
    failed = [one.why for one in outcomes if not isinstance(one, Delivered)]
    if retries:
        waits = [one.after_s for one in retries if one.after_s is not None]
        return Retry("; ".join(failed), max(waits, default=None))
    return Refused("; ".join(failed)) if failed else Delivered()
