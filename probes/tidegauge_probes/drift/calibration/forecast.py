"""False incidents to expect: what the detector would have opened in its own calibration.

Windows are held back in turn: each stretch is compared with what the others teach, by the same
test as live windows. No calibration is long enough to show one false incident in a quarter of a
year, so the rate at the budget's level is extrapolated from lower levels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.calibration import generalised_pareto
from tidegauge_probes.drift.calibration.generalised_pareto import Exceedance

Floats = npt.NDArray[np.float64]

SEEN: Final = 5
"""If this many incidents were seen at a level, they are counted; otherwise extrapolated."""

HEAVINESS: Final = 5.0
"""Prior mean of ξ, times the number of windows: the fewer there are, the less has been seen."""

APART: Final = 8
"""A series opens an incident where its evidence is the largest within this many windows."""


@dataclass(frozen=True, eq=False)
class Forecast:
    """``peaks``: evidence of each possible incident in nats, [N], out of *windows* windows."""

    peaks: Floats
    windows: int

    def per_window(self, alpha: float) -> float | None:
        """Return the expected incidents per window if one is opened at the level *alpha*.

        None if there are no windows to tell from.
        """
        if not self.windows:
            return None
        evidence = -math.log(alpha) if alpha > 0 else math.inf
        seen = int((self.peaks > evidence).sum())
        law = self._law
        if seen >= SEEN or law is None or evidence <= law.level:
            return (seen + 0.5) / self.windows
        return math.exp(float(law.log_rate(np.array(evidence))))

    @cached_property
    def _law(self) -> Exceedance | None:
        return generalised_pareto.fit(self.peaks, float(self.windows), HEAVINESS / self.windows)


NO_FORECAST: Final = Forecast(np.zeros(0), 0)


def incidents(evidence: Floats) -> Floats:
    """Return the peaks of possible incidents, at most one per window, from evidence [K, S].

    Series that peak in the same window are one incident. Evidence is relative to the level of the
    stream, so that a peak above −ln α opens at α.
    """
    most = evidence.copy()
    for lag in range(1, min(APART, len(evidence))):
        most[lag:] = np.maximum(most[lag:], evidence[:-lag])
        most[:-lag] = np.maximum(most[:-lag], evidence[lag:])
    peaks = np.where((evidence >= most) & np.isfinite(evidence), evidence, -np.inf)
    highest = peaks.max(axis=1, initial=-np.inf)
    return np.asarray(highest[np.isfinite(highest)])
