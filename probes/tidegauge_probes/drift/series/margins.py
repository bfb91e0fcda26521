"""What the coverages of two LFs explain of how often they vote together.

A co-vote is P(B votes | A votes), where A is the rarer LF at baseline. If e of it was usual at
baseline, and the coverages of A and B have moved since, anything between three figures is no news
of the pair:

1. e itself: A votes more or less often wherever it votes, or B where A never does.
2. The share that keeps the odds ratio of the two votes (Plackett 1965; the mean of Fisher's
   noncentral hypergeometric law): more, or fewer, records of the kind that an LF knows.
3. The share of votes that come and go by themselves: an LF that votes less drops any of its votes,
   one that votes more adds votes on any other records.

The first is what calibration knows. A sum of windows is compared with whichever share between the
three is nearest to what came. So coverages alone never make a pair shift, and a pair is never more
suspect than by its baseline alone: the noise, and the false alarms, are those that were calibrated.
All is of sums, for the coverage of a single small window is mostly chance.

Worked example: A votes on 5 % of the records, B on 20 %, and on half of A's votes: e = .5. B
doubles its coverage. With the same odds ratio (4.4) B would vote on .73 of A's votes, with new
votes on any records on .625, and with new votes on other records still on .5. So .5 … .73 say
nothing about the pair, and .9 does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tidegauge_probes.findings import ALL, SeriesKey, SeriesKind

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_LEAST = 1e-12
"""No cell of a table is impossible."""


@dataclass(frozen=True, eq=False)
class Margins:
    """Where the co-votes are among the series, and the coverages of their LFs: int64 [P] each.

    ``rarer_failures`` and ``commoner_failures``: failures, whose n are the records.
    """

    pairs: Ints
    rarer: Ints
    commoner: Ints
    rarer_failures: Ints
    commoner_failures: Ints

    @classmethod
    def of(cls, keys: Sequence[SeriesKey]) -> Margins:
        """Find the pairs and their LFs; a pair whose coverages are not followed is left out."""
        at = {key: s for s, key in enumerate(keys)}
        rows = []
        for s, key in enumerate(keys):
            if key.series is SeriesKind.CO_VOTE:
                kinds = (SeriesKind.COVERAGE, SeriesKind.ERROR)
                of_lfs = [SeriesKey(k, ALL, lf) for k in kinds for lf in (key.probe, key.other)]
                rows.append((s, *(at.get(one, -1) for one in of_lfs)))
        known = [row for row in rows if min(row) >= 0]
        return cls(*np.array(known, dtype=np.int64).reshape(-1, 5).T)

    def __bool__(self) -> bool:
        return bool(len(self.pairs))

    def bounds(self, share: Floats, x: Floats, n: Floats, used: Floats) -> Bounds:
        """Return what coverages explain of the sums of the first 1, 2 … W windows.

        Args:
            share: expected of every series, [W, S].
            x: counts, [W, S].
            n: the same.
            used: 1 where a window counts for a pair, [W, P].
        """
        p, p_now = self._coverage(share, x, n, used, self.rarer, self.rarer_failures)
        q, q_now = self._coverage(share, x, n, used, self.commoner, self.commoner_failures)
        votes = n[:, self.pairs] * used
        total = np.maximum(np.cumsum(votes, axis=0), _LEAST)
        e = np.cumsum(votes * share[:, self.pairs], axis=0) / total
        table = _Table(e, p, q)
        explained = np.array([e, table.of_same_odds(p_now, q_now), table.of_any(p_now, q_now)])
        return Bounds(self.pairs, explained.min(axis=0), explained.max(axis=0))

    def _coverage(  # noqa: PLR0917
        self, share: Floats, x: Floats, n: Floats, used: Floats, votes: Ints, failures: Ints
    ) -> tuple[Floats, Floats]:
        """Return the coverage expected and seen, of all records, in sums of windows, [W, P]."""
        records = n[:, failures] * used
        total = np.maximum(np.cumsum(records, axis=0), _LEAST)
        due = records * share[:, votes] * (1 - share[:, failures])
        seen = x[:, votes] * used
        both = (np.cumsum(due, axis=0) / total, np.cumsum(seen, axis=0) / total)
        return np.clip(both[0], _LEAST, 1 - _LEAST), np.clip(both[1], 0.0, 1.0)


NO_MARGINS = Margins.of(())


@dataclass(frozen=True, eq=False)
class Bounds:
    """The least and the greatest share of A's votes that coverages explain, [W, P] each.

    ``pairs``: int64 [P], the series that they are of.
    """

    pairs: Ints
    low: Floats
    high: Floats

    def at(self, rows: Ints) -> Bounds:
        """Return those of some sums."""
        return Bounds(self.pairs, self.low[rows], self.high[rows])

    def nearest(self, share: Floats) -> Floats:
        """Return what they explain of a share."""
        return np.asarray(np.clip(share, self.low, self.high))


@dataclass(frozen=True, eq=False)
class _Table:
    """The two votes at baseline: ``e`` = P(B | A), ``p`` = P(A), ``q`` = P(B), of one shape."""

    e: Floats
    p: Floats
    q: Floats

    @cached_property
    def odds(self) -> Floats:
        """Odds ratio of the two votes, more than 0 and finite."""
        both = self.p * self.e
        cells = (both, 1 - self.p - self.q + both, self.p - both, self.q - both)
        a, d, b, c = (np.maximum(cell, _LEAST) for cell in cells)
        return np.asarray(a * d / (b * c))

    def of_same_odds(self, p: Floats, q: Floats) -> Floats:
        """Return P(B | A) with those coverages and the same odds ratio."""
        # The root of ψ = a d/(b c) in a, divided by p; this form is exact for ψ = 1, too.
        more = self.odds - 1
        half = 1 + (p + q) * more
        root = np.sqrt(np.maximum(half**2 - 4 * self.odds * more * p * q, 0.0))
        return np.asarray(np.clip(2 * self.odds * q / np.maximum(half + root, _LEAST), 0.0, 1.0))

    def of_any(self, p: Floats, q: Floats) -> Floats:
        """Return P(B | A) where votes came and went whatever the other LF did."""
        without = np.clip((self.q - self.p * self.e) / (1 - self.p), 0.0, 1.0)
        added = np.maximum(p - self.p, 0.0)
        kept = np.minimum(p, self.p)
        e = (kept * self.e + added * without) / np.maximum(kept + added, _LEAST)
        fewer = e * q / self.q
        more = e + (1 - e) * (q - self.q) / (1 - self.q)
        return np.asarray(np.clip(np.where(q < self.q, fewer, more), 0.0, 1.0))
