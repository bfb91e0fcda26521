"""A plan in words and short tables, 80 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rich import box
from rich.table import Column, Table

from tidegauge_alerts.messages.phrases import MOST_NAMED, clean, percent
from tidegauge_probes.drift.baseline import LEARNING_WINDOWS
from tidegauge_probes.drift.power.lengths import OVER, LengthComparison, WindowLength
from tidegauge_probes.drift.power.outlook import (
    EVER,
    FIRST,
    Obstacle,
    SeriesOutlook,
    Shift,
    SmallestShifts,
)
from tidegauge_probes.drift.scales import LONGEST, MIN_RECORDS
from tidegauge_probes.findings import SeriesKind
from tidegauge_service.cli.console.terminal import out
from tidegauge_service.clock import to_duration, to_iso
from tidegauge_service.reports.plan import MONTH_MS, StreamPlan

WIDTH: Final = 79
NAMES: Final = 24
MANY, UNHEARD = 10.0, 1_000.0
"""Ratios from which digits behind the point, and any digits, say nothing: the LF never voted."""

WHY: Final = {
    Obstacle.FEW_RECORDS: f"fewer than {MIN_RECORDS} records in {LONGEST} windows",
    Obstacle.FEW_VOTES: "too few votes to tell",
    Obstacle.NOISE: "too different from window to window",
    Obstacle.CALIBRATION: "the baseline is too short, or its own windows have been as far off",
}
HORIZONS: Final = {"1d": "1 day", "1w": "1 week"}
UNITS: Final = ((86_400_000, "days"), (3_600_000, "hours"), (60_000, "minutes"), (1_000, "seconds"))


def show(plan: StreamPlan) -> None:
    """Print a plan."""
    for part in _parts(plan):
        if isinstance(part, Table):
            out.print(part)
        else:
            out.print("\n".join(textwrap.wrap(part, WIDTH)) if part else "")


def _parts(plan: StreamPlan) -> Iterator[str | Table]:
    yield from _head(plan)
    yield ""
    yield (
        "The smallest shifts that are found in time in half of the cases: the share falls to the "
        "first figure, or rises to the second (below: as multiples of the usual share)."
    )
    yield _table(plan.series, plan.baseline.window_ms)
    yield from _limits(plan)
    if plan.segments:
        yield ""
        yield from _segments(plan)
    if plan.lengths is not None:
        yield ""
        yield from _lengths(plan, plan.lengths)


def _head(plan: StreamPlan) -> Iterator[str]:
    baseline = plan.baseline
    since, until = (int(baseline.starts[0]), int(baseline.starts[-1]) + baseline.window_ms)
    yield (
        f"Stream '{clean(plan.stream)}': windows of {to_duration(baseline.window_ms)} with about "
        f"{_figure(plan.records)} records. Baseline: {len(baseline.starts)} windows from "
        f"{_date(since)} to {_date(until)}."
    )
    if baseline.learning:
        yield (
            f"The baseline is too short ({LEARNING_WINDOWS} windows are needed, over two days or "
            "more), so normal variation is unknown: until the stream has learned it, only shifts "
            "of an odds ratio of 3 or more are reported."
        )
    budget = f"The budget is {plan.false_alarms.text} ({_figure(plan.allowed)} a month)."
    if plan.expected is None:
        yield f"False incidents: no forecast from so short a baseline. {budget}"
        return
    yield f"False incidents: expect {_figure(plan.expected)} a month. {budget}"
    if plan.expected > OVER * plan.allowed:
        yield "That is over the budget: a longer baseline usually helps."


# -- LFs --------------------------------------------------------------------------------------


def _table(series: Sequence[SeriesOutlook], window_ms: int) -> Table:
    timed = [name for name in HORIZONS if series[0].within[name] is not None]
    names = timed or [FIRST, EVER]
    heads = (_within(name, series[0], window_ms) for name in names)
    table = _plain("LF", "share of\nrecords", "votes a\nwindow", *heads)
    for one in series:
        cells = (_cell(one.within[name]) for name in names)
        share, votes = f"{percent(one.share)} %", _figure(one.share * one.volume)
        table.add_row(_name(one), share, votes, *cells)
    return table


def _within(name: str, one: SeriesOutlook, window_ms: int) -> str:
    """Return the head of a column: the time, and its windows as far as they are added up."""
    found = one.within[name]
    windows = 0 if found is None else found.windows
    time = HORIZONS.get(name) or _time(windows * window_ms)
    return f"within {time}\n(by window {windows})"


def _cell(found: SmallestShifts | None) -> str:
    if found is None:
        return "–"
    down, up = found.down, found.up
    return f"{_share(down)} / {_share(up)}\n{_ratio(down)} / {_ratio(up)}"


def _share(shift: Shift | None) -> str:
    return "never" if shift is None else f"{percent(shift.share)} %"


def _ratio(shift: Shift | None) -> str:
    if shift is None:
        return "–"
    if shift.ratio >= UNHEARD:
        return f">×{UNHEARD:,.0f}"
    return f"×{shift.ratio:.2f}" if 1 <= shift.ratio < MANY else f"×{_figure(shift.ratio)}"


def _limits(plan: StreamPlan) -> Iterator[str]:
    longest = _time(LONGEST * plan.baseline.window_ms)
    yield (
        f"At most {LONGEST} windows ({longest}) are added up, so smaller shifts are found only by "
        "luck, however long they last."
    )
    for why in Obstacle:
        mute = [one for one in plan.series if one.never is why]
        if mute:
            yield f"Can never alarm: {_listed(mute)} ({WHY[why]})."
        no_fall = [one for one in plan.series if one.down is why and one.never is None]
        if no_fall:
            yield f"No fall is ever found, not even to zero: {_listed(no_fall)} ({WHY[why]})."
        no_rise = [one for one in plan.series if one.up is why and one.never is None]
        if no_rise:
            listed = _listed(no_rise)
            yield f"No rise is ever found, not even to all records: {listed} ({WHY[why]})."
    wanders = [one for one in plan.series if one.wanders]
    if wanders:
        yield (
            f"Hard to tell apart from noise: {_listed(wanders)}. In the baseline itself, levels "
            f"wander for longer than {LONGEST} windows, so adding up windows hardly helps, and "
            "only large shifts are reported. Check whether the baseline holds a shift of its own."
        )


# -- Segments ---------------------------------------------------------------------------------


def _segments(plan: StreamPlan) -> Iterator[str | Table]:
    yield (
        "Segments: how many of their series can alarm at all, and at what the share of records "
        "that no LF votes on (the blind spot) is found if it stays there."
    )
    table = _plain(
        "segment", "records\na window", "series that\ncan alarm", "blind\nspot", "found at"
    )
    for one in plan.segments:
        found = one.blind_spot.within[EVER]
        can = f"{one.telling} of {one.series}"
        share = f"{percent(one.blind_spot.share)} %"
        table.add_row(clean(one.segment, NAMES), _figure(one.records), can, share, _cell(found))
    yield table
    values = [clean(one.segment, NAMES) for one in plan.mute if "=" in one.segment]
    if values:
        yield (
            f"Too small to say anything: {_some(values)}. Merge these values before they reach the "
            "stream, or leave the field out of `segment_by`."
        )
    small = [clean(one.segment, NAMES) for one in plan.mute if "=" not in one.segment]
    if small:
        yield (
            f"Slices too small to say anything: {_some(small)}. Let these slicing functions take "
            "more records, or remove them."
        )


# -- Window lengths ---------------------------------------------------------------------------


def _lengths(plan: StreamPlan, compared: LengthComparison) -> Iterator[str | Table]:
    shift = _change(compared.ratio)
    yield (
        f"Window lengths: how long it takes on average to find {shift} of LF "
        f"'{clean(compared.probe)}', the median LF ({percent(compared.share)} % of records)."
    )
    table = _plain(
        "window",
        "baseline\nwindows",
        "found after",
        f"LFs with {shift}\nfound at all",
        "false incidents\na month",
    )
    for one in compared.lengths:
        table.add_row(*_length(one, compared.lfs))
    yield table
    yield _suggestion(compared, plan.baseline.window_ms)


def _length(one: WindowLength, lfs: int) -> Iterable[str]:
    window, rate = to_duration(one.window_ms), one.false_rate
    if one.learning:
        return (window, f"{one.windows}, too few", "–", "–", "–")
    return (
        window,
        f"{one.windows}",
        "never" if one.after_ms is None else _time(one.after_ms),
        f"{one.found} of {lfs}",
        "–" if rate is None else _figure(rate * MONTH_MS / one.window_ms),
    )


def _suggestion(compared: LengthComparison, own_ms: int) -> str:
    own, shift = to_duration(own_ms), _change(compared.ratio)
    if compared.best is None and any(one.after_ms and one.over_budget for one in compared.lengths):
        return (
            "No suggestion: every length that finds it is far over the budget of false incidents. "
            "Use a longer or a calmer baseline."
        )
    if compared.best is None:
        return (
            f"No suggestion: no length with {LEARNING_WINDOWS} windows in the baseline finds "
            f"{shift} of that LF. Use a longer baseline, or LFs that vote more often."
        )
    if compared.best == own_ms:
        return f"Suggested: `window: {own}`, as it is. No other window length finds it much sooner."
    best = to_duration(compared.best)
    short = any(one.learning and one.window_ms == own_ms for one in compared.lengths)
    why = "of which the baseline has too few" if short else "with which it is found later, or never"
    return f"Suggested: `window: {best}` instead of {own}, {why}."


# -- Words ------------------------------------------------------------------------------------


def _plain(first: str, *others: str) -> Table:
    """Return a table whose first column is folded, so that the others stay whole."""
    columns = (Column(name, no_wrap=True) for name in others)
    name = Column(first, overflow="fold", max_width=NAMES)
    return Table(name, *columns, box=box.SIMPLE_HEAD, pad_edge=False)


def _name(one: SeriesOutlook) -> str:
    return "(blind spot)" if one.key.series is SeriesKind.BLIND_SPOT else clean(one.key.probe)


def _listed(series: Sequence[SeriesOutlook]) -> str:
    return _some([_name(one) for one in series])


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_NAMED])
    more = len(names) - MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def _change(ratio: float) -> str:
    return f"+{ratio - 1:.0%}".replace("%", " %")


def _time(ms: float) -> str:
    """Return a time in words.

    >>> _time(86_400_000 * 2.69), _time(9_000_000)
    ('2.7 days', '2.5 hours')
    """
    size, unit = next(((size, unit) for size, unit in UNITS if ms >= 2 * size), UNITS[-1])
    return f"{_figure(ms / size)} {unit}"


def _figure(value: float) -> str:
    """Return a number as exact as it is worth reading.

    >>> [_figure(v) for v in (0, 0.0123, 0.5, 3.14159, 214.97, 12345.6)]
    ['0', '0.012', '0.5', '3.1', '215', '12,346']
    """
    if value >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"  # noqa: PLR2004


def _date(ms: int) -> str:
    return to_iso(ms).removesuffix(":00Z").removesuffix("T00:00")
