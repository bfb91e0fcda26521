"""What every transport can do, and what can come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Clock = Callable[[], int]
"""Returns the current time, in epoch milliseconds."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver said yes."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now: the receiver is busy, broken or away. ``why`` holds no secret."""

    why: str
    after_s: float | None = None
    """Seconds that the receiver asked us to wait, if it did."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Never: the same message would be refused again. ``why`` says what to change."""

    why: str


Outcome = Delivered | Retry | Refused


class Transport(Protocol):
    """Delivers messages to one receiver."""

    def deliver(self, message: Mapping[str, Any], dedup_key: str) -> Outcome:
        """Try once to deliver *message* (JSON data), and return what came of it.

        *dedup_key* is printable ASCII, the same in every attempt. Delivery is at least once: a
        receiver that said yes may not have been heard, and gets the message again.

        Never raises for anything that a receiver or the network does.
        """
        ...
