from __future__ import annotations

import math

import pytest

from tidegauge_service.web import words


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (math.nan, "–"),
        (0.0, "0 %"),
        (0.081, "8.1 %"),
        (0.00004, "<0.01 %"),
        (1, "100 %"),
    ],
)
def test_shares(value: float | None, shown: str) -> None:
    assert words.share(value) == shown


def test_bands() -> None:
    assert words.band(0.05, 0.11) == "5–11 %"
    assert words.band(None, 0.11) == "–"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (math.inf, "–"), (4.24, "+4.2"), (-7.0, "−7.0"), (-0.04, "0.0")],
)
def test_deviations_have_a_sign(value: float | None, shown: str) -> None:
    assert words.signed(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "–"), (0.0, "–"), (math.inf, "–"), (3.2, "×3.2"), (0.02, "÷50")]
)
def test_odds_read_as_large_as_they_are(value: float | None, shown: str) -> None:
    assert words.odds(value) == shown


def test_chances_are_no_more_exact_than_they_can_be() -> None:
    assert words.chance(0.0) == "below 1e-12"
    assert words.chance(3.3e-7) == "3e-07"
    assert words.chance(None) == "–"


@pytest.mark.parametrize(
    ("ms", "shown"), [(0, "0 s"), (1, "1 ms"), (90_000, "90 s"), (86_400_000, "1 d")]
)
def test_durations(ms: int, shown: str) -> None:
    assert words.duration(ms) == shown


def test_counts_agree_with_their_noun() -> None:
    assert words.count(1, "alert") == "1 alert"
    assert words.count(1_200, "alert") == "1,200 alerts"
    assert words.count(2, "series", "series") == "2 series"


def test_all_records_have_a_name_for_people() -> None:
    assert words.place("_all") == "all records"
    assert words.place("a\u202eb") == "a\ufffdb"


def test_times_are_told_by_the_clock_of_the_stream() -> None:
    change = 1_774_746_000_000  # 2026-03-29T01:00Z: clocks go from 02:00 to 03:00 in Berlin
    assert words.moment(change - 1_000, "Europe/Berlin") == "2026-03-29T01:59:59+01:00"
    assert words.moment(change, "Europe/Berlin") == "2026-03-29T03:00:00+02:00"
    assert words.moment(change + 5, "Asia/Kolkata") == "2026-03-29T06:30:00.005+05:30"
    assert words.moment(change) == words.moment(change, "UTC") == "2026-03-29T01:00:00Z"
    assert words.moment(None, "Europe/Berlin") == "–"
