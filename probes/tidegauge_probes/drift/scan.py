"""The multi-window scan: sums of the last 1, 2, 3 … 12, 14, 16 … 64 windows of each series.

A large shift shows in one window, a small one only in the sum of many. The smallest p-value over
the scales decides, each multiplied by the price of its scale and mapped through the tail map. All
values are of the rarer outcome, with M = Σ n e expected in a sum of j windows and

    V = G(j) Σ s² + M² [ρ + (1 − e)² G(j) v]

where G is the variance–time curve, ρ the relative error of the mean, and v = Σ (n_b/N)² v_b over
the bins of the season: windows in one bin share its error, and neighbours err together. Long
sums use winsorised windows, so that one wild window does not look like a drift (``noise``).

A pair is compared with what the coverages of its two LFs explain (``margins``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift import tail_law
from tidegauge_probes.drift.calibration import noise
from tidegauge_probes.drift.calibration.model import Calibration
from tidegauge_probes.drift.scales import (
    LONGEST,
    MIN_LOGIT,
    MIN_RECORDS,
    MIN_VOTES,
    SCALES,
    price,
)
from tidegauge_probes.drift.season import SeasonCounts
from tidegauge_probes.drift.series.margins import Bounds, Margins
from tidegauge_probes.lazy import LazyModule

special = LazyModule("scipy.special", extra="statistics")

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Past:
    """The windows before the present one, oldest first.

    ``starts``: int64 [P]; ``x``, ``n``: int64 [P, S]. ``since``: int64 [S], windows of a series
    that start at or before it are not used: the scan starts over when an alert resolves.
    """

    starts: Ints
    x: Ints
    n: Ints
    since: Ints

    @classmethod
    def none(cls, series: int) -> Past:
        """Return the past of the first window of a stream."""
        nothing = np.zeros((0, series), dtype=np.int64)
        beginning = np.full(series, np.iinfo(np.int64).min)
        return cls(np.zeros(0, dtype=np.int64), nothing, nothing, beginning)

    def then(self, start: int, x: Ints, n: Ints) -> Past:
        """Return the past of the next window."""
        kept = slice(max(len(self.starts) - LONGEST + 2, 0), None)
        return Past(
            np.append(self.starts[kept], start),
            np.vstack([self.x[kept], x]),
            np.vstack([self.n[kept], n]),
            self.since,
        )

    def total(self, x: Ints, n: Ints, windows: int) -> tuple[Ints, Ints]:
        """Return x and n over the last *windows*, including the present one."""
        earlier = slice(len(self.starts) - min(windows - 1, len(self.starts)), None)
        return self.x[earlier].sum(axis=0) + x, self.n[earlier].sum(axis=0) + n

    def since_resolved(self, start: int, resolved: Sequence[bool] | Mask) -> Past:
        """Return the same past; series whose alert resolved in that window start over."""
        return Past(self.starts, self.x, self.n, np.where(resolved, start, self.since))


@dataclass(frozen=True, eq=False)
class Scanned:
    """The most significant scale of each series, [S] each.

    ``scale``: windows summed; ``share``, ``expected``: over them; ``effect``: odds ratio of the
    two; ``p_value``: two-sided; ``adjusted``: the same times the price of its scale, through the
    tail map, at most 1; ``n_eff``; ``rank``: signed 2·n_eff·KL; ``worth``: whether the shift is
    large enough to matter, however certain, and has not ended; ``enough``: whether any of its sums
    has enough data. ``explained``: by how much the coverages of a pair's LFs move the logit of the
    expected share, 0 for all other series.
    """

    scale: Ints
    share: Floats
    expected: Floats
    effect: Floats
    p_value: Floats
    adjusted: Floats
    n_eff: Floats
    rank: Floats
    worth: Mask
    enough: Mask
    explained: Floats


def scan(start: int, x: Ints, n: Ints, past: Past, calibration: Calibration) -> Scanned:
    """Return the most significant sum of the present window and those before it."""
    recent = _Recent.of(start, x, n, past, calibration)
    sums = [np.cumsum(a, axis=0) for a in (recent.size, recent.seen, recent.due)]
    last = np.minimum(np.array(SCALES), len(recent.starts)) - 1
    windows = np.cumsum(recent.size > 0, axis=0)[last]
    sum_of = _tested(recent, calibration, last, windows)
    n_eff, at_baseline = sum_of.effective, _expected(sums, last, calibration)
    enough = _enough(sums, last, np.cumsum(recent.used, axis=0)[last], calibration)
    p = at_baseline
    if calibration.margins:
        bounds = recent.bounds(calibration.margins)
        sums = [*sums[:2], _explained(sums, bounds)]
        sum_of = sum_of.beyond(bounds.at(last), calibration.flip)
        p = _possible(_expected(sums, last, calibration), at_baseline, n_eff)
    p_value = _p_values(sum_of, calibration, windows)
    total, found, _ = (a[last] for a in sums)
    # The share of a sum counts, but as if it had n_eff records: 300 of 1,000 with n_eff = 400 are
    # tested as 120 of 400. How much windows vary anyway is no evidence of a shift.
    x_eff = np.where(total > 0, found / np.maximum(total, 1), p) * n_eff
    # Half a record more on either side: the odds of 0 of 40 are small, and not zero.
    odds = (x_eff + 0.5) / (n_eff - x_eff + 0.5) * (1 - p) / p
    worth = enough & (np.abs(np.log(odds)) >= MIN_LOGIT) & _lasts(sums, last)
    adjusted = _adjusted(p_value, windows, calibration)
    # `adjusted` is at most 1, so a sum that is not worth a page loses to any that is, and one
    # with too little data loses to both: 0.2 beats 1e-9 + 1, and that beats 1e-12 + 2.
    best = (adjusted + ~worth + ~enough).argmin(axis=0)
    pick = (best, np.arange(len(x)))
    share = (x_eff / n_eff)[pick]
    rank = np.sign(share - p[pick]) * 2 * n_eff[pick] * divergence(share, p[pick])
    return Scanned(
        np.maximum(windows[pick], 1),
        share,
        p[pick],
        odds[pick],
        p_value[pick],
        adjusted[pick],
        n_eff[pick],
        rank,
        worth[pick],
        np.asarray(enough.any(axis=0)),
        special.logit(p[pick]) - special.logit(at_baseline[pick]),
    )


def _expected(sums: Sequence[Floats], last: Ints, calibration: Calibration) -> Floats:
    """Return the share to expect of sums of windows, [J, S]."""
    total, _, expected = (a[last] for a in sums)
    p = np.clip(expected / np.maximum(total, 1e-300), 1e-12, 1 - 1e-12)
    return np.asarray(np.where(total > 0, p, calibration.p))


def _explained(sums: Sequence[Floats], bounds: Bounds) -> Floats:
    """Return what is to be expected of sums, [W, S], with what coverages explain of the pairs."""
    size, seen, due = (a[:, bounds.pairs] for a in sums)
    explained = sums[2].copy()
    near = bounds.nearest(seen / np.maximum(size, 1.0)) * size
    explained[:, bounds.pairs] = np.where(size > 0, near, due)
    return explained


def _possible(p: Floats, at_baseline: Floats, n_eff: Floats) -> Floats:
    """Return shares that odds can be told of: half a record of n_eff, where coverages moved them.

    An LF that died never votes with another, which is just what is to be expected of it.
    """
    half = 0.5 / (n_eff + 1)
    within = np.clip(p, np.minimum(at_baseline, half), np.maximum(at_baseline, 1 - half))
    return np.asarray(np.where(p == at_baseline, p, within))


@dataclass(frozen=True, eq=False)
class _Recent:
    """The windows that are summed, newest first: ``starts`` [W]; all others float64 [W, S].

    ``x``, ``n``: as they came. ``used``: whether they start after the last resolve, bool. ``size``,
    ``seen``: n and x of those; ``share``: expected; ``due``: n times that.
    """

    starts: Ints
    x: Floats
    n: Floats
    used: Mask
    size: Floats
    seen: Floats
    share: Floats
    due: Floats

    @classmethod
    def of(cls, start: int, x: Ints, n: Ints, past: Past, calibration: Calibration) -> _Recent:
        # The newest window comes first, so row j of a running sum covers the last j + 1 windows:
        # of x = 5, 1, 2 (the oldest first) the sums are 2, 3 and 8.
        starts = np.append(past.starts, start)[-LONGEST:][::-1]
        every_x = np.vstack([past.x, x])[-LONGEST:][::-1].astype(np.float64)
        every_n = np.vstack([past.n, n])[-LONGEST:][::-1].astype(np.float64)
        used = starts[:, None] > past.since
        used[0] = True
        size, seen = np.where(used, every_n, 0.0), np.where(used, every_x, 0.0)
        share = calibration.expected(starts, SeasonCounts(every_x, every_n))
        return cls(starts, every_x, every_n, used, size, seen, share, size * share)

    def bounds(self, margins: Margins) -> Bounds:
        """Return what coverages explain of the pairs, in the sums of 1, 2 … W windows."""
        used = self.used[:, margins.pairs].astype(np.float64)
        return margins.bounds(self.share, self.x, self.n, used)


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums of the rarer outcome, [J, S]: ``came`` of ``size`` occurred, ``due`` were expected."""

    came: Floats
    size: Floats
    due: Floats
    variance: Floats

    @property
    def effective(self) -> Floats:
        """Records of a binomial law with the same relative variance; at most the actual number."""
        size = np.maximum(self.size, 1.0)
        share = np.clip(self.due / size, 1e-12, 1 - 1e-12)
        n_eff = self.due * (1 - share) / np.maximum(self.variance, 1e-300) * size
        return np.asarray(np.where(self.size > 0, np.clip(n_eff, 1e-9, size), 1.0))

    def beyond(self, bounds: Bounds, flip: Mask) -> _Sums:
        """Return the same beside whatever the coverages of a pair explain that is nearest to them.

        With the noise of the pair itself, which grows with what is expected.
        """
        pairs = bounds.pairs
        low = np.where(flip[pairs], 1 - bounds.high, bounds.low) * self.size[:, pairs]
        high = np.where(flip[pairs], 1 - bounds.low, bounds.high) * self.size[:, pairs]
        due, variance = self.due.copy(), self.variance.copy()
        due[:, pairs] = np.clip(self.came[:, pairs], low, high)
        more = due[:, pairs] / np.maximum(self.due[:, pairs], 1e-12)
        variance[:, pairs] *= np.maximum(more, 1.0) ** 2
        return replace(self, due=due, variance=variance)


def _tested(recent: _Recent, calibration: Calibration, last: Ints, windows: Ints) -> _Sums:
    size = recent.size
    y, e = noise.oriented(recent.seen, size, recent.share, calibration.flip)
    off, spread = y - size * e, noise.variance(size, e, calibration.tau2)
    # Where the mean itself is hardly known, no window is wild for being far from it.
    clipped = noise.winsorised(off, spread + (size * e) ** 2 * calibration.unknown)
    wild, bounded, variance, due, total = (
        np.cumsum(a, axis=0)[last] for a in (off, clipped, spread, size * e, size)
    )
    growth = np.take_along_axis(calibration.curve.growth, windows, axis=0)
    share = np.clip(due / np.maximum(total, 1.0), 1e-12, 1.0)
    cycles = calibration.season.variance_of_sums(recent.starts, size, last)
    relative = calibration.error + (1 - share) ** 2 * growth * cycles
    return _Sums(
        came=np.maximum(due + np.where(windows <= 1, wild, bounded), 0.0),
        size=total,
        due=due,
        variance=np.maximum(growth * variance + due**2 * relative, 1e-12),
    )


def _p_values(sums: _Sums, calibration: Calibration, windows: Ints) -> Floats:
    found = np.ones(sums.size.shape)
    has = sums.size > 0
    found[has] = tail_law.p_values(
        sums.came[has],
        sums.size[has],
        np.maximum(sums.due[has], 1e-12),
        sums.variance[has],
        calibration.freedom_of(windows)[has],
    )
    return found


def _adjusted(p_value: Floats, windows: Ints, calibration: Calibration) -> Floats:
    evidence = -np.log(p_value * price(windows))
    if calibration.tails is not None:
        evidence = calibration.tails.through(evidence, windows)
    return np.asarray(np.exp(-np.maximum(evidence, 0.0)))


def _enough(sums: Sequence[Floats], last: Ints, held: Ints, calibration: Calibration) -> Mask:
    """Mark sums with enough data: the rarer outcome was expected, or occurred, often enough.

    An LF that never failed and now fails on every record has no expected failures at all. A pair
    that votes together on 3 records a window and agrees on nine of ten is expected to differ 19
    times in 64 windows. That is enough, but fewer than 7 windows do not yet have 20 records.
    *held*: int64 [J, S], windows in each sum, with records or without.
    """
    total, seen, due = (a[last] for a in sums)
    rare = calibration.p <= 0.5  # noqa: PLR2004
    came, expected = np.where(rare, seen, total - seen), np.where(rare, due, total - due)
    often = (expected * LONGEST >= MIN_VOTES * held) | (came >= MIN_VOTES)
    known = calibration.n >= MIN_RECORDS
    return np.asarray((total >= MIN_RECORDS) & often & known)


def _lasts(sums: Sequence[Floats], last: Ints) -> Mask:
    """Mark sums whose newest quarter has half the shift, too: what is over opens no alert."""
    total, ahead = sums[0], (sums[1] - sums[2]) / np.maximum(sums[0], 1)
    # Of 8 windows the newest 2: if all 8 are 4 points up on average but those 2 only 1 point, then
    # whatever happened is over.
    quarter = np.maximum((last + 1) // 4, 1) - 1
    lately = ahead[quarter] * np.sign(ahead[last])
    return np.asarray((total[quarter] == 0) | (lately >= np.abs(ahead[last]) / 2))


def effective(calibration: Calibration, n: Floats, p: Floats, cycles: Floats) -> Floats:
    """Return n_eff of one window of *n* records, [S]; *cycles*: variance added by the season."""
    e = np.where(calibration.flip, 1 - p, p)
    variance = noise.variance(n, e, calibration.tau2)
    relative = calibration.error + (1 - e) ** 2 * cycles
    due = n * e
    return _Sums(due, n, due, np.maximum(variance + due**2 * relative, 1e-12)).effective


def divergence(observed: Floats, p: Floats) -> Floats:
    """KL(observed ‖ p) of two coins, in nats."""
    return np.asarray(special.rel_entr(observed, p) + special.rel_entr(1 - observed, 1 - p))
