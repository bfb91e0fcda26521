"""All sums of j consecutive windows, tested the way the live scan tests the newest.

A calibration window's contribution to its own expected value is taken out: residuals are divided
by 1 − h, with h = N/N₀ for the mean, and by 1 − half of the season's leverage.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift import tail_law
from tidegauge_probes.drift.calibration import noise
from tidegauge_probes.drift.calibration.variance_time import VarianceTime
from tidegauge_probes.drift.calibration.windows import CalibrationWindows, SeriesLevel
from tidegauge_probes.drift.scales import (
    LEAST_FREEDOM,
    LONGEST,
    MIN_LOGIT,
    MIN_RECORDS,
    MIN_VOTES,
    price,
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_OWN: Final = 0.5
"""Maximum share of the mean that a sum is assumed to have contributed itself."""


NEAR_Z: Final = 1.5
"""A sum within this many standard deviations has no evidence, 0 nats; no p-value is computed."""


@dataclass(frozen=True, eq=False)
class Sums:
    """Windows and what is expected of them; most of the parts are described in ``Calibration``.

    ``level.expected``: [K, S], for these windows. ``learned_from``: N₀, [S], and ``pull``, [K, S],
    for windows that the level was learned from; infinity and 0 for others.
    """

    calibrated: CalibrationWindows
    level: SeriesLevel
    tau2: Floats
    error: Floats
    curve: VarianceTime
    freedom: float
    learned_from: Floats
    pull: Floats

    @property
    def shape(self) -> tuple[int, int]:
        """Windows K and series S."""
        return self.calibrated.shape

    @property
    def windows(self) -> Ints:
        """Windows that are used, [S]."""
        return np.asarray(self.calibrated.used.sum(axis=0))

    @property
    def events(self) -> Floats:
        """Rarer outcomes expected over all windows, [S]."""
        return np.asarray(self._due.sum(axis=0))

    def evidence(self, j: int) -> Floats:
        """Return −ln(price · p) of all sums of *j* windows, [K − j + 1, S]; −∞ if not compared."""
        size, due = _sums(self.calibrated.size, j), _sums(self._due, j)
        own = np.minimum(size / np.maximum(self.learned_from, 1.0), MOST_OWN)
        off = _sums(self._wild if j == 1 else self._clipped, j) / (1 - own)
        growth = self.curve.growth[j]
        variance = growth * (_sums(self._variance, j) + _sums(self._season, j))
        variance = np.maximum(variance + due**2 * self.error / (1 - own), 1e-12)
        seen = np.maximum(due + off, 0.0)
        enough = (due * LONGEST >= MIN_VOTES * j) | (seen >= MIN_VOTES)
        worth = np.abs(np.log((seen + 0.5) / (due + 0.5))) > MIN_LOGIT
        tested = enough & worth & (size >= MIN_RECORDS) & (due > 0)
        found = np.where(tested, 0.0, -np.inf)
        near = np.abs(seen - due) < NEAR_Z * np.sqrt(variance)
        far = tested & (~near | tail_law.fallen(seen, due))
        freedom = np.full(int(far.sum()), max(self.freedom / j, LEAST_FREEDOM))
        p_value = tail_law.p_values(seen[far], size[far], due[far], variance[far], freedom)
        found[far] = -np.log(p_value * price(np.array(j)))
        return found

    @cached_property
    def _shares(self) -> Floats:
        return np.where(self.level.flip, 1 - self.level.expected, self.level.expected)

    @cached_property
    def _due(self) -> Floats:
        return self.calibrated.size * self._shares

    @cached_property
    def _variance(self) -> Floats:
        whole = noise.variance(self.calibrated.n, self._shares, self.tau2)
        return np.where(self.calibrated.used, whole, 0.0)

    @cached_property
    def _season(self) -> Floats:
        """Variance that the error of the season adds to the count of one window."""
        of_logit = self.level.season.variance(self.calibrated.starts, self.shape[1])
        return np.asarray((self._due * (1 - self._shares)) ** 2 * of_logit)

    @cached_property
    def _wild(self) -> Floats:
        of = self.calibrated
        y = np.where(self.level.flip, of.n - of.x, of.x)
        off = (y - of.n * self._shares) / np.maximum(1 - self.pull / 2, 0.5)
        return np.where(of.used, off, 0.0)

    @cached_property
    def _clipped(self) -> Floats:
        return noise.winsorised(self._wild, self._variance)


def _sums(values: Floats, j: int) -> Floats:
    """Return sums over *j* consecutive rows, [K − j + 1, S]."""
    if j == 1:
        return values
    total = np.vstack([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    return np.asarray(total[j:] - total[:-j])
