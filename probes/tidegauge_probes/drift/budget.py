"""The budget of false incidents: by time, and shared among the series by what they are worth.

By time, because .5 in 1,000 windows is one false incident in 12 weeks of hours, but in 38 years of
weeks: no shift of weekly counts can be that sure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.season import DAY_MS
from tidegauge_probes.errors import BudgetError
from tidegauge_probes.findings import ALL, SeriesKey, SeriesKind

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

PERIODS_MS: Final[Mapping[str, int]] = {
    "day": DAY_MS,
    "week": 7 * DAY_MS,
    "month": 30 * DAY_MS,
    "quarter": 90 * DAY_MS,
    "year": 365 * DAY_MS,
}

_WRITTEN: Final = re.compile(r"(\d+(?:\.\d+)?) per (day|week|month|quarter|year)")

MOST_PER_WINDOW: Final = 0.5
"""α, at most: beyond, nearly every window would open something."""


@dataclass(frozen=True)
class FalseAlarms:
    """So many false incidents are accepted in a period: ``1 per quarter``."""

    incidents: float
    period: str

    @property
    def text(self) -> str:
        """As it is written in the stream file."""
        return f"{self.incidents:g} per {self.period}"

    def per_window(self, window_ms: int) -> float:
        """Return α: the chance that a quiet window may open an incident.

        >>> round(1000 * FalseAlarms(1, "quarter").per_window(3_600_000), 2)
        0.46
        """
        return min(self.incidents * window_ms / PERIODS_MS[self.period], MOST_PER_WINDOW)


def parse(text: str) -> FalseAlarms:
    """Read ``2 per month``; BudgetError says how it is written."""
    written = _WRITTEN.fullmatch(" ".join(text.split()))
    incidents = float(written[1]) if written else 0.0
    if written is None or not 0 < incidents < math.inf:
        periods = ", ".join(PERIODS_MS)
        msg = f"'{text}' is not a budget of false alarms: write `1 per quarter` (or {periods})"
        raise BudgetError(msg)
    return FalseAlarms(incidents, written[2])


def default(window_ms: int) -> FalseAlarms:
    """Return one per quarter of a year, of windows of a day or longer one per year."""
    return FalseAlarms(1, "year" if window_ms >= DAY_MS else "quarter")


BLIND_SPOT, COVERAGE, REST = 0.15, 0.40, 0.45
"""Shares of the budget: the blind spot of all records, the coverage of all records, and the rest
(segments, pairs, overlaps, conflicts, class shares). What matters most is not to be crowded out by
what is many: with 700 series each of 15 LFs may be 19 times as easily believed."""


def weights(keys: Sequence[SeriesKey]) -> Floats:
    """Return each series' weight in the budget, [S], mean 1 (Genovese, Roeder & Wasserman 2006).

    The share of a part without series goes to the others.
    """
    part = np.array([_part(key) for key in keys], dtype=np.int64)
    size = np.bincount(part, minlength=3)
    share = np.where(size > 0, (BLIND_SPOT, COVERAGE, REST), 0.0)
    of_part = share / max(float(share.sum()), 1e-300) * len(keys) / np.maximum(size, 1)
    return np.asarray(of_part[part])


def _part(key: SeriesKey) -> int:
    if key.segment != ALL:
        return 2
    return {SeriesKind.BLIND_SPOT: 0, SeriesKind.COVERAGE: 1}.get(SeriesKind(key.series), 2)


def off(p_value: Floats, worth: Mask, tested: Mask, alpha: float) -> Mask:
    """Return the series that are off: of those *tested* rejected at *alpha*, and worth a page."""
    rejected = np.zeros(len(tested), dtype=np.bool_)
    rejected[tested] = benjamini_hochberg(np.where(worth, p_value, 1.0)[tested], alpha)
    return np.asarray(rejected & worth)


def benjamini_hochberg(p_values: Floats, alpha: float) -> Mask:
    """Return which hypotheses are rejected at false-discovery rate *alpha* (1995, step-up).

    >>> benjamini_hochberg(np.array([.001, .9, .012, .03]), .05).tolist()
    [True, False, True, True]
    """
    m = len(p_values)
    if not m:
        return np.zeros(0, dtype=np.bool_)
    order = np.sort(p_values)
    passing = np.flatnonzero(order <= alpha * np.arange(1, m + 1) / m)
    threshold = order[passing[-1]] if len(passing) else -1.0
    return np.asarray(p_values <= threshold)
