import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge_alerts import delay_s, given_up
from tidegauge_alerts.transports.backoff import (
    BASE_S,
    CAP_S,
    GIVE_UP_AFTER_S,
    LEAST_ATTEMPTS,
    MAX_ATTEMPTS,
)

DAY_MS = 86_400_000


def test_the_longest_wait_doubles_up_to_a_quarter_of_an_hour() -> None:
    longest = [delay_s(attempt, 1.0) for attempt in range(1, 11)]
    assert longest == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]
    assert (BASE_S, CAP_S) == (5, 900)


def test_the_jitter_is_full() -> None:
    """From nothing to all of it, so that messages that failed together spread out."""
    assert [delay_s(3, jitter) for jitter in (0.0, 0.25, 1.0)] == [0, 5, 20]


@given(st.integers(), st.floats(allow_nan=False))
def test_a_delay_is_never_negative_nor_above_the_cap(attempt: int, jitter: float) -> None:
    assert 0 <= delay_s(attempt, jitter) <= CAP_S


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_a_later_attempt_never_waits_less(attempt: int, jitter: float) -> None:
    assert delay_s(attempt, jitter) <= delay_s(attempt + 1, jitter)


@pytest.mark.parametrize(("age_ms", "over"), [(0, False), (DAY_MS - 1, False), (DAY_MS, True)])
def test_a_message_is_given_up_after_a_day(age_ms: int, over: bool) -> None:  # noqa: FBT001
    assert given_up(1_000, 1_000 + age_ms, LEAST_ATTEMPTS) is over


def test_an_old_message_gets_some_attempts_too() -> None:
    assert not given_up(0, 10 * DAY_MS, LEAST_ATTEMPTS - 1)


def test_a_clock_that_went_back_gives_nothing_up() -> None:
    assert not given_up(DAY_MS, 0)


def test_a_message_that_is_tried_without_end_is_given_up_too() -> None:
    assert not given_up(0, 0, MAX_ATTEMPTS - 1)
    assert given_up(0, 0, MAX_ATTEMPTS)


def test_the_limit_of_attempts_lies_well_beyond_a_day_of_them() -> None:
    """A day of average waits is about 200 attempts; the time, not the count, decides."""
    elapsed, attempts = 0.0, 0
    while elapsed < GIVE_UP_AFTER_S:
        attempts += 1
        elapsed += delay_s(attempts, 0.5)
    assert 190 < attempts < 210
    assert attempts * 4 < MAX_ATTEMPTS
