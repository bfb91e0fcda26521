from __future__ import annotations

from dataclasses import astuple, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from tests.probes.simulation import Floats, count, fit, layout_of, panes, shifted, wobbling
from tests.probes.strategies import matrix, outcomes
from tidegauge_probes.counts import panes as counts
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.drift import comparison
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.calibration.fit import calibrate
from tidegauge_probes.drift.calibration.windows import CalibrationWindows
from tidegauge_probes.drift.comparison import Detector
from tidegauge_probes.drift.scan import Past
from tidegauge_probes.drift.significance import benjamini_hochberg
from tidegauge_probes.drift.tail_law import two_sided_mid_p
from tidegauge_probes.findings import Finding, SeriesKind, Verdict
from tidegauge_probes.model import ERROR, Outcomes

RATES = [0.005] * 10 + [0.05] * 10 + [0.3] * 10
RECORDS = 1000
Ints = npt.NDArray[np.int64]


@cache
def quiet(seed: int) -> Baseline:
    """30 LFs of coverage .5, 5 and 30 % that wobble by 10 %, 336 windows of 1,000 records."""
    rng = np.random.default_rng(seed)
    return fit(list(panes(rng, wobbling(rng, RATES, 336, 0.1), RECORDS)))


def finding(findings: list[Finding], kind: SeriesKind, probe: str = "") -> Finding:
    return next(f for f in findings if f.key.series is kind and f.key.probe == probe)


def compare(pane: PaneCounts, baseline: Baseline, budget: float = 0.5) -> list[Finding]:
    return comparison.compare(0, pane, baseline, Detector(budget))


# -- the statistics ---------------------------------------------------------------------------


@given(st.integers(1, 400), st.floats(1e-6, 1 - 1e-6), st.data())
def test_mid_p_is_the_binomials_at_integers(n: int, p: float, data: st.DataObject) -> None:
    x = data.draw(st.integers(0, n))
    exact = stats.binom(n, p)
    upper = exact.sf(x) + exact.pmf(x) / 2
    lower = exact.cdf(x - 1) + exact.pmf(x) / 2
    found = two_sided_mid_p(np.array([float(x)]), np.array([float(n)]), np.array([p]))
    assert_allclose(found, min(1.0, 2 * min(upper, lower)), rtol=1e-8, atol=1e-280)


@given(st.floats(0, 1), st.floats(1e-3, 1e9), st.floats(1e-9, 1 - 1e-9))
def test_mid_p_is_a_probability_for_real_counts_too(share: float, n: float, p: float) -> None:
    found = two_sided_mid_p(np.array([share * n]), np.array([n]), np.array([p]))
    assert 0 <= found[0] <= 1


@given(st.lists(st.floats(0, 1)), st.floats(1e-6, 0.5))
def test_benjamini_hochberg_is_the_step_up_procedure(values: list[float], alpha: float) -> None:
    ranked = sorted(range(len(values)), key=values.__getitem__)
    m = len(values)
    last = max((k for k, i in enumerate(ranked, 1) if values[i] <= alpha * k / m), default=0)
    rejected = {values[i] for i in ranked[:last]}
    found = benjamini_hochberg(np.array(values), alpha)
    assert found.dtype == np.bool_
    assert found.tolist() == [value in rejected for value in values]


def test_the_band_holds_99_percent_of_quiet_windows() -> None:
    """About: the noise between windows is an estimate from 168 of them.

    And counts are whole numbers, so the band of a rare LF holds a little more.
    """
    rng = np.random.default_rng(30)
    baseline = quiet(1)
    first = compare(count(rng, np.array(RATES), RECORDS), baseline)
    x = rng.binomial(RECORDS, wobbling(rng, RATES, 20_000, 0.1))
    for j in range(len(RATES)):
        band = finding(first, SeriesKind.COVERAGE, f"lf{j}")
        assert band.low is not None
        assert band.high is not None
        inside = ((x[:, j] / RECORDS >= band.low) & (x[:, j] / RECORDS <= band.high)).mean()
        assert 0.98 <= inside <= 0.9995, (RATES[j], inside)


# -- any counts -------------------------------------------------------------------------------


def made(votes: Outcomes) -> PaneCounts:
    return counts.fold(matrix(votes), 3, {"side=l": np.arange(len(votes)) % 2 == 0})


def from_windows(windows: list[Outcomes], lfs: int) -> Baseline:
    layout = replace(layout_of(lfs), classes=("A", "B", "C"), labels=((0, 1, 2),) * lfs)
    return baselines.fit(
        {i: made(votes) for i, votes in enumerate(windows)},
        layout=layout,
        probe_set="",
        window_ms=1,
        source={},
    )


def assert_finite(findings: list[Finding]) -> None:
    for found in findings:
        figures = [value for value in astuple(found) if isinstance(value, float)]
        assert np.isfinite(figures).all(), found
        if found.verdict is Verdict.NO_DATA:
            assert (found.n, found.observed, found.effect, found.p_value) == (0, None, None, None)
        else:
            assert found.observed == found.x / found.n
            assert found.low is not None
            assert found.high is not None
            assert found.expected is not None
            assert 0 <= found.low <= found.expected <= found.high <= 1


@given(outcomes(), st.data())
def test_comparing_is_finite_for_any_counts(votes: Outcomes, data: st.DataObject) -> None:
    rows, lfs = votes.shape
    first = votes if rows else np.zeros((1, lfs), dtype=np.int8)
    repeats = data.draw(st.sampled_from([1, 47, 48, 60]))
    baseline = from_windows([first] * repeats, lfs)
    times = data.draw(st.sampled_from([0, 1, 30]))
    window = made(np.tile(np.roll(votes, 1, axis=1), (times, 1)))
    with np.errstate(all="raise", under="ignore"):
        for budget in (0.0, 0.5, 1e9):
            findings = compare(window, baseline, budget)
            assert [f.key for f in findings] == list(baseline.keys)
            assert_finite(findings)
        described = comparison.describe(0, window, baseline)
    assert_finite(described)
    assert {f.verdict for f in described} <= {Verdict.BASELINE, Verdict.NO_DATA}
    assert all((f.verdict is Verdict.NO_DATA) == (f.n == 0) for f in described)


SHARES = st.sampled_from([0.0, 1e-9, 0.01, 0.5, 0.99, 1.0])


@given(
    st.integers(0, 10**9), SHARES, st.lists(st.tuples(st.integers(0, 10**9), SHARES), min_size=1)
)
def test_the_figures_are_finite_for_huge_counts(
    n: int, share: float, windows: list[tuple[int, float]]
) -> None:
    many = (windows * 48)[: max(48, len(windows))]
    history_n = np.array([[size] for size, _ in many], dtype=np.int64)
    history_x = np.array([[int(size * part)] for size, part in many], dtype=np.int64)
    with np.errstate(all="raise", under="ignore"):
        starts = np.arange(len(many))
        calibration = calibrate(CalibrationWindows.of(starts, history_x, history_n, HOUR))
        found = comparison._compare(
            0, np.array([int(n * share)]), np.array([n]), Past.none(1), calibration
        )
    *of_the_window, scanned = astuple(found)
    assert all(np.isfinite(values).all() for values in (*of_the_window, *scanned))
    assert found.n_eff[0] <= max(n, 1)


HOUR = 3_600_000


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([48, 14 * 24 + 5]),
    st.lists(st.sampled_from([0, 1, 20, 1_000, 10**6]), min_size=1, max_size=4),
    st.lists(SHARES, min_size=1, max_size=4),
)
def test_the_figures_are_finite_for_any_season_and_past(
    seed: int, hours: int, volumes: list[int], shares: list[float]
) -> None:
    """Constant series, gaps, windows of one record, cycles of nothing but noise."""
    rng = np.random.default_rng(seed)
    width = len(shares)
    n = rng.choice(volumes, (hours + 70, width)).astype(np.int64)
    x = rng.binomial(n, rng.permuted(np.tile(shares, (hours + 70, 1)), axis=1))
    starts = HOUR * np.arange(hours + 70, dtype=np.int64)
    old, new = slice(None, hours), slice(hours, -1)
    with np.errstate(all="raise", under="ignore"):
        calibration = calibrate(CalibrationWindows.of(starts[old], x[old], n[old], HOUR))
        past = Past(starts[new], x[new], n[new], np.zeros(width, dtype=np.int64))
        found = comparison._compare(int(starts[-1]), x[-1], n[-1], past, calibration)
    *of_the_window, scanned = astuple(found)
    assert all(np.isfinite(values).all() for values in (*of_the_window, *scanned))
    assert ((found.scanned.p_value > 0) & (found.scanned.p_value <= 1)).all()


# -- verdicts ---------------------------------------------------------------------------------


def test_no_data_is_no_drift() -> None:
    findings = compare(counts.empty(30, 2), quiet(1))
    assert {f.verdict for f in findings} == {Verdict.NO_DATA}
    assert not any(f.shifted for f in findings)


def test_fewer_than_20_records_are_too_few_to_tell() -> None:
    all_vote = np.array([1.0] * 30)
    rng = np.random.default_rng(0)
    for records, verdict in ((19, Verdict.LOW_VOLUME), (20, Verdict.SHIFTED)):
        findings = compare(count(rng, all_vote, records), quiet(1))
        assert finding(findings, SeriesKind.COVERAGE, "lf9").verdict is verdict


def test_small_windows_are_judged_by_the_sum_that_they_end() -> None:
    """Four records a window: too few in the first, enough in the sum; without any, no data."""
    rng = np.random.default_rng(35)
    rates = np.array([0.5, 0.5])
    baseline = fit(list(panes(rng, np.tile(rates, (336, 1)), 4)))
    past = Past.none(len(baseline.keys))
    verdicts = []
    for w in range(40):
        pane = count(rng, np.array([1.0, 0.5]), 4)
        findings = comparison.compare(w * HOUR, pane, baseline, Detector(), past)
        verdicts.append(finding(findings, SeriesKind.COVERAGE, "lf0").verdict)
        past = past.then(w * HOUR, *baseline.plan.extract(pane))
    assert verdicts[:4] == [Verdict.LOW_VOLUME] * 4
    assert Verdict.LOW_VOLUME not in verdicts[4:]
    assert verdicts[-1] is Verdict.SHIFTED
    silent = comparison.compare(40 * HOUR, counts.empty(2, 2), baseline, Detector(), past)
    assert {f.verdict for f in silent} == {Verdict.NO_DATA}


def test_a_rare_series_is_too_rare_to_tell_until_it_is_seen_often() -> None:
    """Baseline: lf0 and lf1 never fail, lf0 always votes. Faults and deaths must be found."""
    steady = np.ones((200, 2), dtype=np.int8)
    steady[::3, 1] = -1
    baseline = from_windows([steady] * 60, 2)

    def verdicts(votes: Outcomes) -> tuple[Verdict, Verdict]:
        findings = compare(made(votes), baseline)
        return (
            finding(findings, SeriesKind.ERROR, "lf1").verdict,
            finding(findings, SeriesKind.COVERAGE, "lf0").verdict,
        )

    assert verdicts(steady) == (Verdict.LOW_VOLUME, Verdict.LOW_VOLUME)
    fails = steady.copy()
    fails[:12, 1] = ERROR
    assert verdicts(fails)[0] is Verdict.LOW_VOLUME
    fails[:, 1] = ERROR
    assert verdicts(fails)[0] is Verdict.SHIFTED
    dead = steady.copy()
    dead[:, 0] = -1
    assert verdicts(dead)[1] is Verdict.SHIFTED


def test_a_series_without_a_baseline_is_not_compared() -> None:
    rows = np.full((400, 2), -1, dtype=np.int8)
    rows[:, 1] = 1
    baseline = from_windows([rows] * 60, 2)
    rows = np.ones((400, 2), dtype=np.int8)
    polarity = [
        f
        for f in compare(made(rows), baseline)
        if f.key.series is SeriesKind.POLARITY and f.key.probe == "lf0" and f.n
    ]
    assert {f.verdict for f in polarity} == {Verdict.LOW_VOLUME}


def test_a_learning_baseline_calls_only_odds_ratios_of_3() -> None:
    rng = np.random.default_rng(31)
    rates = np.array([0.2] * 4)
    baseline = fit(list(panes(rng, np.tile(rates, (10, 1)), 5000)))
    assert baseline.learning

    def after(rate: float) -> Finding:
        moved = rates.copy()
        moved[0] = rate
        return finding(compare(count(rng, moved, 20_000), baseline), SeriesKind.COVERAGE, "lf0")

    double, fourfold = after(1 / 3), after(0.5)  # odds 1/4 → 1/2 and → 1
    assert double.verdict is Verdict.LEARNING
    certain = compare(count(rng, rates * [5 / 3, 1, 1, 1], 20_000), baseline, budget=1e6)
    assert finding(certain, SeriesKind.COVERAGE, "lf0").verdict is Verdict.LEARNING
    assert double.effect == pytest.approx(2, rel=0.1)
    assert fourfold.verdict is Verdict.SHIFTED
    assert fourfold.effect == pytest.approx(4, rel=0.1)
    assert after(1 / 17).verdict is Verdict.SHIFTED, "fewer votes count as well"
    for seed in range(5):
        pane = count(np.random.default_rng(seed), rates, 20_000)
        assert not any(f.shifted for f in compare(pane, baseline))


def test_a_sure_but_tiny_shift_is_not_worth_a_page() -> None:
    rng = np.random.default_rng(32)
    baseline = fit(list(panes(rng, np.full((60, 2), 0.5), 2000)))
    calibration = replace(baseline.calibration, tau2=np.full(len(baseline.keys), 1e-9))
    calibration = replace(calibration, error=calibration.tau2)
    object.__setattr__(baseline, "calibration", calibration)
    for rate, verdict in ((0.52, Verdict.OK), (0.54, Verdict.SHIFTED)):  # Δlogit .08 and .16
        pane = count(rng, np.array([rate, 0.5]), 200_000)
        found = finding(compare(pane, baseline), SeriesKind.COVERAGE, "lf0")
        assert found.p_value is not None
        assert found.p_value < 1e-12
        assert found.verdict is verdict


def test_effect_and_rank_say_which_way_and_how_much() -> None:
    rng = np.random.default_rng(33)
    baseline = quiet(1)
    rates = np.array(RATES)
    rates[15], rates[25] = 0.1, 0.2
    findings = compare(count(rng, rates, RECORDS), baseline)
    up, down = (finding(findings, SeriesKind.COVERAGE, f"lf{j}") for j in (15, 25))
    assert up.effect == pytest.approx((0.1 / 0.9) / (0.05 / 0.95), rel=0.3)
    assert down.effect == pytest.approx((0.2 / 0.8) / (0.3 / 0.7), rel=0.3)
    assert up.rank > 5
    assert down.rank < -5
    assert up.n_eff is not None
    assert up.n_eff < RECORDS
    assert up.low is not None
    assert up.high is not None
    assert up.observed is not None
    assert up.low < 0.05 < up.high < up.observed


def test_a_larger_budget_calls_more() -> None:
    baseline = quiet(1)
    rng = np.random.default_rng(34)
    pane = count(rng, wobbling(rng, RATES, 1, 0.35)[0], RECORDS)
    strict, lax = (shifted(compare(pane, baseline, budget)) for budget in (0.01, 100))
    assert strict < lax


# -- detection, and false alarms --------------------------------------------------------------


def windows_until_found(rates: Floats, lf: str, seed: int) -> int:
    rng = np.random.default_rng(seed)
    for window in range(1, 25):
        if lf in shifted(compare(count(rng, rates, RECORDS), quiet(1))):
            return window
    return 25


@pytest.mark.parametrize(
    ("lf", "rate"),
    [(15, 0.1), (25, 0.0), (25, 0.6)],
    ids=["5 % doubled", "30 % dead", "30 % doubled"],
)
def test_a_gross_shift_is_found_in_one_or_two_windows(lf: int, rate: float) -> None:
    rates = np.array(RATES)
    rates[lf] = rate
    waits = [windows_until_found(rates, f"lf{lf}", seed) for seed in range(10)]
    assert np.mean(waits) <= 1.5, waits  # each window by itself: no sums


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_quiet_windows_raise_no_alarm(seed: int, record_property: Any, monkeypatch: Any) -> None:
    """1,000 quiet, overdispersed windows a seed; a false window has any of 521 series shifted.

    The budget is .5 a seed; 4 are allowed, which a true rate of .9 passes in 98 % of seeds.
    Measured: 7 in 8,000 windows over seeds 0…7.
    """
    monkeypatch.setattr(comparison, "_band", lambda _, p: (p, p))  # slow, and tested above
    rng = np.random.default_rng([seed, 1])
    baseline = quiet(seed)
    false = 0
    for rates in wobbling(rng, RATES, 1000, 0.1):
        pane = count(rng, rates, RECORDS)
        false += any(f.shifted for f in compare(pane, baseline))
    record_property("false_windows_per_1000", false)
    assert false <= 4, false


def test_the_alarm_rate_follows_the_window_to_window_variation() -> None:
    """A detector that took the windows for binomial would flag most of them."""
    rng = np.random.default_rng(40)
    pane = count(rng, wobbling(rng, RATES, 1, 0.1)[0], 50_000)
    baseline = quiet(1)
    assert not any(f.shifted for f in compare(pane, baseline))
    naive = replace(
        baseline.calibration,
        tau2=np.zeros(len(baseline.keys)),
        error=np.zeros(len(baseline.keys)),
        tails=None,
    )
    blind = replace(baseline)
    object.__setattr__(blind, "calibration", naive)
    assert len(shifted(compare(pane, blind))) >= 10
