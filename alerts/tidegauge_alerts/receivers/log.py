"""Messages as lines of the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tidegauge_alerts.receivers.receiver import Receiver


@dataclass(frozen=True, slots=True, repr=False)
class LogReceiver(Receiver):
    """Writes each message as one line of the log."""

    kind: ClassVar[str] = "log"
