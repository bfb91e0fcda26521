"""Messages to a Slack channel, by an incoming webhook or as a bot.

::

    by-webhook: {kind: slack, url: "${SLACK_WEBHOOK_URL}"}
    by-bot: {kind: slack, token: "${SLACK_BOT_TOKEN}", channel: "#alerts"}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from tidegauge_alerts.errors import ReceiverError
from tidegauge_alerts.receivers.checks import check_delivery, check_token, check_url, is_text
from tidegauge_alerts.receivers.receiver import Endpoint, Receiver, address_field, secret_field

MAX_CHANNEL: Final = 100


@dataclass(frozen=True, slots=True, repr=False)
class SlackReceiver(Receiver):
    """Posts to the channel of an incoming webhook (*url*), or with a bot's *token* to *channel*."""

    kind: ClassVar[str] = "slack"

    url: str | None = address_field(default=None)
    token: str | None = secret_field(default=None)
    channel: str | None = None
    api_url: str = address_field(default="https://slack.com/api")
    """Where the methods of the Web API are; only a bot uses it."""
    timeout_s: float = 10.0
    allow_private: bool = False

    def check(self) -> None:
        """Reject settings that mix the two ways to post, or have neither."""
        if (self.url is None) == (self.token is None):
            raise ReceiverError(
                f"receiver '{self.name}': kind slack needs a url (of an incoming webhook), or "
                "a token and a channel, but not both"
            )
        check_token(self.name, self.token, "token")
        check_url(self.name, self.api_url, "api_url")
        if self.url is not None:
            check_url(self.name, self.url)
        self._check_channel()
        check_delivery(self.name, self.timeout_s, self.allow_private)

    def _check_channel(self) -> None:
        if self.url is not None:
            if self.channel is not None:
                raise ReceiverError(
                    f"receiver '{self.name}': an incoming webhook posts to the channel that it "
                    "was made for; remove channel, or use a token instead of url"
                )
        elif not is_text(self.channel) or len(str(self.channel)) > MAX_CHANNEL:
            raise ReceiverError(
                f"receiver '{self.name}': a token needs a channel, as an id or #name of at most "
                f"{MAX_CHANNEL} characters"
            )

    @property
    def target(self) -> str:
        """Return the URL that messages are posted to."""
        return self.url or f"{self.api_url.rstrip('/')}/chat.postMessage"

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the host that messages are posted to."""
        return (Endpoint.of_url(self.target),)
