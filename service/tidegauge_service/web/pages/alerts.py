"""What the page shows of an alert."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tidegauge_alerts.messages.phrases import because, copied, episode, sentence
from tidegauge_alerts.model import Alert, AlertState
from tidegauge_probes.findings import ALL, SeriesKey, SeriesKind
from tidegauge_service.store.streams import StreamRow
from tidegauge_service.web import addresses
from tidegauge_service.web.charts.pictures import Picture, series_picture
from tidegauge_service.web.words import Fact, Link, chance, count, moment, odds, place, share

MOST_CHARTS = 6
"""Firing alerts that are shown with a chart: each costs some 50 ms to draw."""

OPEN: Final = (AlertState.FIRING, AlertState.PENDING, AlertState.SETTLED)
"""States of open alerts, in the order in which they are read."""

MOST_OPEN = 50
MOST_RESOLVED = 10


@dataclass(frozen=True, slots=True)
class AlertCard:
    """One alert on the page."""

    id: str
    state: str
    severity: str
    kind: str
    sentence: str
    facts: tuple[Fact, ...]
    links: tuple[Link, ...]
    picture: Picture | None = None


@dataclass(frozen=True, slots=True)
class AlertLists:
    """Open alerts, firing first, the strongest first; and the last that were resolved."""

    open: tuple[AlertCard, ...]
    resolved: tuple[AlertCard, ...]
    more: int
    """Open alerts that are not shown."""


def lists(
    stream: StreamRow, open_: Iterable[Alert], resolved: Iterable[Alert], total_open: int
) -> AlertLists:
    """Return the alerts of a stream in the order in which they are read."""
    ordered = sorted(open_, key=_strongest_first)[:MOST_OPEN]
    drawn = {a.id for a in [a for a in ordered if a.state is AlertState.FIRING][:MOST_CHARTS]}
    latest = sorted(resolved, key=lambda a: a.resolved_window_ms or 0, reverse=True)
    name, zone = stream.name, stream.timezone
    return AlertLists(
        tuple(
            card(a, zone, series_picture(name, a.key) if a.id in drawn else None) for a in ordered
        ),
        tuple(card(a, zone) for a in latest[:MOST_RESOLVED]),
        max(0, total_open - len(ordered)),
    )


def _strongest_first(alert: Alert) -> tuple[int, float, SeriesKey]:
    return OPEN.index(alert.state), -abs(alert.rank), alert.key


def card(alert: Alert, zone: str, picture: Picture | None = None) -> AlertCard:
    """Return an alert as the page shows it."""
    return AlertCard(
        id=alert.id,
        state=str(alert.state),
        severity=str(alert.severity),
        kind=alert.kind.text,
        sentence=_sentence(alert),
        facts=_facts(alert, zone),
        links=_links(alert),
        picture=picture,
    )


def _sentence(alert: Alert) -> str:
    if alert.settled is not None:
        return episode(alert)
    return sentence(alert.key, alert, rule=alert.rule)


def _facts(alert: Alert, zone: str) -> tuple[Fact, ...]:
    shown = [
        Fact("Since", moment(alert.opened_window_ms, zone)),
        Fact("Segment", place(alert.key.segment)),
        *(
            [Fact("Where", because(alert.cause, alert.scale).removeprefix(", "))]
            if alert.cause
            else []
        ),
        *([Fact("Copies", _copies(alert))] if alert.copies else []),
        Fact("Observed in the last shifted window", _observed(alert)),
        Fact("Odds ratio", odds(alert.effect)),
        Fact("Chance at baseline", chance(alert.p_value)),
        Fact("Shifted windows", count(alert.streak)),
        *([Fact("Reopened", count(alert.reopened, "time"))] if alert.reopened else []),
    ]
    if alert.resolved_window_ms is not None:
        shown.insert(1, Fact("Resolved", moment(alert.resolved_window_ms, zone)))
    return tuple(shown)


def _copies(alert: Alert) -> str:
    return copied(alert.key, alert.copies).lstrip(":, ")


def _observed(alert: Alert) -> str:
    if alert.key.series is SeriesKind.VOLUME:
        return count(alert.x, "record")
    return f"{share(alert.observed)} ({alert.x:,} of {alert.n:,})"


def _links(alert: Alert) -> tuple[Link, ...]:
    links = [
        Link("Evidence and history", addresses.api_alert(alert.id)),
        Link("Its candidates", addresses.api_candidates(alert=alert.id)),
    ]
    if alert.key.segment != ALL:
        links.append(Link("Heat map of its segment", _segment_page(alert)))
    return tuple(links)


def _segment_page(alert: Alert) -> str:
    return f"{addresses.page(alert.stream, alert.key.segment)}#map"
