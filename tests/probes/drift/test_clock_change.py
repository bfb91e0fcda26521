"""A daily cycle that follows a clock is told from one that is steady in UTC."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.probes.simulation import fit, panes
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.civil_time import CivilTime, ClockChange, offset_ms
from tidegauge_probes.drift.season import DAY_MS, HOUR_MS

EMPTY = fit(list(panes(np.random.default_rng(0), np.full((1, 3), 0.3), 20)))
SERIES = len(EMPTY.keys)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def stream(
    zone: str,
    since: str,
    days: int,
    *,
    daily: float = 0.4,
    seed: int = 1,
    phi: float = 0.0,
    window_ms: int = HOUR_MS,
) -> Baseline:
    """Return a baseline of counts whose daily cycle is one of a zone's clock."""
    rng = np.random.default_rng(seed)
    starts = ms(since) + np.arange(days * DAY_MS // window_ms) * window_ms
    local = starts + np.array([offset_ms(zone, start) for start in starts.tolist()])
    noise = rng.standard_normal((len(starts), SERIES))
    for w in range(1, len(starts)):
        noise[w] = phi * noise[w - 1] + np.sqrt(1 - phi**2) * noise[w]
    cycle = 1 + daily * np.sin(2 * np.pi * (local % DAY_MS) / DAY_MS)
    rates = np.linspace(0.02, 0.4, SERIES) * cycle[:, None] * np.exp(0.1 * noise)
    n = np.full(rates.shape, 300)
    x = rng.binomial(n, np.clip(rates, 0, 1))
    return replace(EMPTY, window_ms=window_ms, starts=starts, x=x, n=n)


SPRING, AUTUMN = ms("2026-03-29T01:00"), ms("2026-10-25T01:00")


def test_a_cycle_that_follows_the_clock_is_found_in_spring_and_in_autumn() -> None:
    spring = stream("Europe/Berlin", "2026-03-08", 42).clock_change
    assert spring == ClockChange(SPRING, 1, "Europe/Berlin")
    assert spring.advice == (
        "The daily cycle of this stream shifts by one hour on 29 March 2026: set `timezone:` in "
        "the stream file. Clocks changed that day in Europe/Berlin, for example"
    )
    autumn = stream("Europe/Berlin", "2026-10-04", 42).clock_change
    assert autumn == ClockChange(AUTUMN, -1, "Europe/Berlin")


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Sydney"])
def test_other_clocks_are_told_from_that_of_berlin(zone: str) -> None:
    found = stream(zone, "2026-02-15", 75).clock_change
    assert found is not None
    assert found.zone == zone


def test_windows_shorter_than_an_hour_tell_it_too() -> None:
    found = stream("Europe/Berlin", "2026-03-14", 30, window_ms=HOUR_MS // 2).clock_change
    assert found == ClockChange(SPRING, 1, "Europe/Berlin")


@settings(max_examples=25, deadline=None)
@given(
    since=st.sampled_from(["2026-02-20", "2026-03-08", "2026-10-04"]),
    daily=st.floats(0, 0.8),
    phi=st.floats(0, 0.95),
    seed=st.integers(0, 10**6),
    steps=st.lists(st.tuples(st.integers(0, 41), st.floats(0.2, 3)), max_size=3),
)
def test_a_cycle_that_is_steady_in_utc_is_never_taken_for_one(
    since: str, daily: float, phi: float, seed: int, steps: list[tuple[int, float]]
) -> None:
    """Nor one whose series step up or down, on the day of the change or another."""
    found = stream("UTC", since, 42, daily=daily, phi=phi, seed=seed)
    x = found.x.astype(np.float64)
    for day, factor in [*steps, (21, 2.0)]:
        x[day * 24 :] *= factor
    stepped = replace(found, x=np.minimum(x.astype(np.int64), found.n))
    assert stepped.clock_change is None


def test_what_is_too_little_to_tell_is_not_told() -> None:
    assert stream("Europe/Berlin", "2026-03-22", 14).clock_change is None
    assert stream("Europe/Berlin", "2026-03-08", 42, daily=0.0).clock_change is None
    assert stream("Europe/Berlin", "2026-03-08", 42, window_ms=3 * HOUR_MS).clock_change is None
    assert stream("Europe/Berlin", "2026-05-01", 42).clock_change is None
    assert EMPTY.clock_change is None


def test_what_has_a_zone_is_not_looked_at() -> None:
    found = stream("Europe/Berlin", "2026-03-08", 42)
    assert found.in_time(CivilTime("Europe/Berlin")).clock_change is None
