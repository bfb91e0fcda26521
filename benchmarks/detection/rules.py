"""Textbook rules on the same counts: thin, and named for what they are.

Each gives a score [W, S] for every window, from the calibration windows and the windows so far;
alarms are scores above a threshold. ``TEXTBOOK`` has the thresholds that books and tools use.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from benchmarks.detection.traffic import Floats, Traffic

Score = Callable[[Traffic, Traffic], Floats]
LONGEST: Final = 64


@dataclass(frozen=True)
class Rule:
    """A score and the threshold it usually has."""

    score: Score
    threshold: float


def shares(traffic: Traffic) -> Floats:
    """Return x/n, NaN without records."""
    with np.errstate(invalid="ignore"):
        return np.asarray(traffic.x / np.where(traffic.n > 0, traffic.n, np.nan))


def _expected(history: Traffic) -> Floats:
    """Return each series' share over all calibration windows; never quite 0 or 1."""
    return np.asarray((history.x.sum(axis=0) + 0.5) / (history.n.sum(axis=0) + 1))


def z_test(history: Traffic, live: Traffic) -> Floats:
    """Return -log10 p of the two-sample z-test (χ² of the 2 by 2 table) against the baseline."""
    x0, n0 = history.x.sum(axis=0), history.n.sum(axis=0)
    pooled = (live.x + x0) / (live.n + n0)
    error = np.sqrt(pooled * (1 - pooled) * (1 / np.maximum(live.n, 1) + 1 / n0))
    z = (np.nan_to_num(shares(live)) - x0 / n0) / np.maximum(error, 1e-12)
    score = -(special.log_ndtr(-np.abs(z)) + math.log(2)) / math.log(10)
    return np.asarray(np.where(live.n > 0, score, 0.0))


def standardised(history: Traffic, live: Traffic) -> Floats:
    """Return how many standard deviations of the calibration windows' shares a share is off."""
    before = shares(history)
    spread = np.maximum(np.nanstd(before, axis=0, ddof=1), 1e-12)
    return np.asarray(np.nan_to_num((shares(live) - np.nanmean(before, axis=0)) / spread))


def three_sigma(history: Traffic, live: Traffic) -> Floats:
    """Return |x/n - mean| in standard deviations of the calibration windows (Shewhart)."""
    return np.abs(standardised(history, live))


def jensen_shannon(history: Traffic, live: Traffic) -> Floats:
    """Return the Jensen-Shannon distance (base 2) of votes and abstains to the baseline's."""
    p, q = _expected(history), shares(live)
    middle = (p + q) / 2
    divergence = sum(
        special.rel_entr(a, m) + special.rel_entr(1 - a, 1 - m)
        for a, m in ((p, middle), (q, middle))
    )
    return np.asarray(np.sqrt(np.maximum(np.nan_to_num(divergence), 0) / (2 * math.log(2))))


def psi(history: Traffic, live: Traffic) -> Floats:
    """Return the population stability index of votes and abstains."""
    p, q = _expected(history), np.clip(shares(live), 1e-4, 1 - 1e-4)
    index = (q - p) * np.log(q / p) + (p - q) * np.log((1 - q) / (1 - p))
    return np.asarray(np.nan_to_num(index))


def cusum(history: Traffic, live: Traffic, slack: float = 0.5) -> Floats:
    """Return the larger of both one-sided CUSUMs of standardised shares (Page 1954)."""
    z = standardised(history, live)
    scores = np.zeros_like(z)
    up, down = np.zeros(z.shape[1]), np.zeros(z.shape[1])
    for w, step in enumerate(z):
        up, down = np.maximum(0, up + step - slack), np.maximum(0, down - step - slack)
        scores[w] = np.maximum(up, down)
    return scores


def glr(history: Traffic, live: Traffic) -> Floats:
    """Return the generalised likelihood ratio of a shifted mean, in nats (Lorden 1971)."""
    sums = np.vstack([np.zeros(live.x.shape[1]), standardised(history, live).cumsum(axis=0)])
    scores = np.zeros(live.x.shape)
    for j in range(1, min(LONGEST, len(live)) + 1):
        of_j = (sums[j:] - sums[:-j]) ** 2 / (2 * j)
        scores[j - 1 :] = np.maximum(scores[j - 1 :], of_j)
    return scores


SERIES: Final = 30
TEXTBOOK: Final[Mapping[str, Rule]] = {
    "z / χ² p < .05": Rule(z_test, -math.log10(0.05)),
    "Bonferroni .05/m": Rule(z_test, -math.log10(0.05 / SERIES)),
    "mean ± 3 SD": Rule(three_sigma, 3.0),
    "Jensen–Shannon ≥ .1": Rule(jensen_shannon, 0.1),
    "PSI ≥ .2": Rule(psi, 0.2),
    "CUSUM k = .5, h = 5": Rule(cusum, 5.0),
    # One false signal of any of 30 series in 1,000 windows asks for ln(30,000) nats (Lai 1995).
    "GLR, ln(1000 m)": Rule(glr, math.log(1000 * SERIES)),
}
