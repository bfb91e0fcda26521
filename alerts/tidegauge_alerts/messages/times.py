"""Times as messages write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def iso(ms: int) -> str:
    """Return epoch milliseconds as ISO-8601 in UTC: ``2020-03-15T12:00:00Z``.

    Milliseconds are written only if there are any.
    """
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    exact = "milliseconds" if ms % 1000 else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=exact) + "Z"
