"""Time as it is passed around: integer milliseconds since the epoch, UTC."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, overload
from zoneinfo import ZoneInfo

Clock = Callable[[], int]
"""Returns now, in epoch milliseconds. Passed in, so that tests and replays own the time."""

_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION: Final = re.compile(r"([0-9]+)(ms|s|m|h|d|w)")
_DIGITS: Final = 18
_LONGEST: Final = 36_500 * 86_400_000
"""A hundred years: what lasts longer is a slip, and could not be added to a date."""


def now_ms() -> int:
    """Return the system's time."""
    return time.time_ns() // 1_000_000


def parse_duration(text: str) -> int:
    """Return milliseconds of e.g. ``6h``, ``90s``, ``1d``, ``0``; ValueError otherwise.

    A number alone is refused, but for zero: nobody can tell whether 3600 means seconds or ms.
    """
    text = text.strip()
    match = _DURATION.fullmatch(text)
    if match is None and text.isascii() and text.isdecimal() and len(text) <= _DIGITS:
        if int(text) == 0:
            return 0
        msg = f"'{text}' has no unit: write ms, s, m, h, d or w after it, e.g. 6h or {text}s"
        raise ValueError(msg)
    if match is None:
        msg = f"'{text}' is not a duration: write a whole number and ms, s, m, h, d or w, e.g. 6h"
        raise ValueError(msg)
    found = int(match[1]) * _UNITS[match[2]] if len(match[1]) <= _DIGITS else _LONGEST + 1
    if found > _LONGEST:
        msg = f"'{text[:40]}' is too long: the longest duration is {to_duration(_LONGEST)}"
        raise ValueError(msg)
    return found


def to_duration(ms: int) -> str:
    """Return milliseconds as ``parse_duration`` reads them, in the largest unit that fits.

    >>> [to_duration(ms) for ms in (0, 1_500, 5_400_000, 86_400_000)]
    ['0s', '1500ms', '90m', '1d']
    """
    if ms == 0:
        return "0s"
    units = (unit for unit in ("d", "h", "m", "s", "ms") if ms % _UNITS[unit] == 0)
    unit = next(units)
    return f"{ms // _UNITS[unit]}{unit}"


@overload
def to_iso(ms: int) -> str: ...


@overload
def to_iso(ms: None) -> None: ...


@overload
def to_iso(ms: int | None) -> str | None: ...


def to_iso(ms: int | None) -> str | None:
    """Return ISO-8601 in UTC: ``2020-03-15T12:00:00Z``, with milliseconds only if there are any.

    No time (None) stays none.
    """
    if ms is None:
        return None
    seconds, rest = divmod(ms, 1000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:03d}Z" if rest else f"{text}Z"


def in_zone(ms: int, zone: str) -> datetime:
    """Return a time by the clock of an IANA time zone."""
    return (_EPOCH + timedelta(milliseconds=ms)).astimezone(ZoneInfo(zone))


def from_iso(text: str) -> int:
    """Return epoch milliseconds of an ISO-8601 text; without an offset it is read as UTC.

    Raises ValueError for anything else.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - _EPOCH  # once a record: `// timedelta(milliseconds=1)` takes thrice as long
    return since.days * _UNITS["d"] + since.seconds * 1000 + since.microseconds // 1000


def window_start(ms: int, window_ms: int) -> int:
    """Return the start of the tumbling window that *ms* lies in (aligned to the epoch)."""
    return ms - ms % window_ms
