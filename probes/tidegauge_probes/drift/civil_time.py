"""The clock and the calendar that traffic follows: a time zone, and holidays in it.

People get up by their own clock, so a daily cycle follows local time. Windows themselves remain
stretches of UTC: only their position in the day, the week and the month is local.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import numpy.typing as npt

from tidegauge_probes.errors import CivilTimeError, MissingExtraError

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_DAY_MS: Final = 86_400_000
UTC: Final = "UTC"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FIRST_DAY: Final = date(1970, 1, 1)
_NEAR: Final = 3
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_ABBREVIATION: Final = re.compile("[A-Z]{2,5}")
_COUNTRY: Final = re.compile(r"[A-Z]{2,3}(-[A-Za-z0-9 ]{1,40})?")


@dataclass(frozen=True)
class ClockChange:
    """The daily cycle comes ``hours`` earlier by UTC (negative: later) from ``at_ms`` on.

    ``zone``: a zone whose clocks changed then.
    """

    at_ms: int
    hours: int
    zone: str

    @property
    def advice(self) -> str:
        """What was found, and what to do."""
        at = datetime.fromtimestamp(self.at_ms / 1000, ZoneInfo(self.zone))
        day = f"{at.day} {at:%B} {at.year}"
        return (
            f"The daily cycle of this stream shifts by one hour on {day}: set "
            f"`timezone:` in the stream file. Clocks changed that day in {self.zone}, "
            "for example"
        )


@dataclass(frozen=True)
class CivilTime:
    """``zone``: an IANA name. ``calendar``: a country (``DE``, ``DE-BY``), dates, or empty."""

    zone: str = UTC
    calendar: str | tuple[str, ...] = ""

    def local(self, starts: Ints, window_ms: int) -> Ints:
        """Return the local times of windows with these starts, in ms as if the zone were UTC.

        A window of a day or longer cannot begin at local midnight, so it counts as the local day
        that most of it lies in: its offset is rounded to whole days. 2026-07-06T00:00Z is Sunday
        20:00 in New York (−4 h), but 20 of the day's 24 hours there are Monday's.
        """
        if self.zone == UTC or not len(starts):
            return starts
        offsets = np.array([offset_ms(self.zone, start) for start in starts.tolist()])
        if window_ms >= _DAY_MS:
            offsets = (offsets + _DAY_MS // 2) // _DAY_MS * _DAY_MS
        return np.asarray(starts + offsets)

    def holidays(self, local: Ints) -> Mask:
        """Mark the local times that lie on a holiday, bool [W]."""
        if not self.calendar or not len(local):
            return np.zeros(len(local), dtype=np.bool_)
        days = local // _DAY_MS
        if isinstance(self.calendar, tuple):
            return np.isin(days, [_day(_parse(text)) for text in self.calendar])
        first, last = (_date(int(day)).year for day in (days.min(), days.max()))
        years = range(first, last + 1)
        return np.isin(days, [day for year in years for day in _of_year(self.calendar, year)])


UTC_TIME: Final = CivilTime()


@lru_cache(maxsize=1 << 15)
def offset_ms(zone: str, at_ms: int) -> int:
    """Return how far a zone is ahead of UTC at a moment, in ms.

    >>> offset_ms("Europe/Berlin", 1_774_745_999_999), offset_ms("Europe/Berlin", 1_774_746_000_000)
    (3600000, 7200000)
    """
    moment = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(ZoneInfo(zone))
    return (moment.utcoffset() or timedelta(0)) // timedelta(milliseconds=1)


def check_zone(name: str) -> str:
    """Return *name*; CivilTimeError with the nearest names if there is no such zone."""
    if name == UTC:
        return name
    known = available_timezones()
    if not known:
        msg = f"no time zone '{name}': this system has no time zone data. Run `pip install tzdata`"
        raise CivilTimeError(msg)
    if name not in known:
        msg = f"no time zone '{name}'{_near_zones(name, known)}"
        raise CivilTimeError(msg)
    return name


def check_calendar(calendar: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """Return *calendar* if it has the form of one; CivilTimeError otherwise.

    ``check_country`` says whether holidays are known for a country.
    """
    if isinstance(calendar, str):
        if calendar and not _COUNTRY.fullmatch(calendar):
            msg = (
                f"'{calendar}' is not a country: write its ISO code, such as DE (or "
                "DE-BY for a region), or a list of dates"
            )
            raise CivilTimeError(msg)
        return calendar
    for text in calendar:
        _parse(text)
    return calendar


def check_country(calendar: str | tuple[str, ...]) -> None:
    """CivilTimeError, with the nearest countries, if no holidays are known for the country.

    MissingExtraError without the package that knows them. A list of dates needs no check.
    """
    if not calendar or isinstance(calendar, tuple):
        return
    country, _, part = calendar.partition("-")
    known: dict[str, list[str]] = _package(calendar).list_supported_countries()
    if country not in known:
        msg = f"no holidays are known for '{country}'{_near(country, known)}"
        raise CivilTimeError(msg)
    if part and part not in known[country]:
        listed = f"; known: {', '.join(known[country])}" if known[country] else ""
        msg = f"no holidays are known for the region '{part}' of {country}"
        raise CivilTimeError(msg + (_near(part, known[country]) or listed))


@lru_cache(maxsize=512)
def _of_year(calendar: str, year: int) -> tuple[int, ...]:
    """Return the public holidays of a year as days since 1970."""
    country, _, part = calendar.partition("-")
    found = _package(calendar).country_holidays(country, subdiv=part or None, years=year)
    return tuple(sorted(_day(day) for day in found))


def _package(calendar: str) -> ModuleType:
    try:
        return import_module("holidays")
    except ModuleNotFoundError as error:
        if error.name != "holidays":  # it is installed, but something it needs is not
            raise
        msg = (
            f"the holidays of {calendar} need the package 'holidays': "
            "pip install 'tidegauge[calendar]'. Or list the dates in `calendar`"
        )
        raise MissingExtraError(msg, name="holidays") from error


def _parse(text: str) -> date:
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    msg = f"'{text}' is not a date: write it like 2026-12-24"
    raise CivilTimeError(msg)


def _day(of: date) -> int:
    return (of - _FIRST_DAY).days


def _date(day: int) -> date:
    return _FIRST_DAY + timedelta(days=day)


def _near_zones(name: str, known: Collection[str]) -> str:
    """Return the zones of that city, however it is spelled; otherwise zones spelled alike."""
    city = name.rpartition("/")[2].strip().lower().replace(" ", "_")
    found = sorted(zone for zone in known if zone.rpartition("/")[2].lower() == city)
    if not found and _ABBREVIATION.fullmatch(name):  # those spelled alike may be a continent away
        return ". Name a place instead of an abbreviation, such as Europe/Berlin"
    return _meant(found[:_NEAR]) or _near(name, known) or "; for example, Europe/Berlin"


def _near(word: str, known: Collection[str]) -> str:
    return _meant(difflib.get_close_matches(word, sorted(known), n=_NEAR, cutoff=0.5))


def _meant(found: Collection[str]) -> str:
    return f"; did you mean {' or '.join(repr(one) for one in found)}?" if found else ""
