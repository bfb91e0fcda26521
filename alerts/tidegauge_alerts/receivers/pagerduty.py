"""Messages to PagerDuty: an incident opens when something fires, and closes when it resolves.

::

    pager: {kind: pagerduty, routing_key: "${PAGERDUTY_ROUTING_KEY}"}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Final

from tidegauge_alerts.errors import ReceiverError
from tidegauge_alerts.receivers.checks import check_delivery, check_url
from tidegauge_alerts.receivers.receiver import Endpoint, Receiver, address_field, secret_field

_ROUTING_KEY: Final = re.compile(r"[A-Za-z0-9]{32}")


@dataclass(frozen=True, slots=True, repr=False)
class PagerDutyReceiver(Receiver):
    """Sends events (Events API v2) to the service of an integration."""

    kind: ClassVar[str] = "pagerduty"

    routing_key: str = secret_field()
    """The integration key of a service, for its Events API v2."""
    url: str = address_field(default="https://events.pagerduty.com/v2/enqueue")
    timeout_s: float = 10.0
    allow_private: bool = False

    def check(self) -> None:
        """Reject what is not an integration key."""
        key: object = self.routing_key
        if not isinstance(key, str) or not _ROUTING_KEY.fullmatch(key):
            raise ReceiverError(
                f"receiver '{self.name}': routing_key must be the integration key of a PagerDuty "
                "service (Events API v2): 32 letters and digits"
            )
        check_url(self.name, self.url)
        check_delivery(self.name, self.timeout_s, self.allow_private)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return PagerDuty's host."""
        return (Endpoint.of_url(self.url),)
