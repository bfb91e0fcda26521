"""One POST over HTTP, shared by all receivers that have a URL.

==============================  ===========================================================
answer                          outcome
==============================  ===========================================================
2xx                             delivered, unless the kind of receiver says otherwise
404, 408, 429, 5xx, no answer   try again; ``Retry-After`` is honoured
3xx                             refused: a redirect could lead anywhere
other 4xx, private address      refused
==============================  ===========================================================
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import httpcore2
import httpx2

from tidegauge_alerts.errors import AddressRefused
from tidegauge_alerts.transports.network import CheckedNetwork, Deadline, Resolver, resolve
from tidegauge_alerts.transports.protocol import Clock, Delivered, Outcome, Refused, Retry

RETRY_AFTER_CAP_S: Final = 3600.0
"""Longest wait that a receiver can ask for: an hour."""

_PASSING: Final = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
)
"""Client errors that may pass. A gateway answers 404 while what is behind it is deployed again."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """Status and headers of an answer, and the beginning of its body as far as it was asked for."""

    status: int
    headers: httpx2.Headers
    body: bytes


@dataclass(frozen=True, slots=True, repr=False)
class HttpRequest:
    """A POST to one URL. ``hint``: the settings to check if the answer is a refusal.

    ``key``: the setting that holds the URL.
    """

    url: str
    body: bytes
    headers: Mapping[str, str]
    where: str
    """What may be shown of the URL."""
    hint: str = "url"
    key: str = "url"
    read: int = 0
    """Bytes of the answer's body to read; by default none, for it may never end."""


class HttpPoster:
    """Posts for one receiver.

    Built on httpx2's URLs and its httpcore2, not on its Client: that writes each URL to the log,
    and the URL of a webhook is often its secret. Proxies of the environment are not used: a proxy
    would resolve the host again, unchecked.
    """

    def __init__(
        self,
        title: str,
        clock: Clock,
        *,
        allow_private: bool,
        resolver: Resolver = resolve,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what the outcomes call the receiver: ``webhook 'ops'``."""
        self._title = title
        self._clock = clock
        self._allow_private = allow_private
        self._resolver = resolver
        self._monotonic = monotonic
        self._ssl_context = httpx2.create_ssl_context()
        self._user_agent = f"tidegauge/{_version()}"

    def stopwatch(self, timeout_s: float) -> Callable[[], float]:
        """Start the time of a delivery; return a function that gives the seconds left (≥ 1 ms)."""
        end = self._monotonic() + timeout_s
        return lambda: max(end - self._monotonic(), 0.001)

    def post(
        self, request: HttpRequest, timeout_s: float, share_s: float | None = None
    ) -> HttpAnswer | Retry | Refused:
        """Send one request; return a 2xx answer, or why there is none. Never raises.

        *share_s*: the part of the delivery's *timeout_s* that this request may take. Outcomes do
        not mention it: it varies, and each new wording would be logged.
        """
        try:
            answer = self._send(request, Deadline(share_s or timeout_s, self._monotonic))
        except AddressRefused as error:
            return self.refused(request, str(error))
        except httpcore2.LocalProtocolError:
            # Its words repeat the header, which may be a token.
            return self.refused(request, "a header or the address has characters HTTP cannot send")
        except httpcore2.TimeoutException:
            return self.retry(request, f"no answer within {timeout_s:g} s")
        except httpcore2.NetworkError as error:
            return self.retry(request, str(error) or type(error).__name__)
        except httpcore2.ProtocolError:
            # Its words are the receiver's, and could be anything: they stay out of our log.
            return self.retry(request, "its response is not HTTP, or ended early")
        return self._judged(request, answer)

    def retry(self, request: HttpRequest, why: str, after_s: float | None = None) -> Retry:
        """Return a Retry that names the receiver."""
        return Retry(f"{self._title} at {request.where}: {why}", after_s)

    def refused(self, request: HttpRequest, why: str) -> Refused:
        """Return a Refused that names the receiver."""
        return Refused(f"{self._title} at {request.where}: {why}")

    def asked_wait_s(self, answer: HttpAnswer) -> float | None:
        """Return the seconds that an answer asks to wait for, if it does."""
        return retry_after_s(answer.headers.get("Retry-After"), self._clock() / 1000)

    def _send(self, request: HttpRequest, deadline: Deadline) -> HttpAnswer:
        """Send one request on a connection of its own."""
        network = CheckedNetwork(deadline, self._resolver, allow_private=self._allow_private)
        parsed = httpx2.URL(request.url)
        url = httpcore2.URL(
            scheme=parsed.raw_scheme,
            host=parsed.raw_host,
            port=parsed.port,
            target=parsed.raw_path,
        )
        headers = {
            "Host": parsed.netloc.decode("ascii"),
            "Content-Type": "application/json",
            "User-Agent": self._user_agent,
            **request.headers,
        }
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        with (
            httpcore2.ConnectionPool(
                ssl_context=self._ssl_context, network_backend=network
            ) as pool,
            pool.stream("POST", url, headers=encoded, content=request.body) as response,
        ):
            body = _beginning(response, request.read)
            return HttpAnswer(response.status, httpx2.Headers(response.headers), body)

    def _judged(self, request: HttpRequest, answer: HttpAnswer) -> HttpAnswer | Retry | Refused:
        status, said = answer.status, f"it responded {phrase(answer.status)}"
        if 200 <= status < 300:  # noqa: PLR2004
            return answer
        if status in _PASSING or status >= 500:  # noqa: PLR2004
            hint = f": check {request.key}" if status == HTTPStatus.NOT_FOUND else ""
            return self.retry(request, f"{said}{hint}", self.asked_wait_s(answer))
        if 300 <= status < 400:  # noqa: PLR2004
            return self.refused(
                request,
                f"{said}: redirects are not followed; set {request.key} to the final address",
            )
        return self.refused(request, f"{said}: check {request.hint}")


def delivered(answer: HttpAnswer | Retry | Refused) -> Outcome:
    """Return the outcome where any 2xx answer is a yes."""
    return Delivered() if isinstance(answer, HttpAnswer) else answer


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


def phrase(status: int) -> str:
    """Return e.g. ``429 Too Many Requests``: our words, as the receiver's may be hostile."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _beginning(response: httpcore2.Response, most: int) -> bytes:
    """Return the first bytes of a body, *most* or fewer."""
    body = b""
    if most:
        for part in response.iter_stream():
            body += part
            if len(body) >= most:
                break
    return body[:most]


def _version() -> str:
    try:
        return version("tidegauge")
    except PackageNotFoundError:  # run from a source tree
        return "unknown"
