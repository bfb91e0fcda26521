"""Series that wander: they drift about without a level to return to, so no baseline fits for long.

The scan allows for noise that lasts, as far as the variance–time curve G reaches. Of a random walk
G(j) grows like j, and so do its excursions: each, in the end, is too far out for any law. A series
wanders where G still rises nearly like that at the longest sums:

    log₂ G(64)/G(32) ≥ .8   and   G(64) ≥ 8

Of AR(1) noise that exponent is .47 at φ = .95, .74 at .98 and .93 at .995; of noise with long
memory (hours, days and weeks) about .7. Curves are drawn towards those of other series, so a
series must also show it itself, by its own autocovariances. Only long baselines of series with an
event a window can tell; of the others it is not said.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.calibration.variance_time import VarianceTime
from tidegauge_probes.drift.scales import LONGEST

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

STILL_RISES: Final = 0.8
"""Exponent of the growth from 32 to 64 windows; 1 of a random walk, 0 of independent windows."""

FAR: Final = 8.0
"""G(64) from which it matters: the sd of a sum of 64 windows is nearly three times as large."""

PERSISTS: Final = 0.1
"""Mean of a series' own autocovariances at lags 1 to 8, at least: of independent windows it is 0,
with a standard error of .02 after two weeks of hours."""

ENOUGH: Final = 2 * LONGEST
"""Windows of calibration, at least."""


def wanders(curve: VarianceTime, persistence: Floats, events: Floats, windows: int) -> Mask:
    """Tell which series wander, bool [S].

    *persistence*: of each series' own windows (``variance_time.persistence``), [S]. *events*: rarer
    outcomes expected over all *windows* of the calibration, [S].
    """
    end, half = curve.growth[LONGEST], curve.growth[LONGEST // 2]
    rises = (np.log2(end / half) >= STILL_RISES) & (end >= FAR)
    itself = persistence >= PERSISTS
    return np.asarray(rises & itself & (events >= windows) & (windows >= ENOUGH))
