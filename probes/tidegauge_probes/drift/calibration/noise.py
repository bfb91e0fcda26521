"""How much each series varies from window to window beyond counting: τ², the variance of logit p.

Everything refers to the *rarer* outcome: y of n, expected share e ≤ ½ (``oriented``). A window has

    s² = n e (1 − e) + n (n − 1) e² (1 − e)² τ²

(Williams 1982). Wild windows would otherwise decide τ² and the mean alone, so residuals are
winsorised (Huber 1964): beyond 4 s they count as 4 s. Counts are skewed, their square roots are
not: (√μ + 2)² = μ + 4 √μ + 4, hence the constant 4 above. In the rarest series, four events count
in full.

A single series says little about its τ², so each is shrunk towards the others as far as they are
alike; one that clearly differs is believed (limited translation, Efron & Morris 1972). Half a
posterior standard deviation is added for caution.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

FLOOR_TAU: Final = 0.03
"""Lower bound of the between-window sd of logit p: no stream repeats itself exactly."""

CLIP: Final = 4.0
"""Maximum standard deviations that a window counts for."""

PRIOR_CV: Final = 0.5
"""Lower bound of the coefficient of variation between single series and the pooled variance."""

BELIEVED: Final = 3.0
"""Standard errors from the pooled τ² beyond which a series is not shrunk towards it."""

UNKNOWN: Final = 1e12
"""Variance of a τ² about which nothing is known."""


def oriented(x: Floats, n: Floats, expected: Floats, flip: Mask) -> tuple[Floats, Floats]:
    """Return y and e of the rarer outcome: where *flip*, n − x and 1 − p."""
    return np.where(flip, n - x, x), np.where(flip, 1 - expected, expected)


def variance(n: Floats, e: Floats, tau2: Floats | float) -> Floats:
    """Return s², the variance of the count in windows of *n* records."""
    spread = e * (1 - e)
    return np.asarray(np.maximum(n * spread + n * np.maximum(n - 1, 0) * spread**2 * tau2, 1e-12))


def winsorised(residuals: Floats, variances: Floats) -> Floats:
    """Return residuals of counts, limited to 4 standard deviations (plus 4 above).

    >>> winsorised(np.array([-50.0, 3.0, 50.0]), np.array([25.0, 0.01, 25.0])).tolist()
    [-20.0, 3.0, 24.0]
    """
    most = CLIP * np.sqrt(variances)
    return np.asarray(np.clip(residuals, -most, most + CLIP**2 / 4))


def tau2_of(residuals: Floats, size: Floats, e: Floats, free: Floats) -> Floats:
    """Return τ² of each series, [S].

    Args:
        residuals: y − n e, winsorised, [K, S]; 0 where a window is not used.
        size: n, 0 where a window is not used.
        e: the expected shares.
        free: 1 less the window's pull on its own expected value.
    """
    spread = e * (1 - e)
    between = (size * np.maximum(size - 1, 0) * spread**2).sum(axis=0)
    counting = (size * spread).sum(axis=0)
    usable = between > 0
    safe = np.where(usable, between, 1.0)
    raw = np.where(usable, ((residuals**2 / free).sum(axis=0) - counting) / safe, 0.0)

    def error(tau2: Floats | float) -> Floats:
        """Variance of the moment estimate; *counting* is the kurtosis of counts."""
        squares = np.where(size > 0, variance(size, e, tau2), 0.0) ** 2
        found = (2 * squares.sum(axis=0) + counting) / safe**2
        return np.asarray(np.where(usable, np.clip(found, 1e-24, UNKNOWN), UNKNOWN))

    pooled, noise = FLOOR_TAU**2, error(FLOOR_TAU**2)
    for again in range(3):
        noise = error(pooled) if again else noise
        pooled = max(float((raw / noise).sum() / (1 / noise).sum()), FLOOR_TAU**2)
    apart = (raw - pooled) ** 2
    # The variance between series that their estimation errors do not explain.
    alike = max(float(np.clip(apart / noise - 1, -1, 8).sum() / (1 / noise).sum()), 0.0)
    prior = np.full(len(raw), max((PRIOR_CV * pooled) ** 2, alike if len(raw) > 3 else 0.0))  # noqa: PLR2004
    differs = raw - pooled > BELIEVED * np.sqrt(noise)
    prior = np.where(differs, np.maximum(prior, apart), prior)
    noise = np.where(differs, error(np.maximum(raw, pooled)), noise)
    precision = 1 / noise + 1 / prior
    mean = (raw / noise + pooled / prior) / precision
    return np.asarray(np.maximum(mean + 0.5 / np.sqrt(precision), FLOOR_TAU**2))
