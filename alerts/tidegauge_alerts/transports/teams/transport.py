"""Posts cards to a workflow of Microsoft Teams. It answers 202 before it has posted them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegauge_alerts.messages.summary import summary_of
from tidegauge_alerts.receivers.teams import TeamsReceiver
from tidegauge_alerts.transports.http import HttpPoster, HttpRequest, delivered
from tidegauge_alerts.transports.protocol import Clock, Outcome
from tidegauge_alerts.transports.teams.payload import payload


class TeamsTransport:
    """Posts messages to one channel or chat."""

    def __init__(self, receiver: TeamsReceiver, clock: Clock, **options: Any) -> None:
        """Take the receiver; *options* are those of :class:`HttpPoster`."""
        self._receiver = receiver
        self._poster = HttpPoster(
            f"teams '{receiver.name}'", clock, allow_private=receiver.allow_private, **options
        )

    def deliver(self, message: Mapping[str, Any], dedup_key: str) -> Outcome:
        """Post *message* once; Teams has no key by which it would drop repeats."""
        del dedup_key
        receiver = self._receiver
        request = HttpRequest(receiver.url, payload(summary_of(message)), {}, receiver.where)
        return delivered(self._poster.post(request, receiver.timeout_s))
