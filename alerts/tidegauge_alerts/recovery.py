"""How far back at its baseline a shifted series is: a CUSUM of log-likelihood ratios.

Page, E. S. (1954), Continuous inspection schemes, Biometrika 41:100-115; turned around: the
hypothesis that must gather evidence is the baseline, the one to leave is the shift at onset.
"""

from __future__ import annotations

import math
from typing import Final

from tidegauge_alerts.model import finite
from tidegauge_probes.findings import Finding

EDGE: Final = 1e-9
"""Rates stay this far inside 0…1, so that a logarithm is always finite."""


def shift_rate(finding: Finding) -> float:
    """Return the shifted rate, pulled inside 0…1 by half a record (Krichevsky-Trofimov).

    It is that of the windows the shift was seen in; of the window alone if that is not known.

    An LF that is silent at onset is thus shifted *to a low rate*, not to impossibility: one
    stray vote afterwards is no proof of recovery. Without a figure, 0.5.
    """
    observed = finite(finding.share if finding.scale > 1 else finding.observed)
    size = _size(finding)
    if observed is None or size <= 0:
        return 0.5
    return _inside((observed * size + 0.5) / (size + 1))


def recovery_step(finding: Finding, shift: float, clip: tuple[float, float]) -> float:
    """Return the nats by which a window speaks for the baseline (+) or for *shift* (-), clipped.

    With r = x/n, p0 the expected rate and p1 the shift::

        n_eff · (r·ln(p0/p1) + (1 - r)·ln((1 - p0)/(1 - p1)))

    The effective sample size keeps a busy stream from being sure of what varies anyway. 0 where
    there is nothing to compare.

    >>> from tidegauge_probes.findings import SeriesKey, SeriesKind, Verdict
    >>> key = SeriesKey(SeriesKind.COVERAGE, probe="check_out")
    >>> back = Finding(key, 0, 80, 1000, Verdict.OK, expected=0.08, n_eff=500.0)
    >>> recovery_step(back, 0.004, (-4.0, 2.0)), round(recovery_step(back, 0.004, (-99, 99)), 1)
    (2.0, 83.3)
    """
    expected = finite(finding.expected)
    size = _size(finding)
    if expected is None or finding.n <= 0 or size <= 0:
        return 0.0
    rate, p0, p1 = finding.x / finding.n, _inside(expected), _inside(shift)
    # One product, not the difference of two: for a huge n_eff that would be inf - inf.
    step = size * (rate * math.log(p0 / p1) + (1 - rate) * math.log((1 - p0) / (1 - p1)))
    low, high = clip
    return min(max(step, low), high)


def _size(finding: Finding) -> float:
    size = finite(finding.n_eff)
    return float(finding.n) if size is None else size


def _inside(rate: float) -> float:
    return min(max(rate, EDGE), 1 - EDGE)
