"""Messages as signed JSON, to any address.

::

    on-call:
      kind: webhook
      url: https://hooks.example.com/tidegauge/4f2a
      secret: …              # signs each message; see transports.webhook.signature
      timeout_s: 10          # for the whole delivery
      allow_private: false   # may the host have a private address?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tidegauge_alerts.errors import ReceiverError
from tidegauge_alerts.receivers.checks import check_delivery, check_url, is_text
from tidegauge_alerts.receivers.receiver import Endpoint, Receiver, address_field, secret_field


@dataclass(frozen=True, slots=True, repr=False)
class WebhookReceiver(Receiver):
    """Posts each message as JSON to *url*.

    ``repr`` shows the host and no more: a path or query is often the secret. Raises
    ReceiverError for what could never be delivered to.
    """

    kind: ClassVar[str] = "webhook"

    url: str = address_field()
    secret: str | None = secret_field(default=None)
    timeout_s: float = 10.0
    """Timeout of a whole delivery in seconds, from connecting to the response headers."""
    allow_private: bool = False

    def check(self) -> None:
        """Reject settings that can never work."""
        check_url(self.name, self.url, instead="use `secret`, or a token in the path, instead")
        if self.secret is not None and not is_text(self.secret):
            raise ReceiverError(f"receiver '{self.name}': secret must be a non-empty string")
        check_delivery(self.name, self.timeout_s, self.allow_private)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the host of *url*."""
        return (Endpoint.of_url(self.url),)
