"""False incidents to expect: what the detector would have opened in its own calibration.

The windows are held back in turn: a stretch of them is compared with what the others teach, by the
very test that live windows meet. No calibration is long enough to see one false incident in a
quarter of a year, so the rate at the budget's level is extrapolated from lower ones.
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
"""Incidents that were seen at a level are counted; of fewer the rate is extrapolated."""

HEAVINESS: Final = 5.0
"""Prior mean of ξ times the windows: fewer of them have seen less of what may come."""

APART: Final = 8
"""A series opens an incident where its evidence is the greatest in so many windows around."""


@dataclass(frozen=True, eq=False)
class Forecast:
    """``peaks``: evidence of each possible incident in nats, [N], of *windows* windows."""

    peaks: Floats
    windows: int

    def per_window(self, alpha: float) -> float | None:
        """Return the incidents to expect a window where one is opened at the level *alpha*.

        None where there were no windows to tell.
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
    """Return the peaks of possible incidents, at most one a window, from evidence [K, S].

    Series that peak in the same window are one incident. Their evidence is relative to the level
    of the stream, so that one that exceeds −ln α opens at α.
    """
    most = evidence.copy()
    for lag in range(1, min(APART, len(evidence))):
        most[lag:] = np.maximum(most[lag:], evidence[:-lag])
        most[:-lag] = np.maximum(most[:-lag], evidence[lag:])
    peaks = np.where((evidence >= most) & np.isfinite(evidence), evidence, -np.inf)
    highest = peaks.max(axis=1, initial=-np.inf)
    return np.asarray(highest[np.isfinite(highest)])
