"""What the page says of false alarms: the budget, the forecast, and what opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tidegauge_alerts.messages.phrases import MAX_SEGMENT, clean
from tidegauge_probes.drift.civil_time import UTC
from tidegauge_probes.drift.false_alarms import PERIODS_MS
from tidegauge_probes.drift.scales import GROSS_ODDS
from tidegauge_service.store.windows.forecast import ForecastRow
from tidegauge_service.web.words import count, moment

OVER: Final = 2.0
"""Times the budget from which the page says that the stream cannot keep it."""

MOST_NAMED: Final = 5
"""Wandering series that one sentence names."""


def sentences(row: ForecastRow | None, window_ms: int, zone: str = UTC) -> tuple[str, ...]:
    """Return the section's sentences, times in *zone*; none before a window was compared."""
    if row is None:
        return ()
    budget = f"The budget is {row.budget}."
    opened = f"{count(row.incidents, 'incident', 'incidents')} opened in "
    opened += f"{count(row.windows, 'compared window', 'compared windows')}"
    if row.expected is None or row.predicted is None:
        learning = f"No forecast while the baseline is learning; {opened}."
        return (budget, learning, *left_out(row.left_out, zone))
    period = row.budget.rpartition(" ")[2]
    rate = row.expected * PERIODS_MS[period] / window_ms
    told = [
        budget,
        f"From its own calibration, expect about {rate:.2g} false incidents per {period}.",
        f"{opened}; about {row.predicted:.2g} false ones were to be expected.",
    ]
    if row.expected > OVER * row.allowed:
        told.append("That is over the budget: a longer baseline usually helps.")
    return (*told, *wandering(row.wandering), *left_out(row.left_out, zone))


def left_out(stretches: Sequence[tuple[int, int]], zone: str = UTC) -> tuple[str, ...]:
    """Say which stretches of its windows a baseline did not learn from, if there are any."""
    if not stretches:
        return ()
    named = (f"{moment(since, zone)} to {moment(until, zone)}" for since, until in stretches)
    text = (
        f"Not learned from, because it looks like an incident: {'; '.join(named)}. If that is how "
        "the stream is, list it in `keep` of `baseline` in the stream file."
    )
    return (text,)


def wandering(names: Sequence[str]) -> tuple[str, ...]:
    """Say which series have no level to return to, if there are any."""
    if not names:
        return ()
    said = ", ".join(clean(name, MAX_SEGMENT) for name in names[:MOST_NAMED])
    said += f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    verb = "wanders" if len(names) == 1 else "wander"
    text = (
        f"{count(len(names), 'series', 'series')} {verb}, without a level to return to: {said}. No "
        f"baseline fits that for long, so only an odds ratio of {GROSS_ODDS:g} or more alerts."
    )
    return (text,)
