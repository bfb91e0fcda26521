"""How far back at its baseline a shifted series is: a CUSUM of log-likelihood ratios.

Page, E. S. (1954), Continuous inspection schemes, Biometrika 41:100-115; turned around: the
hypothesis that must gather evidence is the baseline, the one to leave is the shift at onset.
"""

from __future__ import annotations

import math
from typing import Final

from tidegauge_alerts.model import finite
from tidegauge_probes.findings import Finding

EDGE: Final = 1e-12
"""Rates stay this far inside 0…1, as they do in the scan, so that a logarithm is always finite."""

MOST: Final = 60.0
"""Log odds beyond which a rate is 0 or 1."""

LEAST: Final = 0.1
"""A smaller shift would take forever to recover from; the scan reports none."""

UNKNOWN: Final = math.log(2)
"""The shift assumed for a finding without figures."""


def log_odds_shift(finding: Finding) -> float:
    """Return how far the series is off what is expected of it: the logarithm of the odds ratio.

    On this scale a shift stays what it is while the expected rate goes through its day. An LF
    that is silent at onset is shifted far, not infinitely far (the odds are smoothed by half a
    record): one stray vote afterwards is no proof of recovery.
    """
    odds = finite(finding.effect)
    shift = math.log(odds) if odds is not None and odds > 0 else UNKNOWN
    return math.copysign(max(abs(shift), LEAST), shift)


def recovery_step(finding: Finding, shift: float, clip: tuple[float, float]) -> float:
    """Return the nats by which a window speaks for the baseline (+) or for the shift (-), clipped.

    With r = x/n, p0 the expected rate and p1 the rate as far off it as at onset (*shift*, in log
    odds)::

        n_eff · (r·ln(p0/p1) + (1 - r)·ln((1 - p0)/(1 - p1)))

    The effective sample size keeps a busy stream from being sure of what varies anyway. 0 where
    there is nothing to compare. A window that is itself off the baseline never speaks for it,
    however far the shift was at onset: half of the traffic is nearer to all of it than to none.

    >>> from tidegauge_probes.findings import SeriesKey, SeriesKind, Verdict
    >>> key = SeriesKey(SeriesKind.COVERAGE, probe="check_out")
    >>> back = Finding(key, 0, 80, 1000, Verdict.OK, expected=0.08, n_eff=500.0)
    >>> recovery_step(back, -3.0, (-4.0, 2.0)), round(recovery_step(back, -3.0, (-99, 99)), 1)
    (2.0, 80.5)
    """
    finding = finding.tested
    expected = finite(finding.expected)
    size = size_of(finding)
    if expected is None or finding.n <= 0 or size <= 0:
        return 0.0
    rate, p0 = finding.x / finding.n, inside(expected)
    p1 = moved(p0, shift)
    # One product, not the difference of two: for a huge n_eff that would be inf - inf.
    step = size * (rate * math.log(p0 / p1) + (1 - rate) * math.log((1 - p0) / (1 - p1)))
    low, high = clip
    return min(max(step, low), 0.0 if is_still_off(finding, shift) else high)


def is_still_off(finding: Finding, shift: float) -> bool:
    """Whether the window alone is beyond the baseline's band, on the side of the shift."""
    observed = finite(finding.observed)
    edge = finite(finding.high if shift > 0 else finding.low)
    if observed is None or edge is None:
        return False
    return observed > edge if shift > 0 else observed < edge


def size_of(finding: Finding) -> float:
    """Return the effective sample size of a window."""
    size = finite(finding.n_eff)
    return float(finding.n) if size is None else size


def moved(rate: float, shift: float) -> float:
    """Return the rate whose log odds are *shift* off those of *rate*."""
    odds = math.log(rate / (1 - rate)) + shift
    return inside(1 / (1 + math.exp(min(max(-odds, -MOST), MOST))))


def inside(rate: float) -> float:
    """Return a rate that a logarithm can take."""
    return min(max(rate, EDGE), 1 - EDGE)
