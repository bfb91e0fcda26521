"""Daily and weekly cycles: learnt where they are, and not where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tidegauge_probes.drift import season
from tidegauge_probes.drift.civil_time import CivilTime
from tidegauge_probes.drift.season import (
    DAY_MS,
    HOUR_MS,
    MONDAY_MS,
    MONTH_MS,
    WEEK_MS,
    Cycle,
    Season,
    SeasonCounts,
)

P = np.array([0.3, 0.05, 0.005])
N = 1_000


def starts(hours: int) -> np.ndarray:
    return MONDAY_MS + 2_700 * 7 * DAY_MS + np.arange(hours) * HOUR_MS


def traffic(
    hours: int, daily: float, weekend: float, seed: int = 1
) -> tuple[np.ndarray, SeasonCounts]:
    """Return the true rates and counts of three LFs, their day and week known."""
    at, rng = np.arange(hours), np.random.default_rng(seed)
    factor = (1 + daily * np.sin(2 * np.pi * at / 24)) * (1 + weekend * (at % 168 >= 120))
    rates = factor[:, None] * P
    varied = rates * rng.lognormal(-0.005, 0.1, rates.shape)
    n = np.full(rates.shape, N)
    return rates, SeasonCounts(rng.binomial(n, varied).astype(float), n.astype(float))


def logit(p: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(p / (1 - p)))


def error(found: Season, rates: np.ndarray) -> np.ndarray:
    """Return the root mean square error of the expected logit of each LF."""
    expected = found.expected(rates.mean(axis=0), starts(len(rates)))
    return np.asarray(np.sqrt(((logit(expected) - logit(rates)) ** 2).mean(axis=0)))


@pytest.mark.parametrize(("daily", "weekend"), [(0.3, 0.0), (0.2, -0.3), (0.0, 0.3)])
def test_a_cycle_is_learnt_from_two_weeks(daily: float, weekend: float) -> None:
    rates, counted = traffic(336, daily, weekend)
    found = season.fit(counted, starts(336), HOUR_MS, rates.mean(axis=0))
    unlearnt = error(Season(), rates)
    assert (error(found, rates) < 0.5 * unlearnt)[:2].all()
    assert error(found, rates)[0] < 0.06
    assert error(found, rates)[1] < 0.09


def test_where_there_is_no_cycle_next_to_nothing_is_expected() -> None:
    rates, counted = traffic(336, 0.0, 0.0)
    found = season.fit(counted, starts(336), HOUR_MS, P)
    assert (error(found, rates) < [0.03, 0.04, 0.09]).all()


def test_noise_that_lasts_for_hours_is_no_cycle() -> None:
    """Neighbours vary together: by chance whole days are high, which is no day of the week."""
    rng, hours = np.random.default_rng(3), 336
    noise = rng.standard_normal((hours, 3))
    for w in range(1, hours):
        noise[w] = 0.8 * noise[w - 1] + 0.6 * noise[w]
    rates = 1 / (1 + np.exp(-(logit(P) + 0.15 * noise)))
    n = np.full(rates.shape, N)
    counted = SeasonCounts(rng.binomial(n, rates).astype(float), n.astype(float))
    found = season.fit(counted, starts(hours), HOUR_MS, P)
    assert (error(found, np.broadcast_to(P, rates.shape)) < 0.08).all()


def test_what_was_seen_once_is_not_known() -> None:
    rates, counted = traffic(336, 0.3, 0.3)

    def periods(hours: int) -> list[int]:
        part = SeasonCounts(counted.x[:hours], counted.n[:hours])
        found = season.fit(part, starts(hours), HOUR_MS, rates.mean(axis=0))
        return [cycle.period_ms // DAY_MS for cycle in found.cycles]

    assert periods(47) == []
    assert periods(48) == [1]
    assert periods(335) == [1]
    assert periods(336) == [1, 7, 7]


@pytest.mark.parametrize(
    ("window_ms", "periods"), [(6 * HOUR_MS, [1, 7, 7]), (DAY_MS, [7, 7]), (7 * DAY_MS, [])]
)
def test_longer_windows_have_fewer_cycles(window_ms: int, periods: list[int]) -> None:
    at = MONDAY_MS + np.arange(60) * window_ms
    counted = SeasonCounts(np.full((60, 1), 50.0), np.full((60, 1), 1e3))
    found = season.fit(counted, at, window_ms, np.array([0.05]))
    assert [cycle.period_ms // DAY_MS for cycle in found.cycles] == periods


def test_weeks_begin_on_monday() -> None:
    monday = 1_767_571_200_000  # 2026-01-05T00:00Z
    assert season.bins(np.array([monday, monday - 1]), 7 * DAY_MS, DAY_MS).tolist() == [0, 6]


@given(
    hnp.arrays(np.int64, (60, 2), elements=st.integers(0, 2_000)),
    hnp.arrays(np.float64, (60, 2), elements=st.floats(0, 1)),
)
def test_no_counts_give_anything_but_shares(n: np.ndarray, share: np.ndarray) -> None:
    counted = SeasonCounts(np.floor(n * share), n.astype(float))
    at = starts(60)
    p = (counted.x.sum(axis=0) + 0.5) / (counted.n.sum(axis=0) + 1)
    found = season.fit(counted, at, HOUR_MS, p)
    expected = found.expected(p, at)
    assert ((expected > 0) & (expected < 1)).all()
    assert np.isfinite(found.variance(at, 2)).all()
    assert (found.leverage(at, 2) <= 1).all()


def test_windows_of_one_bin_share_its_error_and_others_average_it_out() -> None:
    """Against the sum written out; sixteen hours of a Sunday are off by all of Sunday's error."""
    rng = np.random.default_rng(4)
    shapes = ((DAY_MS, HOUR_MS, 24), (WEEK_MS, DAY_MS, 7))
    cycles = []
    for period, width, bins in shapes:
        variance = rng.uniform(0.01, 0.1, (bins, 2))
        nothing = np.zeros((bins, 2))
        cycles.append(Cycle(period, width, nothing, variance, nothing))
    both = Season(tuple(cycles))
    sunday = MONDAY_MS + 6 * DAY_MS
    hours = sunday + 23 * HOUR_MS - HOUR_MS * np.arange(64)  # the newest first
    n = rng.uniform(0, 1_000, (64, 2))
    last = np.array([0, 15, 63])
    found = both.variance_of_sums(hours, n, last)
    for j, end in enumerate(last):
        share = n[: end + 1] / n[: end + 1].sum(axis=0)
        due = np.zeros(2)
        for cycle in cycles:
            place = (hours[: end + 1] - MONDAY_MS) % cycle.period_ms // cycle.bin_ms
            for b in set(place.tolist()):
                due += share[place == b].sum(axis=0) ** 2 * cycle.variance[b]
        assert found[j] == pytest.approx(due)
    assert (found[1] > cycles[1].variance[6]).all(), "hours average out, the day does not"
    assert found[0] == pytest.approx(both.variance(hours[:1], 2)[0])


# -- Days of the month ----------------------------------------------------------------------------


def test_the_month_is_a_cycle_after_half_a_year() -> None:
    def periods(days: int) -> list[int]:
        at = starts(days * 24)[::24]
        counted = SeasonCounts(np.full((days, 1), 50.0), np.full((days, 1), 1e3))
        found = season.fit(counted, at, DAY_MS, np.array([0.05]))
        return [cycle.period_ms // DAY_MS for cycle in found.cycles]

    assert periods(181) == [7, 7]
    assert periods(182) == [7, 7, MONTH_MS // DAY_MS]


def test_what_happens_at_the_beginning_of_the_month_is_learnt() -> None:
    at = starts(400 * 24)[::24]
    day = (at // DAY_MS).astype("datetime64[D]")
    first = (day - day.astype("datetime64[M]").astype("datetime64[D]")).astype(int) < 2
    rates = np.where(first, 0.10, 0.05)[:, None] * np.ones(2)
    rng, n = np.random.default_rng(2), np.full(rates.shape, 1_000)
    counted = SeasonCounts(rng.binomial(n, rates).astype(float), n.astype(float))
    found = season.fit(counted, at, DAY_MS, np.full(2, 0.053))
    expected = found.expected(np.full(2, 0.053), at)
    assert expected[first].mean() == pytest.approx(0.10, rel=0.1)
    assert expected[~first].mean() == pytest.approx(0.05, rel=0.1)


# -- Local time and holidays ----------------------------------------------------------------------

CLOCK_CHANGE = 1_774_746_000_000  # 2026-03-29T01:00Z, in Berlin


def test_a_cycle_of_local_time_holds_on_the_other_side_of_a_clock_change() -> None:
    at = CLOCK_CHANGE - 28 * DAY_MS + np.arange(42 * 24) * HOUR_MS
    berlin = CivilTime("Europe/Berlin")
    hour = berlin.local(at, HOUR_MS) % DAY_MS // HOUR_MS
    rates = (1 + 0.5 * np.sin(2 * np.pi * hour / 24))[:, None] * P
    n, before = np.full(rates.shape, N), at < CLOCK_CHANGE
    x = np.random.default_rng(6).binomial(n, rates)
    counted = SeasonCounts(x[before].astype(float), n[before].astype(float))
    mean = rates.mean(axis=0)

    def off(civil: CivilTime) -> float:
        found = season.fit(counted, at[before], HOUR_MS, mean, civil)
        after = logit(found.expected(mean, at[~before])) - logit(rates[~before])
        return float(np.sqrt((after[:, :2] ** 2).mean()))

    assert off(berlin) < 0.05
    assert off(CivilTime()) > 2 * off(berlin)


def weekends(holiday: str) -> tuple[np.ndarray, CivilTime, SeasonCounts, Season]:
    """Return eight weeks in which LF 0 rests on Sundays and LF 1 does not; one day is a holiday.

    On it LF 0 does as on a Sunday.
    """
    at = starts(56 * 24)
    civil = CivilTime(calendar=(holiday,))
    rest = (at - MONDAY_MS) % WEEK_MS // DAY_MS == 6
    rates = np.column_stack([np.where(rest | civil.holidays(at), 0.1, 0.3), np.full(len(at), 0.3)])
    n = np.full(rates.shape, 2_000)
    x = np.random.default_rng(8).binomial(n, rates)
    counted = SeasonCounts(x.astype(float), n.astype(float))
    return at, civil, counted, season.fit(counted, at, HOUR_MS, rates.mean(axis=0), civil)


def test_on_a_holiday_each_series_is_held_against_what_is_nearer() -> None:
    wednesday = str(np.datetime64(int(starts(1)[0]) + 30 * DAY_MS, "ms").astype("datetime64[D]"))
    at, civil, counted, found = weekends(wednesday)
    day = civil.holidays(at)
    assert day.sum() == 24
    p = np.array([0.27, 0.3])
    expected = found.expected(p, at, counted)[day].mean(axis=0)
    assert expected == pytest.approx([0.1, 0.3], rel=0.15)
    # Without what came it is a weekday; and it has taught that weekday nothing.
    assert found.expected(p, at)[day].mean(axis=0) == pytest.approx([0.3, 0.3], rel=0.1)
    assert (found.leverage(at, 2)[day] == 0).all()
    assert (found.leverage(at, 2)[~day] > 0).any()


def test_on_other_days_what_came_decides_nothing() -> None:
    at, civil, counted, found = weekends("2020-01-01")
    assert not civil.holidays(at).any()
    p = np.array([0.27, 0.3])
    assert (found.expected(p, at, counted) == found.expected(p, at)).all()
