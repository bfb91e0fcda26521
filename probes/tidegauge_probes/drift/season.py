"""Daily and weekly cycles of a series, on the logit scale.

Each time of day gets its own deviation from the mean; then each time of week gets one from what is
left, and then the beginning and the end of the month. A deviation is shrunk by its own signal to
noise, d · σ²/(σ² + v): where a series has no cycle, or too few votes to show it, next to none of
the noise is left. Times are local (``civil_time``): on days when clocks change, a bin occurs twice,
or not at all.

On a holiday, some series behave as on its weekday, others as on a Sunday. There are too few
holidays to learn which, so each series is expected to do whichever is nearer to what was counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.civil_time import UTC_TIME, CivilTime
from tidegauge_probes.lazy import LazyModule

special = LazyModule("scipy.special", extra="statistics")


Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

DAY_MS: Final = 86_400_000
WEEK_MS: Final = 7 * DAY_MS
HOUR_MS: Final = 3_600_000

MONTH_MS: Final = 31 * DAY_MS
"""The calendar month as a period: its bins differ in length."""

MONTH_BEGINS: Final = (3, 28)
"""Days of the month on which its second and third bins start: 1–2, 3–27, 28–end."""

MONTHS_SEEN_MS: Final = 182 * DAY_MS
"""Half a year; with fewer months, too little is known."""

MONDAY_MS: Final = 4 * DAY_MS
"""The epoch was a Thursday; weeks start on Monday."""

MIN_PERIODS: Final = 2
"""A cycle must be seen twice before it is used."""

MOST_SHIFT: Final = 3.0
"""Cycles larger than this, in logits, are capped: odds of 20 to 1."""

CHANCE: Final = 1.0
"""Standard errors subtracted from the apparent strength of a cycle."""

POOLED: Final = 10
"""Degrees of freedom that the typical series contributes to each series."""


@dataclass(frozen=True, eq=False)
class Cycle:
    """Deviations by time within a period. ``shift``: float64 [bins, S], logit."""

    period_ms: int
    bin_ms: int
    shift: Floats
    variance: Floats
    """Variance of the estimate, float64 [bins, S]."""
    pull: Floats
    """How far a window has pulled its own bin's deviation towards itself, [bins, S]."""

    def bins(self, local: Ints) -> Ints:
        """Return the bin of each local time."""
        return bins(local, self.period_ms, self.bin_ms)

    def at(self, local: Ints) -> Floats:
        """Return the deviation at these local times, float64 [W, S]."""
        return np.asarray(self.shift[self.bins(local)])

    def select(self, series: Ints) -> Cycle:
        """Return the deviations of some series, in this order."""
        parts = (part[:, series] for part in (self.shift, self.variance, self.pull))
        return Cycle(self.period_ms, self.bin_ms, *parts)


@dataclass(frozen=True, eq=False)
class Season:
    """A series by time of day and of week; ``cycles`` is empty where nothing is known.

    Windows are ``window_ms`` long; ``civil`` places them in the day and the week. All *starts* are
    int64 [W], epoch ms.
    """

    cycles: tuple[Cycle, ...] = ()
    civil: CivilTime = UTC_TIME
    window_ms: int = HOUR_MS

    def expected(self, p: Floats, starts: Ints, came: SeasonCounts | None = None) -> Floats:
        """Return the expected share in windows with these starts, float64 [W, S], from the mean.

        *came*: what the windows contain. On a holiday that decides whether a series is compared
        with its own weekday or with a Sunday; by default, with its own weekday.
        """
        if not self.cycles:
            return np.broadcast_to(p, (len(starts), len(p)))
        local = self._local(starts)
        own = self._expected(p, local, local)
        holiday = self.civil.holidays(local)
        if came is None or not holiday.any():
            return own
        rest = self._expected(p, local, sundays(local))
        near = np.abs(came.x - came.n * rest) < np.abs(came.x - came.n * own)
        return np.where(holiday[:, None] & near, rest, own)

    def leverage(self, starts: Ints, series: int) -> Floats:
        """Return how far each calibration window has pulled its expected value towards itself.

        Holidays teach no cycle, so they have no pull.
        """
        local = self._local(starts)
        total = np.zeros((len(starts), series))
        for cycle in self.cycles:
            total += cycle.pull[cycle.bins(local)]
        total[self.civil.holidays(local)] = 0.0
        return total

    def variance(self, starts: Ints, series: int) -> Floats:
        """Return the variance of the expected logit that comes from the cycles, [W, S].

        On a holiday, that of its weekday, whether it is compared with a Sunday or not.
        """
        local = self._local(starts)
        total = np.zeros((len(starts), series))
        for cycle in self.cycles:
            total += cycle.variance[cycle.bins(local)]
        return total

    def variance_of_sums(self, starts: Ints, n: Floats, last: Ints) -> Floats:
        """Return the same for sums of windows, [J, S]: sum j is of the windows 0 … ``last[j]``.

        *n*: their volumes, float64 [W, S]. Windows in one bin share its error; across bins it
        averages out: Σ_b (n_b/N)² v_b. Sixteen hours of a Sunday are all off by as much as
        Sundays are.
        """
        total = np.maximum(np.cumsum(n, axis=0)[last], 1.0)
        found, local = np.zeros(total.shape), self._local(starts)
        for cycle in self.cycles:
            bin_of = cycle.bins(local)
            known, which = np.unique(bin_of, return_inverse=True)
            # The sums are nested, so each adds only the windows that the previous one lacks.
            held, done = np.zeros((len(known), n.shape[1])), 0
            for j, end in enumerate(last):
                np.add.at(held, which[done : end + 1], n[done : end + 1])
                done = end + 1
                found[j] += ((held / total[j]) ** 2 * cycle.variance[known]).sum(axis=0)
        return found

    def select(self, series: Ints) -> Season:
        """Return the cycles of some series, in this order."""
        return replace(self, cycles=tuple(cycle.select(series) for cycle in self.cycles))

    def _local(self, starts: Ints) -> Ints:
        return self.civil.local(starts, self.window_ms)

    def _expected(self, p: Floats, local: Ints, day: Ints) -> Floats:
        """Return the share at *local* times, as on the weekdays of *day*."""
        shifts = (c.at(local if c.period_ms == MONTH_MS else day) for c in self.cycles)
        return np.asarray(special.expit(special.logit(p) + sum(shifts)))


NO_SEASON: Final = Season()


def bins(local: Ints, period_ms: int, bin_ms: int) -> Ints:
    """Return the position of each local time within its period."""
    if period_ms == MONTH_MS:
        days = local // DAY_MS
        return np.searchsorted(MONTH_BEGINS, days - _month_starts(days) + 1, side="right")
    return np.asarray((local - MONDAY_MS) % period_ms // bin_ms)


def bin_count(period_ms: int, bin_ms: int) -> int:
    """Return the number of bins of a period."""
    return len(MONTH_BEGINS) + 1 if period_ms == MONTH_MS else -(-period_ms // bin_ms)


def sundays(local: Ints) -> Ints:
    """Return the same times of day on the Sunday that ends their week."""
    return np.asarray(local - (local - MONDAY_MS) % WEEK_MS // DAY_MS * DAY_MS + 6 * DAY_MS)


def fit(
    counted: SeasonCounts,
    starts: Ints,
    window_ms: int,
    p: Floats,
    civil: CivilTime = UTC_TIME,
    *,
    weekly: bool = True,
) -> Season:
    """Fit the cycles of windows with these starts, around the mean shares *p*.

    First by time of day, then by day of week, then by time of week: all windows of a Sunday can
    show what the few windows of each hour of the week cannot. Last by day of the month, after half
    a year. Without *weekly*, by time of day alone.
    """
    local = civil.local(starts, window_ms)
    counted = counted.without(civil.holidays(local))
    cycles: list[Cycle] = []
    span = int(starts[-1] - starts[0]) + window_ms if len(starts) else 0
    for period, bin_ms in _wanted(window_ms, span, weekly=weekly):
        expected = Season(tuple(cycles), civil, window_ms).expected(p, starts)
        cycles.append(_cycle(counted, local, expected, period, bin_ms))
    return Season(tuple(cycles), civil, window_ms)


def _wanted(window_ms: int, span: int, *, weekly: bool) -> list[tuple[int, int]]:
    """Return the period and the bins of each cycle that such a span can show."""
    fine = max(window_ms, HOUR_MS)
    # With hourly windows: 24 bins of the day, 7 days of the week, 168 hours of the week.
    wanted = [(DAY_MS, fine), (WEEK_MS, max(fine, DAY_MS)), (WEEK_MS, fine)]
    found = [
        (period, bin_ms)
        for period, bin_ms in (wanted if weekly else wanted[:1])
        if period // bin_ms >= MIN_PERIODS and span >= MIN_PERIODS * period
    ]
    if weekly and window_ms <= DAY_MS and span >= MONTHS_SEEN_MS:
        found.append((MONTH_MS, DAY_MS))
    return found


@dataclass(frozen=True, eq=False)
class SeasonCounts:
    """x of n in each window, float64 [W, S]; 0 of 0 where a window is left out."""

    x: Floats
    n: Floats

    def without(self, windows: Mask) -> SeasonCounts:
        """Return the same with some *windows*, bool [W], left out."""
        if not windows.any():
            return self
        kept = ~windows[:, None]
        return SeasonCounts(np.where(kept, self.x, 0.0), np.where(kept, self.n, 0.0))


def _month_starts(days: Ints) -> Ints:
    """Return the first day of the month of each day; all days are counted since 1970."""
    months = days.astype("datetime64[D]").astype("datetime64[M]")
    return np.asarray(months.astype("datetime64[D]").astype(np.int64))


def _period_of(local: Ints, period_ms: int) -> Ints:
    """Number the periods that local times lie in."""
    if period_ms == MONTH_MS:
        months = (local // DAY_MS).astype("datetime64[D]").astype("datetime64[M]")
        return np.asarray(months.astype(np.int64))
    return np.asarray((local - MONDAY_MS) // period_ms)


def _cycle(
    counted: SeasonCounts, local: Ints, expected: Floats, period_ms: int, bin_ms: int
) -> Cycle:
    bin_of = bins(local, period_ms, bin_ms)
    count = bin_count(period_ms, bin_ms)
    which = _period_of(local, period_ms)
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
    """Return how far each bin is from what was expected, logit, [bins, S].

    Half an event is added, but *dispersion* records that say the same count as one. An
    all-or-nothing LF that was silent on 14 Mondays has been silent 14 times, not 14,000.
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

    It covers whatever varies from period to period, also neighbours that vary together. Few
    periods say little about one series, so the series are pooled, as ratios to what counting alone
    explains.
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
    # A series seen twice (1 degree of freedom) at 5 times the counting noise, with a typical 2:
    # (1·5 + 10·2)/11 = 2.3. One wild pair of days does not make a series wild.
    pooled = (freedom * ratio + POOLED * typical) / (freedom + POOLED)
    return np.asarray(np.maximum(pooled, 1.0))
