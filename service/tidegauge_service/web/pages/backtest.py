"""A backtest as one HTML file that needs nothing else: no script, no address, no request."""

from __future__ import annotations

import base64
import hashlib
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from tidegauge_alerts.incidents.incident import incidents_of
from tidegauge_alerts.messages.phrases import clean, episode, reopenings, sentence
from tidegauge_alerts.model import Alert, AlertState, Severity
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.findings import SeriesKey
from tidegauge_service.store.states import WindowState
from tidegauge_service.store.windows.figures import HeatMap
from tidegauge_service.store.windows.queries import StreamSummary
from tidegauge_service.web.charts import renderer, specs
from tidegauge_service.web.charts.histories import fewer_columns, fewer_points, group_size
from tidegauge_service.web.charts.pictures import Picture
from tidegauge_service.web.charts.specs import Bar, History, Marks
from tidegauge_service.web.charts.themes import THEMES, Theme, ThemeName
from tidegauge_service.web.environment import TEMPLATES
from tidegauge_service.web.words import Fact, chance, count, duration, moment, odds

MOST_COLUMNS = 120
MOST_POINTS = 300
"""Columns of the heat map, points of a series: of more windows, each shows the most deviating."""

MOST_SERIES = 24
"""Alarmed series that are drawn, the strongest; the timeline has this many rows too."""

MOST_ALERTS = 500
"""Alerts listed one by one."""


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a replay found. ``late``: start of window → records that came too late for it."""

    summary: StreamSummary
    seconds: float
    settings: str
    """The stream's settings as YAML."""
    baseline: Baseline | None
    states: Mapping[int, WindowState]
    """Start of window → state, of every window, in order."""
    late: Mapping[int, int]
    alerts: Sequence[Alert]
    """Oldest first."""
    figures: HeatMap
    histories: Mapping[SeriesKey, History]
    """Of the series that ``drawn_series`` names."""

    @property
    def zone(self) -> str:
        """The stream's time zone, in which all its times are shown."""
        return self.summary.stream.timezone


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert in the list."""

    opened: str
    resolved: str
    sentence: str
    kind: str
    severity: str
    odds: str
    chance: str


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """The alerts of one cause, what changed first."""

    number: int
    opened: str
    headline: str
    alerts: tuple[AlertRow, ...]


@dataclass(frozen=True, slots=True)
class SeriesView:
    """One alarmed series."""

    title: str
    picture: Picture


def drawn_series(alerts: Sequence[Alert]) -> list[SeriesKey]:
    """Return the series to draw: of those with alerts, the ones that moved most."""
    strength: dict[SeriesKey, float] = {}
    for alert in alerts:
        strength[alert.key] = max(abs(alert.rank), strength.get(alert.key, 0.0))
    return sorted(strength, key=lambda key: (-strength[key], key))[:MOST_SERIES]


def render(found: Backtest, made_ms: int, version: str) -> str:
    """Return the file's text."""
    static = resources.files("tidegauge_service.web").joinpath("static")
    style = static.joinpath("page.css").read_text("utf-8")
    style_hash = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    shown = found.alerts[:MOST_ALERTS]
    return TEMPLATES.get_template("backtest.html").render(
        name=clean(found.summary.stream.name),
        made=moment(made_ms),
        version=version,
        style=style,
        style_hash=style_hash,
        facts=_facts(found),
        baseline=_baseline(found.baseline, found.zone),
        settings=found.settings,
        dead_letters=[Fact(r, count(n)) for r, n in sorted(found.summary.dead_letters.items())],
        late=_late(found),
        zone=found.zone,
        timeline=_timeline(found),
        map=_map(found),
        windows_a_column=group_size(len(found.figures.starts), MOST_COLUMNS),
        windows_a_point=group_size(len(found.figures.starts), MOST_POINTS),
        incidents=_incidents(shown, found.zone),
        more_alerts=len(found.alerts) - len(shown),
        series=[_series(key, of_key, found) for key, of_key in found.histories.items()],
        more_series=len({a.key for a in found.alerts}) - len(found.histories),
    )


def _facts(found: Backtest) -> list[Fact]:
    summary, states = found.summary, Counter(found.states.values())
    compared = states[WindowState.COMPARED] + states[WindowState.LEARNING]
    incidents = len({alert.incident for alert in found.alerts})
    rate = f"{1000 * incidents / compared:.1f}" if compared else "–"
    starts = list(found.states)
    until = starts[-1] + summary.stream.window_ms if starts else None
    return [
        Fact("Records", count(summary.records)),
        Fact("Windows", f"{summary.windows:,} of {duration(summary.stream.window_ms)}"),
        Fact("From", moment(starts[0] if starts else None, found.zone)),
        Fact("Until", moment(until, found.zone)),
        Fact("Compared with the baseline", count(compared, "window")),
        Fact("Incidents", count(incidents)),
        Fact("Alerts", _alerts(found.alerts)),
        Fact("Incidents per 1,000 windows compared", rate),
        Fact("Late", count(summary.late)),
        Fact("Dead letters", count(sum(summary.dead_letters.values()))),
        Fact("Candidates", count(sum(summary.candidates.values()))),
        Fact("Time taken", f"{found.seconds:,.1f} s"),
    ]


def _alerts(alerts: Sequence[Alert]) -> str:
    """Return how many alerts there are, and what became of them."""
    ended = Counter(alert.state for alert in alerts)
    said = [f"{len(alerts):,}", f"{ended[AlertState.RESOLVED]:,} resolved"]
    if ended[AlertState.SETTLED]:
        said.append(f"{ended[AlertState.SETTLED]:,} settled")
    if reopened := sum(alert.reopened > 0 for alert in alerts):
        said.append(f"{reopened:,} reopened")
    return ", ".join(said)


def _baseline(baseline: Baseline | None, zone: str) -> list[Fact]:
    if baseline is None:
        return []
    source = ", ".join(f"{name} {clean(str(value))}" for name, value in baseline.source.items())
    return [
        Fact("Hash", baseline.id),
        Fact("From", source),
        Fact("Records", count(baseline.total.records)),
        Fact("Windows", count(len(baseline.starts))),
        Fact("Series", count(len(baseline.keys))),
        Fact("State", "learning: too few windows" if baseline.learning else "calibrated"),
        *(
            Fact("Not learned from", f"{moment(since, zone)} to {moment(until, zone)}")
            for since, until in baseline.calibration.left_out
        ),
        *(
            [Fact("Series that wander", count(len(baseline.wandering)))]
            if baseline.wandering
            else []
        ),
    ]


def _late(found: Backtest) -> list[Fact]:
    most = sorted(found.late.items(), key=lambda item: (-item[1], item[0]))[:10]
    return [Fact(moment(start, found.zone), count(n, "record")) for start, n in most]


def _incidents(alerts: Sequence[Alert], zone: str) -> list[IncidentRow]:
    return [
        _incident(number, incident.alerts, zone)
        for number, incident in enumerate(incidents_of(alerts), 1)
    ]


def _incident(number: int, alerts: Sequence[Alert], zone: str) -> IncidentRow:
    first = alerts[0]
    headline = sentence(first.key, first, rule=first.rule)
    rows = tuple(_row(alert, zone) for alert in alerts)
    return IncidentRow(number, moment(first.opened_window_ms, zone), headline, rows)


def _row(alert: Alert, zone: str) -> AlertRow:
    again = reopenings(alert.reopened)
    return AlertRow(
        opened=moment(alert.opened_window_ms, zone),
        resolved=_ended(alert, zone),
        sentence=episode(alert) + (f" ({again})" if again else ""),
        kind=alert.kind.text,
        severity=str(alert.severity),
        odds=odds(alert.effect),
        chance=chance(alert.p_value),
    )


def _ended(alert: Alert, zone: str) -> str:
    if alert.resolved_window_ms is not None:
        return moment(alert.resolved_window_ms, zone)
    return "settled" if alert.state is AlertState.SETTLED else "open"


def _bars(alert: Alert, length: int, until: int) -> list[Bar]:
    """Return the bar of an alert; the windows at the level where it has settled are one more."""
    ended = alert.resolved_window_ms
    end = until if ended is None else ended + length
    level = end if alert.settled is None else max(alert.settled.from_ms, alert.opened_window_ms)
    name, critical = str(alert.key), alert.severity is Severity.CRITICAL
    moving = Bar(name, alert.opened_window_ms, level, critical)
    settled = Bar(name, level, end, critical, settled=True)
    return [bar for bar in (moving, settled) if bar.opened_ms < bar.until_ms]


def _timeline(found: Backtest) -> Picture | None:
    drawn = set(found.histories)
    alerts = [alert for alert in found.alerts if alert.key in drawn]
    if not alerts:
        return None
    length = found.summary.stream.window_ms
    since, until = next(iter(found.states)), max(found.states) + length
    bars = [bar for alert in alerts for bar in _bars(alert, length, until)]
    text = f"Timeline of {count(len(alerts), 'alert')}; the list below describes each one."
    light, dark = (
        _svg(specs.timeline(bars, since, until, theme, zone=found.zone)) for theme in _themes()
    )
    return Picture(light, dark, text)


def _map(found: Backtest) -> Picture | None:
    if not any(cell for row in found.figures.cells for cell in row):
        return None
    size = group_size(len(found.figures.starts), MOST_COLUMNS)
    figures = fewer_columns(found.figures, size)
    light, dark = (_svg(specs.heat_map(figures, theme, zone=found.zone)) for theme in _themes())
    return Picture(light, dark, "Heat map of deviations from the baseline, LF by window.")


def _series(key: SeriesKey, history: History, found: Backtest) -> SeriesView:
    size = group_size(len(history.starts), MOST_POINTS)
    points = fewer_points(history, size)
    marks = _marks(key, points.starts, found.alerts)
    light, dark = (
        _svg(specs.series(points, theme, marks=marks, width=specs.MAP_WIDTH, zone=found.zone))
        for theme in _themes()
    )
    text = "Observed share by window, against the expected share and its 99 % band."
    return SeriesView(clean(str(key), specs.MAX_TITLE), Picture(light, dark, text))


def _marks(key: SeriesKey, starts: Sequence[int], alerts: Sequence[Alert]) -> Marks:
    """Return the marks at points, each of which reaches to the next, the last to the end."""
    ends = [*starts[1:], sys.maxsize][: len(starts)]
    spans = [
        (a.opened_window_ms, a.resolved_window_ms or starts[-1]) for a in alerts if a.key == key
    ]
    begun = {a.opened_window_ms for a in alerts}
    return Marks(
        frozenset(
            s
            for s, e in zip(starts, ends, strict=True)
            if any(opened < e and s <= until for opened, until in spans)
        ),
        frozenset(s for s, e in zip(starts, ends, strict=True) if any(s <= at < e for at in begun)),
    )


def _themes() -> tuple[Theme, ...]:
    return THEMES[ThemeName.LIGHT], THEMES[ThemeName.DARK]


def _svg(spec: renderer.Spec) -> str:
    """Return a picture as an address that holds it: in an <img>, nothing of it can run or load."""
    return f"data:image/svg+xml;base64,{base64.b64encode(renderer.to_svg(spec).encode()).decode()}"
