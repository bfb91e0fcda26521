"""Times of the week in which nobody is told."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge_alerts import RuleError, parse_mute
from tidegauge_alerts.silences import always_muted


def moment(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("when", "muted"),
    [
        ("2026-03-07T00:00", True),  # a Saturday
        ("2026-03-08T23:59", True),
        ("2026-03-06T23:59", False),
        ("2026-03-09T00:00", False),
    ],
)
def test_whole_days(when: str, muted: bool) -> None:  # noqa: FBT001
    assert parse_mute("sat,sun 00:00-24:00").covers(moment(when)) is muted


@pytest.mark.parametrize(
    ("when", "muted"),
    [
        ("2026-03-06T21:59", False),  # a Friday
        ("2026-03-06T22:00", True),
        ("2026-03-07T05:59", True),  # Friday's night
        ("2026-03-07T06:00", False),
        ("2026-03-07T22:30", False),  # Saturday has none
        ("2026-03-09T03:00", False),  # nor has Sunday
    ],
)
def test_nights_reach_into_the_next_day(when: str, muted: bool) -> None:  # noqa: FBT001
    assert parse_mute("mon-fri 22:00-06:00").covers(moment(when)) is muted


def test_the_zone_is_that_of_people_in_summer_and_winter() -> None:
    time = parse_mute("08:00-09:00 Europe/Berlin")
    for day in ("2026-01-15", "2026-07-15"):
        assert time.covers(moment(f"{day}T08:30", "Europe/Berlin"))
        assert not time.covers(moment(f"{day}T09:30", "Europe/Berlin"))


def test_days_go_round_the_week() -> None:
    assert parse_mute("sat-mon 00:00-01:00").days == {5, 6, 0}
    assert parse_mute("00:00-01:00").days == set(range(7))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("at night", "write it like this: sat,sun"),
        ("sam 00:00-24:00", "no day 'sam'"),
        ("25:00-26:00", "25:00 is not a time of day"),
        ("10:60-11:00", "10:60 is not a time of day"),
        ("10:00-11:00 Europe/Atlantis", "no time zone 'Europe/Atlantis'"),
        ("10:00-11:00 ../etc", "no time zone"),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(RuleError, match=says):
        parse_mute(text)


@given(st.text())
def test_any_text_is_a_time_or_is_refused(text: str) -> None:
    try:
        parse_mute(text)
    except RuleError as error:
        assert str(error)  # noqa: PT017


def test_a_week_without_a_minute_is_known() -> None:
    assert not always_muted([])
    assert not always_muted([parse_mute("00:00-23:59")])
    assert always_muted([parse_mute("00:00-12:00"), parse_mute("12:00-24:00")])
    assert always_muted([parse_mute("00:00-00:00")])
