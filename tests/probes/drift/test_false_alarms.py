"""The budget by time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge_probes.drift.false_alarms import PERIODS_MS, FalseAlarms, default, parse
from tidegauge_probes.errors import BudgetError

HOUR_MS = 3_600_000


@given(st.integers(1, 999), st.sampled_from(sorted(PERIODS_MS)))
def test_what_is_written_is_read_again(incidents: int, period: str) -> None:
    budget = FalseAlarms(incidents / 10, period)
    assert parse(budget.text) == budget


def test_the_same_budget_is_spent_whatever_the_windows() -> None:
    budget = parse("2 per month")
    for window_ms in (60_000, HOUR_MS, 24 * HOUR_MS):
        windows = PERIODS_MS["month"] / window_ms
        assert budget.per_window(window_ms) * windows == pytest.approx(2)


def test_windows_longer_than_the_budget_do_not_open_all() -> None:
    assert parse("9 per day").per_window(7 * 24 * HOUR_MS) == 0.5


@pytest.mark.parametrize("text", ["", "1", "per day", "1 per hour", "0 per day", "-1 per day"])
def test_anything_else_says_how_to_write_it(text: str) -> None:
    with pytest.raises(BudgetError, match="write `1 per quarter`"):
        parse(text)


def test_the_default_goes_by_the_length_of_windows() -> None:
    assert default(HOUR_MS).text == "1 per quarter"
    assert default(24 * HOUR_MS - 1).text == "1 per quarter"
    assert default(24 * HOUR_MS).text == "1 per year"
