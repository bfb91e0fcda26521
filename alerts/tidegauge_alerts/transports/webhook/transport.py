"""JSON over HTTP to any address, signed.

==============================  ===========================================================
answer                          outcome
==============================  ===========================================================
2xx                             delivered
404, 408, 429, 5xx, no answer   try again; ``Retry-After`` is honoured
3xx                             refused: a redirect could lead anywhere
other 4xx, private address      refused
==============================  ===========================================================
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import httpcore2
import httpx2

from tidegauge_alerts.errors import AddressRefused
from tidegauge_alerts.receivers import WebhookReceiver
from tidegauge_alerts.transports.network import CheckedNetwork, Deadline, Resolver, resolve
from tidegauge_alerts.transports.protocol import Clock, Delivered, Outcome, Refused, Retry
from tidegauge_alerts.transports.webhook.signature import SIGNATURE, TIMESTAMP, sign

RETRY_AFTER_CAP_S: Final = 3600.0
"""Longest wait that a receiver can ask for: an hour."""

_PASSING: Final = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
)
"""Client errors that may pass. A gateway answers 404 while what is behind it is deployed again."""


class WebhookTransport:
    """Posts messages to one webhook.

    Built on httpx2's URLs and its httpcore2, not on its Client: that writes each URL to the log,
    and the URL of a webhook is often its secret. Proxies of the environment are not used: a proxy
    would resolve the host again, unchecked.
    """

    def __init__(
        self,
        receiver: WebhookReceiver,
        clock: Clock,
        *,
        resolver: Resolver = resolve,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._receiver = receiver
        self._clock = clock
        self._resolver = resolver
        self._monotonic = monotonic
        self._url = httpx2.URL(receiver.url)
        self._ssl_context = httpx2.create_ssl_context()
        self._user_agent = f"tidegauge/{_version()}"

    def deliver(self, message: Mapping[str, Any], dedup_key: str) -> Outcome:
        """Post *message* once; see :class:`~tidegauge_alerts.transports.protocol.Transport`.

        The body of the answer is not read: nothing in it is needed, and it may never end.
        """
        body = json.dumps(message, separators=(",", ":"), allow_nan=False).encode()
        try:
            status, headers = self._post(body, self._headers(body, dedup_key))
        except AddressRefused as error:
            return self._refused(str(error))
        except httpcore2.LocalProtocolError as error:
            return self._refused(f"the request cannot be sent: {error}")
        except httpcore2.TimeoutException:
            return self._retry(f"no answer within {self._receiver.timeout_s:g} s")
        except httpcore2.NetworkError as error:
            return self._retry(str(error) or type(error).__name__)
        except httpcore2.ProtocolError:
            # Its words are the receiver's, and could be anything: they stay out of our log.
            return self._retry("its response is not HTTP, or ended early")
        return self._judge(status, headers)

    def _headers(self, body: bytes, dedup_key: str) -> dict[str, str]:
        timestamp_s = self._clock() // 1000
        headers = {
            "Host": self._url.netloc.decode("ascii"),
            "Content-Type": "application/json",
            "User-Agent": self._user_agent,
            "Idempotency-Key": dedup_key,
            TIMESTAMP: str(timestamp_s),
        }
        if self._receiver.secret is not None:
            headers[SIGNATURE] = sign(self._receiver.secret, timestamp_s, body)
        return headers

    def _post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, httpx2.Headers]:
        """Send one request on a connection of its own; return status and headers of the answer."""
        network = CheckedNetwork(
            Deadline(self._receiver.timeout_s, self._monotonic),
            self._resolver,
            allow_private=self._receiver.allow_private,
        )
        url = httpcore2.URL(
            scheme=self._url.raw_scheme,
            host=self._url.raw_host,
            port=self._url.port,
            target=self._url.raw_path,
        )
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        with (
            httpcore2.ConnectionPool(
                ssl_context=self._ssl_context, network_backend=network
            ) as pool,
            pool.stream("POST", url, headers=encoded, content=body) as response,
        ):
            return response.status, httpx2.Headers(response.headers)

    def _judge(self, status: int, headers: httpx2.Headers) -> Outcome:
        answer = _phrase(status)
        if 200 <= status < 300:  # noqa: PLR2004
            return Delivered()
        if status in _PASSING or status >= 500:  # noqa: PLR2004
            after_s = retry_after_s(headers.get("Retry-After"), self._clock() / 1000)
            hint = ": check url" if status == HTTPStatus.NOT_FOUND else ""
            return self._retry(f"it responded {answer}{hint}", after_s)
        if 300 <= status < 400:  # noqa: PLR2004
            return self._refused(
                f"it responded {answer}: redirects are not followed; set url to the final address"
            )
        return self._refused(f"it responded {answer}: check url and secret")

    def _retry(self, why: str, after_s: float | None = None) -> Retry:
        return Retry(f"webhook '{self._receiver.name}' at {self._receiver.where}: {why}", after_s)

    def _refused(self, why: str) -> Refused:
        return Refused(f"webhook '{self._receiver.name}' at {self._receiver.where}: {why}")


def retry_after_s(value: str | None, now_s: float) -> float | None:
    """Return the seconds to wait by a ``Retry-After`` header (RFC 9110, 10.2.3), 0…3600.

    It is a number of seconds or an HTTP date, compared with *now_s* (epoch seconds). ``None``
    where it is missing or makes no sense.

    >>> retry_after_s("120", 0), retry_after_s("Thu, 01 Jan 1970 00:00:30 GMT", 10)
    (120.0, 20.0)
    """
    text = (value or "").strip()
    if text.isascii() and text.isdecimal():
        return min(float(text), RETRY_AFTER_CAP_S)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    date = date.replace(tzinfo=UTC) if date.tzinfo is None else date
    return min(max(date.timestamp() - now_s, 0.0), RETRY_AFTER_CAP_S)


def _phrase(status: int) -> str:
    """Return e.g. ``429 Too Many Requests``: our words, as the receiver's may be hostile."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _version() -> str:
    try:
        return version("tidegauge")
    except PackageNotFoundError:  # run from a source tree
        return "unknown"
