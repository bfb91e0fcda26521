"""The calibration windows: what was counted, and which of it calibration uses."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.civil_time import UTC_TIME, CivilTime
from tidegauge_probes.drift.season import Season, SeasonCounts
from tidegauge_probes.drift.season import fit as fit_season
from tidegauge_probes.lazy import LazyModule

special = LazyModule("scipy.special", extra="statistics")

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class CalibrationWindows:
    """x of n, float64 [K, S], in windows that start at ``starts``, int64 [K].

    ``used``: bool [K, S], what calibration learns from; never where n = 0. ``civil``: the clock
    and the calendar of the traffic.
    """

    starts: Ints
    x: Floats
    n: Floats
    window_ms: int
    used: Mask
    civil: CivilTime = UTC_TIME

    @classmethod
    def of(
        cls, starts: Ints, x: Ints, n: Ints, window_ms: int, civil: CivilTime = UTC_TIME
    ) -> CalibrationWindows:
        """Return windows that are all used wherever they have a volume."""
        return cls(starts, x.astype(np.float64), n.astype(np.float64), window_ms, n > 0, civil)

    @property
    def shape(self) -> tuple[int, int]:
        """Windows K and series S."""
        return self.x.shape[0], self.x.shape[1]

    @property
    def size(self) -> Floats:
        """Volumes of the windows that are used, float64 [K, S]; 0 elsewhere."""
        return np.where(self.used, self.n, 0.0)

    @property
    def came(self) -> SeasonCounts:
        """What every window contains, used or not: on a holiday it decides what is expected."""
        return SeasonCounts(self.x, self.n)

    def without(self, left_out: Mask) -> CalibrationWindows:
        """Return the same windows with *left_out* [K, S] not used."""
        return replace(self, used=(self.n > 0) & ~left_out)

    def __getitem__(self, windows: Mask) -> CalibrationWindows:
        """Return only these windows."""
        return CalibrationWindows(
            self.starts[windows],
            self.x[windows],
            self.n[windows],
            self.window_ms,
            self.used[windows],
            self.civil,
        )


@dataclass(frozen=True, eq=False)
class SeriesLevel:
    """The mean share of each series, [S], the cycles around it, and the expected shares, [K, S]."""

    p: Floats
    season: Season
    expected: Floats

    @property
    def flip(self) -> Mask:
        """Series whose rarer outcome is "not x", bool [S]."""
        return np.asarray(self.p > 0.5)  # noqa: PLR2004


def level_of(windows: CalibrationWindows, *, weekly: bool) -> SeriesLevel:
    """Fit mean and cycles.

    The second round takes the cycles out of the mean: volumes, too, differ by time of day.
    """
    size = windows.size
    seen, total = np.where(windows.used, windows.x, 0.0), size.sum(axis=0)
    p = smoothed(seen.sum(axis=0), total)
    counted, starts = SeasonCounts(seen, size), windows.starts
    season = fit_season(counted, starts, windows.window_ms, p, windows.civil, weekly=weekly)
    expected = season.expected(p, starts, windows.came)
    for _ in range(2 if season.cycles else 0):
        found = smoothed(seen.sum(axis=0), total)
        meant = smoothed((size * expected).sum(axis=0), total)
        p = special.expit(special.logit(p) + special.logit(found) - special.logit(meant))
        expected = season.expected(p, starts, windows.came)
    return SeriesLevel(p, season, expected)


def smoothed(x: Floats, n: Floats) -> Floats:
    """Apply Jeffreys' estimate: an LF that never voted has a small share, not an impossible one."""
    return np.asarray((x + 0.5) / (n + 1.0))
