"""The figures as a page: tables in Markdown, pictures as SVG, from the benchmark's JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import altair as alt

from benchmarks.detection import experiments, goals
from benchmarks.detection.scoring import HORIZON
from tidegauge_service.web.charts import renderer

PAGE: Final = "detection-figures.md"
TRADE_OFF: Final = "pictures/detection-trade-off.svg"
QUIET: Final = "pictures/detection-quiet.svg"
PEERS: Final = "pictures/detection-peers.svg"
INK, FAINT, OURS, THEIRS = "#1c2430", "#566070", "#b3430a", "#1f5fa8"
LEAST: Final = 0.05
"""Episodes per 1,000 windows at which none at all is drawn: a logarithm has no zero."""

_DATA: Final = alt.NamedData("figures")

Json = Mapping[str, Any]


def write(found: Json, folder: Path) -> None:
    """Write the page and its pictures below *folder*."""
    (folder / "pictures").mkdir(exist_ok=True)
    (folder / TRADE_OFF).write_text(renderer.to_svg(trade_off(found)), encoding="utf-8")
    (folder / QUIET).write_text(renderer.to_svg(quiet(found)), encoding="utf-8")
    if found.get("peers"):
        (folder / PEERS).write_text(renderer.to_svg(peers_picture(found)), encoding="utf-8")
    (folder / PAGE).write_text(page(found), encoding="utf-8")


def page(found: Json) -> str:
    """Return the page."""
    sections = [
        _head(found),
        _quiet(found),
        _calibrations(found),
        _found(found),
        _others(found),
        _incidents(found),
        _matched(found),
        _peers(found.get("peers")),
    ]
    return "\n".join(sections).rstrip() + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _head(found: Json) -> str:
    return f"""# Detection: figures

Written by one command, `make bench-peers ARGS="--write docs"`, seed {found["seed"]}; without the
other tools by `make bench BENCH=detection ARGS="--write docs"`. How detection works is said in
[detection.md](detection.md).

{_quickly(found)}All traffic is made by seeded generators (`benchmarks/detection/traffic.py`):
hourly windows of {experiments.RECORDS:,} records, 30 LFs, ten each of coverage .5, 5 and 30 %,
{experiments.CALIBRATION} calibration windows, unless said otherwise.

| traffic | what varies |
| --- | --- |
| iid | nothing but by counting |
| overdispersed | beta-binomial, standard deviation 10 % of the rate; so are all below |
| season | ±30 % by hour of day |
| weekly | ±20 % by hour of day, ±30 % at weekends |
| stress | season; the variation is an AR(1), φ = .6, half of it common to all LFs |
| uneven | season; volumes fall to a tenth at night and vary by a half |
| gaps | season; 15 % of the windows are empty, and one day |

tidegauge is measured through its own code: baseline, comparison, alerts' lifecycle. Its budget is
{found["budget"]} false episodes per 1,000 windows, as shipped. An *onset* is a window in which one
or more series go into alarm; intervals are 95 %, exact for a Poisson count. A delay of 1 is the
first shifted window; what was not found in {HORIZON} windows counts as {HORIZON}.
"""


def _quickly(found: Json) -> str:
    return "**A quick run (`QUICK=1`): intervals are wide.**\n\n" if found.get("quick") else ""


def _quiet(found: Json) -> str:
    climates = list(found["false_alarms"])
    rows = []
    for name in found["false_alarms"][climates[0]]:
        cells = [found["false_alarms"][climate][name] for climate in climates]
        rows.append([_rule(name), *(_rate(cell) for cell in cells)])
    return f"""
## False onsets per 1,000 windows

{table(["rule", *climates], rows)}

In brackets: the interval; above 20, windows in alarm per 1,000. {_windows(found)}

![False onsets of tidegauge per 1,000 windows, by kind of traffic]({QUIET})
"""


def _windows(found: Json) -> str:
    first = next(iter(found["false_alarms"].values()))["tidegauge"]
    calibrations = first["windows"] // experiments.LIVE
    return f"Each cell: {first['windows']:,} windows, {calibrations} calibrations."


def _rule(name: str) -> str:
    return f"**{name}**" if name == "tidegauge" else name


def _rate(cell: Json) -> str:
    if "interval" not in cell:
        return "–"
    low, high = cell["interval"]
    if cell["per_1000"] < 20:
        return f"{cell['per_1000']:.2g} ({low:.2g}–{high:.2g})"
    return f"{cell['per_1000']:.0f} ({cell['in_alarm']:.0f})"


def _calibrations(found: Json) -> str:
    rows = [[name, _rate(cell)] for name, cell in found["calibrations"].items()]
    return f"""
## By calibration and volume

{table(["tidegauge", "false onsets per 1,000 (interval)"], rows)}
"""


def _found(found: Json) -> str:
    shifts = list(next(iter(found["found"].values())))
    rows = [
        [name, *(_cell(cells[shift], goals.FOUND[name][shift]) for shift in shifts)]
        for name, cells in found["found"].items()
    ]
    runs = found["found"][rows[0][0]][shifts[0]]["runs"]
    return f"""
## Shifts: % found within 24 windows / mean delay

Overdispersed traffic; one LF shifts, {runs} runs a cell. The ramp grows evenly to +50 % in 48
windows. In brackets, where missed by more than two standard errors: the figure to reach.

{table(["records, coverage", *shifts], rows)}
"""


def _cell(cell: Json, goal: goals.Goal) -> str:
    text = f"{100 * cell['found']:.0f} / {cell['mean_delay']:.2g}"
    return text if goals.is_met(cell, goal) else f"{text} (**{goal.text}**)"


def _others(found: Json) -> str:
    rows = [
        [name, _cell(cell, goals.Goal(None, goals.OTHER[name]))]
        for name, cell in found["other_series"].items()
    ]
    return f"""
## Pairs and blind spot: % found within 24 windows / mean delay

Agreement .9 → .75 of a pair that both vote on the share of records named; blind spot 15 → 18 %.

{table(["series, records a window", "found / delay"], rows)}
"""


def _incidents(found: Json) -> str:
    rows = [
        [name, f"{c['found']}", _or_dash(c["opens_per_incident"]), _or_dash(c["windows_to_close"])]
        for name, c in found["incidents"].items()
    ]
    return f"""
## One incident, one alert

A shift of {experiments.INCIDENT} windows, then {experiments.AFTER} quiet ones. *Opens*: alerts of
the shifted series per incident that was found. *Close*: windows from recovery to the resolve,
median.

{table(["traffic, shift", "found", "opens", "windows to close"], rows)}
"""


def _or_dash(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _matched(found: Json) -> str:
    rows = []
    labels = list(next(iter(found["matched"].values())))
    for label in labels:
        cells = []
        for curves in found["matched"].values():
            entry = experiments.at_allowed(curves[label])
            cells.append("–" if entry is None else _delay(entry))
        rows.append([_rule(label), *cells])
    return f"""
## At one false episode per 1,000 windows

Thresholds of the rules are set with hindsight, on the quiet windows that are counted; tidegauge's
budget is the best of those tried that keeps to one. An LF of 5 %.

{table(["rule", *(f"{shift}: found / mean delay" for shift in found["matched"])], rows)}

![Delay against false episodes, on logarithmic axes]({TRADE_OFF})
"""


def _delay(entry: Json) -> str:
    return f"{100 * entry['found']:.0f} % / {entry['mean_delay']:.3g} ± {2 * entry['se']:.2g}"


PEERS_SHOWN: Final = (
    ("0.5%", "dead"),
    ("5.0%", "+25 %"),
    ("5.0%", "+50 %"),
    ("5.0%", "−50 %"),
    ("30.0%", "+25 %"),
)


def _peers(peers: Json | None) -> str:
    if not peers:
        return ""
    head = ["tool", "onsets, overdispersed", "onsets, season"]
    head += [f"{lf.removesuffix('.0%').removesuffix('%')} % {shift}" for lf, shift in PEERS_SHOWN]
    tables = [
        table(head, [row for tool in peers if (row := _peer(tool, peers[tool], kind))])
        for kind in ("shipped", "matched")
    ]
    failed = [f"- {tool}: {of['error']}" for tool, of in peers.items() if "error" in of]
    absent = "\n".join(["Not measured:\n", *failed]) if failed else "All of them installed and ran."
    versions = ", ".join(
        line
        for pins in sorted((Path(__file__).parent / "peers").glob("*.txt"))
        for line in pins.read_text().splitlines()[:1]
    )
    return f"""
## Other tools

{versions}; each in an environment of its own (`benchmarks/detection/peers`), fed with the same
votes as categorical columns. Reference: the calibration windows where a tool takes windows
(nannyml, popmon, river), 20,000 records of the same shares where it takes one table. Cells: false
onsets per 1,000 windows (windows in alarm); for shifts % found within 24 windows / mean delay, 24
where not found. {absent}

As shipped:

{tables[0]}

With thresholds that leave at most one episode in the very windows of the first column:

{tables[1]}

![Delay against false episodes, tools as shipped and matched]({PEERS})
"""


def _peer(tool: str, of_tool: Json, kind: str) -> list[str] | None:
    if "error" in of_tool:
        return None
    found = of_tool[kind]
    quiet_ = [
        f"{c['per_1000']:.3g} ({c['in_alarm']:.0f})" for c in (found["quiet"], found["season"])
    ]
    late = [found["shifts"][lf][shift] for lf, shift in PEERS_SHOWN]
    return [tool, *quiet_, *(f"{100 * c['found']:.0f} / {c['mean_of_24']:.2g}" for c in late)]


# -- Pictures ---------------------------------------------------------------------------------


def trade_off(found: Json) -> renderer.Spec:
    """Return delay against false episodes: a panel for each shift."""
    rows = [
        {
            "shift": f"{shift} on a 5 % LF",
            "rule": label,
            "x": max(e["false"], LEAST),
            "y": e["mean_delay"],
        }
        for shift, curves in found["matched"].items()
        for label, curve in curves.items()
        for e in curve
    ]
    order = list(next(iter(found["matched"].values())))
    base = alt.Chart(_DATA).encode(
        x=_log("x", f"false episodes per 1,000 windows (none: {LEAST})"),
        y=_log("y", "mean delay in windows"),
        color=_by_rule(order),
    )
    lines = base.mark_line(strokeWidth=2) + base.mark_point(filled=True, size=40, opacity=1)
    panels = lines.properties(width=340, height=280).facet(
        column=alt.Column("shift", type="nominal", title=None, sort=None)
    )
    return _finished(panels, rows)


def peers_picture(found: Json) -> renderer.Spec:
    """Return delay against false episodes for tools, as shipped and matched, and for tidegauge."""
    rows = [
        {"rule": tool, "as": kind, "shift": f"{shift} on a 5 % LF", **_point(of_tool[kind], shift)}
        for tool, of_tool in found["peers"].items()
        if "error" not in of_tool
        for kind in ("shipped", "matched")
        for shift in experiments.HEADLINE
    ]
    rows += [
        {
            "rule": "tidegauge",
            "as": "shipped",
            "shift": f"{shift} on a 5 % LF",
            "x": max(entry["false"], LEAST),
            "y": entry["mean_of_24"],
        }
        for shift, curves in found["matched"].items()
        for entry in curves["tidegauge"]
        if entry["budget"] == found["budget"]
    ]
    order = list(dict.fromkeys(["tidegauge", *(row["rule"] for row in rows)]))
    base = alt.Chart(_DATA).encode(
        x=_log("x", f"false episodes per 1,000 windows (none: {LEAST})"),
        y=_log("y", "mean delay (24: not found)"),
        color=_by_rule(order),
    )
    shape = alt.Shape("as", type="nominal", legend=alt.Legend(title=None))
    points = base.mark_point(size=70, opacity=1, strokeWidth=2).encode(shape=shape)
    layered = base.mark_line(strokeWidth=1, opacity=0.5) + points
    panels = layered.properties(width=340, height=280).facet(
        column=alt.Column("shift", type="nominal", title=None, sort=None)
    )
    return _finished(panels, rows)


def _point(found: Json, shift: str) -> dict[str, float]:
    return {
        "x": max(found["quiet"]["per_1000"], LEAST),
        "y": found["shifts"]["5.0%"][shift]["mean_of_24"],
    }


def _log(name: str, title: str) -> Any:
    channel = alt.X if name == "x" else alt.Y
    axis = alt.Axis(title=title, format="~g", tickCount=5)
    return channel(name, type="quantitative", scale=alt.Scale(type="log"), axis=axis)


def _by_rule(order: Sequence[str]) -> alt.Color:
    colours = [OURS, "#7b6888", "#8a8f98", "#6b9e78", "#c7a252", THEIRS, "#3c9aa8", "#111111"]
    scale = alt.Scale(domain=list(order), range=colours[: len(order)])
    return alt.Color("rule", type="nominal", scale=scale, legend=alt.Legend(title=None))


def quiet(found: Json) -> renderer.Spec:
    """Return tidegauge's false onsets with their intervals, by kind of traffic."""
    rows = [
        {
            "climate": climate,
            "rate": of_rule["tidegauge"]["per_1000"],
            "low": of_rule["tidegauge"]["interval"][0],
            "high": of_rule["tidegauge"]["interval"][1],
        }
        for climate, of_rule in found["false_alarms"].items()
    ]
    axis = alt.Axis(title="false onsets per 1,000 windows (95 % interval); dashed: 1")
    y = alt.Y("climate", type="nominal", sort=list(found["false_alarms"]), title=None)
    base = alt.Chart(_DATA).encode(y)
    bars = base.mark_rule(color=OURS, strokeWidth=2).encode(
        alt.X("low", type="quantitative", axis=axis), alt.X2("high")
    )
    dots = base.mark_point(filled=True, color=OURS, size=60, opacity=1).encode(
        alt.X("rate", type="quantitative", axis=axis)
    )
    one = alt.Chart(_DATA).mark_rule(color=FAINT, strokeDash=[4, 3]).encode(x=alt.datum(1))
    chart = bars + dots + one
    return _finished(chart.properties(width=520, height=alt.Step(26)), rows)


def _finished(chart: alt.LayerChart | alt.FacetChart, rows: list[dict[str, Any]]) -> renderer.Spec:
    text = {"labelColor": FAINT, "titleColor": INK, "titleFontWeight": "normal"}
    spec: renderer.Spec = chart.to_dict()
    return spec | {
        "datasets": {"figures": rows},
        "background": "#ffffff",
        "padding": 10,
        "config": {
            "font": "Liberation Sans, Arial, Helvetica, sans-serif",
            "view": {"stroke": None},
            "axis": text | {"gridOpacity": 0.4, "labelFontSize": 12, "titleFontSize": 12},
            "legend": text | {"labelFontSize": 12},
            "header": {"labelFontSize": 13, "labelColor": INK},
        },
    }
