"""What is known about a stream after calibration. Frozen values with little computation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.calibration.tails import TailMaps
from tidegauge_probes.drift.calibration.variance_time import VarianceTime
from tidegauge_probes.drift.scales import LEAST_FREEDOM
from tidegauge_probes.drift.season import NO_SEASON, Season, SeasonCounts
from tidegauge_probes.drift.series.margins import NO_MARGINS, Margins

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Calibration:
    """What a comparison needs to know about each series, float64 [S] each.

    ``p``: expected share, averaged over the cycles; ``tau2``: variance of logit p between windows;
    ``error``: relative variance of the expected share of the *rarer* outcome; ``n``: records (or
    votes) behind it; ``curve``: how the variance of sums grows; ``season``: the daily and weekly
    cycles around p. ``freedom``: degrees of freedom of one window (windows × series that vary
    independently), [S] or for all series; ``tails``: how far out sums got in the calibration
    itself; ``wanders``: series without a level to return to, bool [S] (``random_walk``);
    ``left_out``: stretches treated as incidents, [from, until) in epoch ms. ``margins``: which
    series are pairs, and which are the coverages of their LFs.
    """

    p: Floats
    tau2: Floats
    error: Floats
    n: Floats
    learning: bool
    curve: VarianceTime
    wanders: Mask
    season: Season = NO_SEASON
    freedom: Floats | float = math.inf
    tails: TailMaps | None = None
    left_out: tuple[tuple[int, int], ...] = ()
    margins: Margins = NO_MARGINS
    unknown: Floats | float = 0.0
    """The part of ``error`` that no calibration window can have shown: [S], or of all series."""

    @property
    def flip(self) -> Mask:
        """Series whose rarer outcome is "not x", bool [S]."""
        return np.asarray(self.p > 0.5)  # noqa: PLR2004

    @property
    def se2(self) -> Floats:
        """Variance of the estimate of logit p, [S]."""
        return np.asarray(self.error / np.maximum(self.p, 1 - self.p) ** 2)

    def expected(self, starts: Ints, came: SeasonCounts | None = None) -> Floats:
        """Return the expected shares in windows with these starts, float64 [W, S].

        *came*: what the windows contain, which on a holiday tells a weekday from a Sunday.
        """
        return self.season.expected(self.p, starts, came)

    def season_variance(self, starts: Ints) -> Floats:
        """Return the variance of the expected logit that comes from the cycles, float64 [W, S]."""
        return self.season.variance(starts, len(self.p))

    def freedom_of(self, windows: Ints) -> Floats:
        """Return the degrees of freedom for testing sums of this many windows, [J, S]."""
        return np.asarray(np.maximum(self.freedom / np.maximum(windows, 1), LEAST_FREEDOM))

    def select(self, series: Ints) -> Calibration:
        """Return what is known of some series, in this order; one may come twice.

        Pairs are then compared with their own baseline alone: their LFs may not be among them.
        """
        tails = self.tails
        return replace(
            self,
            p=self.p[series],
            tau2=self.tau2[series],
            error=self.error[series],
            n=self.n[series],
            wanders=self.wanders[series],
            curve=VarianceTime(self.curve.weights[:, series]),
            season=self.season.select(series),
            tails=None if tails is None else tails.select(series),
            freedom=_part(self.freedom, series),
            unknown=_part(self.unknown, series),
            margins=NO_MARGINS,
        )


def _part(values: Floats | float, series: Ints) -> Floats | float:
    return values[series] if isinstance(values, np.ndarray) else values
