"""Messages about tidegauge's own work, not about a window: an LF that had to be stopped. Pure.

They have the keys of every message (``messages``), so that receivers need no second format;
``window`` is null and ``alerts`` empty, for no series of a window is compared.
"""

from __future__ import annotations

from typing import Any, Final

from tidegauge_alerts.identity import digest
from tidegauge_alerts.messages import VERSION, Message, Status
from tidegauge_alerts.wording import clean

PROBE_BROKEN: Final = "probe_broken"
"""The event of an LF that is quarantined, or released."""

MAX_REASON: Final = 300


def quarantined(
    stream: str, probe: str, reason: str, *, probe_set: str, strikes: int, url: str = ""
) -> Message:
    """Return the message that an LF is not called any more, and what to do about it."""
    headline = (
        f"LF '{clean(probe)}' is quarantined: {clean(reason, MAX_REASON)}. It is not called any "
        "more and counts as failed on every record; all other LFs go on. What to do: mend it and "
        f"deploy it, or run `tidegauge probes release {clean(stream)} {clean(probe)}`"
    )
    return _message(Status.FIRING, stream, probe, headline, probe_set, strikes, url)


def released(stream: str, probe: str, *, probe_set: str, strikes: int, url: str = "") -> Message:
    """Return the message that a quarantined LF is called again."""
    headline = f"LF '{clean(probe)}' was released from quarantine and is called again"
    return _message(Status.RESOLVED, stream, probe, headline, probe_set, strikes, url)


def _message(  # noqa: PLR0917
    status: Status,
    stream: str,
    probe: str,
    headline: str,
    probe_set: str,
    strikes: int,
    url: str,
) -> Message:
    name = digest(PROBE_BROKEN, stream, probe_set, probe)
    body: dict[str, Any] = {
        "version": VERSION,
        "event": PROBE_BROKEN,
        "status": str(status),
        "group_key": f"{clean(stream)}:{name}",
        "stream": clean(stream),
        "incident": name,
        "probe": clean(probe),
        "headline": headline,
        "window": None,
        "alerts": [],
        "truncated": 0,
        "candidates": 0,
        "links": {"page": f"{url.rstrip('/')}/"} if url else {},
        "lineage": {"probe_set": probe_set},
    }
    return Message(f"{digest(name, strikes)}-{status}", body)
