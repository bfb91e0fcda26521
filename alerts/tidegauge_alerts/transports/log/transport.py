"""One line of the log for each message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from tidegauge_alerts.receivers.log import LogReceiver
from tidegauge_alerts.transports.protocol import Clock, Delivered, Outcome

log = structlog.get_logger()


class LogTransport:
    """Writes the headline: a warning when something fires, an information when it resolves."""

    def __init__(self, receiver: LogReceiver, clock: Clock | None = None) -> None:
        del clock  # the log writes its own time
        self._receiver = receiver

    def deliver(self, message: Mapping[str, Any], dedup_key: str) -> Outcome:
        """Write one line; always delivered."""
        write = log.info if message.get("status") == "resolved" else log.warning
        write(
            "notification",
            receiver=self._receiver.name,
            status=message.get("status"),
            stream=message.get("stream"),
            headline=message.get("headline"),
            alerts=len(message.get("alerts", ())) + message.get("truncated", 0),
            dedup_key=dedup_key,
        )
        return Delivered()
