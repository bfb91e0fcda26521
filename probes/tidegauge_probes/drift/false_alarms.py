"""The budget of false alarms: false incidents per period, whatever the length of windows.

It is not given per window, because .5 per 1,000 windows means one false incident in 12 weeks if
they are hours, but in 38 years if they are weeks: no shift of weekly counts can be that certain.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tidegauge_probes.errors import BudgetError

DAY_MS: Final = 86_400_000
PERIODS_MS: Final[Mapping[str, int]] = {
    "day": DAY_MS,
    "week": 7 * DAY_MS,
    "month": 30 * DAY_MS,
    "quarter": 90 * DAY_MS,
    "year": 365 * DAY_MS,
}

_WRITTEN: Final = re.compile(r"(\d+(?:\.\d+)?) per (day|week|month|quarter|year)")

MOST_PER_WINDOW: Final = 0.5
"""Upper bound of α: above it, nearly every window would open something."""


@dataclass(frozen=True)
class FalseAlarms:
    """The number of false incidents accepted per period: ``1 per quarter``."""

    incidents: float
    period: str

    @property
    def text(self) -> str:
        """The budget as the stream file writes it."""
        return f"{self.incidents:g} per {self.period}"

    def per_window(self, window_ms: int) -> float:
        """Return α: the chance that a quiet window may open an incident.

        >>> round(1000 * FalseAlarms(1, "quarter").per_window(3_600_000), 2)
        0.46
        """
        return min(self.incidents * window_ms / PERIODS_MS[self.period], MOST_PER_WINDOW)


def parse(text: str) -> FalseAlarms:
    """Read ``2 per month``; BudgetError shows the right form."""
    written = _WRITTEN.fullmatch(" ".join(text.split()))
    incidents = float(written[1]) if written else 0.0
    if written is None or not 0 < incidents < math.inf:
        periods = ", ".join(PERIODS_MS)
        msg = f"'{text}' is not a false-alarm budget: write `1 per quarter` (or {periods})"
        raise BudgetError(msg)
    return FalseAlarms(incidents, written[2])


def default(window_ms: int) -> FalseAlarms:
    """Return one per quarter, or one per year if windows are a day or longer."""
    return FalseAlarms(1, "year" if window_ms >= DAY_MS else "quarter")
