from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from tidegauge_probes.findings import VOLUME_OF
from tidegauge_service.store.windows.figures import BLIND_SPOT_ROW, HeatMap, SeriesFigure
from tidegauge_service.web.charts import renderer
from tidegauge_service.web.charts import specs as charts
from tidegauge_service.web.charts.specs import History
from tidegauge_service.web.charts.themes import THEMES, ThemeName

HOUR = 3_600_000
NOON = 1_584_273_600_000  # 2020-03-15T12:00:00Z


def figure(deviation: float = 0.0, verdict: str = "ok", **changes: Any) -> SeriesFigure:
    """Return a figure whose deviation from the baseline is this."""
    values = {
        "series": "coverage",
        "segment": "_all",
        "probe": "check_out",
        "other": "",
        "label": "",
        "x": 8,
        "n": 100,
        "expected": 0.1,
        "low": 0.05,
        "high": 0.15,
        "effect": 1.0,
        "p_value": 0.5,
        "n_eff": 50.0,
        "rank": math.copysign(deviation**2, deviation),
        "verdict": verdict,
    }
    return SeriesFigure(**{**values, **changes})


def heat_map(**rows: Sequence[SeriesFigure | None]) -> HeatMap:
    windows = max(map(len, rows.values()))
    names = tuple(BLIND_SPOT_ROW if name == "blind" else name for name in rows)
    starts = tuple(NOON + n * HOUR for n in range(windows))
    return HeatMap(starts, names, tuple(map(tuple, rows.values())))


def cells(spec: renderer.Spec) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in spec["datasets"]["figures"]]


# -- The heat map ---------------------------------------------------------------------------------


def test_the_heat_map_holds_the_numbers_row_by_row() -> None:
    spec = charts.heat_map(
        heat_map(blind=[figure(1.5), figure(5, "shifted")], a=[None, figure(-2)])
    )
    assert cells(spec) == [
        ("(blind spot)", "2020-03-15T12:00", 1.5, False),
        ("(blind spot)", "2020-03-15T13:00", 5.0, True),
        ("a", "2020-03-15T12:00", None, False),
        ("a", "2020-03-15T13:00", -2.0, False),
    ]
    assert spec["layer"][0]["encoding"]["y"]["sort"] == ["(blind spot)", "a"]


@pytest.mark.parametrize(("given", "drawn"), [(40.0, 8.0), (-40.0, -8.0), (7.9996, 8.0)])
def test_deviations_are_clipped(given: float, drawn: float) -> None:
    assert cells(charts.heat_map(heat_map(blind=[figure(given)])))[0][2] == drawn


@pytest.mark.parametrize("verdict", ["no_data", "low_volume"])
def test_what_could_not_be_compared_is_no_zero(verdict: str) -> None:
    assert charts.deviation_of(figure(3.0, verdict)) is None


@pytest.mark.parametrize("rank", [None, math.inf, math.nan])
def test_figures_that_are_no_numbers_are_no_data(rank: float | None) -> None:
    assert charts.deviation_of(figure(rank=rank)) is None


def test_of_many_lfs_the_blind_spot_and_those_that_moved_most_are_drawn() -> None:
    rows = {f"lf{n}": [figure(n % 7)] for n in range(70)}
    wide = heat_map(blind=[figure()], **rows)
    shown = charts.shown_rows(wide)
    assert len(shown) == charts.MAX_ROWS
    assert shown[0] == 0
    assert list(shown) == sorted(shown)
    left_out = [wide.cells[row][0] for row in range(71) if row not in shown]
    assert all(f is not None and (f.rank or 0) <= 4 for f in left_out)


def test_names_that_look_alike_keep_rows_of_their_own() -> None:
    assert charts.distinct(["a\x07", "a\x08", "a"]) == ["a\ufffd", "a\ufffd (2)", "a"]
    assert len(set(charts.distinct(["x" * 50 + "1", "x" * 50 + "2"]))) == 2


def test_an_lf_may_be_named_like_the_blind_spot() -> None:
    spec = charts.heat_map(heat_map(blind=[figure(1)], **{"(blind spot)": [figure(2)]}))
    assert [row[0] for row in cells(spec)] == ["(blind spot)", "(blind spot) (2)"]


def test_a_shift_is_marked_by_more_than_colour() -> None:
    [_, _, dots] = charts.heat_map(heat_map(blind=[figure(5, "shifted")]))["layer"]
    assert dots["mark"]["type"] == "point"
    assert dots["transform"] == [{"filter": "datum.shifted"}]


# -- One series -----------------------------------------------------------------------------------


def test_a_series_holds_its_shares_and_leaves_gaps() -> None:
    history = History((NOON, NOON + HOUR), (figure(verdict="shifted"), None))
    assert charts.series(history)["datasets"]["figures"] == [
        {
            "window": "2020-03-15T12:00",
            "shifted": True,
            "observed": 0.08,
            "expected": 0.1,
            "low": 0.05,
            "high": 0.15,
        },
        {
            "window": "2020-03-15T13:00",
            "shifted": False,
            "observed": None,
            "expected": None,
            "low": None,
            "high": None,
        },
    ]


@pytest.mark.parametrize(("x", "form"), [(1, ".2%"), (8, ".1%"), (50, ".0%")])
def test_small_shares_get_more_digits(x: int, form: str) -> None:
    spec = charts.series(History((NOON,), (figure(x=x),)))
    assert spec["layer"][2]["encoding"]["y"]["axis"]["format"] == form


# -- Drawing --------------------------------------------------------------------------------------

EMPTY = HeatMap((), (BLIND_SPOT_ROW,), ((),))


@pytest.mark.parametrize("theme", THEMES.values(), ids=list(THEMES))
def test_charts_are_drawn_as_svg_and_png(theme: Any) -> None:
    for spec in (
        charts.heat_map(heat_map(blind=[figure(5, "shifted")]), theme, "Title"),
        charts.heat_map(EMPTY, theme),
        charts.series(History((NOON,), (figure(),)), theme),
        charts.series(History((NOON,), (None,)), theme),
        charts.series(History((), ()), theme),
    ):
        svg = renderer.to_svg(spec)
        assert svg.startswith("<svg")
        assert theme.ground in svg
        assert renderer.to_png(spec, 1).startswith(b"\x89PNG\r\n\x1a\n")


def test_a_picture_needs_neither_script_nor_inline_style() -> None:
    svg = renderer.to_svg(charts.heat_map(heat_map(blind=[figure(5, "shifted")])))
    assert not any(found in svg for found in ("<script", "<style", "style=", "href"))


HOSTILE = [
    "\x00\x07\x1f",
    "\x7f\x85",
    "\ufffe\uffff",
    "\ud800",
    "\u202e",
    "</text><script>",
    "\\u0007",
]

DRAW = """
import json, sys
from tidegauge_service.web.charts import renderer as drawing
for spec in json.load(sys.stdin):
    drawing.to_png(spec, 1)
    print(drawing.to_svg(spec))
"""


def test_no_text_ends_the_process() -> None:
    """vl-convert aborts its process at a character that XML does not know: so a process it is."""
    texts = [{"values": [{"t": text}]} for text in HOSTILE]
    encoding = {"text": {"field": "t"}}
    specs: list[renderer.Spec] = [{"mark": "text", "data": d, "encoding": encoding} for d in texts]
    specs += [charts.heat_map(heat_map(**{name: [figure()]}), title=name) for name in HOSTILE]
    done = subprocess.run(
        [sys.executable, "-c", DRAW],
        input=json.dumps(specs),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("<svg") == len(specs)
    assert "<script" not in done.stdout
    assert "&lt;script&gt;" in done.stdout


def test_drawing_fetches_nothing() -> None:
    spec = {"data": {"url": "http://127.0.0.1:9/figures.json"}, "mark": "point", "encoding": {}}
    with pytest.raises(ValueError, match=r"(?i)not allowed|external|base"):
        renderer.to_svg(spec)


def test_the_last_pictures_are_kept_and_no_more() -> None:
    spec = charts.series(History((NOON,), (figure(x=17),)))
    renderer.to_svg(spec)
    hits = renderer._svg.cache_info().hits
    renderer.to_svg(json.loads(json.dumps(spec)))
    assert renderer._svg.cache_info().hits == hits + 1
    assert (
        renderer._svg.cache_info().maxsize
        == renderer.KEPT_PICTURES
        == renderer._png.cache_info().maxsize
    )


def test_a_fingerprint_names_the_content() -> None:
    one, same, other = (
        renderer.fingerprint(charts.heat_map(heat_map(blind=[figure(d)]))) for d in (1, 1, 2)
    )
    assert one == same != other


# -- Colours --------------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2)."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ThemeName)
def test_texts_and_lines_of_charts_can_be_read(name: ThemeName) -> None:
    theme = THEMES[name]
    for colour in (theme.ink, theme.faint, theme.line, theme.alarm):
        assert contrast(colour, theme.ground) >= 4.5
    for end in (theme.diverging[0], theme.diverging[-1]):
        assert contrast(end, theme.diverging[2]) >= 4.5
    assert contrast(theme.no_data, theme.diverging[2]) >= 1.5


# -- Long names ------------------------------------------------------------------------------------

WIDE = {
    "emoji": "\U0001f600" * 60,
    "emoji at the cut": "x" * 38 + "\U0001f600\U0001f600\U0001f600",
    "families": "\U0001f469\u200d\U0001f469\u200d\U0001f467" * 40,
    "flags": "\U0001f1e9\U0001f1ea" * 30,
    "Chinese": "\u6f22" * 300,
    "rare Chinese": "\U00020000" * 100,
    "accents": "e" + "\u0301" * 300,
    "Arabic": "\u0646\u0635 \u0639\u0631\u0628\u064a " * 40,
    "one word": "x" * 10_000,
}


@pytest.mark.parametrize("name", WIDE.values(), ids=WIDE)
def test_a_long_name_of_any_letters_is_drawn(name: str) -> None:
    """Vega cuts labels between UTF-16 units; half an emoji ended the whole report."""
    bar = charts.Bar(name, NOON, NOON + HOUR, critical=True)
    history = History((NOON,), (figure(),))
    for spec in (
        charts.heat_map(HeatMap((NOON,), (name, "b"), ((figure(1.0),), (None,))), title=name),
        charts.timeline([bar], NOON, NOON + HOUR, title=name),
        charts.series(history, title=name),
    ):
        assert renderer.to_svg(spec).startswith("<svg")
        assert renderer.to_png(spec).startswith(b"\x89PNG")


def test_names_that_differ_in_an_emoji_stay_apart() -> None:
    names = ["x" * 50 + "\U0001f600", "x" * 50 + "\U0001f601", "\U0001f600", "\U0001f601"]
    assert len(set(charts.distinct(names))) == 4
    assert charts.distinct(names)[2:] == names[2:]


# -- Local time -----------------------------------------------------------------------------------

PUT_BACK = 1_792_890_000_000  # 2026-10-25T01:00Z: clocks go from 03:00 to 02:00 in Berlin


def test_an_hour_that_comes_twice_is_two_columns() -> None:
    starts = tuple(PUT_BACK + n * HOUR for n in (-2, -1, 0, 1))
    figures = HeatMap(starts, ("a",), ((figure(), figure(), figure(), figure()),))
    spec = charts.heat_map(figures, zone="Europe/Berlin")
    assert [row["window"] for row in spec["datasets"]["figures"]] == [
        "2026-10-25T01:00",
        "2026-10-25T02:00",
        "2026-10-25T02:00+01:00",
        "2026-10-25T03:00",
    ]
    assert "start of window (Europe/Berlin)" in json.dumps(spec)
    assert "+01:00" in renderer.to_svg(spec)


def test_a_timeline_and_a_series_are_drawn_by_the_same_clock() -> None:
    bar = charts.Bar("a", NOON, NOON + HOUR, critical=False)
    spec = charts.timeline([bar], NOON, NOON + HOUR, zone="Asia/Kolkata")
    [row] = spec["datasets"]["figures"]
    assert (row["opened"], row["until"]) == ("2020-03-15T17:30:00Z", "2020-03-15T18:30:00Z")
    assert "event time (Asia/Kolkata)" in json.dumps(spec)
    spec = charts.series(History((NOON,), (figure(),)), zone="Asia/Kolkata")
    assert spec["datasets"]["figures"][0]["window"] == "2020-03-15T17:30"
    assert "start of window (Asia/Kolkata)" in json.dumps(spec)


def test_a_volume_is_drawn_in_records() -> None:
    shares: dict[str, Any] = {"expected": 1e-7, "low": 9e-8, "high": 1.1e-7}
    shares |= {"series": "volume", "x": 1_200, "n": VOLUME_OF}
    history = History((NOON,), (figure(**shares),))
    spec = charts.series(history)
    [point] = spec["datasets"]["figures"]
    drawn = [point[name] for name in ("observed", "expected", "low", "high")]
    assert drawn == pytest.approx([1_200, 1_000, 900, 1_100])
    assert "%" not in json.dumps([layer["encoding"]["y"]["axis"] for layer in spec["layer"]])
    assert renderer.to_svg(spec).startswith("<svg")
