"""Messages as alerts of Alertmanager, posted to every replica.

::

    alertmanager:
      kind: alertmanager
      urls: [http://am-0.monitoring:9093, http://am-1.monitoring:9093]
      labels: {team: spam}
      allow_private: true
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from tidegauge_alerts.errors import ReceiverError
from tidegauge_alerts.receivers.checks import (
    check_delivery,
    check_token,
    check_url,
    is_number,
    is_text,
)
from tidegauge_alerts.receivers.receiver import Endpoint, Receiver, address_field, secret_field

RESERVED: Final = frozenset({"alertname", "stream", "incident", "severity"})
"""Labels that messages set."""

MAX_ENDS_AFTER_S: Final = 365 * 86_400.0
MOST_REPLICAS: Final = 10

_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,99}")
_INSTEAD: Final = "use user and password, or token, instead"


@dataclass(frozen=True, slots=True, repr=False)
class AlertmanagerReceiver(Receiver):
    """Posts alerts (API v2) to all replicas in *urls*; each is the part before ``/api/v2``."""

    kind: ClassVar[str] = "alertmanager"

    urls: tuple[str, ...] = address_field(many=True)
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of all alerts, to route them by."""
    ends_after_s: float = 7 * 86_400.0
    """Seconds after which a firing alert ends, unless it is posted again or resolves before."""
    user: str | None = None
    password: str | None = secret_field(default=None)
    token: str | None = secret_field(default=None)
    timeout_s: float = 10.0
    allow_private: bool = False

    def check(self) -> None:
        """Reject settings that can never work."""
        self._check_urls()
        self._check_labels()
        self._check_credentials()
        if not is_number(self.ends_after_s) or not 60 <= self.ends_after_s <= MAX_ENDS_AFTER_S:  # noqa: PLR2004
            raise ReceiverError(
                f"receiver '{self.name}': ends_after_s must be a number of seconds from 60 "
                f"(a minute) to {MAX_ENDS_AFTER_S:.0f} (a year)"
            )
        check_delivery(self.name, self.timeout_s, self.allow_private)

    def _check_urls(self) -> None:
        urls: object = self.urls
        if not isinstance(urls, tuple) or not 1 <= len(urls) <= MOST_REPLICAS:
            raise ReceiverError(
                f"receiver '{self.name}': urls must be a list of 1 to {MOST_REPLICAS} addresses"
            )
        for url in self.urls:
            check_url(self.name, url, "urls", _INSTEAD)
            if "?" in url or "#" in url:
                raise ReceiverError(
                    f"receiver '{self.name}': an address in urls has a query or fragment; give "
                    "the part before /api/v2"
                )

    def _check_labels(self) -> None:
        if not isinstance(self.labels, Mapping):
            raise ReceiverError(f"receiver '{self.name}': labels must be a mapping")
        for label, value in self.labels.items():
            if not _LABEL.fullmatch(str(label)):
                raise ReceiverError(
                    f"receiver '{self.name}': {label!r} in labels is not a label name: use "
                    "letters, digits and '_', and no digit first"
                )
            if label in RESERVED:
                raise ReceiverError(
                    f"receiver '{self.name}': label '{label}' is set by each message; choose "
                    "another name"
                )
            if not is_text(value):
                raise ReceiverError(
                    f"receiver '{self.name}': label '{label}' must be a non-empty string"
                )

    def _check_credentials(self) -> None:
        check_token(self.name, self.token, "token")
        if (self.user is None) != (self.password is None):
            raise ReceiverError(f"receiver '{self.name}': set both user and password, or neither")
        if self.user is not None and self.token is not None:
            raise ReceiverError(f"receiver '{self.name}': set user and password, or token")
        for key, value in (("user", self.user), ("password", self.password)):
            if value is not None and not is_text(value):
                raise ReceiverError(f"receiver '{self.name}': {key} must be a non-empty string")
        if self.user is not None and ":" in self.user:
            raise ReceiverError(f"receiver '{self.name}': user must not contain ':'")

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the hosts of all replicas."""
        return tuple(Endpoint.of_url(url) for url in self.urls)
