"""Where a window lies in local time: clock changes, half hours, holidays, unknown names."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.servers.required import require_holidays
from tidegauge_probes.drift import civil_time, season
from tidegauge_probes.drift.civil_time import UTC_TIME, CivilTime
from tidegauge_probes.drift.season import DAY_MS, HOUR_MS, MONTH_MS, WEEK_MS
from tidegauge_probes.errors import CivilTimeError, MissingExtraError

BERLIN = CivilTime("Europe/Berlin")


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def hours_of_day(civil: CivilTime, since: str, hours: int) -> list[int]:
    starts = ms(since) + np.arange(hours) * HOUR_MS
    return list(season.bins(civil.local(starts, HOUR_MS), DAY_MS, HOUR_MS).tolist())


def test_the_day_of_23_hours_skips_a_bin() -> None:
    assert hours_of_day(BERLIN, "2026-03-28T23:00", 23) == [0, 1, *range(3, 24)]


def test_the_day_of_25_hours_repeats_a_bin() -> None:
    assert hours_of_day(BERLIN, "2026-10-24T22:00", 25) == [0, 1, 2, 2, *range(3, 24)]


def test_a_bin_is_the_same_local_hour_on_both_sides_of_a_change() -> None:
    assert hours_of_day(BERLIN, "2026-03-27T07:00", 1) == [8]
    assert hours_of_day(BERLIN, "2026-03-30T06:00", 1) == [8]


def test_where_zones_are_half_an_hour_off_windows_start_at_half_past() -> None:
    india = CivilTime("Asia/Kolkata")
    local = india.local(np.array([ms("2026-01-05T18:00"), ms("2026-01-05T19:00")]), HOUR_MS)
    assert (local % DAY_MS // 60_000).tolist() == [23 * 60 + 30, 30]
    assert season.bins(local, DAY_MS, HOUR_MS).tolist() == [23, 0]
    assert season.bins(local, WEEK_MS, DAY_MS).tolist() == [0, 1]  # Monday, Tuesday


def test_a_clock_that_changes_by_half_an_hour() -> None:
    lord_howe = CivilTime("Australia/Lord_Howe")
    starts = np.array([ms("2026-04-04T14:00"), ms("2026-04-04T15:00")])
    local = lord_howe.local(starts, HOUR_MS)
    assert (local - starts).tolist() == [11 * HOUR_MS, 21 * HOUR_MS // 2]


@pytest.mark.parametrize("hours", [5, 7, 9])
def test_windows_that_do_not_divide_a_day_have_a_last_bin_that_is_short(hours: int) -> None:
    width = hours * HOUR_MS
    starts = ms("2026-03-20T00:00") // width * width + np.arange(200) * width
    found = season.bins(BERLIN.local(starts, width), DAY_MS, width)
    assert set(found.tolist()) == set(range(season.bin_count(DAY_MS, width)))
    assert season.bin_count(DAY_MS, width) == -(-24 // hours)
    wall = [datetime.fromtimestamp(s / 1000, ZoneInfo("Europe/Berlin")) for s in starts.tolist()]
    assert found.tolist() == [at.hour // hours for at in wall]


@pytest.mark.parametrize(
    ("zone", "weekday"),
    [("UTC", 0), ("America/New_York", 0), ("Europe/Berlin", 0), ("Pacific/Auckland", 1)],
)
def test_a_window_of_a_day_is_the_local_day_that_most_of_it_lies_in(
    zone: str, weekday: int
) -> None:
    """Monday 2026-01-05 by UTC; in Auckland (+13 h), 13 of its hours are Tuesday's."""
    start = np.array([ms("2026-01-05T00:00")])
    local = CivilTime(zone).local(start, DAY_MS)
    assert season.bins(local, WEEK_MS, DAY_MS).tolist() == [weekday]


@given(
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Chatham"]),
    st.integers(0, 70 * 8_766),
)
def test_every_bin_is_that_of_the_wall_clock(zone: str, hour: int) -> None:
    start = hour * HOUR_MS
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=start)
    wall = at.astimezone(ZoneInfo(zone))
    local = CivilTime(zone).local(np.array([start]), HOUR_MS)
    assert season.bins(local, DAY_MS, HOUR_MS).tolist() == [wall.hour]
    assert season.bins(local, WEEK_MS, HOUR_MS).tolist() == [wall.weekday() * 24 + wall.hour]
    part = 0 if wall.day < 3 else 1 if wall.day < 28 else 2
    assert season.bins(local, MONTH_MS, DAY_MS).tolist() == [part]


def test_in_utc_nothing_moves() -> None:
    starts = ms("2026-03-29T00:00") + np.arange(48) * HOUR_MS
    assert UTC_TIME.local(starts, HOUR_MS) is starts


# -- Names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("Europe/Berlinn", "did you mean 'Europe/Berlin'"),
        ("europe/berlin", "did you mean 'Europe/Berlin'"),
        ("Berlin", "did you mean 'Europe/Berlin'"),
        ("new york", "did you mean 'America/New_York'"),
        ("Europe", "no time zone 'Europe'"),
        ("../../etc/passwd", "no time zone"),
        ("", "for example, Europe/Berlin"),
        ("+02:00", "for example, Europe/Berlin"),
    ],
)
def test_a_zone_that_does_not_exist_names_near_ones(name: str, advice: str) -> None:
    with pytest.raises(CivilTimeError) as caught:
        civil_time.check_zone(name)
    assert advice in str(caught.value)


def test_without_a_time_zone_database_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(civil_time, "available_timezones", set)
    assert civil_time.check_zone("UTC") == "UTC"
    with pytest.raises(CivilTimeError, match="pip install tzdata"):
        civil_time.check_zone("Europe/Berlin")


@pytest.mark.parametrize("calendar", ["de", "Germany", "DE_BY", "D", "2026-12-24"])
def test_what_is_no_country_is_refused(calendar: str) -> None:
    with pytest.raises(CivilTimeError, match="is not a country"):
        civil_time.check_calendar(calendar)


@pytest.mark.parametrize("text", ["24.12.2026", "2026-02-30", "20261224", "DE"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(CivilTimeError, match="is not a date"):
        civil_time.check_calendar(("2026-12-24", text))


# -- Holidays -------------------------------------------------------------------------------------


def on_holiday(calendar: str | tuple[str, ...], *days: str) -> list[bool]:
    civil = CivilTime(calendar=calendar)
    return list(civil.holidays(np.array([ms(f"{day}T12:00") for day in days])).tolist())


def test_a_country_has_holidays_and_its_parts_have_more() -> None:
    require_holidays()
    days = ("2026-01-01", "2026-01-06", "2026-01-07", "2027-01-06")
    assert on_holiday("DE", *days) == [True, False, False, False]
    assert on_holiday("DE-BY", *days) == [True, True, False, True]


def test_dates_that_are_listed_are_holidays_and_no_others() -> None:
    days = ("2026-12-24", "2026-12-25", "2027-12-24")
    assert on_holiday(("2026-12-24",), *days) == [True, False, False]
    assert on_holiday("", *days) == [False] * 3


def test_a_holiday_begins_at_local_midnight() -> None:
    civil = CivilTime("Europe/Berlin", ("2026-05-01",))
    starts = ms("2026-04-30T21:00") + np.arange(27) * HOUR_MS  # 1 May is 22:00Z to 22:00Z
    found = civil.holidays(civil.local(starts, HOUR_MS)).tolist()
    assert found == [False, *[True] * 24, False, False]


@pytest.mark.parametrize(
    ("calendar", "advice"),
    [
        ("DX", "no holidays are known for 'DX'; did you mean"),
        ("QQQ", "no holidays are known for 'QQQ'"),
        ("DE-BX", "no holidays are known for the region 'BX' of DE; did you mean"),
        ("DE-123", "known: BB, BE"),
    ],
)
def test_a_country_that_is_not_known_names_near_ones(calendar: str, advice: str) -> None:
    require_holidays()
    with pytest.raises(CivilTimeError) as caught:
        civil_time.check_country(calendar)
    assert advice in str(caught.value)


def test_without_its_package_a_country_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "holidays", None)
    civil_time.check_country(("2026-12-24",))
    with pytest.raises(MissingExtraError, match=r"pip install 'tidegauge\[calendar\]'") as caught:
        civil_time.check_country("DE")
    assert caught.value.name == "holidays"
