"""When to try a delivery again, and when to give up. Pure: the caller draws the jitter."""

from __future__ import annotations

from typing import Final

from tidegauge_alerts.backoff import Backoff

BASE_S: Final = 5.0
"""Maximum wait after the first failure, in seconds."""

CAP_S: Final = 900.0
"""Maximum wait in seconds (15 minutes), unless the receiver itself asks for more."""

DELIVERY: Final = Backoff(BASE_S, CAP_S, spread=1.0)

GIVE_UP_AFTER_S: Final = 86_400.0
"""Seconds (24 hours) after which a message is given up and shown as ``failed``."""

LEAST_ATTEMPTS: Final = 10
"""Attempts that every message gets, however old it is: a clock that jumps by a day, or a service
that was down for one, takes none of them away."""

MAX_ATTEMPTS: Final = 1_000
"""Attempts after which it is given up earlier than that.

24 hours hold about 200 attempts (a wait is 450 s on average once the cap is reached); a message
with five times as many met a jitter of nearly 0 each time, or a clock that stands still.
"""


def delay_s(attempt: int, jitter: float) -> float:
    """Return the seconds to wait after failed attempt number *attempt* (1, 2, …).

    *jitter* in 0…1 is drawn uniformly. Uniform between 0 and min(cap, base · 2^(attempt - 1)).

    >>> [delay_s(attempt, 1.0) for attempt in (1, 2, 3, 8, 9, 10_000)]
    [5.0, 10.0, 20.0, 640.0, 900.0, 900.0]
    """
    return DELIVERY.pause_s(attempt, jitter)


def given_up(created_ms: int, now_ms: int, attempts: int = 0) -> bool:
    """Tell whether a message from *created_ms* (epoch ms) is not worth another attempt."""
    old = now_ms - created_ms >= GIVE_UP_AFTER_S * 1000
    return (old and attempts >= LEAST_ATTEMPTS) or attempts >= MAX_ATTEMPTS
