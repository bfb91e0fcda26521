"""Times of the week in which nobody is told: ``sat,sun 00:00-24:00``, ``mon-fri 22:00-06:00``.

What happens then is counted and recorded as ever; its messages wait.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tidegauge_alerts.errors import RuleError

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY: Final = 24 * 60
WEEK: Final = 7 * DAY

_TEXT: Final = re.compile(
    r"(?:(?P<days>[a-z]{3}(?:[,-][a-z]{3})*)\s+)?"
    r"(?P<from>\d\d:\d\d)-(?P<until>\d\d:\d\d)(?:\s+(?P<zone>\S+))?"
)

EXAMPLE: Final = "sat,sun 00:00-24:00 Europe/Berlin"


@dataclass(frozen=True, slots=True)
class MuteTime:
    """On each of ``days`` (0 is Monday) from minute ``begin`` to ``end`` of the day in ``zone``.

    ``end`` may lie in the next day: it is beyond 24 hours then.
    """

    days: frozenset[int]
    begin: int
    end: int
    zone: ZoneInfo

    def covers(self, now_ms: int) -> bool:
        """Whether that moment (epoch milliseconds) is muted."""
        local = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        today, yesterday = local.weekday(), (local.weekday() - 1) % 7
        return (today in self.days and self.begin <= minute < self.end) or (
            yesterday in self.days and minute < self.end - DAY
        )


def parse_mute(text: str) -> MuteTime:
    """Read a time of the week.

    Raises RuleError, which says what is wrong and shows one that is right.

    >>> night = parse_mute("fri-sun 22:00-06:00")
    >>> sorted(night.days), night.begin, night.end, str(night.zone)
    ([4, 5, 6], 1320, 1800, 'UTC')
    """
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise RuleError(f"'{text}' is not a time of the week; write it like this: {EXAMPLE}")
    begin, end = (_minute(text, found[name]) for name in ("from", "until"))
    try:
        zone = ZoneInfo(found["zone"] or "UTC")
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise RuleError(f"mute '{text}': there is no time zone '{found['zone']}'") from error
    if end <= begin:
        end += DAY
    return MuteTime(_days(text, found["days"]), begin, end, zone)


def always_muted(times: list[MuteTime]) -> bool:
    """Whether there is no minute of a week in which anybody would be told."""
    monday_ms = 4 * 86_400_000  # 1970-01-05
    return bool(times) and all(
        any(time.covers(monday_ms + minute * 60_000) for time in times) for minute in range(WEEK)
    )


def _minute(text: str, clock: str) -> int:
    hours, minutes = (int(part) for part in clock.split(":"))
    minute = hours * 60 + minutes
    if minutes >= 60 or minute > DAY:  # noqa: PLR2004
        raise RuleError(f"mute '{text}': {clock} is not a time of day")
    return minute


def _days(text: str, days: str | None) -> frozenset[int]:
    found: set[int] = set()
    for part in (days or "mon-sun").split(","):
        first, _, last = part.partition("-")
        for day in (first, last or first):
            if day not in DAYS:
                raise RuleError(
                    f"mute '{text}': there is no day '{day}'; choose from {', '.join(DAYS)}"
                )
        begin, length = DAYS.index(first), (DAYS.index(last or first) - DAYS.index(first)) % 7
        found |= {(begin + n) % 7 for n in range(length + 1)}
    return frozenset(found)
