"""The first page as plain values: pure, from what the store holds to what the template shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tidegauge_alerts.messages.phrases import clean
from tidegauge_alerts.model import Alert, AlertState
from tidegauge_probes.findings import ALL, Verdict
from tidegauge_service.store.deployments import Deployment
from tidegauge_service.store.windows.figures import HeatMap
from tidegauge_service.store.windows.forecast import ForecastRow
from tidegauge_service.store.windows.precision import WindowPrecision
from tidegauge_service.store.windows.queries import StreamSummary
from tidegauge_service.store.windows.skew import SkewRow
from tidegauge_service.web import addresses
from tidegauge_service.web.charts import pictures
from tidegauge_service.web.charts.pictures import MapView
from tidegauge_service.web.pages import alerts, false_alarms, streams
from tidegauge_service.web.pages.alerts import AlertLists
from tidegauge_service.web.pages.deployments import DeploymentsView, deployments_view
from tidegauge_service.web.pages.precision import PrecisionView, precision_view
from tidegauge_service.web.pages.skew import SkewView, skew_view
from tidegauge_service.web.pages.streams import State, StreamCard
from tidegauge_service.web.words import Link, moment, place

MAX_RULE = 1_000
"""Characters of the sentence about a rule that cannot fire."""

WINDOW_CHOICES = (30, 60, 120)


@dataclass(frozen=True, slots=True)
class Choice:
    """What the reader asked to see."""

    stream: str
    segment: str = ALL
    windows: int = addresses.WINDOWS


@dataclass(frozen=True, slots=True)
class Detail:
    """The chosen stream: its heat map and its alerts."""

    card: StreamCard
    segment: str
    segments: tuple[Link, ...]
    """Those with a shift in the last window first."""
    windows: tuple[Link, ...]
    map: MapView | None
    precision: PrecisionView | None
    """None without a label model."""
    compared: bool
    """Whether its last window was compared, so that a label model would have said something."""
    skew: SkewView | None
    """None if nothing was tested."""
    false_alarms: tuple[str, ...]
    """Sentences; none before the first window was compared."""
    deployments: DeploymentsView
    alerts: AlertLists
    silent_rules: tuple[str, ...] = ()
    """Rules that cannot fire, and why: a sentence each."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole page."""

    state: State
    made: str
    """When, in ISO-8601."""
    cards: tuple[StreamCard, ...]
    detail: Detail | None
    missing: bool
    """Whether a stream was asked for that does not exist."""


def choose(summaries: Sequence[StreamSummary], name: str | None) -> StreamSummary | None:
    """Return the stream asked for; unasked, the first that has alerts firing, or the first."""
    if name is not None:
        return next((s for s in summaries if s.stream.name == name), None)
    alarmed = (s for s in summaries if streams.number_of(s, AlertState.FIRING))
    return next(alarmed, summaries[0] if summaries else None)


def overview(
    summaries: Sequence[StreamSummary], detail: Detail | None, now_ms: int, *, missing: bool
) -> Overview:
    """Return the page."""
    chosen = detail.card.link.href if detail else None
    cards = [streams.card(s, chosen=addresses.page(s.stream.name) == chosen) for s in summaries]
    return Overview(streams.state(*summaries), moment(now_ms), tuple(cards), detail, missing)


def detail(
    summary: StreamSummary,
    choice: Choice,
    figures: HeatMap,
    open_: Iterable[Alert],
    resolved: Iterable[Alert],
    *,
    judged: WindowPrecision | None,
    skew: SkewRow | None,
    forecast: ForecastRow | None,
    deployments: Sequence[Deployment],
) -> Detail:
    """Return what the page shows of the chosen stream."""
    name = summary.stream.name
    total = sum(streams.number_of(summary, s) for s in alerts.OPEN)
    silent = () if forecast is None else forecast.silent_rules
    return Detail(
        card=streams.card(summary, chosen=True),
        segment=place(choice.segment),
        segments=_segments(summary, choice),
        windows=tuple(_windows(name, choice, number) for number in WINDOW_CHOICES),
        map=pictures.map_view(summary.stream, choice.segment, choice.windows, figures),
        precision=precision_view(judged),
        compared=summary.last_window is not None and summary.last_window.baseline is not None,
        skew=skew_view(skew),
        false_alarms=false_alarms.sentences(
            forecast, summary.stream.window_ms, summary.stream.timezone
        ),
        deployments=deployments_view(deployments, summary.stream.timezone),
        alerts=alerts.lists(summary.stream, open_, resolved, total),
        silent_rules=tuple(clean(text, MAX_RULE) for text in silent),
    )


def _windows(name: str, choice: Choice, number: int) -> Link:
    href = addresses.page(name, choice.segment, number) + "#map"
    return Link(f"{number} windows", href, number == choice.windows)


def _segments(summary: StreamSummary, choice: Choice) -> tuple[Link, ...]:
    found = summary.last_window.series if summary.last_window else ()
    shifted: dict[str, int] = {ALL: 0}
    for figure in found:
        moved = figure.verdict == Verdict.SHIFTED
        shifted[figure.segment] = shifted.get(figure.segment, 0) + moved
    ordered = sorted(shifted, key=lambda s: (s != ALL, -shifted[s], s))
    return tuple(_segment(summary, choice, segment, shifted[segment]) for segment in ordered)


def _segment(summary: StreamSummary, choice: Choice, segment: str, shifted: int) -> Link:
    text = place(segment) + (f" ({shifted} shifted)" if shifted else "")
    href = addresses.page(summary.stream.name, segment, choice.windows) + "#map"
    return Link(text, href, segment == choice.segment)
