"""What a plan promises of single series, on simulated traffic."""

from __future__ import annotations

import numpy as np
import pytest

from tests.probes import simulation
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.calibration.model import Calibration
from tidegauge_probes.drift.power.outlook import (
    EVER,
    FIRST,
    Obstacle,
    SeriesOutlook,
    SmallestShifts,
    of_all_records,
    of_segments,
)
from tidegauge_probes.drift.power.reach import (
    HASTE_DOWN,
    HASTE_UP,
    LATEST,
    delay,
    expected,
    found_at_all,
    futures,
    reach,
)
from tidegauge_probes.drift.scales import LONGEST
from tidegauge_probes.findings import SeriesKind

ALPHA = 0.5 / 1000
RATES = (0.001, 0.02, 0.1, 0.4)


def baseline_of(windows: int, records: int = 300, rates: tuple[float, ...] = RATES) -> Baseline:
    rng = np.random.default_rng(7)
    varied = simulation.wobbling(rng, rates, windows, sd=0.1)
    return simulation.fit(list(simulation.panes(rng, varied, records)))


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    return baseline_of(96)


@pytest.fixture(scope="module")
def outlooks(baseline: Baseline) -> dict[str, SeriesOutlook]:
    return {one.key.probe: one for one in of_all_records(baseline, ALPHA)}


def smallest(outlook: SeriesOutlook, name: str) -> SmallestShifts:
    found = outlook.within[name]
    assert found is not None
    return found


def test_there_is_the_blind_spot_and_each_lf(outlooks: dict[str, SeriesOutlook]) -> None:
    assert list(outlooks) == ["", "lf0", "lf1", "lf2", "lf3"]
    assert outlooks[""].key.series is SeriesKind.BLIND_SPOT
    assert outlooks["lf2"].share == pytest.approx(0.1, rel=0.1)
    assert outlooks["lf2"].volume == 300
    assert [smallest(outlooks["lf2"], name).windows for name in ("1d", "1w", EVER)] == [24, 45, 45]


@pytest.mark.parametrize("lf", ["lf1", "lf2", "lf3"])
def test_more_time_finds_smaller_shifts(outlooks: dict[str, SeriesOutlook], lf: str) -> None:
    day, week = (smallest(outlooks[lf], name) for name in ("1d", "1w"))
    assert day.up is not None
    assert week.up is not None
    assert week.down is not None
    assert 1 < week.up.ratio < day.up.ratio
    assert week.up.share == pytest.approx(week.up.ratio * outlooks[lf].share)
    assert 0 < week.down.ratio < 1
    if day.down is not None:
        assert day.down.ratio < week.down.ratio


def test_frequent_lfs_show_smaller_shifts(outlooks: dict[str, SeriesOutlook]) -> None:
    ups = [smallest(outlooks[lf], "1d").up for lf in ("lf0", "lf1", "lf2", "lf3")]
    ratios = [up.ratio for up in ups if up is not None]
    assert len(ratios) == 4
    assert ratios == sorted(ratios, reverse=True)


def test_the_smallest_shift_is_found_and_none_below_it(baseline: Baseline) -> None:
    series = np.array([1 + 1, 1 + 2])
    tried = futures(baseline, ALPHA, series)[:1]
    found = reach(tried, 24)
    longer = expected(24, HASTE_UP)
    assert tried[0].found(found.up, longer).all()
    assert not tried[0].found(1 + 0.95 * (found.up - 1), longer).any()
    longer = expected(24, HASTE_DOWN)
    assert tried[0].found(found.down, longer).all()
    assert not tried[0].found(1 - 0.9 * (1 - found.down), longer).any()


def test_a_larger_shift_is_found_sooner(baseline: Baseline) -> None:
    tried = futures(baseline, ALPHA, np.array([3]))
    small, large = (float(delay(tried, ratio)[0]) for ratio in (1.3, 2.0))
    assert 1 <= large < small <= LATEST
    assert delay(tried, 1.001)[0] == np.inf, "below 10 % of the odds nothing is worth a page"
    assert not found_at_all(tried, 1.001).any()


def test_a_tighter_budget_needs_a_larger_shift(baseline: Baseline) -> None:
    series = np.array([2, 3, 4])
    loose, tight = (reach(futures(baseline, alpha, series), 24) for alpha in (0.01, 0.0001))
    assert (loose.up < tight.up).all()


def test_an_lf_that_hardly_votes_never_shows_a_fall(outlooks: dict[str, SeriesOutlook]) -> None:
    """An LF that votes .3 times a window is expected 19 times in 64; at .03 times twice."""
    [blind, rare, *_] = of_all_records(baseline_of(96, 30, (0.001, 0.1)), ALPHA)
    assert rare.down is Obstacle.FEW_VOTES
    assert rare.up is None, "a thousand times as many would be seen"
    assert rare.never is None
    assert blind.down is None
    assert smallest(outlooks["lf3"], EVER).down is not None


def test_too_few_records_are_no_window_to_alarm_in() -> None:
    quiet = baseline_of(60, 0 + 1, (0.5,))
    thin = Baseline(
        quiet.probe_set,
        quiet.plan,
        quiet.total,
        quiet.window_ms,
        quiet.starts,
        quiet.x // 8,
        (np.arange(60)[:, None] % 6 == 0) * quiet.n,
        quiet.source,
    )
    [blind, coverage] = of_all_records(thin, ALPHA)
    assert {blind.never, coverage.never} == {Obstacle.FEW_RECORDS}


def test_a_short_baseline_sees_gross_shifts_only() -> None:
    [_, _, _, frequent, _] = of_all_records(baseline_of(12), ALPHA)
    up = smallest(frequent, "1w").up
    assert up is not None
    p = frequent.share
    assert up.share / (1 - up.share) * (1 - p) / p >= 2.9, "an odds ratio of 3"


def test_a_series_without_a_level_wanders() -> None:
    rng = np.random.default_rng(5)
    steps = rng.normal(0, 0.15, size=(336, 3)).cumsum(axis=0)
    walk = 1 / (1 + np.exp(2 - steps))
    walking = of_all_records(simulation.fit(list(simulation.panes(rng, walk, 300))), ALPHA)
    # One of the four shows an exponent of .79, just below what counts as a walk.
    assert sum(one.wanders for one in walking) >= 3


def test_a_series_with_a_level_is_not(outlooks: dict[str, SeriesOutlook]) -> None:
    assert not any(one.wanders for one in outlooks.values())


def test_an_lf_of_all_or_nothing_is_too_different_from_window_to_window() -> None:
    rng = np.random.default_rng(6)
    rates = np.column_stack([rng.integers(0, 2, 96).astype(float), np.full(96, 0.1)])
    [_, weather, steady] = of_all_records(
        simulation.fit(list(simulation.panes(rng, rates, 100))), ALPHA
    )
    first = smallest(weather, FIRST)
    assert (first.up, first.down) == (None, None), "either comes every other window"
    assert weather.down is Obstacle.NOISE
    assert smallest(steady, "1d").up is not None


def test_windows_longer_than_the_time_find_nothing_in_it(baseline: Baseline) -> None:
    days = Baseline(
        baseline.probe_set,
        baseline.plan,
        baseline.total,
        2 * 86_400_000,
        baseline.starts * 48,
        baseline.x,
        baseline.n,
        baseline.source,
    )
    outlook = of_all_records(days, ALPHA)[3]
    assert outlook.within["1d"] is None
    assert smallest(outlook, "1w").windows == 3
    assert smallest(outlook, FIRST).windows == 1


def test_alerts_that_wait_leave_less_time(baseline: Baseline) -> None:
    [*_, one] = of_all_records(baseline, ALPHA)
    [*_, tenth] = of_all_records(baseline, ALPHA, for_windows=10)
    assert smallest(tenth, "1d").windows == 24, "15 windows until it is seen, and nine more"
    soon, late = smallest(one, "1d").up, smallest(tenth, "1d").up
    assert soon is not None
    assert late is not None
    assert soon.ratio < late.ratio


def test_without_segments_there_is_nothing_to_say_of_them(baseline: Baseline) -> None:
    assert of_segments(baseline, ALPHA) == []


def test_part_of_a_calibration_expects_the_same(baseline: Baseline) -> None:
    whole, series = baseline.calibration, np.array([3, 1, 3])
    part: Calibration = whole.select(series)
    assert (part.expected(baseline.starts) == whole.expected(baseline.starts)[:, series]).all()
    assert (part.curve.growth == whole.curve.growth[:, series]).all()
    assert whole.tails is not None
    assert part.tails is not None
    assert (part.tails.rare == whole.tails.rare[series]).all()


def test_expected_counts_are_looked_at_for_longer_the_more_windows_there_are() -> None:
    assert [expected(w, HASTE_UP) for w in (1, 4, 24)] == [1, 4, 32]
    assert [expected(w, HASTE_DOWN) for w in (1, 4, 24)] == [1, 4, 27]
    assert LONGEST - 2 <= expected(LATEST, HASTE_UP) < LONGEST, "no longer sum is missed"
