"""Which series are compared by distinct texts, and what those of a baseline's windows are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.counts.panes import DistinctCounts, PaneCounts
from tidegauge_probes.findings import SeriesKey, SeriesKind

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

OF_RECORDS: Final = frozenset({SeriesKind.COPIES, SeriesKind.VOLUME, SeriesKind.SEGMENT_SHARE})
"""Kinds that are of records by what they are."""

MOST_COPIES: Final = 0.5
"""Share of copies among the baseline's records above which a text is no message, but a kind of
record, as log lines are. Then records are what is to be counted, and the share of copies moves
with the volume alone."""

ENOUGH: Final = 13
"""Events a window that a sample must hold where it leaves out many. Of the 50 votes of a rare LF
among 100,000 texts a sample of 4,096 has two; all 50 tell more, copies or not."""


@dataclass(frozen=True, eq=False)
class TextSeries:
    """x of n distinct texts of each series in the windows of a baseline, int64 [W, S] each."""

    x: Ints
    n: Ints

    def select(self, series: Ints) -> TextSeries:
        """Return some of the series, by their columns."""
        return TextSeries(self.x[:, series], self.n[:, series])

    def added(self, first: Ints) -> TextSeries:
        """Add up windows; *first*: int64, the row of each sum's first window.

        A text that comes in several of them counts once in each: which ones do is not kept.
        """
        x, n = (np.add.reduceat(part, first, axis=0) for part in (self.x, self.n))
        return TextSeries(x, n)


def tells_copies(total: PaneCounts) -> bool:
    """Whether texts are messages in the records of a baseline, so that copies are worth a word."""
    distinct = total.distinct
    return distinct is not None and distinct.copies <= MOST_COPIES * distinct.records


def by_text(
    keys: Sequence[SeriesKey], x: Ints, n: Ints, texts: TextSeries, total: DistinctCounts
) -> Mask:
    """Return which series of a baseline are compared by distinct texts, bool [S].

    *x*, *n*: int64 [W, S], of records; *total*: of all the baseline's windows.
    """
    chosen = np.array([key.series not in OF_RECORDS for key in keys], dtype=np.bool_)
    if total.level:
        ours, theirs = _events(texts.x, texts.n), _events(x, n)
        chosen &= (ours >= ENOUGH) | (2 * ours >= theirs)
    return chosen


def _events(x: Ints, n: Ints) -> Floats:
    """Return how often the rarer outcome came in a window, on average."""
    return np.asarray(np.minimum(x.sum(axis=0), (n - x).sum(axis=0)) / max(len(x), 1))


def moved(p: Floats, log_odds: Floats) -> Floats:
    """Return shares whose log odds are *log_odds* off those of *p*; where that is 0, *p* itself."""
    inside = np.clip(p, 1e-12, 1 - 1e-12)
    odds = inside / (1 - inside) * np.exp(log_odds)
    return np.asarray(np.where(log_odds == 0, p, odds / (1 + odds)))
