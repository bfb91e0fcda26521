"""Sends events to PagerDuty. Only 202 means yes: PagerDuty sends no other 2xx."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from tidegauge_alerts.messages.summary import summary_of
from tidegauge_alerts.receivers.pagerduty import PagerDutyReceiver
from tidegauge_alerts.transports.http import HttpAnswer, HttpPoster, HttpRequest, phrase
from tidegauge_alerts.transports.pagerduty.payload import payload
from tidegauge_alerts.transports.protocol import Clock, Delivered, Outcome


class PagerDutyTransport:
    """Triggers and resolves the incidents of one service."""

    def __init__(self, receiver: PagerDutyReceiver, clock: Clock, **options: Any) -> None:
        """Take the receiver; *options* are those of :class:`HttpPoster`."""
        self._receiver = receiver
        self._poster = HttpPoster(
            f"pagerduty '{receiver.name}'", clock, allow_private=receiver.allow_private, **options
        )

    def deliver(self, message: Mapping[str, Any], dedup_key: str) -> Outcome:
        """Send *message* once; PagerDuty merges repeats, as they have the key of the incident."""
        del dedup_key
        receiver = self._receiver
        body = payload(summary_of(message), receiver.routing_key)
        request = HttpRequest(receiver.url, body, {}, receiver.where, hint="url and routing_key")
        answer = self._poster.post(request, receiver.timeout_s)
        if not isinstance(answer, HttpAnswer):
            return answer
        if answer.status == HTTPStatus.ACCEPTED:
            return Delivered()
        said = f"it responded {phrase(answer.status)}, but PagerDuty accepts events with 202"
        return self._poster.retry(request, f"{said}: check url")
