"""Tails of sums: beside the exact laws that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from tidegauge_probes.drift import tail_law
from tidegauge_probes.drift.tail_law import LEAST_P, p_values


def p_value(x: float, n: float, mean: float, variance: float, freedom: float = np.inf) -> float:
    [found] = p_values(*np.array([[x], [n], [mean], [variance], [freedom]]))
    return float(found)


@given(st.integers(0, 60), st.floats(0.1, 20), st.floats(1.01, 30))
def test_rare_events_have_at_least_the_gamma_poisson_tail(
    x: int, mean: float, ratio: float
) -> None:
    """Negative binomial, mid-p, both sides; or the shrunk binomial, where that is heavier."""
    variance = mean * ratio
    assume(x > mean)
    law = stats.nbinom(mean**2 / (variance - mean), mean / variance)
    upper = law.sf(x) + law.pmf(x) / 2
    exact = min(1.0, 2 * min(upper, 1 - upper))
    found = p_value(x, 1e6, mean, variance)
    z = (x - mean) / np.sqrt(variance)
    assume(z >= 2)
    n_eff = mean / variance * 1e6 * (1 - mean / 1e6)
    shrunk = tail_law.two_sided_mid_p(*np.array([[x / 1e6 * n_eff], [n_eff], [mean / 1e6]]))
    assert found == pytest.approx(max(exact, float(shrunk[0]), LEAST_P), rel=1e-5)


@given(st.integers(0, 400), st.integers(1, 400), st.floats(0.01, 0.5))
def test_without_noise_it_is_the_binomial(x: int, n: int, p: float) -> None:
    assume(x <= n)
    mean, variance = n * p, n * p * (1 - p)
    assume(abs(x - mean) >= 2 * np.sqrt(variance))
    law = stats.binom(n, p)
    upper = law.sf(x) + law.pmf(x) / 2
    exact = min(1.0, 2 * min(upper, 1 - upper))
    assert p_value(x, n, mean, variance) == pytest.approx(max(exact, LEAST_P), rel=1e-6)


def test_a_series_of_which_nothing_was_expected_is_20_times_less_sure() -> None:
    """Baseline 0 of 336,000; 4 of 1,000 now. Gamma–Poisson, not a binomial that is shrunk."""
    rate = 0.5 / 336_000
    mean = 1_000 * rate
    variance = mean + mean**2 * 2  # Jeffreys' error of the mean: relative variance 1/.5
    [shrunk] = tail_law.two_sided_mid_p(
        *np.array([[4 * mean / variance], [1_000 * mean / variance], [rate]])
    )
    found = p_value(4, 1_000, mean, variance)
    assert found > 1e-13
    assert found >= shrunk


@pytest.mark.parametrize(("tau", "least", "most"), [(0.3, 1e-10, 1e-6), (0.6, 1e-5, 1e-3)])
def test_a_death_is_sure_however_restless_the_rate(tau: float, least: float, most: float) -> None:
    """100 were expected, none came. By the normal law τ = .6 makes that one in ten."""
    variance = 100 + 100**2 * tau**2
    assert least < p_value(0, 2_000, 100, variance) < most
    n_eff = 95 / variance * 2_000
    [binomial] = tail_law.two_sided_mid_p(*np.array([[0.0], [n_eff], [0.05]]))
    assert binomial > 10 * p_value(0, 2_000, 100, variance)


@pytest.mark.parametrize("z", [2.5, 4.0, 6.0])
def test_few_degrees_of_freedom_make_heavier_tails(z: float) -> None:
    mean, variance = 1e6, 1e6
    sure = p_value(mean + z * 1e3, 1e9, mean, variance)
    unsure = p_value(mean + z * 1e3, 1e9, mean, variance, freedom=5)
    assert sure == pytest.approx(2 * stats.norm.sf(z), rel=0.05)
    assert unsure == pytest.approx(2 * stats.t.sf(z, 5), rel=0.05)


@given(
    st.floats(0, 1e12),
    st.floats(1, 1e12),
    st.floats(1e-12, 1e12),
    st.floats(1e-12, 1e20),
    st.floats(3, 1e9),
)
def test_no_p_value_is_0_or_above_1(
    x: float, n: float, mean: float, variance: float, freedom: float
) -> None:
    assume(mean <= n)
    with np.errstate(all="raise", under="ignore"):
        found = p_value(x, n, mean, variance, freedom)
    assert LEAST_P <= found <= 1
