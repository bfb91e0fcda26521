"""Calibration as a whole: any traffic, in any order, and what it promises of quiet streams."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from tidegauge_probes.drift.calibration.fit import calibrate, forecast
from tidegauge_probes.drift.calibration.model import Calibration
from tidegauge_probes.drift.calibration.windows import CalibrationWindows
from tidegauge_probes.drift.scan import Past, scan

HOUR_MS = 3_600_000
Ints = npt.NDArray[np.int64]


def windows_of(x: Ints, n: Ints) -> CalibrationWindows:
    starts = HOUR_MS * np.arange(len(x), dtype=np.int64)
    return CalibrationWindows.of(starts, x, n, HOUR_MS)


def steady(seed: int, windows: int, *rates: float, n: int = 500) -> tuple[Ints, Ints]:
    rng = np.random.default_rng(seed)
    size = np.full((windows, len(rates)), n)
    return rng.binomial(size, rates), size


def assert_sound(found: Calibration) -> None:
    for field in fields(found):
        value = getattr(found, field.name)
        if isinstance(value, np.ndarray):
            assert np.isfinite(value).all(), field.name
    growth = found.curve.growth
    assert np.isfinite(growth).all()
    assert (growth >= 1).all()
    assert (np.diff(growth[1:], axis=0) >= -1e-9).all(), "sums of more windows vary no less"


@dataclass(frozen=True)
class Odd:
    """Traffic that nobody would choose."""

    name: str
    x: Ints
    n: Ints


def odd_traffic() -> list[Odd]:
    rng = np.random.default_rng(7)
    x, n = steady(1, 60, 0.05, 0.3)
    all_or_nothing = np.where(rng.random((60, 2)) < 0.1, 500, 0)
    silent = n.copy()
    silent[20:27] = 0
    one = np.ones((60, 2), dtype=np.int64)
    return [
        *(Odd(f"{k} windows", x[:k], n[:k]) for k in (1, 3, 20)),
        Odd("constant", np.full_like(x, 25), n),
        Odd("never", np.zeros_like(x), n),
        Odd("always", n.copy(), n),
        Odd("all or nothing", all_or_nothing, n),
        Odd("a week of silence", np.where(silent > 0, x, 0), silent),
        Odd("no record at all", np.zeros_like(x), np.zeros_like(n)),
        Odd("one record a window", rng.integers(0, 2, (60, 2)), one),
        Odd("one series", x[:, :1], n[:, :1]),
        Odd(
            "one window with records",
            *(np.where(np.arange(60)[:, None] == 9, a, 0) for a in (x, n)),
        ),
    ]


@pytest.mark.parametrize("odd", odd_traffic(), ids=lambda odd: odd.name)
def test_odd_traffic_is_calibrated(odd: Odd) -> None:
    """No NaN, no crash, and whatever comes next has a p-value above 0 and a price of 1 at most."""
    series = odd.x.shape[1]
    with np.errstate(all="raise", under="ignore"):
        found = calibrate(windows_of(odd.x, odd.n))
        assert_sound(found)
        told = forecast(windows_of(odd.x, odd.n), found, np.ones(series)).per_window(1e-3)
        for x, n in ((0, 0), (0, 10**6), (10**6, 10**6), (1, 1)):
            next_x, next_n = np.full(series, x), np.full(series, n)
            after = scan(len(odd.x) * HOUR_MS, next_x, next_n, Past.none(series), found)
            assert ((after.p_value > 0) & (after.adjusted <= 1)).all()
            assert np.isfinite(after.n_eff).all()
    assert (told is None) == (len(odd.x) < 4)
    assert told is None or told > 0


@given(st.integers(0, 2**32 - 1), st.integers(1, 70), st.integers(1, 4))
@settings(max_examples=40)
def test_any_counts_are_calibrated(seed: int, windows: int, series: int) -> None:
    rng = np.random.default_rng(seed)
    n = rng.choice([0, 1, 20, 1_000, 10**6], (windows, series))
    x = rng.binomial(n, rng.choice([0.0, 1e-6, 0.05, 0.5, 1.0], (windows, series)))
    with np.errstate(all="raise", under="ignore"):
        assert_sound(calibrate(windows_of(x, n)))


def test_many_series_and_segments_are_calibrated_in_seconds() -> None:
    """500 LFs × 60 segments: most of them hardly ever vote."""
    rng = np.random.default_rng(9)
    rates = rng.beta(0.3, 20, 30_000)
    n = np.full((24, 30_000), 20)
    found = calibrate(windows_of(rng.binomial(n, rates), n))
    assert_sound(found)


@given(st.integers(0, 100), st.permutations(range(6)))
@settings(max_examples=20)
def test_the_order_of_the_series_does_not_matter(seed: int, order: list[int]) -> None:
    x, n = steady(seed, 100, 0.001, 0.02, 0.1, 0.3, 0.7, 0.99)
    x[::9, 2] += 90
    one, other = calibrate(windows_of(x, n)), calibrate(windows_of(x[:, order], n[:, order]))
    for name in ("p", "tau2", "error", "n"):
        assert_allclose(getattr(other, name), getattr(one, name)[order], rtol=1e-6)
    assert_allclose(other.curve.growth, one.curve.growth[:, order], rtol=1e-4)


def test_what_recurs_is_never_left_out() -> None:
    """A storm every tenth day is how the stream is; its counts stay in mean and noise."""
    x, n = steady(3, 336, 0.05, 0.05, 0.2)
    for begin in range(20, 330, 60):
        x[begin : begin + 8, 1] = 250
    found = calibrate(windows_of(x, n))
    assert not found.left_out
    assert (found.n == n.sum(axis=0)).all()
    assert found.tau2[1] > 4 * found.tau2[0]


def test_an_incident_is_left_out_of_all_series_that_it_moved() -> None:
    """Series 1 is plainly off for 12 hours, series 2 by so little that only the sum shows it."""
    x, n = steady(4, 336, 0.05, 0.05, 0.3)
    x[100:112, 1] = 250
    x[100:112, 2] = x[100:112, 2] * 5 // 4
    found = calibrate(windows_of(x, n))
    assert found.left_out == ((99 * HOUR_MS, 113 * HOUR_MS),)
    gone = (n.sum(axis=0) - found.n) / 500
    assert gone.tolist() == [0, 14, 12]
    assert found.p[1] == pytest.approx(0.05, rel=0.05)


def test_one_clump_hardly_moves_mean_and_noise() -> None:
    x, n = steady(5, 336, 0.01, 0.01, 0.01)
    x[200, 1] += 400
    found = calibrate(windows_of(x, n))
    assert not found.left_out
    assert found.p[1] == pytest.approx(found.p[0], rel=0.15)
    assert found.tau2[1] < 3 * found.tau2[0] + 0.01


def test_all_or_nothing_keeps_its_variance() -> None:
    """It fires on everything in one window of ten: that is no outlier."""
    rng = np.random.default_rng(6)
    x, n = steady(6, 336, 0.1, 0.1)
    x[:, 1] = np.where(rng.random(336) < 0.1, 500, 0)
    found = calibrate(windows_of(x, n))
    sd = np.sqrt(found.tau2[1]) * 0.1 * 0.9
    assert sd == pytest.approx(0.3, rel=0.3), "√(pq) of windows"


def test_too_little_calibration_costs_power_not_false_alarms() -> None:
    """The same shift is less sure after 48 windows than after 336."""
    paid = []
    for windows in (48, 336):
        x, n = steady(8, windows, 0.05, 0.05)
        known = calibrate(windows_of(x, n))
        shifted = np.full(2, 55)
        found = scan(windows * HOUR_MS, shifted, n[0], Past.none(2), known)
        paid.append(np.median(found.adjusted))
    assert paid[0] > 2 * paid[1]


@pytest.mark.parametrize("windows", [48, 168])
def test_a_quiet_stream_is_forecast_to_keep_its_budget(windows: int) -> None:
    x, n = steady(10, windows, *([0.05] * 20))
    calibrated = windows_of(x, n)
    told = forecast(calibrated, calibrate(calibrated), np.ones(20))
    alphas = [10.0**-k for k in range(1, 8)]
    rates = [told.per_window(alpha) or 0.0 for alpha in alphas]
    assert all(rate > 0 for rate in rates)
    assert rates == sorted(rates, reverse=True), "a smaller budget opens less"
    of_default = told.per_window(5e-4)
    assert of_default is not None
    assert of_default < 1e-3


def test_a_stream_without_a_level_is_forecast_to_break_its_budget() -> None:
    """A random walk: what other weeks teach says nothing of this one."""
    rng = np.random.default_rng(11)
    logit = -2 + np.cumsum(0.15 * rng.standard_normal((336, 10)), axis=0)
    n = np.full((336, 10), 500)
    calibrated = windows_of(rng.binomial(n, 1 / (1 + np.exp(-logit))), n)
    found = calibrate(calibrated)
    told = forecast(calibrated, found, np.ones(10)).per_window(5e-4)
    assert told is not None
    assert told > 5e-3
    assert np.median(found.curve.growth[64] / found.curve.growth[32]) > 1.5, "it still rises"
