"""How unlikely a sum of counts is, far out: laws with the right mean *and* variance.

Three laws are combined, each where the others promise too much or too little:

1. The (a, b, 0) law of mean M and variance V (Panjer 1981): negative binomial where V > M,
   P(X ≥ x) = I_{1−M/V}(x, r) with r = M²/(V − M); binomial where V < M. For rare events it is the
   exact Gamma–Poisson prediction, 10 to 20 times as heavy as a shrunk binomial.
2. Binomial(n_eff, M/N) with the same relative variance; the larger of the two p-values counts.
3. Deaths. Both make silence too likely where the rate itself varies a lot, so for low counts
   P(X ≤ x) ≤ P(rate < m) + P(Poisson(m) ≤ x) for any m, with a log-normal rate.

Student's t then replaces the normal law, with the calibration's degrees of freedom. All p-values
are mid-p (Lancaster 1961) and two-sided.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.lazy import LazyModule

special = LazyModule("scipy.special", extra="statistics")

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

LEAST_P: Final = 1e-290
"""No p-value is 0: what was never seen is not impossible."""

EXACT_Z: Final = 2.0
FEW_Z, FEW = 1.0, 64.0
"""Near the expected value, the normal law is good enough: no threshold is anywhere near. With fewer
than FEW expected it is less accurate, so exact tails are computed from FEW_Z on."""

POISSON: Final = 1e-6
"""Relative difference of mean and variance below which the law is treated as next to Poisson: its
second parameter would be too large to compute with."""

DEATH_MEAN, DEATH_SPREAD, DEATH_P = 2.0, 0.002, 0.02
"""The third law applies where more than 2 were expected, the rate varies by more than 4 %, and
counting alone makes such a low count this unlikely."""

FALLEN: Final = 4.0
"""Less than 1/4 of what was expected; with τ = .6, even 0 of 100 is within two deviations."""

SPLITS: Final = 13
"""Values of m that the third law tries."""

NORMAL_FREEDOM: Final = 400.0
"""Degrees of freedom from which Student's law is the normal law."""


def p_values(x: Floats, n: Floats, mean: Floats, variance: Floats, freedom: Floats) -> Floats:
    """Return the two-sided p-values of x of n, real and of any shape, all in (0, 1].

    ``mean`` and ``variance`` of x are positive; ``freedom``: degrees of freedom.
    """
    z = np.abs(x - mean) / np.sqrt(variance)
    found = 2 * special.ndtr(-z)
    far = (z >= EXACT_Z) | ((mean < FEW) & (z >= FEW_Z)) | fallen(x, mean)
    if far.any():
        found[far] = _exact(x[far], np.maximum(n[far], 1.0), mean[far], variance[far])
    return np.asarray(np.maximum(_students(found, freedom), LEAST_P))


def fallen(x: Floats, mean: Floats) -> Mask:
    """Mark counts so low that the law of deaths applies, however much the rate varies."""
    return np.asarray((x < mean / FALLEN) & (mean > DEATH_MEAN))


def two_sided_mid_p(x: Floats, n: Floats, p: Floats) -> Floats:
    """Return the two-sided mid-p value of Binomial(n, p) at x, for real n and x."""
    x = np.clip(x, 0.0, n)
    above = x > n * p
    return _two_sided(_binomial(np.where(above, x, n - x), n, np.where(above, p, 1 - p)))


def _two_sided(tail: Floats) -> Floats:
    """The mid-p tails of both sides add up to 1, so one is enough to know both."""
    return np.asarray(2 * np.minimum(tail, 1 - tail))


def _exact(x: Floats, n: Floats, mean: Floats, variance: Floats) -> Floats:
    p = np.clip(mean / n, 1e-12, 1 - 1e-9)
    n_eff = mean * (1 - p) / variance * n
    found = np.maximum(_panjer(x, mean, variance), two_sided_mid_p(x / n * n_eff, n_eff, p))
    return np.minimum(found, _death(x, mean, variance, p))


def _binomial(x: Floats, n: Floats, p: Floats) -> Floats:
    """Return P(X > x) + P(X = x)/2: P(X ≥ x) = I_p(x, n − x + 1)."""
    at_least = np.where(x > 0, special.betainc(np.maximum(x, 1e-300), n - x + 1, p), 1.0)
    more = np.where(n - x > 0, special.betainc(x + 1, np.maximum(n - x, 1e-300), p), 0.0)
    return np.asarray((at_least + more) / 2)


def _panjer(x: Floats, mean: Floats, variance: Floats) -> Floats:
    """Return the two-sided mid-p value of the (a, b, 0) law with that mean and variance."""
    found = np.empty_like(mean)
    over = variance > mean * (1 + POISSON)
    found[over] = _negative_binomial(x[over], mean[over], variance[over])
    under = ~over
    p = np.clip(1 - variance[under] / mean[under], 1e-9, 1 - 1e-9)
    found[under] = two_sided_mid_p(x[under], mean[under] / p, p)
    return found


def _negative_binomial(x: Floats, mean: Floats, variance: Floats) -> Floats:
    """P(X ≥ x) = I_{1−M/V}(x, r), and P(X ≤ x) = I_{M/V}(r, x + 1)."""
    r, p, above = mean**2 / (variance - mean), mean / variance, x > mean
    share = np.where(above, 1 - p, p)

    def tail(y: Floats) -> Floats:
        return np.asarray(special.betainc(np.where(above, y, r), np.where(above, r, y), share))

    this = np.where(x > 0, tail(np.maximum(x, 1e-300)), np.where(above, 1.0, 0.0))
    return _two_sided((this + tail(x + 1)) / 2)


def _death(x: Floats, mean: Floats, variance: Floats, p: Floats) -> Floats:
    """Return twice the least of P(rate < m) + P(Poisson(m) ≤ x) over some m; 1 if not low."""
    found = np.ones_like(mean)
    spread = (variance - mean * (1 - p)) / mean**2
    low = (x < mean) & (spread > DEATH_SPREAD) & (mean > DEATH_MEAN)
    low[low] = special.gammaincc(x[low] + 1, mean[low]) < DEATH_P
    if not low.any():
        return found
    count, due = x[low][:, None], mean[low][:, None]
    sigma = np.sqrt(np.log1p(spread[low]))[:, None]
    least = np.maximum(count, 0.25)
    m = least * (due / least) ** np.linspace(0, 1, SPLITS)
    fewer = np.where(count > 0, special.gammaincc(np.maximum(count, 1e-9), m), 0.0)
    counting = (special.gammaincc(count + 1, m) + fewer) / 2
    rate = special.ndtr(np.log(m / due) / sigma + sigma / 2)
    found[low] = np.minimum(1.0, 2 * (rate + counting).min(axis=1))
    return found


def _students(p_value: Floats, freedom: Floats) -> Floats:
    """Return the p-values of the same z under Student's law."""
    freedom = np.broadcast_to(freedom, p_value.shape)
    heavier = (p_value < 2 * special.ndtr(-1.0)) & (freedom < NORMAL_FREEDOM)
    z = special.ndtri(np.clip(p_value[heavier] / 2, LEAST_P, 0.5))
    p_value[heavier] = 2 * special.stdtr(freedom[heavier], z)
    return p_value
