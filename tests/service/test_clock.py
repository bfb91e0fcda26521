from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidegauge_service.clock import from_iso, now_ms, parse_duration, to_iso, window_start

END_OF_9999 = 253_402_300_799_999


@given(st.integers(0, END_OF_9999))
@example(END_OF_9999)
def test_a_time_survives_being_written(ms: int) -> None:
    assert from_iso(to_iso(ms)) == ms


@given(st.datetimes(), st.timedeltas(timedelta(hours=-23), timedelta(hours=23)))
def test_milliseconds_are_floored_on_both_sides_of_1970(
    moment: datetime, offset: timedelta
) -> None:
    offset -= offset % timedelta(minutes=1)
    hours, minutes = divmod(int(abs(offset).total_seconds()) // 60, 60)
    text = f"{moment.isoformat()}{'-' if offset < timedelta() else '+'}{hours:02d}:{minutes:02d}"
    exact = moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC) - offset
    assert from_iso(text) == exact // timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("250ms", 250),
        ("90s", 90_000),
        ("5m", 300_000),
        ("6h", 21_600_000),
        (" 1d ", 86_400_000),
        ("2w", 1_209_600_000),
        ("0s", 0),
    ],
)
def test_durations(text: str, ms: int) -> None:
    assert parse_duration(text) == ms


@pytest.mark.parametrize("text", ["", "6", "h", "6 h", "1.5h", "-1h", "6H", "1h30m", "²h"])
def test_what_is_no_duration_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"e\.g\. 6h"):
        parse_duration(text)


@given(st.integers(0, 10**13), st.integers(1, 10**9))
def test_a_time_lies_in_its_window(ms: int, window_ms: int) -> None:
    start = window_start(ms, window_ms)
    assert start % window_ms == 0
    assert start <= ms < start + window_ms


def test_now_is_in_milliseconds_utc() -> None:
    assert abs(now_ms() - datetime.now(UTC).timestamp() * 1000) < 5_000


def test_no_time_stays_none() -> None:
    assert to_iso(None) is None
    assert to_iso(0) == "1970-01-01T00:00:00Z"
