"""Where messages go: receivers, as values parsed from settings.

::

    receivers:
      log: {kind: log}
      on-call:
        kind: webhook
        url: https://hooks.example.com/tidegauge/4f2a
        secret: …              # signs each message; see transports.webhook.signature
        timeout_s: 10          # for the whole delivery
        allow_private: false   # may the host have a private address?
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import httpx2

from tidegauge_alerts.errors import ReceiverError
from tidegauge_probes.errors import nearest

MAX_TIMEOUT_S: Final = 30.0
"""Half of the lease that a sender holds on a message: no two senders may send it at once."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True, slots=True)
class LogReceiver:
    """Writes each message as one line of the log."""

    name: str

    def __post_init__(self) -> None:
        _check_name(self.name)


@dataclass(frozen=True, slots=True, repr=False)
class WebhookReceiver:
    """Posts each message as JSON to *url*.

    ``repr`` shows the host and no more: a path or query is often the secret. Raises
    ReceiverError for what could never be delivered to.
    """

    name: str
    url: str
    secret: str | None = None
    timeout_s: float = 10.0
    """Timeout of a whole delivery in seconds, from connecting to the response headers."""
    allow_private: bool = False

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_url(self.name, self.url)
        if self.secret is not None and not _is_text(self.secret):
            raise ReceiverError(f"receiver '{self.name}': secret must be a non-empty string")
        if not _is_number(self.timeout_s) or not 0 < self.timeout_s <= MAX_TIMEOUT_S:
            raise ReceiverError(
                f"receiver '{self.name}': timeout_s must be a number of seconds above 0, "
                f"at most {MAX_TIMEOUT_S:g}"
            )
        if not isinstance(self.allow_private, bool):
            raise ReceiverError(f"receiver '{self.name}': allow_private must be true or false")

    @property
    def where(self) -> str:
        """Scheme, host and port: what may be shown of the URL."""
        url = httpx2.URL(self.url)
        return f"{url.scheme}://{url.netloc.decode('ascii')}"

    def __repr__(self) -> str:
        secret = None if self.secret is None else "***"
        return (
            f"WebhookReceiver(name={self.name!r}, url='{self.where}/…', secret={secret!r}, "
            f"timeout_s={self.timeout_s!r}, allow_private={self.allow_private!r})"
        )


Receiver = LogReceiver | WebhookReceiver

_KINDS: Final[Mapping[str, type[LogReceiver | WebhookReceiver]]] = {
    "log": LogReceiver,
    "webhook": WebhookReceiver,
}


def parse_receivers(config: Mapping[str, Mapping[str, Any]]) -> dict[str, Receiver]:
    """Return name → receiver for the ``receivers`` part of the settings.

    Raises ReceiverError, naming the receiver and the nearest known key.
    """
    return {name: _parse(name, given) for name, given in config.items()}


def _parse(name: str, given: Mapping[str, Any]) -> Receiver:
    if not isinstance(given, Mapping):
        raise ReceiverError(f"receiver '{name}' must be a mapping, e.g. {{kind: log}}")
    values = dict(given)
    kind = values.pop("kind", None)
    if kind is None:
        raise ReceiverError(f"receiver '{name}' has no kind{nearest('', _KINDS)}")
    receiver = _KINDS.get(kind) if isinstance(kind, str) else None
    if receiver is None:
        raise ReceiverError(
            f"receiver '{name}': there is no kind '{kind}'{nearest(str(kind), _KINDS)}"
        )
    known = [field.name for field in fields(receiver) if field.name != "name"]
    for key in values:
        if key not in known:
            raise ReceiverError(
                f"receiver '{name}': unknown key '{key}' for kind "
                f"{kind}{nearest(str(key), [*known, 'kind'])}"
            )
    if receiver is WebhookReceiver and "url" not in values:
        raise ReceiverError(f"receiver '{name}': a webhook needs a url")
    return receiver(name=name, **values)


def _check_name(name: str) -> None:
    if not _is_text(name) or not _NAME.fullmatch(name):
        raise ReceiverError(
            f"receiver {name!r}: a name may have at most 100 letters, digits, '_', '.', "
            "'-', and must start with a letter or digit"
        )


def _check_url(name: str, url: str) -> None:
    """Refuse what is no address of a web server, without repeating it: it may be secret."""
    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, TypeError):
        raise ReceiverError(f"receiver '{name}': url is not a valid address") from None
    if parsed.scheme not in ("http", "https") or not parsed.host.strip("."):
        raise ReceiverError(f"receiver '{name}': url must be http://… or https://… with a host")
    if parsed.host.startswith("."):
        raise ReceiverError(f"receiver '{name}': the host in url starts with a dot")
    if parsed.port is not None and not 0 < parsed.port < 65_536:  # noqa: PLR2004
        raise ReceiverError(f"receiver '{name}': the port in url must be between 1 and 65535")
    if parsed.userinfo:
        raise ReceiverError(
            f"receiver '{name}': url contains a user name or password; use `secret`, or "
            "a token in the path, instead"
        )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_number(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value)  # type: ignore[arg-type]
