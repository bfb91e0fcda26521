"""JSON over HTTP to any address, signed. Any 2xx is a yes; see :mod:`…transports.http`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tidegauge_alerts.receivers.webhook import WebhookReceiver
from tidegauge_alerts.transports.http import HttpPoster, HttpRequest, delivered
from tidegauge_alerts.transports.protocol import Clock, Outcome
from tidegauge_alerts.transports.webhook.signature import SIGNATURE, TIMESTAMP, sign


class WebhookTransport:
    """Posts messages to one webhook."""

    def __init__(self, receiver: WebhookReceiver, clock: Clock, **options: Any) -> None:
        """Take the receiver; *options* are those of :class:`HttpPoster`."""
        self._receiver = receiver
        self._clock = clock
        self._poster = HttpPoster(
            f"webhook '{receiver.name}'", clock, allow_private=receiver.allow_private, **options
        )

    def deliver(self, message: Mapping[str, Any], dedup_key: str) -> Outcome:
        """Post *message* once; see :class:`~tidegauge_alerts.transports.protocol.Transport`.

        The body of the answer is not read: nothing in it is needed, and it may never end.
        """
        body = json.dumps(message, separators=(",", ":"), allow_nan=False).encode()
        request = HttpRequest(
            self._receiver.url,
            body,
            self._headers(body, dedup_key),
            self._receiver.where,
            hint="url and secret",
        )
        return delivered(self._poster.post(request, self._receiver.timeout_s))

    def _headers(self, body: bytes, dedup_key: str) -> dict[str, str]:
        timestamp_s = self._clock() // 1000
        headers = {"Idempotency-Key": dedup_key, TIMESTAMP: str(timestamp_s)}
        if self._receiver.secret is not None:
            headers[SIGNATURE] = sign(self._receiver.secret, timestamp_s, body)
        return headers
