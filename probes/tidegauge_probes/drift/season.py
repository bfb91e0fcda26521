"""Daily and weekly cycles of a series, on the logit scale.

Each time of day gets its own deviation from the mean, then each time of week what is left. A
deviation is shrunk by its own signal to noise, d · σ²/(σ² + v): where a series has no cycle, or too
few votes to show it, next to nothing is left of the noise. All times are UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.lazy import LazyModule

special = LazyModule("scipy.special", extra="statistics")


Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

DAY_MS: Final = 86_400_000
WEEK_MS: Final = 7 * DAY_MS
HOUR_MS: Final = 3_600_000

MONDAY_MS: Final = 4 * DAY_MS
"""The epoch was a Thursday; weeks begin on Monday."""

MIN_PERIODS: Final = 2
"""A cycle that was not seen twice is not known."""

MOST_SHIFT: Final = 3.0
"""Logits beyond which no cycle is believed: odds of 20 to 1."""

CHANCE: Final = 1.0
"""Standard errors by which the strength of a cycle is taken to be less than it looks."""

POOLED: Final = 10
"""Degrees of freedom that the typical series lends to each."""


@dataclass(frozen=True, eq=False)
class Cycle:
    """Deviations by time within a period. ``shift``: float64 [bins, S], logit."""

    period_ms: int
    bin_ms: int
    shift: Floats
    variance: Floats
    """Variance of what was estimated, float64 [bins, S]."""
    pull: Floats
    """By how much a window has drawn its own bin's deviation towards itself, [bins, S]."""

    def at(self, starts: Ints) -> Floats:
        """Return the deviation of windows that start then, float64 [W, S]."""
        return np.asarray(self.shift[bins(starts, self.period_ms, self.bin_ms)])


@dataclass(frozen=True, eq=False)
class Season:
    """What a series does by time of day and of week; ``cycles`` is empty where nothing is known."""

    cycles: tuple[Cycle, ...] = ()

    def expected(self, p: Floats, starts: Ints) -> Floats:
        """Return the share to expect in windows that start then, float64 [W, S], from the mean."""
        if not self.cycles:
            return np.broadcast_to(p, (len(starts), len(p)))
        logit = special.logit(p) + sum(cycle.at(starts) for cycle in self.cycles)
        return np.asarray(special.expit(logit))

    def leverage(self, starts: Ints, series: int) -> Floats:
        """Return by how much each calibration window has drawn its expected value to itself."""
        total = np.zeros((len(starts), series))
        for cycle in self.cycles:
            total += cycle.pull[bins(starts, cycle.period_ms, cycle.bin_ms)]
        return total

    def variance(self, starts: Ints, series: int) -> Floats:
        """Return the variance of the expected logit that comes from the cycles, [W, S]."""
        total = np.zeros((len(starts), series))
        for cycle in self.cycles:
            total += cycle.variance[bins(starts, cycle.period_ms, cycle.bin_ms)]
        return total

    def variance_of_sums(self, starts: Ints, n: Floats, last: Ints) -> Floats:
        """Return the same for sums of windows, [J, S]: sum j is of the windows 0 … ``last[j]``.

        *n*: their volumes, float64 [W, S]. Windows in one bin share its error, those in different
        bins average it out: Σ_b (n_b/N)² v_b. Sixteen hours of a Sunday are all off by as much as
        Sundays are.
        """
        total = np.maximum(np.cumsum(n, axis=0)[last], 1.0)
        found = np.zeros(total.shape)
        for cycle in self.cycles:
            bin_of = bins(starts, cycle.period_ms, cycle.bin_ms)
            known, which = np.unique(bin_of, return_inverse=True)
            # The sums are nested, so each adds only the windows that the one before it lacks.
            held, done = np.zeros((len(known), n.shape[1])), 0
            for j, end in enumerate(last):
                np.add.at(held, which[done : end + 1], n[done : end + 1])
                done = end + 1
                found[j] += ((held / total[j]) ** 2 * cycle.variance[known]).sum(axis=0)
        return found


NO_SEASON: Final = Season()


def bins(starts: Ints, period_ms: int, bin_ms: int) -> Ints:
    """Return the place of each start within its period."""
    return np.asarray((starts - MONDAY_MS) % period_ms // bin_ms)


def bin_count(period_ms: int, bin_ms: int) -> int:
    """Return the number of bins of a period."""
    return -(-period_ms // bin_ms)


def fit(
    counted: SeasonCounts, starts: Ints, window_ms: int, p: Floats, *, weekly: bool = True
) -> Season:
    """Fit the cycles of windows that start then, around the mean shares *p*.

    First by time of day, then by day of week, then by time of week: what few windows of each hour
    of the week cannot show, all windows of a Sunday can.
    """
    cycles: list[Cycle] = []
    span = int(starts[-1] - starts[0]) + window_ms if len(starts) else 0
    fine = max(window_ms, HOUR_MS)
    # With windows of an hour: 24 bins of the day, 7 days of the week, 168 hours of the week.
    wanted = [(DAY_MS, fine), (WEEK_MS, max(fine, DAY_MS)), (WEEK_MS, fine)]
    for period, bin_ms in wanted if weekly else wanted[:1]:
        if period // bin_ms < MIN_PERIODS or span < MIN_PERIODS * period:
            continue
        expected = Season(tuple(cycles)).expected(p, starts)
        cycles.append(_cycle(counted, starts, expected, period, bin_ms))
    return Season(tuple(cycles))


@dataclass(frozen=True, eq=False)
class SeasonCounts:
    """x of n in each window, float64 [W, S]; 0 of 0 where a window is left out."""

    x: Floats
    n: Floats


def _cycle(
    counted: SeasonCounts, starts: Ints, expected: Floats, period_ms: int, bin_ms: int
) -> Cycle:
    bin_of = bins(starts, period_ms, bin_ms)
    count = bin_count(period_ms, bin_ms)
    which = (starts - MONDAY_MS) // period_ms
    periods = which - which.min()
    shape = (count, int(periods.max()) + 1, counted.x.shape[1])
    off, information = np.zeros(shape), np.zeros(shape)
    np.add.at(off, (bin_of, periods), counted.x - counted.n * expected)
    np.add.at(information, (bin_of, periods), counted.n * expected * (1 - expected))
    seen = information > 0
    total, times = information.sum(axis=1), seen.sum(axis=1)
    dispersion = _dispersion(off, information)
    raw = _deviation(counted, expected, bin_of, count, dispersion)
    noise = dispersion / np.maximum(total, 1e-9)
    known = times > 0
    weight = np.where(known, 1 / noise, 0.0)
    bins_known = np.maximum(known.sum(axis=0), 1)
    # (raw² / noise) has mean 1 and variance 2 where there is no cycle; chance is not fitted.
    excess = np.where(known, raw**2 / noise - 1, 0.0).sum(axis=0) / bins_known
    # 24 bins, each 0.4 off with a noise of 0.04: raw² is 4 times the noise, so the excess is 3, of
    # which chance explains √(2/24) = 0.29. The signal is 0.108, and 0.73 of each 0.4 is kept.
    excess = np.maximum(excess - CHANCE * np.sqrt(2 / bins_known), 0.0)
    signal = excess * bins_known / np.maximum(weight.sum(axis=0), 1e-12)
    shrink = np.where(known, signal / (signal + noise), 0.0)
    shift = np.clip(shrink * raw, -MOST_SHIFT, MOST_SHIFT)
    variance = np.where(known, shrink * noise, signal)
    windows = np.zeros((count, shape[2]))
    np.add.at(windows, bin_of, counted.n > 0)
    # var(r − s·mean of w) = σ²(1 − s(2 − s)/w): with s = 0.5 and 10 windows a bin, the season
    # swallows 7.5 % of each calibration window's own deviation, which τ² must get back.
    pull = shrink * (2 - shrink) / np.maximum(windows, 1)
    return Cycle(period_ms, bin_ms, shift, variance, pull)


def _deviation(
    counted: SeasonCounts, expected: Floats, bin_of: Ints, count: int, dispersion: Floats
) -> Floats:
    """Return by how much each bin is off what was expected, logit, [bins, S].

    Half an event is added, of as many as count: *dispersion* records that say the same are one. An
    LF of all or nothing that was silent on 14 Mondays has been silent 14 times, not 14,000.
    """
    x, n, due = (np.zeros((count, expected.shape[1])) for _ in range(3))
    np.add.at(x, bin_of, counted.x)
    np.add.at(n, bin_of, counted.n)
    np.add.at(due, bin_of, counted.n * expected)
    half, one = dispersion / 2, dispersion
    return np.asarray(
        special.logit((x + half) / (n + one)) - special.logit((due + half) / (n + one))
    )


def _dispersion(off: Floats, information: Floats) -> Floats:
    """Return how much each series' periods differ in a bin, as a multiple of counting, [S].

    So it holds whatever varies from period to period, neighbours that vary together included.
    Few periods tell little of one series, so the series are pooled: by the ratio to what
    counting alone explains.
    """
    seen = information > 0
    times = seen.sum(axis=1)
    total = np.maximum(information.sum(axis=1), 1e-9)
    mean = off.sum(axis=1) / total
    apart = np.where(seen, off - information * mean[:, None], 0.0) ** 2
    again = times > 1
    of_bin = apart.sum(axis=1) / total**2 * times / np.maximum(times - 1, 1)
    counting = 1 / total
    scale = np.where(again, counting, 0.0).sum(axis=0)
    ratio = np.where(again, of_bin, 0.0).sum(axis=0) / np.maximum(scale, 1e-12)
    freedom = np.where(again, times - 1, 0).sum(axis=0)
    informative = freedom > 0
    typical = float(np.median(ratio[informative])) if informative.any() else 1.0
    # A series seen twice (1 degree of freedom) at 5 times the counting noise, beside a typical 2:
    # (1·5 + 10·2)/11 = 2.3. One wild pair of days does not make a series wild.
    pooled = (freedom * ratio + POOLED * typical) / (freedom + POOLED)
    return np.asarray(np.maximum(pooled, 1.0))
