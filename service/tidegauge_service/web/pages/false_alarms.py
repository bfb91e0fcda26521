"""What the page says of false alarms: the budget, the forecast, and what opened."""

from __future__ import annotations

from typing import Final

from tidegauge_probes.drift.false_alarms import PERIODS_MS
from tidegauge_service.store.windows.forecast import ForecastRow
from tidegauge_service.web.words import count

OVER: Final = 2.0
"""Times the budget from which the page says that the stream cannot keep it."""


def sentences(row: ForecastRow | None, window_ms: int) -> tuple[str, ...]:
    """Return the section's sentences; none before the first window was compared."""
    if row is None:
        return ()
    budget = f"The budget is {row.budget}."
    opened = f"{count(row.incidents, 'incident', 'incidents')} opened in "
    opened += f"{count(row.windows, 'compared window', 'compared windows')}"
    if row.expected is None or row.predicted is None:
        return (budget, f"No forecast while the baseline is learning; {opened}.")
    period = row.budget.rpartition(" ")[2]
    rate = row.expected * PERIODS_MS[period] / window_ms
    told = [
        budget,
        f"From its own calibration, expect about {rate:.2g} false incidents per {period}.",
        f"{opened}; about {row.predicted:.2g} of them would be false.",
    ]
    if row.expected > OVER * row.allowed:
        told.append("That is over the budget: a longer baseline usually helps.")
    return tuple(told)
