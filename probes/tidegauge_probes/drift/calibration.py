"""What a baseline says of each series: where it lies, how it swings, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.season import NO_SEASON, Season, SeasonCounts

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Calibration:
    """What comparing needs to know of each series, float64 [S] each.

    ``p``: share expected, on average over the cycles; ``tau2``: variance of logit p between
    windows; ``se2``: variance of the estimate of logit p itself; ``n``: records (or votes) behind
    it; ``phi``: pooled lag-1 autocorrelation of the part that varies between windows;
    ``season``: the daily and weekly cycles around p.
    """

    p: Floats
    tau2: Floats
    se2: Floats
    n: Floats
    phi: float
    learning: bool
    season: Season = NO_SEASON

    def expected(self, starts: Ints, came: SeasonCounts | None = None) -> Floats:
        """Return the shares to expect in windows that start then, float64 [W, S].

        *came*: what they hold, which on a holiday tells a weekday from a Sunday.
        """
        return self.season.expected(self.p, starts, came)

    def season_variance(self, starts: Ints) -> Floats:
        """Return the variance of the expected logit that comes from the cycles, float64 [W, S]."""
        return self.season.variance(starts, len(self.p))
