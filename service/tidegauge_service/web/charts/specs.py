"""The charts of the page and of messages, as Vega-Lite. Pure: from figures to specifications.

Names in figures come from records and are hostile. They enter a chart only as data, never as
a part of an expression, a field name or an address.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import altair as alt

from tidegauge_alerts.messages.phrases import clean
from tidegauge_probes.drift.civil_time import UTC, offset_ms
from tidegauge_probes.findings import VOLUME_OF, SeriesKind, Verdict
from tidegauge_service.clock import in_zone, to_iso
from tidegauge_service.store.windows.figures import HeatMap, SeriesFigure
from tidegauge_service.web.charts.renderer import Spec
from tidegauge_service.web.charts.themes import THEMES, Theme, ThemeName

CLIP: Final = 8.0
"""Deviations beyond this are drawn in the last colour."""

MAX_ROWS: Final = 51
"""The blind spot and 50 LFs; of more, those that moved most."""

MAX_TITLE: Final = 200
MAX_LABEL: Final = 40
"""Characters of a name beside a row; one that is twice as wide as others counts twice.

Vega is told not to shorten labels (``_down``). It cuts between UTF-16 units, and half an emoji
ends vl-convert with "unexpected end of hex escape".
"""

MAX_ROW: Final = 60
"""Columns of a series' name beside its bar in a timeline."""

FONT: Final = "Liberation Sans, Arial, Helvetica, sans-serif"
"""vl-convert brings the first and measures with it; the others are as wide."""

NOT_COMPARED: Final = (Verdict.NO_DATA, Verdict.LOW_VOLUME)
SMALL_SHARE, TINY_SHARE = 0.2, 0.02
"""Below these, percentages on an axis need one and two decimals."""

MAP_WIDTH, CELL_WIDTH, CELL_HEIGHT = 900, 24, 18
SERIES_WIDTH, SERIES_HEIGHT = 420, 110
LABEL_EVERY_PX: Final = 80

_DATA: Final = alt.NamedData("figures")
"""Filled in by :func:`_finished`: altair would check every row against its schema (1 s)."""

LIGHT: Final = THEMES[ThemeName.LIGHT]


@dataclass(frozen=True, slots=True)
class History:
    """One series over the last windows; ``None`` where a window has no figure of it."""

    starts: tuple[int, ...]
    figures: tuple[SeriesFigure | None, ...]


@dataclass(frozen=True, slots=True)
class Marks:
    """What is marked beside a series' figures, by start of window."""

    alerted: frozenset[int] = frozenset()
    """Its alert is open: shaded."""
    incidents: frozenset[int] = frozenset()
    """An incident of the stream begins: a line."""


NO_MARKS: Final = Marks()


@dataclass(frozen=True, slots=True)
class Bar:
    """One alert in a timeline. Times in epoch ms."""

    row: str
    opened_ms: int
    until_ms: int
    critical: bool


def deviation_of(figure: SeriesFigure | None) -> float | None:
    """Return what a cell shows: the deviation, or None where nothing could be compared."""
    if figure is None or figure.verdict in NOT_COMPARED or figure.deviation is None:
        return None
    return figure.deviation if math.isfinite(figure.deviation) else None


def is_shifted(figure: SeriesFigure | None) -> bool:
    """Tell whether a cell carries the mark of a shift."""
    return figure is not None and figure.verdict == Verdict.SHIFTED


def shown_rows(figures: HeatMap, most: int = MAX_ROWS) -> tuple[int, ...]:
    """Return the rows to draw, in order: all, or the first and those that moved most."""

    def strength(row: int) -> float:
        return max((abs(deviation_of(f) or 0.0) for f in figures.cells[row]), default=0.0)

    rows = range(len(figures.names))
    if len(rows) <= most:
        return tuple(rows)
    strongest = sorted(rows[1:], key=lambda row: (-strength(row), row))[: most - 1]
    return (0, *sorted(strongest))


def fitting(text: str, columns: int) -> str:
    """Return *text* cleaned, and cut where it is wider than so many columns.

    >>> fitting("abcdef", 4), fitting("漢字漢字", 5)
    ('abc…', '漢字…')
    """
    shown, room = clean(text, columns), columns
    for place, c in enumerate(shown):
        room -= 2 if unicodedata.east_asian_width(c) in "WF" else 1
        if room < 0 or (room == 0 and place + 1 < len(shown)):
            return shown[:place] + "…"
    return shown


def distinct(names: Iterable[str], limit: int = MAX_LABEL) -> list[str]:
    """Return names as they are shown; those that would look the same get a number.

    >>> distinct(["a", "b", "a"])
    ['a', 'b', 'a (2)']
    """
    found: list[str] = []
    for name in names:
        cut = shown = fitting(name, limit)
        number = 2
        while shown in found:
            shown = f"{cut} ({number})"
            number += 1
        found.append(shown)
    return found


def stamp(ms: int, zone: str = UTC) -> str:
    """Return a time as short as it is exact: ``2020-03-15T12:00``, by the clock of *zone*.

    The second time that an hour comes when clocks are put back has its offset: it is another
    column.

    >>> stamp(1_792_886_400_000, "Europe/Berlin"), stamp(1_792_890_000_000, "Europe/Berlin")
    ('2026-10-25T02:00', '2026-10-25T02:00+01:00')
    """
    if zone == UTC:
        return to_iso(ms).removesuffix("Z").removesuffix(":00")
    local = in_zone(ms, zone)
    short = to_iso(ms + offset_ms(zone, ms)).removesuffix("Z").removesuffix(":00")
    return short + (local.isoformat()[-6:] if local.fold else "")


def heat_map(figures: HeatMap, theme: Theme = LIGHT, title: str = "", zone: str = UTC) -> Spec:
    """Return LF × window, coloured by the deviation from the baseline, clipped at ±CLIP.

    A dot marks a shift, so that colour is not its only sign; grey is no data.
    """
    rows = shown_rows(figures)
    labels = distinct(figures.names[row] for row in rows)
    starts = [stamp(ms, zone) for ms in figures.starts]
    cells = [
        _cell(label, start, figures.cells[row][at])
        for row, label in zip(rows, labels, strict=True)
        for at, start in enumerate(starts)
    ]
    width = max(10 * CELL_WIDTH, min(MAP_WIDTH, CELL_WIDTH * len(starts)))
    across, down = _across(starts, width, zone), _down(labels)
    base = alt.Chart(_DATA).encode(across, down)
    chart = alt.layer(
        base.mark_rect(color=theme.no_data),
        base.mark_rect().transform_filter("datum.deviation !== null").encode(_diverging(theme)),
        base.mark_point(shape="circle", filled=True, size=22, opacity=1)
        .transform_filter("datum.shifted")
        .encode(fill=alt.value("#ffffff"), stroke=alt.value("#101418")),
    ).properties(width=width, height=alt.Step(CELL_HEIGHT))
    return _finished(chart, cells, theme, title) | _room(labels)


def _room(labels: Sequence[str]) -> Spec:
    """Return padding: the reader's font may be wider than the one that was measured."""
    room = round(1.5 * max(map(len, labels), default=0))
    return {"padding": {"left": 15, "top": 5, "right": 5 + room, "bottom": 5}}


def _cell(label: str, start: str, figure: SeriesFigure | None) -> dict[str, Any]:
    deviation = deviation_of(figure)
    clipped = None if deviation is None else round(max(-CLIP, min(CLIP, deviation)), 3)
    return {"row": label, "window": start, "deviation": clipped, "shifted": is_shifted(figure)}


def _across(starts: Sequence[str], width: int, zone: str) -> alt.X:
    every = max(1, math.ceil(len(starts) * LABEL_EVERY_PX / width))
    axis = alt.Axis(
        title=f"start of window ({zone})",
        values=list(starts[::every]),
        labelExpr="reverse(split(datum.value, 'T'))",  # two lines: the time above the date
        labelAngle=0,
        labelOverlap=False,
    )
    return alt.X("window", type="ordinal", sort=list(starts), axis=axis)


def _down(labels: Sequence[str]) -> alt.Y:
    # On the right, beside the newest windows: there a narrow screen begins to scroll.
    axis = alt.Axis(title=None, orient="right", labelLimit=0, ticks=False, domain=False)
    return alt.Y("row", type="nominal", sort=list(labels), axis=axis)


def _diverging(theme: Theme) -> alt.Color:
    stops = [-CLIP, -CLIP / 2, 0, CLIP / 2, CLIP]
    scale = alt.Scale(domain=stops, range=list(theme.diverging), clamp=True, interpolate="lab")
    legend = alt.Legend(
        title="deviation from baseline (about a z-score)",
        orient="top",
        direction="horizontal",
        gradientLength=260,
        titleLimit=400,
        values=stops,
        labelExpr="datum.value == 8 ? '+8 more' : datum.value == -8 ? 'less −8' : datum.label",
    )
    return alt.Color("deviation", type="quantitative", scale=scale, legend=legend)


def series(
    history: History,
    theme: Theme = LIGHT,
    title: str = "",
    marks: Marks = NO_MARKS,
    *,
    width: int = SERIES_WIDTH,
    zone: str = UTC,
) -> Spec:
    """Return one series over windows: observed, expected (dashed), the 99 % band.

    Shares in %; volumes in records.
    """
    starts = [stamp(ms, zone) for ms in history.starts]
    points = [
        _point(at, f)
        | ({"alerted": True} if ms in marks.alerted else {})
        | ({"incident": True} if ms in marks.incidents else {})
        for at, ms, f in zip(starts, history.starts, history.figures, strict=True)
    ]
    format_ = "," if any(map(_is_volume, history.figures)) else _percent_format(history.figures)
    axis = alt.Axis(title=None, orient="right", format=format_, tickCount=4)
    base = alt.Chart(_DATA).encode(_across(starts, width, zone))
    expected, observed = _share("expected", axis), _share("observed", axis)
    chart = alt.layer(
        *_marked(base, theme, marks),
        base.mark_area(color=theme.band).encode(_share("low", axis), alt.Y2("high")),
        base.mark_line(color=theme.faint, strokeDash=[4, 3], strokeWidth=1.5).encode(expected),
        base.mark_line(color=theme.line, strokeWidth=2).encode(observed),
        base.mark_point(shape="circle", filled=True, size=30, opacity=1, color=theme.alarm)
        .transform_filter("datum.shifted")
        .encode(observed),
    ).properties(width=width, height=SERIES_HEIGHT)
    return _finished(chart, points, theme, title)


def _marked(base: alt.Chart, theme: Theme, marks: Marks) -> list[alt.Chart]:
    layers = []
    if marks.alerted:
        shade = base.mark_rect(color=theme.alarm, opacity=0.18)
        layers.append(shade.transform_filter("datum.alerted"))
    if marks.incidents:
        line = base.mark_rule(color=theme.faint, opacity=0.6, strokeWidth=1)
        layers.append(line.transform_filter("datum.incident"))
    return layers


def timeline(
    bars: Sequence[Bar],
    since_ms: int,
    until_ms: int,
    theme: Theme = LIGHT,
    title: str = "",
    *,
    zone: str = UTC,
) -> Spec:
    """Return alerts as bars from opening to resolve, one row for each series, in given order."""

    def at(ms: int) -> str:
        return to_iso(ms + offset_ms(zone, ms))  # Vega is told that it is UTC

    names = list(dict.fromkeys(bar.row for bar in bars))
    shown = dict(zip(names, distinct(names, MAX_ROW), strict=True))
    rows = [
        {
            "row": shown[bar.row],
            "opened": at(bar.opened_ms),
            "until": at(bar.until_ms),
            "critical": bar.critical,
        }
        for bar in bars
    ]
    scale = alt.Scale(type="utc", domain=[at(since_ms), at(until_ms)])
    axis = alt.Axis(title=f"event time ({zone})", format="%Y-%m-%d", tickCount=8, gridOpacity=0.3)
    colour = alt.condition("datum.critical", alt.value(theme.alarm), alt.value(theme.line))
    chart = (
        alt.Chart(_DATA)
        .mark_bar(height=CELL_HEIGHT - 6, minBandSize=2)
        .encode(
            alt.X("opened", type="temporal", scale=scale, axis=axis),
            alt.X2("until"),
            _down(list(shown.values())),
            color=colour,
        )
        .properties(width=MAP_WIDTH, height=alt.Step(CELL_HEIGHT))
    )
    return _finished(chart, rows, theme, title) | _room(list(shown.values()))


def _point(start: str, figure: SeriesFigure | None) -> dict[str, Any]:
    names = ("observed", "expected", "low", "high")
    shares = {name: _finite(getattr(figure, name, None)) for name in names}
    if _is_volume(figure):
        shares = {k: None if share is None else share * VOLUME_OF for k, share in shares.items()}
    return {"window": start, "shifted": is_shifted(figure), **shares}


def _is_volume(figure: SeriesFigure | None) -> bool:
    return figure is not None and figure.series == SeriesKind.VOLUME


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _share(name: str, axis: alt.Axis) -> alt.Y:
    return alt.Y(name, type="quantitative", axis=axis, scale=alt.Scale(zero=False))


def _percent_format(figures: Iterable[SeriesFigure | None]) -> str:
    """Return d3's format: more digits where all shares are small."""
    largest = max((f.observed or 0.0 for f in figures if f is not None), default=1.0)
    return ".2%" if largest < TINY_SHARE else ".1%" if largest < SMALL_SHARE else ".0%"


def _finished(
    chart: alt.Chart | alt.LayerChart | alt.FacetChart,
    rows: list[dict[str, Any]],
    theme: Theme,
    title: str,
) -> Spec:
    """Return the chart with its data, in the theme's colours."""
    spec: Spec = chart.to_dict()
    spec["datasets"] = {"figures": rows}
    if title:
        spec["title"] = {"text": clean(title, MAX_TITLE), "anchor": "start"}
    return spec | {"background": theme.ground, "config": _config(theme)}


def _config(theme: Theme) -> dict[str, Any]:
    text = {"labelColor": theme.faint, "titleColor": theme.ink, "titleFontWeight": "normal"}
    return {
        "aria": False,  # the page says in words what the picture shows
        "font": FONT,
        "view": {"stroke": None},
        "title": {"color": theme.ink, "fontSize": 14},
        "axis": text
        | {"grid": False, "labelFontSize": 12, "titleFontSize": 12}
        | {"domainColor": theme.faint, "tickColor": theme.faint},
        "legend": text
        | {"labelFontSize": 12, "titleFontSize": 12, "layout": {"top": {"anchor": "end"}}},
    }
