"""The variance–time curve: how the variance of a sum grows with the number of its windows.

Autocovariances of the *whole* standardised residual are fitted by a mixture of exponentials,
Σ a_m φ_m^k with a_m ≥ 0 (non-negative least squares, Lawson & Hanson 1974), which covers both long
memory and records that stay for days. A sum of j windows then varies by G(j) Σ s²,

    G(j) = 1 + Σ_m a_m (g_j(φ_m) − 1),   g_j(φ) = (1 + φ)/(1 − φ) − 2 φ (1 − φ^j)/(j (1 − φ)²)

Subtracting the mean of K windows makes autocovariances too small by g_K(φ)/K (Marriott & Pope
1954). The fit includes that; otherwise it would always underrate persistent noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.scales import LONGEST
from tidegauge_probes.lazy import LazyModule

optimize = LazyModule("scipy.optimize", extra="statistics")

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

PHIS: Final = np.array([0.3, 0.6, 0.8, 0.9, 0.95, 0.98, 0.995])

LAGS: Final = 63
NEAR: Final = 8
"""Number of lags whose mean says how persistent a series is, compared with others."""

BIAS: Final = 0.9
"""Share of the bias from the mean that is corrected: the cycles remove some of it already."""

OWN_LEAST: Final = 0.05
"""A series whose own curve would get less weight than this uses the pooled one."""

ERROR: Final = 1.5
"""How many times as much autocovariances vary by chance as Bartlett's formula says: cycles are
fitted, too, and the rarest counts are not normal."""

RIDGE: Final = 0.25
"""Spread of the shares of variance (mass times squared) that flattens the line through them."""

REACH: Final = 256
"""Number of lags in Bartlett's sum."""

COMPARABLE: Final = 4
"""Minimum number of large enough series for saying how much curves differ between series."""


@dataclass(frozen=True, eq=False)
class VarianceTime:
    """``weights``: a_m of each series, float64 [7, S]."""

    weights: Floats

    @classmethod
    def independent(cls, series: int) -> VarianceTime:
        """Return the curve of independent windows."""
        return cls(np.zeros((len(PHIS), series)))

    @cached_property
    def growth(self) -> Floats:
        """G(j), float64 [65, S], for 0 … 64 windows."""
        j = np.arange(LONGEST + 1)[:, None]
        beyond = (growth(PHIS, np.maximum(j, 1)) - 1) @ self.weights
        return np.asarray(1 + np.maximum(beyond, 0.0))

    def of_mean(self, windows: int) -> Floats:
        """Return G(K), [S]: beyond 64 windows it grows as from 32 to 64, up to three times 64."""
        end, half = self.growth[LONGEST], self.growth[LONGEST // 2]
        power = np.clip(np.log2(end / half), 0, 1)
        return np.asarray(end * min(windows / LONGEST, 3.0) ** power)


def growth(phi: Floats | float, j: Ints | int) -> Floats:
    """Return g_j(φ): how many times as much a mean of j windows varies with AR(1) noise."""
    return np.asarray((1 + phi) / (1 - phi) - 2 * phi * (1 - phi**j) / (j * (1 - phi) ** 2))


def fit(u: Floats, used: Mask, events: Floats, share: Floats) -> VarianceTime:
    """Fit the curve of each series.

    What a series says is shrunk towards what series of its kind say: the more of the variance lies
    between windows (*share*), the less comes from counting, which is mostly independent.

    Args:
        u: standardised residuals, [K, S]; 0 where not used.
        used: bool [K, S].
        events: expected, of the rarer outcome, [S]: rare series say little on their own.
        share: of the variance that does not come from counting, [S], 0 … 1.
    """
    windows, series = u.shape
    lags = min(LAGS, windows // 3)
    if lags < 1:
        return VarianceTime.independent(series)
    found = _autocovariances(u, used, lags)
    solve = _Exponentials(windows, lags)
    kind, typical = _by_kind(found, np.minimum(events / windows, 1.0), np.round(share, 2))
    known = np.array([solve(one) for one in typical.T]).T
    noise = np.array([_error(one, windows, min(NEAR, lags)) for one in known.T])[kind]
    own = _own_weight(found - typical[:, kind], events, windows, noise)
    weights = known[:, kind]
    for s in np.flatnonzero(own > OWN_LEAST):
        weights[:, s] = solve(own[s] * found[:, s] + (1 - own[s]) * typical[:, kind[s]])
    return VarianceTime(weights)


@dataclass(frozen=True)
class _Exponentials:
    """Non-negative least squares of autocovariances at lags 1 … *lags*, of *windows* windows."""

    windows: int
    lags: int

    def __call__(self, autocovariances: Floats) -> Floats:
        basis, root = self._basis
        return np.asarray(optimize.nnls(basis, autocovariances * root)[0])

    @cached_property
    def _basis(self) -> tuple[Floats, Floats]:
        k = np.arange(1, self.lags + 1)
        root = np.sqrt(self.windows - k)
        bias = BIAS * growth(PHIS, self.windows) / self.windows
        return (PHIS ** k[:, None] - bias) * root[:, None], root


def _by_kind(found: Floats, mass: Floats, share: Floats) -> tuple[Ints, Floats]:
    """Return the kind of each series, [S], and what each kind says, [lags, kinds].

    A kind has one *share*; what the kinds say is a straight line in it, fitted to all series,
    weighted by their *mass*.
    """
    kinds, kind = np.unique(share, return_inverse=True)
    total = max(float(mass.sum()), 1e-9)
    middle = float((mass * share).sum()) / total
    mean = (found * mass).sum(axis=1) / total
    apart = share - middle
    slope = (found * mass * apart).sum(axis=1) / (float((mass * apart**2).sum()) + RIDGE)
    return kind.astype(np.int64), mean[:, None] + slope[:, None] * (kinds - middle)


def _error(weights: Floats, windows: int, near: int) -> float:
    """Return the variance of the mean of C(1) … C(near), by Bartlett's formula (1946).

    For independent windows it is 1/(near · K). Persistent ones say much less about themselves.
    """
    lag = np.arange(REACH + 1)
    c = (weights[:, None] * PHIS[:, None] ** lag).sum(axis=0)
    c[0] = 1.0
    both = np.concatenate([c[:0:-1], c])
    # With S(h) = Σ_i c_i c_{i+h} and A_i = c_{i+1} + … + c_{i+near}, Σ_{k,l} [S(k − l) + S(k + l)]
    # is Σ_i A_i (A_i + A_{−i}).
    sums = np.convolve(both, np.ones(near), mode="valid")[near + 1 :]  # A_i, A_0 in the middle
    found = float((sums * (sums + sums[::-1])).sum()) / (near**2 * windows)
    return min(ERROR * found, 1.0)


def _autocovariances(u: Floats, used: Mask, lags: int) -> Floats:
    """Return C(1) … C(lags), [lags, S], as shares of a variance that is less than 1."""
    both = used.astype(np.float64)
    found = np.empty((lags + 1, u.shape[1]))
    for k in range(lags + 1):
        rest = len(u) - k
        pairs = np.einsum("ws,ws->s", both[:rest], both[k:])
        found[k] = np.einsum("ws,ws->s", u[:rest], u[k:]) / np.maximum(pairs, 1)
    return np.asarray(found[1:] / np.clip(found[0], 0.2, 1.0))


def _own_weight(apart: Floats, events: Floats, windows: int, noise: Floats) -> Floats:
    """Return how much each series' own autocovariances count, [S].

    *apart*: the same less those of its kind, [lags, S]; *noise*: their variance by chance, [S].
    """
    persistence = apart[: min(NEAR, len(apart))].mean(axis=0)
    telling = events >= windows
    if telling.sum() < COMPARABLE:
        telling = events >= np.sort(events)[-min(COMPARABLE, len(events))]
    chance = float(noise[telling].mean())
    between = max(float((persistence[telling] ** 2).mean()) - chance, 0.0)
    error = noise * windows / np.clip(events, 1e-3, windows)
    return np.asarray(between / (between + error))


def independent_series(u: Floats) -> float:
    """Return how many independent series would vary as much together: S² / Σ ρ², less chance."""
    windows, series = u.shape
    scaled = u / np.sqrt(np.maximum((u**2).sum(axis=0), 1e-300))
    # ‖UᵀU‖² = ‖UUᵀ‖²: use the smaller of the two products, since there may be 30,000 series.
    squares = float(((scaled @ scaled.T) ** 2).sum()) - float((scaled**2).sum())
    together = max(squares - series * (series - 1) / windows, 0.0)
    return float(series**2 / (series + together))
