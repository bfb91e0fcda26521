"""Training/serving skew: what of the training data was never like the live traffic.

Drift is a change since the model went live; skew was there on its first day, and has other causes:
training data of other sources, another time, another preparation. So the two are told apart, and
skew is tested once, when enough live windows are known to say how much is normal there.
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
"""Maximum share of the named series that are expected to be false (false-discovery rate)."""

_NO_TIME: Final = 0


def compare(training: Baseline, live: Baseline) -> tuple[Skew, ...]:
    """Return the series in which they differ, the surest first.

    The training data are taken for one window of the live traffic, of any time of day: if such a
    window would be out of the ordinary there (two-sided mid-p, Benjamini–Hochberg over the
    series; |Δ logit p| ≥ 0.10), they are of another kind. That supposes them to be as restless
    as one live window, which is cautious: their own restlessness is mostly unknown.

    Worked example: 5 % of 20,000 training records, 10 % of the live ones, whose windows vary
    with τ = 0.1. The odds ratio is 2.1, log 0.75, and 0.1 explains no more than 0.4 of it.
    """
    if training.total.distinct is None:
        live = live.of_records
    calibration = replace(live.calibration, season=NO_SEASON)
    x, n = live.tested(training.total)
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
