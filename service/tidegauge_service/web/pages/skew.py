"""What the page says of training data that were never like the live traffic."""

from __future__ import annotations

from dataclasses import dataclass

from tidegauge_alerts.messages.phrases import clean, subject
from tidegauge_service.store.windows.skew import SkewRow
from tidegauge_service.web.words import count, odds, place, share

MOST_ROWS = 100


@dataclass(frozen=True, slots=True)
class SkewLine:
    """A series that differs."""

    name: str
    segment: str
    trained: str
    live: str
    effect: str


@dataclass(frozen=True, slots=True)
class SkewView:
    """The section: the series that differ, the surest first."""

    summary: str
    rows: tuple[SkewLine, ...]


def skew_view(row: SkewRow | None) -> SkewView | None:
    """Return the section as the page shows it; None if nothing was tested."""
    if row is None:
        return None
    if not row.found:
        return SkewView("The training data match the live traffic, as far as the LFs can tell.", ())
    more = len(row.found) - MOST_ROWS
    rest = f"; {more:,} more are in the JSON list" if more > 0 else ""
    return SkewView(
        f"{count(len(row.found), 'series', 'series')} in which the training data (baseline "
        f"{clean(row.training)}) never matched the live traffic{rest}.",
        tuple(
            SkewLine(
                subject(one.key),
                place(one.key.segment),
                share(one.trained),
                share(one.live),
                odds(one.effect),
            )
            for one in row.found[:MOST_ROWS]
        ),
    )
