"""Training/serving skew: how the training data always differed from live traffic.

Drift is a change since the model went live. Skew was there on the first day, and has other causes:
training data from other sources, from another time, or prepared differently. So the two are kept
apart, and skew is tested once, when enough live windows show how much variation is normal.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.scan import Past, scan
from tidegauge_probes.drift.season import NO_SEASON
from tidegauge_probes.drift.significance import off
from tidegauge_probes.findings import Skew

FALSE_SHARE: Final = 0.01
"""Maximum expected share of false series among those named (false-discovery rate)."""

_NO_TIME: Final = 0


def compare(training: Baseline, live: Baseline) -> tuple[Skew, ...]:
    """Return the series in which they differ, the most certain first.

    The training data are treated as one window of the live traffic, at any time of day: if such a
    window would be out of the ordinary there (two-sided mid-p, Benjamini–Hochberg over the
    series; |Δ logit p| ≥ 0.10), the training data differ. This assumes that they vary as much as
    one live window, which is cautious: how much they really vary is mostly unknown.

    Worked example: 5 % of 20,000 training records and 10 % of the live ones, whose windows vary
    with τ = 0.1. The odds ratio is 2.1, its logarithm 0.75, of which 0.1 explains at most 0.4.
    """
    if training.total.distinct is None:
        live = live.of_records
    calibration = replace(live.calibration, season=NO_SEASON)
    x, n = live.tested(training.total, whole=False)
    found = scan(_NO_TIME, x, n, Past.none(len(x)), calibration)
    skewed = off(found.p_value, found.worth, found.enough, FALSE_SHARE)
    order = sorted(np.flatnonzero(skewed), key=lambda s: -abs(found.rank[s]))
    return tuple(
        Skew(
            live.keys[s],
            trained=float(x[s] / n[s]),
            live=float(calibration.p[s]),
            effect=float(1 / found.effect[s]),
            p_value=float(found.p_value[s]),
        )
        for s in order
    )
