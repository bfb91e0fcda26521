"""How often a level is exceeded that was hardly ever reached: peaks over a threshold.

Excesses over a high threshold u follow a generalised Pareto law, (1 + ξ d/σ)^(−1/ξ) (Pickands
1975; Coles 2001). With few of them, σ and ξ are uncertain, so the result is the posterior mean over
a grid of both: little data means a heavier tail, and so less power, not more false alarms.

Peaks may come in clusters, as in an all-or-nothing series, and no single law fits two clusters. So
the tail is never lighter than what was seen: from each level that was exceeded five times or more,
it falls by a factor of e per nat, as honest evidence does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEAST_PEAKS: Final = 20
"""Minimum number of peaks; with fewer, nothing is fitted."""

LEAST_LEVEL: Final = 1.0
"""Nats. Lower bound of the threshold."""

LEAST_HEAP: Final = 5
"""Number of peaks beyond a level from which it is certain to be reached again."""

SIGMAS: Final = np.exp(np.linspace(np.log(0.5), np.log(8.0), 30))[:, None]
SHAPES: Final = np.linspace(0.0, 1.2, 25)[None, :]
SIGMA_SPREAD: Final = 0.2
"""Prior sd of ln σ: p-values that are right have σ = 1."""

REACH: Final = 120.0
STEPS: Final = 241
DISTANCES: Final = REACH * np.linspace(0, 1, STEPS) ** 2
"""Nats beyond the threshold at which the law is tabulated, denser where it matters."""


@dataclass(frozen=True, eq=False)
class Exceedance:
    """``level``: u, in nats. ``rate``: exceedances of u per unit of exposure.

    ``log_survival``: ln P(excess > d | excess > 0) at DISTANCES, float64 [241].
    """

    level: float
    rate: float
    log_survival: Floats

    def log_rate(self, evidence: Floats) -> Floats:
        """Return ln of how often *evidence* is exceeded; at most as often as the threshold is."""
        beyond = np.interp(evidence - self.level, DISTANCES, self.log_survival)
        return np.asarray(np.log(self.rate) + beyond)


def fit(peaks: Floats, exposure: float, heaviness: float) -> Exceedance | None:
    """Fit the law of *peaks*, [N], one per possible episode; None if they are fewer than 20.

    *exposure*: series × windows that they come from. *heaviness*: prior mean of ξ.
    """
    if len(peaks) < LEAST_PEAKS:
        return None
    share = max(0.03, min(0.15, 60 / len(peaks)))
    wanted = min(int(np.clip(share * len(peaks), 15, 300)), len(peaks) - 1)
    level = max(float(np.sort(peaks)[-wanted - 1]), LEAST_LEVEL)
    excess = peaks[peaks > level] - level
    return Exceedance(level, (len(excess) + 0.5) / exposure, _log_survival(excess, heaviness))


def _log_survival(excess: Floats, heaviness: float) -> Floats:
    posterior = -0.5 * (np.log(SIGMAS) / SIGMA_SPREAD) ** 2 - SHAPES / heaviness
    for some in np.array_split(excess, max(len(excess) // 64, 1)):
        posterior = posterior + _log_density(some).sum(axis=-1)
    weight = np.exp(posterior - posterior.max())
    survival = np.exp(_log_tail(DISTANCES))
    mean = (survival * (weight / weight.sum())[..., None]).sum(axis=(0, 1))
    return np.asarray(np.log(np.maximum(np.maximum(mean, _seen(excess)), 1e-290)))


def _seen(excess: Floats) -> Floats:
    """Return the share of *excess* beyond DISTANCES, continued by e⁻¹ per nat, [241]."""
    highest = np.sort(excess)[::-1]
    beyond = (highest[:, None] > DISTANCES).sum(axis=0)
    counted = np.where(beyond >= LEAST_HEAP, beyond, 0) / max(len(excess), 1)
    levels, share = highest[LEAST_HEAP - 1 :], np.arange(LEAST_HEAP, len(excess) + 1)
    drop = DISTANCES - levels[:, None]
    from_levels = np.where(drop >= 0, np.exp(-np.maximum(drop, 0)), 0.0)
    continued = from_levels * (share / max(len(excess), 1))[:, None]
    return np.asarray(np.maximum(counted, continued.max(axis=0, initial=0.0)))


def _log_density(excess: Floats) -> Floats:
    sigma = SIGMAS[..., None]
    return np.asarray(_log_tail(excess) - np.log(sigma) - np.log1p(_stretched(excess)))


def _log_tail(excess: Floats) -> Floats:
    """Return ln P(excess > d), [σ, ξ, d]; the limit ξ → 0 is exponential."""
    shape = np.broadcast_to(SHAPES[..., None], (len(SIGMAS), SHAPES.shape[1], 1))
    heavy = -np.log1p(_stretched(excess)) / np.maximum(shape, 1e-9)
    return np.where(shape > 0, heavy, -excess / SIGMAS[..., None])


def _stretched(excess: Floats) -> Floats:
    return np.asarray(SHAPES[..., None] * excess / SIGMAS[..., None])
