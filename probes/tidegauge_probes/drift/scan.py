"""The multi-window scan: sums of the last 1, 2, 3 … 12, 14, 16 … 64 windows of each series.

A large shift shows in one window, a small one only in the sum of many; the smallest p-value over
the scales decides, each multiplied by the price of its scale. What varies between windows shrinks
each sum's sample,

    1/n_eff = 1/N + [τ² g(φ)/j_e + v + se²] · pq,   g(φ) = 1 + 2 Σ_{k<j} (1 − k/j) φ^k

with N = Σn, j windows, j_e = N²/Σn² where volumes differ, p the mean of the shares expected, and
v = Σ (n_b/N)² v_b over the bins of the season: windows of one bin share its error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.calibration import Calibration
from tidegauge_probes.drift.season import SeasonCounts
from tidegauge_probes.lazy import LazyModule

special = LazyModule("scipy.special", extra="statistics")

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

SCALES: Final = (*range(1, 13), 14, 16, 18, 20, 24, 28, 32, 40, 48, 64)
"""Neighbours are alike, so each more costs few false alarms; a shift of a tenth between two of them
is found later. With half as many +25 % of a 5 % LF takes a quarter of a window more."""
LONGEST: Final = SCALES[-1]

LASTING: Final = 6
PRICE: Final = 6.0
PRICE_OF_LASTING: Final = 4.0
"""By how much the p-value of a sum is multiplied, for looking at so many overlapping ones; less
from LASTING windows on. The budget is of episodes, not of windows in alarm: what puts a sum of 12
windows beyond a threshold keeps it there for several, so it opens fewer episodes than its p-value
says, by Siegmund's (1985) correction for overshoot. Simulated, 40,000 quiet windows of 30 LFs: at
p < 10⁻⁴ sums of 1 and of 3 windows alone open .6·10⁻⁴ episodes a window, of 12 .4, of 48 .16."""

EXACT_Z: Final = 2.5
"""Nearer to the expected, the normal approximation will do: no threshold is anywhere near."""

MIN_LOGIT: Final = 0.10
"""Shifts of logit p smaller than this are not worth a page, however sure."""

MIN_RECORDS: Final = 20
"""A share of fewer records than this is not compared."""

MIN_VOTES: Final = 13
"""Votes from which a sum can tell: of 13 expected none comes with a chance of e⁻¹³, so a death is
seen; it is as rare as the scan asks for. A sum that has not got so far counts at its present rate,
up to the longest."""


@dataclass(frozen=True, eq=False)
class Past:
    """The windows before the present one, the oldest first.

    ``starts``: int64 [P]; ``x``, ``n``: int64 [P, S]. ``since``: int64 [S], windows of a series
    that start at or before it are not used: the scan begins anew when an alert resolves.
    """

    starts: Ints
    x: Ints
    n: Ints
    since: Ints

    @classmethod
    def none(cls, series: int) -> Past:
        """Return the past of a stream's first window."""
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
        """Return x and n over the last *windows*, of which the present one is the last."""
        earlier = slice(len(self.starts) - min(windows - 1, len(self.starts)), None)
        return self.x[earlier].sum(axis=0) + x, self.n[earlier].sum(axis=0) + n

    def since_resolved(self, start: int, resolved: Sequence[bool] | Mask) -> Past:
        """Return the same, but for series whose alert resolved in that window: they begin anew."""
        return Past(self.starts, self.x, self.n, np.where(resolved, start, self.since))


@dataclass(frozen=True, eq=False)
class Scanned:
    """The most telling scale of each series, [S] each.

    ``scale``: windows summed; ``share``, ``expected``: over them; ``effect``: odds ratio of the
    two; ``p_value``: two-sided mid-p; ``adjusted``: that times the price of its scale, at most 1;
    ``n_eff``; ``rank``: signed 2·n_eff·KL; ``worth``: whether the shift is large enough to be of
    interest, however sure, and has not ended; ``enough``: whether any of its sums holds enough to
    tell.
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


def scan(start: int, x: Ints, n: Ints, past: Past, calibration: Calibration) -> Scanned:
    """Return the most telling sum of the present window and those before it."""
    starts = np.append(past.starts, start)[-LONGEST:]
    every_x, every_n = np.vstack([past.x, x])[-LONGEST:], np.vstack([past.n, n])[-LONGEST:]
    used = starts[:, None] > past.since
    used[-1] = True
    # The newest window first, so that row j of a running sum is over the last j + 1 windows: of
    # x = 5, 1, 2 (the oldest first) the sums are 2, 3 and 8.
    size = np.where(used, every_n, 0).astype(np.float64)[::-1]
    seen = np.where(used, every_x, 0).astype(np.float64)[::-1]
    came = SeasonCounts(every_x.astype(np.float64), every_n.astype(np.float64))
    share = calibration.expected(starts, came)
    due = (size.T * share.T[:, ::-1]).T
    last = np.minimum(np.array(SCALES), len(starts)) - 1
    sums = [np.cumsum(a, axis=0) for a in (size, seen, due)]
    total, found, expected = (a[last] for a in sums)
    squares = np.cumsum(size**2, axis=0)[last]
    windows = np.cumsum(size > 0, axis=0)[last]
    p = np.clip(expected / np.maximum(total, 1e-300), 1e-12, 1 - 1e-12)
    p = np.where(total > 0, p, calibration.p)
    cycles = calibration.season.variance_of_sums(starts[::-1], size, last)
    n_eff = effective(calibration, total, squares, windows, p, cycles)
    # The share of a sum counts, but as if of n_eff records: 300 of 1,000 with n_eff = 400 are
    # tested as 120 of 400. What windows vary by among themselves is no evidence of a shift.
    x_eff = np.where(total > 0, found / np.maximum(total, 1), p) * n_eff
    # Half a record more on either side: the odds of 0 of 40 are small, and not zero.
    odds = (x_eff + 0.5) / (n_eff - x_eff + 0.5) * (1 - p) / p
    p_value = np.where(total > 0, _p_values(x_eff, n_eff, p), 1.0)
    enough = _enough(sums, last, np.cumsum(used[::-1], axis=0)[last], calibration)
    worth = enough & (np.abs(np.log(odds)) >= MIN_LOGIT) & _lasts(sums, last)
    adjusted = np.minimum(p_value * np.where(windows < LASTING, PRICE, PRICE_OF_LASTING), 1.0)
    # `adjusted` is at most 1, so a sum that is not worth a page loses to any that is, and one
    # that holds too little loses to both: 0.2 beats 1e-9 + 1, and that beats 1e-12 + 2.
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
    )


def _enough(sums: Sequence[Floats], last: Ints, held: Ints, calibration: Calibration) -> Mask:
    """Mark sums with volume enough to tell: the rarer outcome was expected, or came, often.

    An LF that never failed and now fails on every record has no expected failures at all. A pair
    that votes together on 3 records a window and agrees on nine of ten is expected to differ 19
    times in 64 windows: enough, but in fewer than 7 windows there are not yet 20 records.
    *held*: int64 [J, S], windows that the sums are of, with records or without.
    """
    total, seen, due = (a[last] for a in sums)
    rare = calibration.p <= 0.5  # noqa: PLR2004
    came, expected = np.where(rare, seen, total - seen), np.where(rare, due, total - due)
    often = (expected * LONGEST >= MIN_VOTES * held) | (came >= MIN_VOTES)
    known = calibration.n >= MIN_RECORDS
    return np.asarray((total >= MIN_RECORDS) & often & known)


def _lasts(sums: Sequence[Floats], last: Ints) -> Mask:
    """Mark sums whose newest quarter is shifted half as far, too: what is over opens no alert."""
    total, ahead = sums[0], (sums[1] - sums[2]) / np.maximum(sums[0], 1)
    # Of 8 windows the newest 2: if all 8 are 4 points up on average and those 2 only 1 point,
    # whatever happened is over.
    quarter = np.maximum((last + 1) // 4, 1) - 1
    lately = ahead[quarter] * np.sign(ahead[last])
    return np.asarray((total[quarter] == 0) | (lately >= np.abs(ahead[last]) / 2))


def effective(  # noqa: PLR0917
    calibration: Calibration,
    total: Floats,
    squares: Floats,
    windows: Ints,
    p: Floats,
    cycles: Floats,
) -> Floats:
    """Return n_eff of sums of windows, [J, S]; *cycles*: variance that the season adds."""
    total = np.maximum(total, 1.0)
    # How many windows of equal size tell as much: of 100, 100 and 1,000 records 1.4, not 3, for
    # the large one is a single draw of what windows vary by.
    apart = total**2 / np.maximum(squares, 1.0)
    growth = _growth(calibration.phi)[np.minimum(windows, LONGEST)]
    between = calibration.tau2 * growth / apart + cycles + calibration.se2
    return np.asarray(1 / (1 / total + between * p * (1 - p)))


def _growth(phi: float) -> Floats:
    """Return g(φ) for 0 … LONGEST windows: how much sums vary beyond independent windows."""
    # Two windows with φ = 0.5: 1 + 2·½·½ = 1.5. Neighbours that err together average out less.
    j = np.arange(LONGEST + 1)[:, None]
    k = np.arange(1, LONGEST)[None, :]
    terms = np.where(k < j, (1 - k / np.maximum(j, 1)) * phi**k, 0.0)
    return np.asarray(1 + 2 * terms.sum(axis=1))


def _p_values(x: Floats, n: Floats, p: Floats) -> Floats:
    """Two-sided mid-p values; where they are large, by the normal approximation."""
    z = (x - n * p) / np.sqrt(n * p * (1 - p))
    found = 2 * special.ndtr(-np.abs(z))
    # 5 of 100 where 2 % are expected: 3.2 % by the normal approximation, 6.6 % exactly. The
    # exact tails cost more, so only those that may matter are computed.
    few = n * np.minimum(p, 1 - p) < LONGEST
    telling = (np.abs(z) >= EXACT_Z) | (few & (np.abs(z) >= 1))
    found[telling] = two_sided_mid_p(x[telling], n[telling], p[telling])
    return np.asarray(found)


def two_sided_mid_p(x: Floats, n: Floats, p: Floats) -> Floats:
    """Return the two-sided mid-p value of Binomial(n, p) at x, for real n and x.

    The tails are regularised incomplete beta functions: P(X ≥ x) = I_p(x, n − x + 1).
    Mid-p counts half of the observed outcome to each tail (Lancaster 1961).
    """
    x = np.clip(x, 0.0, n)
    at_least = np.where(x > 0, special.betainc(np.maximum(x, 1e-300), n - x + 1, p), 1.0)
    more = np.where(n - x > 0, special.betainc(x + 1, np.maximum(n - x, 1e-300), p), 0.0)
    at_most = np.where(n - x > 0, special.betainc(np.maximum(n - x, 1e-300), x + 1, 1 - p), 1.0)
    less = np.where(x > 0, special.betainc(n - x + 1, np.maximum(x, 1e-300), 1 - p), 0.0)
    upper, lower = (at_least + more) / 2, (at_most + less) / 2
    return np.asarray(np.minimum(1.0, 2 * np.minimum(upper, lower)))


def divergence(observed: Floats, p: Floats) -> Floats:
    """KL(observed ‖ p) of two coins, in nats."""
    return np.asarray(special.rel_entr(observed, p) + special.rel_entr(1 - observed, 1 - p))
