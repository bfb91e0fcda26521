"""Posts to Slack. A webhook's 2xx is a yes; the Web API says ``"ok": true`` in a 200."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from tidegauge_alerts.messages.summary import summary_of
from tidegauge_alerts.receivers.slack import SlackReceiver
from tidegauge_alerts.transports.http import HttpAnswer, HttpPoster, HttpRequest, delivered
from tidegauge_alerts.transports.protocol import Clock, Delivered, Outcome
from tidegauge_alerts.transports.slack.payload import payload

MAX_ANSWER: Final = 65_536

_PASSING: Final = frozenset(
    {
        "accesslimited",
        "fatal_error",
        "internal_error",
        "message_limit_exceeded",
        "rate_limited",
        "ratelimited",
        "request_timeout",
        "service_unavailable",
        "team_added_to_org",
    }
)
"""Errors of the Web API that may pass."""

_CODE: Final = re.compile(r"[a-z][a-z_]{0,49}")


class SlackTransport:
    """Posts messages to one channel."""

    def __init__(self, receiver: SlackReceiver, clock: Clock, **options: Any) -> None:
        """Take the receiver; *options* are those of :class:`HttpPoster`."""
        self._receiver = receiver
        self._poster = HttpPoster(
            f"slack '{receiver.name}'", clock, allow_private=receiver.allow_private, **options
        )

    def deliver(self, message: Mapping[str, Any], dedup_key: str) -> Outcome:
        """Post *message* once; Slack has no key by which it would drop repeats."""
        del dedup_key
        request = self._request(payload(summary_of(message)))
        answer = self._poster.post(request, self._receiver.timeout_s)
        if self._receiver.token is None or not isinstance(answer, HttpAnswer):
            return delivered(answer)
        return self._of_api(request, answer)

    def _request(self, content: dict[str, Any]) -> HttpRequest:
        receiver = self._receiver
        if receiver.token is None:
            body = json.dumps(content).encode()
            return HttpRequest(receiver.target, body, {}, receiver.where)
        return HttpRequest(
            receiver.target,
            json.dumps({**content, "channel": receiver.channel}).encode(),
            {
                "Authorization": f"Bearer {receiver.token}",
                "Content-Type": "application/json; charset=utf-8",
            },
            receiver.where,
            hint="token and channel",
            key="api_url",
            read=MAX_ANSWER,
        )

    def _of_api(self, request: HttpRequest, answer: HttpAnswer) -> Outcome:
        try:
            said = json.loads(answer.body)
            ok, error = said["ok"], str(said.get("error", ""))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return self._poster.retry(request, "its response is not one of Slack's: check api_url")
        if ok is True:
            return Delivered()
        # The code is Slack's word for what is wrong; anything else could be hostile.
        code = error if _CODE.fullmatch(error) else "an unknown error"
        if code in _PASSING:
            return self._poster.retry(
                request, f"it responded {code}", self._poster.asked_wait_s(answer)
            )
        return self._poster.refused(request, f"it responded {code}: check token and channel")
