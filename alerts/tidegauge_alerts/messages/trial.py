"""A message that tests whether a receiver gets messages. Pure."""

from __future__ import annotations

from typing import Final

from tidegauge_alerts.lifecycle.identity import digest
from tidegauge_alerts.messages.model import Message, Status
from tidegauge_alerts.messages.notices import body_without_alerts
from tidegauge_alerts.messages.phrases import clean

TEST: Final = "test"
"""The event of a test message."""


def trial(receiver: str, status: Status, now_ms: int, url: str = "") -> Message:
    """Return a test message to one receiver.

    Its incident is the same for all tests of a receiver, so that one that is ``resolved`` closes
    what a ``firing`` one opened; its key is new each time, so that it is not dropped as a repeat.
    """
    incident = digest(TEST, receiver)
    ends = "This test is over" if status is Status.RESOLVED else "No action is needed"
    headline = f"Test message to receiver '{clean(receiver)}', sent on request. {ends}"
    body = body_without_alerts(TEST, status, TEST, incident, headline, url)
    return Message(f"{digest(incident, now_ms)}-{status}", body)
