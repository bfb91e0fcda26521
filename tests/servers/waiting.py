"""Waiting for a condition instead of for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    predicate: Callable[[], T],
    *,
    timeout: float = 30.0,
    interval: float = 0.05,
    what: str = "the condition",
) -> T:
    """Poll `predicate` until it returns something true, and return that.

    An exception of the predicate is not swallowed: a predicate that expects one catches it.

    Args:
        predicate: asked again and again; at least once, and once more at the deadline.
        timeout: seconds until the wait is given up.
        interval: seconds between two questions.
        what: what is waited for, for the message.

    Raises:
        TimeoutError: when the deadline passed and the predicate was still false.
    """
    deadline = time.monotonic() + timeout
    while True:
        last_try = time.monotonic() >= deadline
        result = predicate()
        if result:
            return result
        if last_try:
            raise TimeoutError(f"{what} did not come true within {timeout:g} s (last: {result!r})")
        time.sleep(interval)
