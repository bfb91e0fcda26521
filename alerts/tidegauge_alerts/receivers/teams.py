"""Messages to a channel or chat of Microsoft Teams.

::

    team: {kind: teams, url: "${TEAMS_WORKFLOW_URL}"}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tidegauge_alerts.receivers.checks import check_delivery, check_url
from tidegauge_alerts.receivers.receiver import Endpoint, Receiver, address_field


@dataclass(frozen=True, slots=True, repr=False)
class TeamsReceiver(Receiver):
    """Posts cards to the *url* of a workflow ("When a Teams webhook request is received")."""

    kind: ClassVar[str] = "teams"

    url: str = address_field()
    timeout_s: float = 10.0
    allow_private: bool = False

    def check(self) -> None:
        """Reject a URL that cannot be that of a workflow."""
        check_url(self.name, self.url)
        check_delivery(self.name, self.timeout_s, self.allow_private)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the workflow's host."""
        return (Endpoint.of_url(self.url),)
